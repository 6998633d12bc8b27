"""An age file as text: base64 between two marker lines (RFC 7468, strict)."""

import base64
import binascii
import tempfile
from io import BufferedIOBase, RawIOBase

from privlab.encryption.errors import DecryptionError

BEGIN, END = b"-----BEGIN AGE ENCRYPTED FILE-----", b"-----END AGE ENCRYPTED FILE-----"
LINE_BYTES, LINE = 48, 64  # a full line, before and after encoding
MARGIN = 1024  # white space allowed around the armor


class ArmorWriter:
    """A binary file that turns what is written into armored text.

    Parameters
    ----------
    file : binary file
        Gets the text; `finish` writes its end.
    """

    def __init__(self, file: RawIOBase | BufferedIOBase):
        self._file, self._rest = file, b""
        file.write(BEGIN + b"\n")

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write all full lines, and keep the rest."""
        self._rest += data
        whole = len(self._rest) // LINE_BYTES * LINE_BYTES
        self._lines(self._rest[:whole])
        self._rest = self._rest[whole:]
        return len(data)

    def finish(self) -> None:
        """Write the last line and the end marker."""
        self._lines(self._rest)
        self._file.write(END + b"\n")

    def _lines(self, data: bytes) -> None:
        text = base64.b64encode(data)
        self._file.write(b"".join(text[i : i + LINE] + b"\n" for i in range(0, len(text), LINE)))


def is_armored(file: BufferedIOBase) -> bool:
    """Whether the file begins like armor, perhaps after white space; the position stays."""
    start = file.tell()
    text = file.read(MARGIN).lstrip()
    file.seek(start)
    return text.startswith(BEGIN)


def without_armor(file: BufferedIOBase) -> BufferedIOBase:
    """Return a temporary file with the binary content of an armored one: ciphertext, so nothing secret is on disk.

    Raises
    ------
    DecryptionError
        If a line is not strictly as it must be.
    """
    binary = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    try:
        line = _line(file)
        while not line.strip():
            line = _line(file)
        _expect(line.lstrip() == BEGIN)
        full = True
        while (line := _line(file)) != END:
            _expect(full and 0 < len(line) <= LINE)
            try:
                data = base64.b64decode(line, validate=True)
            except binascii.Error:
                data = b""
            _expect(data != b"" and base64.b64encode(data) == line)
            full = len(data) == LINE_BYTES
            binary.write(data)
        _expect(not file.read(MARGIN).strip() and not file.read(1))
    except BaseException:
        binary.close()
        raise
    binary.seek(0)
    return binary


def _line(file: BufferedIOBase) -> bytes:
    line = file.readline(MARGIN)
    _expect(line != b"")
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _expect(holds: bool) -> None:
    if not holds:
        raise DecryptionError("the armor is malformed")
