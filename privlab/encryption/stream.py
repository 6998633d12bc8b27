"""The payload of an age file: 64 KiB chunks, each encrypted and authenticated on its own (C2SP age v1, "Payload").

A chunk's nonce is its number and whether it is the last, so chunks can be read in any order, and none can be
moved, repeated or cut off.
"""

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BufferedIOBase
from typing import Protocol

from cryptography import __version__ as cryptography_version
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privlab.encryption.errors import TamperError

CHUNK, TAG, NONCE = 65_536, 16, 16  # bytes
BLOCK = 16  # chunks worked on at a time, 1 MiB
# Since version 50 the cipher runs without the interpreter's lock; before, more threads would only wait for each other.
THREADS = min(4, os.cpu_count() or 1) if int(cryptography_version.split(".")[0]) >= 50 else 1
Buffer = bytes | bytearray | memoryview


class Sink(Protocol):
    """Where ciphertext goes."""

    def write(self, data: memoryview, /) -> int | None:
        """Take bytes."""


def write_payload(target: Sink, file_key: bytes, chunks: Iterable[Buffer]) -> None:
    """Encrypt a plaintext given in chunks.

    Parameters
    ----------
    target : writable
        Gets a random nonce and the encrypted chunks.
    file_key : bytes, 16 of them
        Used for this payload alone.
    chunks : iterable of buffers
        All of 64 KiB but the last, which is shorter, and empty only if it is the only one. None may change before the next
        `BLOCK` times four chunks were asked for.
    """
    nonce = os.urandom(NONCE)
    write_all(target, memoryview(nonce))
    cipher = _cipher(file_key, nonce)
    buffers = [bytearray(BLOCK * (CHUNK + TAG)) for _ in range(2 * THREADS)]  # reused: fresh memory costs more than AES
    waiting: deque[Future[memoryview]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for number, (block, last) in enumerate(_blocks(chunks)):
            if len(waiting) == len(buffers):
                write_all(target, waiting.popleft().result())
            buffer = buffers[number % len(buffers)]
            waiting.append(pool.submit(_encrypt, cipher, block, number * BLOCK, last, buffer))
        while waiting:
            write_all(target, waiting.popleft().result())


class Payload:
    """The plaintext of a payload, readable from any place.

    Parameters
    ----------
    file : binary file
        Positioned at the payload; it must be seekable and stay open.
    file_key : bytes, 16 of them

    Raises
    ------
    TamperError
        If the last chunk is not the last one written: so the length is known to be right.
    """

    def __init__(self, file: BufferedIOBase, file_key: bytes):
        self._file, self._reading = file, threading.Lock()
        nonce = file.read(NONCE)
        self._start = file.tell()
        sealed = file.seek(0, os.SEEK_END) - self._start
        self._chunks = max(1, -(-sealed // (CHUNK + TAG)))
        self.size = sealed - self._chunks * TAG
        if len(nonce) < NONCE or self.size < 0 or (self._chunks > 1 and self.size <= (self._chunks - 1) * CHUNK):
            raise TamperError("the payload was cut off")
        self._cipher = _cipher(file_key, nonce)
        self._decrypt(self._chunks - 1, self._chunks, memoryview(bytearray(self.size - (self._chunks - 1) * CHUNK)))

    def read_into(self, offset: int, out: memoryview) -> None:
        """Fill ``out`` with the plaintext that starts at ``offset``, all or nothing.

        Raises
        ------
        TamperError
            If a chunk was changed; ``out`` is zeros then.
        """
        try:
            self._read_into(offset, out)
        except BaseException:
            out[:] = bytes(len(out))
            raise

    def _read_into(self, offset: int, out: memoryview) -> None:
        first, end = -(-offset // CHUNK), min((offset + len(out)) // CHUNK, self._chunks)
        if end * CHUNK < offset + len(out) == self.size:
            end = self._chunks  # the last chunk is shorter, and wanted whole
        if first >= end:  # within one chunk, or across one border
            plain = self._edge(offset // CHUNK, -(-(offset + len(out)) // CHUNK))
            begin = offset % CHUNK
            out[:] = plain[begin : begin + len(out)]
            return
        before = first * CHUNK - offset
        inside = min(end * CHUNK, self.size) - first * CHUNK
        if before:
            out[:before] = self._edge(first - 1, first)[CHUNK - before :]
        self._whole(first, end, out[before : before + inside])
        if rest := len(out) - before - inside:
            out[before + inside :] = self._edge(end, end + 1)[:rest]

    def _whole(self, first: int, end: int, out: memoryview) -> None:
        """Decrypt whole chunks, in as many threads as pay."""
        share = max(4 * BLOCK, -(-(end - first) // THREADS))
        runs = [(start, min(start + share, end)) for start in range(first, end, share)]
        parts = [(a, b, out[(a - first) * CHUNK : (b - first) * CHUNK]) for a, b in runs]
        if len(parts) == 1:
            self._decrypt(*parts[0])
            return
        with ThreadPoolExecutor(len(parts)) as pool:
            for future in [pool.submit(self._decrypt, *part) for part in parts]:
                future.result()

    def _edge(self, first: int, end: int) -> memoryview:
        plain = memoryview(bytearray(min(end * CHUNK, self.size) - first * CHUNK))
        self._decrypt(first, end, plain)
        return plain

    def _decrypt(self, first: int, end: int, out: memoryview) -> None:
        scratch = memoryview(bytearray(min(BLOCK, end - first) * (CHUNK + TAG)))
        for block in range(first, end, BLOCK):
            wanted = min(BLOCK, end - block) * (CHUNK + TAG)
            with self._reading:
                self._file.seek(self._start + block * (CHUNK + TAG))
                count = _read_all(self._file, scratch[:wanted])
            for number in range(block, min(block + BLOCK, end)):
                at, to = (number - block) * (CHUNK + TAG), (number - first) * CHUNK
                sealed = scratch[at : min(at + CHUNK + TAG, count)]
                last = number == self._chunks - 1
                try:
                    self._cipher.decrypt_into(_nonce(number, last), sealed, None, out[to : to + len(sealed) - TAG])
                except (InvalidTag, ValueError):  # ValueError: the file became shorter while it was read
                    raise TamperError(f"chunk {number} of {self._chunks} was changed, moved or cut") from None


def _cipher(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(hashes.SHA256(), 32, nonce, b"payload").derive(file_key))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\1" if last else b"\0")


def _blocks(chunks: Iterable[Buffer]) -> Iterator[tuple[list[Buffer], bool]]:
    """Group chunks into blocks, and say which block is the last."""
    block: list[Buffer] = []
    for chunk in chunks:
        if len(block) == BLOCK:
            yield block, False
            block = []
        block.append(chunk)
    yield block or [b""], True


def _encrypt(cipher: ChaCha20Poly1305, block: Sequence[Buffer], first: int, last: bool, out: bytearray) -> memoryview:
    view, end = memoryview(out), 0
    for number, chunk in enumerate(block, first):
        nonce = _nonce(number, last and number == first + len(block) - 1)
        end += cipher.encrypt_into(nonce, chunk, None, view[end : end + len(chunk) + TAG])
    return view[:end]


def write_all(target: Sink, data: memoryview) -> None:
    """Write everything, though the target may take less at a time."""
    while data:
        data = data[target.write(data) or 0 :]


def _read_all(file: BufferedIOBase, out: memoryview) -> int:
    count = 0
    while count < len(out) and (got := file.readinto(out[count:])):
        count += got
    return count
