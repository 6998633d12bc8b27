"""The safetensors format: a JSON header that says where each tensor's bytes are, and then the bytes.

The library reads and writes whole files in memory; here the header alone is made and read, so that tensors can be streamed.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privlab.encryption.errors import DecryptionError

DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32", "int16": "I16",
    "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
NAMES = {code: name for name, code in DTYPES.items()}
MAX_HEADER = 100_000_000  # bytes, as in the safetensors library


@dataclass(frozen=True)
class Tensor:
    """Where a tensor is: its first byte counts from the end of the header."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        """Its size."""
        return math.prod(self.shape) * self.dtype.itemsize


def little_endian(name: str, value: ArrayLike) -> NDArray:
    """Return an array as it is stored: little-endian, in C order, copied only if it is not so already."""
    array = np.asarray(value)
    if not isinstance(name, str) or name == "__metadata__":
        raise ValueError(f"arrays has the name {name!r}, but names must be strings other than '__metadata__'")
    if array.dtype.name not in DTYPES:
        raise ValueError(f"arrays[{name!r}] has dtype {array.dtype}, but must be one of {', '.join(DTYPES)}")
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def write_header(tensors: Mapping[str, NDArray], metadata: dict[str, str], alignment: int) -> bytes:
    """Return the header of tensors that follow each other, padded with spaces to a multiple of ``alignment`` bytes."""
    if not all(isinstance(text, str) for item in metadata.items() for text in item):
        raise ValueError(f"metadata is {metadata!r}, but must map strings to strings")
    entries: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, array in tensors.items():
        start, end = end, end + array.nbytes
        entries[name] = {"dtype": DTYPES[array.dtype.name], "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % alignment)
    return len(text).to_bytes(8, "little") + text


def read_header(
    read_into: Callable[[int, memoryview], None], size: int
) -> tuple[dict[str, str], dict[str, Tensor], int]:
    """Return metadata, tensors and the place of their first byte, from a file of ``size`` bytes.

    Raises
    ------
    DecryptionError
        If anything in the header is not as it must be: whoever encrypted the file may be an enemy.
    """
    length = bytearray(8)
    if size >= 8:
        read_into(0, memoryview(length))
    header = int.from_bytes(length, "little")
    if not 2 <= header <= min(MAX_HEADER, size - 8):
        raise DecryptionError("the file holds no safetensors")
    text = bytearray(header)
    read_into(8, memoryview(text))
    try:
        entries = json.loads(text)
        metadata = dict(entries.pop("__metadata__", {}))
        tensors = {name: _tensor(entry) for name, entry in entries.items()}
        borders = [(tensor.offset, tensor.offset + tensor.nbytes) for tensor in tensors.values()]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DecryptionError(f"the safetensors header cannot be read: {error!r}") from None
    borders = [(0, 0), *sorted(borders), (size - 8 - header,) * 2]
    if any(end != start for (_, end), (start, _) in pairwise(borders)):
        raise DecryptionError("the safetensors header leaves gaps between tensors, or lets them overlap")
    return metadata, tensors, 8 + header


def _tensor(entry: dict[str, Any]) -> Tensor:
    try:
        dtype = np.dtype(NAMES[entry["dtype"]])
    except TypeError:
        raise ValueError(f"dtype {entry['dtype']} needs `import ml_dtypes`") from None
    shape = tuple(entry["shape"])
    start, end = entry["data_offsets"]
    tensor = Tensor(dtype.newbyteorder("<"), shape, start)
    if not all(type(number) is int and number >= 0 for number in (*shape, start)) or end - start != tensor.nbytes:
        raise ValueError(f"shape {shape} and data_offsets {[start, end]} do not agree")
    return tensor
