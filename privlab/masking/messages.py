"""What the parties of a secure sum send each other: plain frozen records of numbers and bytes, and their canonical bytes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.masking.graph import checked_clients, ring_order
from privlab.masking.ring import LARGEST, FixedPoint


@dataclass(frozen=True)
class Round:
    """Public parameters of one secure sum. Every key and signature of the round depends on all of them.

    Parameters
    ----------
    id : bytes
        At least 16, random and never used again. It also orders the ring, so whoever draws it must not choose it.
    clients, dimension : int
        Clients are numbered from 0; their vectors have ``dimension`` coordinates.
    neighbours : int
        Even, or ``clients - 1``.
    threshold : int
        Shares that give back a client's secret, at least 2.
    encoding : FixedPoint
        How real numbers become integers modulo 2^32.

    Raises
    ------
    ValueError
        If an argument is not allowed or the sum could wrap.
    """

    id: bytes
    clients: int
    dimension: int
    neighbours: int
    threshold: int
    encoding: FixedPoint

    def __post_init__(self) -> None:
        if len(self.id) < 16:
            raise ValueError(f"id has {len(self.id)} bytes, but must have at least 16")
        complete = checked_clients(self.clients) - 1
        arguments.whole("dimension", self.dimension)
        k = arguments.whole("neighbours", self.neighbours)
        if k > complete or (k < complete and k % 2):
            raise ValueError(f"neighbours is {k}, but must be even and below {complete}, or {complete} = clients - 1")
        most = self.clients if k == complete else k
        if not 2 <= arguments.whole("threshold", self.threshold) <= most:
            raise ValueError(f"threshold is {self.threshold}, but must be from 2 to {most}, the holders of a secret")
        if self.encoding.span(self.clients) > LARGEST:
            raise ValueError(f"encoding lets a sum over {self.clients} clients reach beyond {LARGEST}, where it wraps")

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of all parameters."""
        return hashlib.sha256(canonical(self)).digest()

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return ring_order(self.clients, self.id)

    @cached_property
    def _position(self) -> NDArray[np.intp]:
        return np.argsort(self._order)

    def holders(self, client: int) -> frozenset[int]:
        """Who holds shares of a client's secrets: its neighbours; on a complete graph everyone, itself included."""
        if self.neighbours == self.clients - 1:
            return frozenset(range(self.clients))
        half = self.neighbours // 2
        steps = np.concatenate([np.arange(-half, 0), np.arange(1, half + 1)])
        return frozenset(self._order[(self._position[client] + steps) % self.clients].tolist())


@dataclass(frozen=True)
class Advert:
    """A client's public keys for one round, signed with its long-term key."""

    client: int
    mask_key: bytes
    seal_key: bytes
    signature: bytes


@dataclass(frozen=True)
class Envelopes:
    """A client's shares, each sealed to the holder it is for."""

    client: int
    boxes: Mapping[int, bytes]


@dataclass(frozen=True)
class Masked:
    """A client's masked vector, uint32 of shape (d,), and a commitment to the seed of its self mask."""

    client: int
    words: NDArray[np.uint32] = field(repr=False)
    commitment: bytes


@dataclass(frozen=True)
class Confirmation:
    """A client's signature over the set of survivors it was shown."""

    client: int
    signature: bytes


@dataclass(frozen=True)
class Opening:
    """A client's shares: of the self-mask seeds of survivors, and of the mask keys of the lost."""

    client: int
    seeds: Mapping[int, bytes]
    keys: Mapping[int, bytes]


@dataclass(frozen=True)
class Message:
    """One line of a transcript: who sent what to whom, in which phase, and its size in bytes."""

    phase: str
    sender: int | str
    receiver: int | str
    content: Any = field(repr=False)

    @property
    def size(self) -> int:
        """Length of the canonical bytes of the content."""
        return len(canonical(self.content))


def canonical(value: Any) -> bytes:
    """Encode nested records, mappings, sequences, arrays, numbers, text and bytes, so that no two values have the same bytes."""
    if is_dataclass(value):
        value = (type(value).__name__, *(getattr(value, part.name) for part in fields(value)))
    if isinstance(value, Mapping):
        value = tuple(sorted(value.items()))
    if isinstance(value, tuple | list):
        parts = [canonical(part) for part in value]
        return b"(" + len(parts).to_bytes(8, "big") + b"".join(parts)
    if isinstance(value, np.ndarray):
        kind, content = b"u", value.astype("<u4").tobytes()
    elif isinstance(value, bytes):
        kind, content = b"b", value
    else:
        kind, content = b"t", repr(value).encode()
    return kind + len(content).to_bytes(8, "big") + content
