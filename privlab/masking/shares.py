"""Secret shares: additive (all are needed) and Shamir's (any ``threshold`` are enough).

Shamir's shares are points of a random polynomial over GF(2^16) = GF(2)[x] / (x^16 + x^12 + x^3 + x + 1), one polynomial for each
16-bit word of the secret, which is its value at 0. Products go through tables of logarithms: not constant-time.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import ArrayLike, NDArray

from privlab import arguments

POLYNOMIAL = 0x1100B  # primitive: the powers of x run through all non-zero elements
ORDER = 2**16 - 1  # of the multiplicative group; also the most shares there can be


@dataclass(frozen=True)
class Share:
    """One share of a secret. Its value, with others, gives the secret: it is not printed.

    Parameters
    ----------
    index : int
        Point at which the polynomials were evaluated, from 1.
    threshold : int
        Number of shares that give the secret.
    value : bytes
        The polynomials' values.
    dealer : bytes
        Ed25519 public key made for this one split; the same in all its shares.
    signature : bytes
        The dealer's, over index, threshold and value.
    """

    index: int
    threshold: int
    value: bytes = field(repr=False)
    dealer: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def split(secret: bytes, *, shares: int, threshold: int) -> list[Share]:
    """Split a secret so that any ``threshold`` shares give it and fewer reveal nothing but its length (Shamir 1979).

    Whatever the computing power: fewer values are uniform and independent of the secret. Each share is signed with a key made
    for this split and then forgotten. A signature depends on its own share only, so it adds nothing to what its holder knows;
    a hash of the secret would let anyone try out guesses.

    Parameters
    ----------
    secret : bytes
        Not empty.
    shares : int
        How many to make, at most 65,535.
    threshold : int
        How many give the secret back, from 2 to ``shares``.

    Returns
    -------
    list of Share

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> parts = split(b"the key", shares=5, threshold=3)
    >>> combine([parts[4], parts[0], parts[2]])
    b'the key'
    """
    if not isinstance(secret, bytes) or not secret:
        raise ValueError(f"secret is of {type(secret).__name__}, but must be bytes, at least one")
    threshold = arguments.whole("threshold", threshold, at_least=2)
    if not threshold <= arguments.whole("shares", shares) <= ORDER:
        raise ValueError(f"shares is {shares!r}, but must be from threshold = {threshold} to {ORDER}")
    padded = secret + (b"\x80\x00" if len(secret) % 2 == 0 else b"\x80")
    signer = Ed25519PrivateKey.generate()
    dealer = signer.public_key().public_bytes_raw()
    points = range(1, shares + 1)
    return [
        Share(point, threshold, value, dealer, signer.sign(_signed(point, threshold, value)))
        for point, value in zip(points, polynomial_shares(padded, points, threshold), strict=True)
    ]


def combine(shares: Iterable[Share]) -> bytes:
    """Return the secret of at least ``threshold`` shares of one split.

    Parameters
    ----------
    shares : iterable of Share
        In any order.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If there are too few, one is given twice, or some were altered or come from another split: these are named (for another
        split, by majority). One genuine share among them is enough for an altered one to be noticed.
    """
    given = list(shares)
    dealers = Counter(share.dealer for share in given).most_common()
    if not dealers:
        raise ValueError("shares is empty, but must hold at least threshold shares")
    if len(dealers) > 1:
        strangers = [n for n, share in enumerate(given) if share.dealer != dealers[0][0]]
        if 2 * dealers[0][1] > len(given):
            raise ValueError(f"{_named(strangers)} come(s) from another split than the others, or was altered")
        raise ValueError(f"shares come from {len(dealers)} splits, but must come from one")
    if altered := [n for n, share in enumerate(given) if not _genuine(share)]:
        raise ValueError(f"{_named(altered)} was altered: the dealer's signature does not fit")
    values = {share.index: share.value for share in given}
    if len(values) < len(given):
        twice = [n for n, share in enumerate(given) if share.index in {other.index for other in given[:n]}]
        raise ValueError(f"{_named(twice)} is given twice, but all must differ")
    if len(values) < given[0].threshold:
        raise ValueError(f"shares holds {len(values)}, but at least threshold = {given[0].threshold} are needed")
    return interpolate(values).rstrip(b"\x00")[:-1]


def additive_shares(array: ArrayLike, shares: int) -> NDArray[np.uint32]:
    """Split integers into summands modulo 2^32, all of which are needed: any fewer are uniform.

    Parameters
    ----------
    array : array_like of int, any shape
        From -2^31 to 2^32 - 1.
    shares : int
        At least 2.

    Returns
    -------
    ndarray of uint32, shape (shares, *shape)
        ``result.sum(axis=0, dtype=np.uint32)`` is ``array`` modulo 2^32.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> additive_shares([5, 7, -1], 3).sum(axis=0, dtype=np.uint32).view(np.int32)
    array([ 5,  7, -1], dtype=int32)
    """
    arguments.whole("shares", shares, at_least=2)
    secret = arguments.finite_array("array", array)
    if secret.dtype.kind not in "iu":
        raise ValueError(f"array has dtype {secret.dtype}, but must hold integers")
    if secret.size and (secret.min() < -(2**31) or secret.max() >= 2**32):
        raise ValueError(f"array runs from {secret.min()} to {secret.max()}, but must lie in [-2^31, 2^32)")
    result = np.empty((shares, *secret.shape), np.uint32)
    random = secrets.token_bytes(4 * (shares - 1) * secret.size)
    result[:-1] = np.frombuffer(random, "<u4").reshape(shares - 1, *secret.shape)
    result[-1] = secret.astype(np.uint32) - result[:-1].sum(axis=0, dtype=np.uint32)
    return result


def polynomial_shares(
    secret: bytes, points: Sequence[int], threshold: int, random: Callable[[int], bytes] = secrets.token_bytes
) -> list[bytes]:
    """Values at ``points`` (from 1) of random polynomials of degree ``threshold - 1`` that take ``secret`` (even length) at 0.

    No signature, no check of the arguments: the bare scheme, for protocols that have their own.
    """
    constant = np.frombuffer(secret, "<u2")
    drawn = np.frombuffer(random(2 * (threshold - 1) * constant.size), "<u2").reshape(threshold - 1, constant.size)
    at = np.array(points, np.uint16)[:, None]
    value = np.zeros((len(points), constant.size), np.uint16)
    for coefficient in (*drawn, constant):  # Horner's scheme
        value = multiply(value, at) ^ coefficient
    return [row.tobytes() for row in value.astype("<u2")]


def interpolate(values: Mapping[int, bytes]) -> bytes:
    """Value at 0 of the polynomials of least degree through ``values``: point -> bytes of equal even length."""
    points = np.array(list(values), np.uint16)
    words = np.array([np.frombuffer(value, "<u2") for value in values.values()])
    logs, _ = _tables()
    differences = logs[points[:, None] ^ points]
    np.fill_diagonal(differences, 0)
    # Lagrange's weight of point i is the product over j != i of x_j / (x_j - x_i).
    weights = (logs[points].sum() - logs[points] - differences.sum(axis=1)) % ORDER
    terms = multiply(_tables()[1][weights][:, None], words)
    return bytes(np.bitwise_xor.reduce(terms, axis=0).astype("<u2").tobytes())


def multiply(a: NDArray[np.uint16], b: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Product in GF(2^16), element by element, with broadcasting."""
    logs, powers = _tables()
    return np.where((a == 0) | (b == 0), np.uint16(0), powers[logs[a] + logs[b]])


def inverse(a: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Multiplicative inverse of non-zero elements of GF(2^16)."""
    logs, powers = _tables()
    return powers[ORDER - logs[a]]


@cache
def _tables() -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Logarithms to base x, and powers of x, twice over so that a sum of two logarithms needs no reduction."""
    powers, element = np.empty(2 * ORDER + 1, np.uint16), 1
    for exponent in range(ORDER):
        powers[exponent] = element
        element = element << 1 ^ (POLYNOMIAL if element >> 15 else 0)
    powers[ORDER : 2 * ORDER] = powers[:ORDER]
    powers[-1] = 1
    logs = np.zeros(ORDER + 1, np.int64)
    logs[powers[:ORDER]] = np.arange(ORDER)
    return logs, powers


def _signed(index: int, threshold: int, value: bytes) -> bytes:
    return b"privlab/share/v1" + index.to_bytes(8, "big") + threshold.to_bytes(8, "big") + value


def _genuine(share: Share) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(share.dealer)
        key.verify(share.signature, _signed(share.index, share.threshold, share.value))
    except (InvalidSignature, ValueError, OverflowError):
        return False
    return True


def _named(positions: Sequence[int]) -> str:
    return ", ".join(f"shares[{position}]" for position in positions)
