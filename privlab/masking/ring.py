"""Integers modulo 2^32: keystreams that mask them, and the fixed point in which real numbers become such integers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from privlab import arguments

BITS = 32  # of the ring
LARGEST = 2 ** (BITS - 1) - 1  # integer that the ring holds with its sign
BLOCK = 2**15  # words masked at a time: they stay in the processor's cache, and the call's overhead is some percent
_ZEROS = memoryview(bytes(4 * BLOCK))


class Keystream:
    """AES-128 in counter mode as a stream of 32-bit words, for masks, rounding and noise.

    Parameters
    ----------
    key : bytes
        16 bytes, used for this one stream: where two masks have the same words, their difference removes both.
    counter : bytes
        First counter block; 16 zero bytes, as the key is used once.
    buffer : bytearray, optional
        Of `new_buffer`, for streams that take turns.

    Examples
    --------
    >>> Keystream(bytes(16)).words(2)  # as little-endian words: 66e94bd4 ef8a2c3b
    array([3561744742,  992774895], dtype=uint32)
    """

    def __init__(self, key: bytes, *, counter: bytes = bytes(16), buffer: bytearray | None = None) -> None:
        self._encryptor = Cipher(algorithms.AES128(key), modes.CTR(counter)).encryptor()
        self._buffer = new_buffer() if buffer is None else buffer
        self._words = np.frombuffer(self._buffer, "<u4", BLOCK)

    def words(self, count: int) -> NDArray[np.uint32]:
        """Return the next words, at most `BLOCK`; the next call overwrites them."""
        self._encryptor.update_into(_ZEROS[: 4 * count], self._buffer)
        return self._words[:count]


def new_buffer() -> bytearray:
    """Return space for a block of keystream; the cipher's interface wants 15 bytes more than it writes."""
    return bytearray(4 * BLOCK + 15)


def blocks(size: int) -> Iterator[slice]:
    """Yield the slices that cut ``size`` words into blocks."""
    for start in range(0, size, BLOCK):
        yield slice(start, min(start + BLOCK, size))


def add_masks(target: NDArray[np.uint32], *, add: Sequence[bytes] = (), subtract: Sequence[bytes] = ()) -> None:
    """Add the keystreams of some keys to ``target`` in place, and subtract those of others, modulo 2^32.

    Parameters
    ----------
    target : ndarray of uint32, shape (d,)
    add, subtract : sequence of bytes
        Keys of 16 bytes, each used for this alone.
    """
    buffer = new_buffer()
    added = [Keystream(key, buffer=buffer) for key in add]
    subtracted = [Keystream(key, buffer=buffer) for key in subtract]
    for part in blocks(target.size):
        block = target[part]  # stays in cache while every stream passes over it
        for stream in added:
            block += stream.words(block.size)
        for stream in subtracted:
            block -= stream.words(block.size)


@dataclass(frozen=True)
class FixedPoint:
    """Real numbers as integers modulo 2^32, rounded at random so that the mean is right.

    ``q = floor(clip(x, -C, C) * scale + u)``, u uniform on [0, 1) from a keystream: E[q] = clip(x) * scale within 2^-22, and a sum
    of n vectors differs from that of the clipped vectors by less than n / scale in each coordinate.

    Parameters
    ----------
    clip : float
        C, the bound on each coordinate's absolute value, above 0.
    scale : float
        Steps per unit, above 0.
    """

    clip: float
    scale: float

    @classmethod
    def for_clients(cls, clients: int, clip: float, *, bits: int | None = None) -> "FixedPoint":
        """Return the finest fixed point whose sum over ``clients`` cannot wrap.

        Parameters
        ----------
        clients : int
            Number of summands.
        clip : float
            Bound on each coordinate's absolute value, above 0.
        bits : int, optional
            Bits per coordinate, at least 3; by default the most for which ``clients * 2^bits <= 2^32``.

        Raises
        ------
        ValueError
            If an argument is not allowed or the sum could wrap.

        Examples
        --------
        >>> FixedPoint.for_clients(1000, clip=1.0).scale == 2**21 - 2
        True
        """
        clip = arguments.real("clip", clip, above=0)
        most = BITS - (arguments.whole("clients", clients) - 1).bit_length()
        bits = arguments.whole("bits", min(most, BITS - 1) if bits is None else bits, at_least=3)
        if bits > most:
            raise ValueError(f"bits is {bits}, but must be <= {most}: {clients} * 2^{bits} exceeds 2^{BITS}")
        return cls(clip, (2 ** (bits - 1) - 2) / clip)  # one step is left for rounding up

    def span(self, clients: int) -> float:
        """Return the largest absolute value that a sum over ``clients`` takes, in steps."""
        return clients * (self.clip * self.scale + 1)

    def encode(self, vector: NDArray, stream: Keystream) -> NDArray[np.uint32]:
        """Clip, scale and round a finite vector of shape (d,)."""
        result = np.empty(vector.size, np.uint32)
        for part in blocks(vector.size):
            steps = np.clip(vector[part], -self.clip, self.clip, dtype=np.float64)
            steps *= self.scale
            result[part] = round_at_random(steps, stream).astype(np.int32).view(np.uint32)
        return result

    def decode(self, total: NDArray[np.uint32]) -> NDArray[np.float64]:
        """Return the real numbers of a sum of encoded vectors, shape (d,)."""
        return total.view(np.int32) / self.scale


def round_at_random(steps: NDArray[np.float64], stream: Keystream) -> NDArray[np.float64]:
    """Round at most `BLOCK` numbers in place, up with the probability of their fraction."""
    steps += stream.words(steps.size) * 2.0**-BITS
    return np.floor(steps, out=steps)
