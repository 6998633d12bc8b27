"""The header of an age file: who can open it, and the proof that nobody changed that (C2SP age v1, "Header")."""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedIOBase

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privlab.encryption.errors import DecryptionError, TamperError
from privlab.encryption.keys import Identity
from privlab.encryption.recipients import Stanza, decode, encode

VERSION = b"age-encryption.org/v1\n"
FILE_KEY_BYTES = 16
MAX_STANZAS = 64
MAX_BYTES = 1 << 17  # 64 post-quantum stanzas fit
LINE = 64  # letters of base64 in a full line of a stanza's body


@dataclass(frozen=True)
class Header:
    """Stanzas, the bytes that the code covers, and the code."""

    stanzas: tuple[Stanza, ...]
    covered: bytes
    code: bytes

    @classmethod
    def seal(cls, stanzas: Sequence[Stanza], file_key: bytes) -> "Header":
        """Write the header of a file with this key."""
        covered = VERSION + b"".join(map(_lines, stanzas)) + b"---"
        return cls(tuple(stanzas), covered, _code(file_key, covered))

    @classmethod
    def read(cls, file: BufferedIOBase) -> "Header":
        """Read a header, and leave the file at the payload.

        Raises
        ------
        DecryptionError
            If it is not one, or is larger than any reader should have to bear (64 stanzas, 128 KiB).
        """
        lines = _Lines(file)
        if lines.next() != VERSION:
            raise DecryptionError("this is not an age v1 file")
        stanzas: list[Stanza] = []
        while (line := lines.next()).startswith(b"-> "):
            if len(stanzas) == MAX_STANZAS:
                raise DecryptionError(f"the header has more than {MAX_STANZAS} stanzas")
            stanzas.append(Stanza(_words(line), _body(lines)))
        if not stanzas or not line.startswith(b"--- "):
            raise DecryptionError("the header is malformed")
        if any(stanza.words[0] == "scrypt" for stanza in stanzas) and len(stanzas) > 1:
            raise DecryptionError("a passphrase must be the only recipient, but the header has more")
        return cls(tuple(stanzas), bytes(lines.seen[: -len(line)]) + b"---", decode(_text(line[4:]), 32))

    def __bytes__(self) -> bytes:
        return self.covered + b" " + encode(self.code).encode() + b"\n"

    def open(self, identities: Sequence[Identity]) -> bytes:
        """Return the file key.

        Raises
        ------
        DecryptionError
            If none of the identities is a recipient, or a stanza is malformed.
        TamperError
            If the header was changed.
        """
        for identity in identities:
            for stanza in self.stanzas:
                file_key = identity.unwrap(stanza)
                if file_key is None:
                    continue
                if len(file_key) != FILE_KEY_BYTES:
                    raise DecryptionError(f"the file key has {len(file_key)} bytes, not {FILE_KEY_BYTES}")
                if not hmac.compare_digest(_code(file_key, self.covered), self.code):
                    raise TamperError("the header was changed: its authentication code is wrong")
                return file_key
        raise DecryptionError("none of the identities is among the file's recipients")


class _Lines:
    """Lines of a file, all that was read, and a limit."""

    def __init__(self, file: BufferedIOBase):
        self._file, self.seen = file, bytearray()

    def next(self) -> bytes:
        line = self._file.readline(MAX_BYTES + 1 - len(self.seen))
        self.seen += line
        if len(self.seen) > MAX_BYTES:
            raise DecryptionError(f"the header is longer than {MAX_BYTES:,} bytes")
        if not line.endswith(b"\n"):
            raise DecryptionError("this is not an age file, or it ends in its header")
        return line


def _words(line: bytes) -> tuple[str, ...]:
    words = tuple(_text(line[3:]).split(" "))
    if not all(word and word.isprintable() for word in words):
        raise DecryptionError("a stanza has an empty word or a strange letter")
    return words


def _body(lines: _Lines) -> bytes:
    full = b""
    while True:
        line = _text(lines.next())
        if len(line) > LINE:
            raise DecryptionError("a stanza's body has a line of more than 64 letters")
        full += decode(line)
        if len(line) < LINE:
            return full


def _lines(stanza: Stanza) -> bytes:
    body = base64.b64encode(stanza.body).rstrip(b"=")
    cut = [body[i : i + LINE] for i in range(0, len(body) + 1, LINE)]  # a last full line is followed by an empty one
    return b"\n".join([b"-> " + " ".join(stanza.words).encode(), *cut, b""])


def _text(line: bytes) -> str:
    try:
        return line.removesuffix(b"\n").decode("ascii")
    except UnicodeDecodeError:
        raise DecryptionError("the header holds letters beyond ASCII") from None


def _code(file_key: bytes, covered: bytes) -> bytes:
    return hmac.digest(HKDF(hashes.SHA256(), 32, None, b"header").derive(file_key), covered, sha256)
