"""Weights at rest: a safetensors file inside an age file, so that any tool that knows the two formats can open it.

The safetensors header is padded with spaces to a whole number of 64 KiB chunks. So tensors start on a chunk's border, most are
encrypted where they lie, and a reader finds any row without the rest. Names, shapes and dtypes are encrypted with the values.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privlab.encryption.age import (
    PathLike,
    checked_identities,
    checked_recipients,
    open_age,
    open_binary,
    write_age,
)
from privlab.encryption.header import Header
from privlab.encryption.keys import Identity
from privlab.encryption.layout import little_endian, read_header, write_header
from privlab.encryption.recipients import Recipient
from privlab.encryption.stream import CHUNK, NONCE, TAG, Buffer, Payload, write_all
from privlab.files import replacing

KINDS = {"X25519": "x25519", "ssh-rsa": "rsa", "mlkem768x25519": "x-wing", "scrypt": "passphrase"}


def save_checkpoint(
    path: PathLike,
    arrays: Mapping[str, ArrayLike],
    recipients: Recipient | Iterable[Recipient],
    *,
    metadata: Mapping[str, str] | None = None,
    mix_classical: bool = False,
) -> None:
    """Encrypt named arrays to one or more recipients.

    Parameters
    ----------
    path : str or path
        Replaced in one step on success; an interrupted write leaves the old file.
    arrays : mapping from str to array
        Numbers of any shape, bfloat16 included; no Python objects. An array whose memory is in one piece is not copied.
    recipients : Recipient or iterable of Recipient
        At most 64; see `privlab.encryption.encrypt_file` for ``mix_classical``.
    metadata : mapping from str to str, optional
        Encrypted with the rest.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> ada, path = Identity.generate("x-wing"), pathlib.Path(tempfile.mkdtemp()) / "model.age"
    >>> save_checkpoint(path, {"bias": np.arange(3.0)}, ada.recipient)
    >>> load_checkpoint(path, ada)
    {'bias': array([0., 1., 2.])}
    """
    chosen = checked_recipients(recipients, mix_classical)
    tensors = {name: little_endian(name, array) for name, array in arrays.items()}
    # The library's order: wide dtypes first keeps every tensor aligned.
    ordered = dict(sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])))
    header = write_header(ordered, dict(metadata or {}), CHUNK)
    parts = [memoryview(header), *(array.reshape(-1).view(np.uint8).data for array in ordered.values())]
    with replacing(path) as file:
        write_age(file, chosen, _chunks(parts))


def load_checkpoint(path: PathLike, identities: Identity | Iterable[Identity]) -> dict[str, NDArray]:
    """Decrypt all arrays of a checkpoint.

    Raises
    ------
    DecryptionError
        If the file is not an encrypted checkpoint (a plain one is refused: whoever swaps files must not get past a lock), or is
        locked for others.
    TamperError
        If it was changed.
    """
    with open_checkpoint(path, identities) as checkpoint:
        return dict(checkpoint)


def open_checkpoint(path: PathLike, identities: Identity | Iterable[Identity]) -> "Checkpoint":
    """Open a checkpoint to read some of it; use it in a ``with`` block. Errors as `load_checkpoint`."""
    with ExitStack() as stack:
        payload = stack.enter_context(open_age(path, checked_identities(identities)))
        return Checkpoint(payload, stack.pop_all())


class Checkpoint(Mapping[str, NDArray]):
    """Arrays by name, each decrypted when asked for.

    Attributes
    ----------
    metadata : dict of str
    """

    def __init__(self, payload: Payload, resources: ExitStack):
        self._payload, self._resources = payload, resources
        try:
            self.metadata, self._tensors, self._start = read_header(payload.read_into, payload.size)
        except BaseException:
            resources.close()
            raise

    def read(self, name: str, *, rows: slice | None = None, out: NDArray | None = None) -> NDArray:
        """Decrypt one array, or a range of its rows, and nothing else.

        Parameters
        ----------
        name : str
        rows : slice, optional
            Along the first axis, of step 1.
        out : ndarray, optional
            Filled and returned; of the right shape and dtype, in one piece. It holds zeros if something was changed.

        Raises
        ------
        KeyError
            If there is no such array.
        ValueError
            If ``rows`` or ``out`` does not fit.
        TamperError
            If what is read was changed.
        """
        tensor = self._tensors[name]
        shape, skipped = tensor.shape, 0
        if rows is not None:
            if not shape or rows.step not in (None, 1):
                raise ValueError(
                    f"rows is {rows!r}, but must be a slice of step 1 along the first axis of shape {shape}"
                )
            start, stop, _ = rows.indices(shape[0])
            shape, skipped = (max(stop - start, 0), *shape[1:]), start * math.prod(shape[1:])
        if out is None:
            out = np.empty(shape, tensor.dtype)
        elif out.shape != shape or out.dtype != tensor.dtype or not out.flags.c_contiguous or not out.flags.writeable:
            raise ValueError(
                f"out is {out.dtype} of shape {out.shape}, but must be writable {tensor.dtype}, {shape}, C order"
            )
        if out.size:
            offset = self._start + tensor.offset + skipped * tensor.dtype.itemsize
            self._payload.read_into(offset, out.reshape(-1).view(np.uint8).data)
        return out

    def __getitem__(self, name: str) -> NDArray:
        return self.read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def close(self) -> None:
        """Close the file."""
        self._resources.close()

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name}: {tensor.dtype}{list(tensor.shape)}" for name, tensor in self._tensors.items())
        return f"<Checkpoint of {arrays or 'nothing'}>"


def rewrap(
    path: PathLike,
    identities: Identity | Iterable[Identity],
    recipients: Recipient | Iterable[Recipient],
    *,
    mix_classical: bool = False,
) -> None:
    """Give an age file other recipients: a new header, the payload copied as it is, replaced in one step.

    It is **not a revocation**: who could open the file may have kept the old one, or its key, and the key stays the same. To shut
    somebody out of later versions, save them anew. A signature does not survive it. An armored file becomes binary.

    Raises
    ------
    DecryptionError, TamperError
        If the header cannot be opened with these identities.
    ValueError
        If an argument is not allowed.
    """
    keys, chosen = checked_identities(identities), checked_recipients(recipients, mix_classical)
    with open_binary(path) as old:
        file_key = Header.read(old).open(keys)
        with replacing(path) as file:
            write_all(
                file, memoryview(bytes(Header.seal([recipient.wrap(file_key) for recipient in chosen], file_key)))
            )
            while block := old.read(16 * CHUNK):
                write_all(file, memoryview(block))


@dataclass(frozen=True)
class Inspection:
    """What everybody can see of an age file, key or no key.

    Attributes
    ----------
    recipients : tuple of str
        Kind of each; the tag of an RSA key is in the file too, and betrays whose it is.
    header_bytes, plaintext_bytes, chunks : int
        Sizes; that of the plaintext is the one unprotected fact about it.
    """

    recipients: tuple[str, ...]
    header_bytes: int
    plaintext_bytes: int
    chunks: int


def inspect(path: PathLike) -> Inspection:
    """Return what a file shows without any key. Nothing of it is authenticated.

    Raises
    ------
    DecryptionError
        If it is not an age file.
    """
    with open_binary(path) as file:
        kinds = tuple(KINDS.get(stanza.words[0], stanza.words[0]) for stanza in Header.read(file).stanzas)
        header = file.tell()
        sealed = file.seek(0, os.SEEK_END) - header - NONCE
    chunks = max(1, -(-sealed // (CHUNK + TAG)))
    return Inspection(kinds, header, max(0, sealed - chunks * TAG), chunks)


def _chunks(parts: Iterable[memoryview]) -> Iterator[Buffer]:
    """Cut parts that follow each other into chunks; only a chunk that straddles two parts is copied."""
    rest = bytearray()
    for part in parts:
        start = 0
        if rest:
            start = min(CHUNK - len(rest), len(part))
            rest += part[:start]
            if len(rest) < CHUNK:
                continue
            yield rest
            rest = bytearray()
        stop = len(part) - (len(part) - start) % CHUNK
        for begin in range(start, stop, CHUNK):
            yield part[begin : begin + CHUNK]
        rest += part[stop:]
    if rest:
        yield rest
