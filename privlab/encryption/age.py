"""Files in the age v1 format (C2SP age v1), which many tools open: many recipients, one key, chunks that can be read alone."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase

from privlab.encryption.armor import ArmorWriter, is_armored, without_armor
from privlab.encryption.header import FILE_KEY_BYTES, MAX_STANZAS, Header
from privlab.encryption.keys import Identity
from privlab.encryption.recipients import Recipient
from privlab.encryption.stream import BLOCK, CHUNK, Buffer, Payload, Sink, write_all, write_payload
from privlab.files import replacing

PathLike = str | os.PathLike[str]


def encrypt_file(
    source: PathLike,
    target: PathLike,
    recipients: Recipient | Iterable[Recipient],
    *,
    armor: bool = False,
    mix_classical: bool = False,
) -> None:
    """Encrypt a file to one or more recipients, in constant memory.

    Parameters
    ----------
    source, target : str or path
        An existing target is replaced in one step on success, and left as it was on failure.
    recipients : Recipient or iterable of Recipient
        At most 64, each of whom can open the file on their own.
    armor : bool
        Write text, a third longer, in place of bytes.
    mix_classical : bool
        Allow post-quantum and classical recipients in one file. It is then only as strong as the classical ones.

    Raises
    ------
    ValueError
        If there are no recipients or too many, or they may not be mixed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> identity, folder = Identity.generate(), pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "plain").write_bytes(b"weights")
    >>> encrypt_file(folder / "plain", folder / "locked.age", identity.recipient)
    >>> decrypt_file(folder / "locked.age", folder / "opened", identity)
    >>> (folder / "opened").read_bytes()
    b'weights'
    """
    chosen = checked_recipients(recipients, mix_classical)
    with open(source, "rb") as plain, replacing(target) as file:
        sink = ArmorWriter(file) if armor else file
        write_age(sink, chosen, iter(lambda: plain.read(CHUNK), b""))
        if isinstance(sink, ArmorWriter):
            sink.finish()


def decrypt_file(source: PathLike, target: PathLike, identities: Identity | Iterable[Identity]) -> None:
    """Decrypt an age file, binary or armored, in constant memory.

    Parameters
    ----------
    source, target : str or path
        An existing target is replaced only once every byte is known to be right; the new one has permissions 0600. No
        plaintext is left behind otherwise.
    identities : Identity or iterable of Identity
        Tried in order.

    Raises
    ------
    DecryptionError
        If the file is not in the format, or locked for others.
    TamperError
        If it was changed.
    """
    with open_age(source, identities) as payload, replacing(target, 0o600) as file:
        buffer = memoryview(bytearray(8 * BLOCK * CHUNK))
        for offset in range(0, payload.size, len(buffer)):
            part = buffer[: min(len(buffer), payload.size - offset)]
            payload.read_into(offset, part)
            write_all(file, part)


def write_age(target: Sink, recipients: Sequence[Recipient], chunks: Iterable[Buffer]) -> None:
    """Write header and payload under a new file key; see `privlab.encryption.stream.write_payload` for ``chunks``."""
    file_key = os.urandom(FILE_KEY_BYTES)
    header = Header.seal([recipient.wrap(file_key) for recipient in recipients], file_key)
    write_all(target, memoryview(bytes(header)))
    write_payload(target, file_key, chunks)


@contextmanager
def open_age(source: PathLike, identities: Identity | Iterable[Identity]) -> Iterator[Payload]:
    """Open an age file, binary or armored, for reading from any place.

    Yields
    ------
    Payload

    Raises
    ------
    DecryptionError, TamperError
        As `decrypt_file`.
    """
    keys = checked_identities(identities)
    with open_binary(source) as file:
        yield Payload(file, Header.read(file).open(keys))


@contextmanager
def open_binary(source: PathLike) -> Iterator[BufferedIOBase]:
    """Open an age file, without its armor if it has any, and at its start."""
    with open(source, "rb") as file:
        if not is_armored(file):
            yield file
            return
        with without_armor(file) as binary:
            yield binary


def checked_recipients(recipients: Recipient | Iterable[Recipient], mix_classical: bool) -> list[Recipient]:
    """Return the recipients as a list, or raise `ValueError` where they cannot share a file."""
    chosen = [recipients] if isinstance(recipients, Recipient | Identity | str) else list(recipients)
    for recipient in chosen:
        if not isinstance(recipient, Recipient):  # the value is not shown: it may be a secret key
            kind = type(recipient).__name__
            raise ValueError(f"recipients holds a {kind}, but must hold identity.recipient or Recipient.parse(text)")
    if not 1 <= len(chosen) <= MAX_STANZAS:
        raise ValueError(f"recipients has {len(chosen)} entries, but must have 1 to {MAX_STANZAS}")
    kinds = {recipient.kind for recipient in chosen}
    if "passphrase" in kinds and len(chosen) > 1:
        raise ValueError("recipients holds a passphrase and others, but a passphrase must be alone")
    if "x-wing" in kinds and len(kinds) > 1 and not mix_classical:
        raise ValueError(
            f"recipients mixes kinds {sorted(kinds)}: a file for classical recipients too is not safe against a quantum "
            "computer; give mix_classical=True if that is meant"
        )
    return chosen


def checked_identities(identities: Identity | Iterable[Identity]) -> list[Identity]:
    """Return the identities as a list, or raise `ValueError`."""
    keys = [identities] if isinstance(identities, Identity | Recipient | str) else list(identities)
    if not keys or not all(isinstance(key, Identity) for key in keys):
        kinds = sorted({type(key).__name__ for key in keys})
        raise ValueError(f"identities holds {', '.join(kinds) or 'nothing'}, but must hold at least one Identity")
    return keys
