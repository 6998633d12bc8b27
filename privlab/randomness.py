"""Keyed random streams.

Two kinds, never mixed. An *experiment* stream comes from a public seed: anyone who knows the seed knows every draw, so it gives
reproducible results and no privacy. A *protective* stream comes from a secret of the operating system. In both, the draws depend on
the key alone (what they are for), so neither the order of tasks nor the number of workers changes them.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

from privlab import arguments

BLOCK = 2**17  # normal numbers made at a time: what they are made of stays in the processor's cache


def stream(seed: int, *key: int | str) -> np.random.Generator:
    """Experiment stream of one purpose, for example ``stream(0, "batches", replica)``.

    Parameters
    ----------
    seed : int
        The experiment's public seed, at least 0.
    *key : int or str
        What the stream is for. Streams with different keys are independent.

    Returns
    -------
    numpy.random.Generator
        Reproducible, hence **not private**.

    Raises
    ------
    ValueError
        If ``seed`` is not a whole number of at least 0.

    Examples
    --------
    >>> bool(stream(0, "batches", 1).random() == stream(0, "batches", 1).random())
    True
    """
    seed = arguments.whole("seed", seed, at_least=0)
    words = np.frombuffer(hashlib.sha256(_encode(key)).digest(), dtype="<u4")
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=tuple(words.tolist()))))


def new_secret() -> bytes:
    """Return 256 bits from the operating system's source."""
    return secrets.token_bytes(32)


def secret_stream(secret: bytes, *key: int | str) -> np.random.Generator:
    """Protective stream of one purpose: HMAC-SHA256 of (secret, key) seeds a Philox generator.

    The secret is strong, the generator is not a cryptographic one: whoever sees many raw outputs may in principle learn the
    stream. Noise that is added to values in floating point shows no raw outputs.

    Parameters
    ----------
    secret : bytes
        At least 128 bits that no observer knows, for example `new_secret`.
    *key : int or str
        What the stream is for. The same key gives the same noise, so a repeated task is the same release.

    Raises
    ------
    ValueError
        If ``secret`` is shorter than 16 bytes.

    Examples
    --------
    >>> secret_stream(new_secret(), "noise", 1).standard_normal(3).shape
    (3,)
    """
    if len(secret) < 16:
        raise ValueError(f"secret has {len(secret)} bytes, but must have at least 16")
    words = np.frombuffer(hmac.digest(secret, _encode(key), "sha256"), dtype="<u8")
    # The digest's 256 bits: half for Philox's key, half for the high words of its counter.
    return np.random.Generator(np.random.Philox(key=words[:2], counter=[0, 0, *words[2:].tolist()]))


def keystream(key: bytes, *, start: bytes = bytes(16)) -> Callable[[int], bytes]:
    """Reader of the keystream of AES in counter mode: each call returns the next so many bytes.

    Unlike the generators above it is a cryptographic one: whoever lacks the key cannot tell the bytes from random ones, however
    many are shown. Use a key for one stream only.

    Parameters
    ----------
    key : bytes
        16, 24 or 32 bytes, for example `new_secret`.
    start : bytes
        The first counter block, 16 bytes.

    Raises
    ------
    ValueError
        If ``key`` or ``start`` has another length.

    References
    ----------
    NIST SP 800-38A, section 6.5.

    Examples
    --------
    >>> keystream(bytes(16))(4).hex()
    '66e94bd4'
    """
    if len(key) not in (16, 24, 32):
        raise ValueError(f"key has {len(key)} bytes, but must have 16, 24 or 32")
    if len(start) != 16:
        raise ValueError(f"start has {len(start)} bytes, but must have 16")
    encrypt = Cipher(AES(key), CTR(start)).encryptor().update
    return lambda length: encrypt(bytes(length))


def generator(seed: int | None, *key: int | str) -> np.random.Generator:
    """Experiment stream of ``seed``, or a fresh protective stream where ``seed`` is None."""
    return secret_stream(new_secret(), *key) if seed is None else stream(seed, *key)


def fill_normal(rng: np.random.Generator, out: NDArray) -> NDArray:
    """Fill a one-dimensional array of floating-point numbers with standard normal ones, and return it.

    A protective stream fills single precision by Box and Muller's transform: logarithms, sines and cosines of whole arrays take
    less than half the time of a generator that decides number by number. Its tails end at 9.4, beyond which a normal number lies
    once in 1e20 times. Experiment streams draw as NumPy does, so that a reader can repeat them, and so does double precision.

    References
    ----------
    G. E. P. Box and M. E. Muller, "A note on the generation of random normal deviates" (1958), equation 1.

    Examples
    --------
    >>> noise = fill_normal(secret_stream(new_secret(), "noise"), np.empty(10_000, np.float32))
    >>> bool(abs(noise.std() - 1) < 0.1)
    True
    """
    if out.dtype != np.float32 or not isinstance(rng.bit_generator, np.random.Philox):
        return rng.standard_normal(None, out.dtype.type, out)
    for start in range(0, len(out), BLOCK):
        _box_muller(rng, out[start : start + BLOCK])
    return out


def _box_muller(rng: np.random.Generator, out: NDArray[np.float32]) -> None:
    """Square roots of exponential numbers, as lengths, times the cosines and sines of uniform angles."""
    pairs, unit = -(-len(out) // 2), 2.0**-32
    words, turns = _words(rng, pairs).view(np.uint32).reshape(2, pairs)
    uniform = words.astype(np.float32)
    uniform *= np.float32(unit)
    # The smallest words, of which few bits are left, give the longest lengths: without more bits the tails would end at 6.7.
    few = np.flatnonzero(words < 256)
    uniform[few] = (words[few] + np.maximum(_words(rng, few.size) * 0.5**64, unit)) * unit
    lengths = np.sqrt(np.multiply(np.log(uniform, out=uniform), -2, out=uniform), out=uniform)
    angles = turns.astype(np.float32)
    angles *= np.float32(2 * np.pi * unit)
    np.multiply(lengths, np.cos(angles), out=out[:pairs])
    rest = len(out) - pairs
    np.multiply(lengths[:rest], np.sin(angles[:rest]), out=out[pairs:])


def _words(rng: np.random.Generator, number: int) -> NDArray[np.uint64]:
    return rng.integers(2**64 - 1, size=number, dtype=np.uint64, endpoint=True)


def _encode(key: tuple[int | str, ...]) -> bytes:
    # repr keeps 1 and "1" apart, and ("ab",) and ("a", "b").
    return repr(tuple(part if isinstance(part, str) else int(part) for part in key)).encode()
