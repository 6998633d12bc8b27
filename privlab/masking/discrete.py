"""Exact samplers of integer noise: every decision compares integers, so no rounding error can leak.

Each is built of coins. A coin that shows heads with probability exp(-g) needs no value of exp: toss coins of probability g/1, g/2,
g/3, … until one fails; the number of tosses is odd with probability exp(-g) (von Neumann 1951; Canonne, Kamath and Steinke 2020,
algorithm 1). A scale is a float64, hence a fraction with a power of two below, hence exact too.
"""

import itertools
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.randomness import keystream, new_secret, stream

SMALLEST_SCALE, LARGEST_SCALE = 2.0**-9, 2**52  # so that numerators and denominators fit in 64 bits
BATCH = 1 << 17  # attempts made at once: more would leave the cache

Draw = Callable[[int, int], NDArray[np.int64]]  # draw(bound, count): integers in [0, bound)
Coins = Callable[[NDArray[np.intp]], NDArray[np.bool_]]  # coins(elements): one toss for each of these elements
Sampler = Callable[[int, int, int, Draw], NDArray[np.int64]]


def discrete_gaussian(shape: int | tuple[int, ...], *, scale: float, seed: int | None = None) -> NDArray[np.int64]:
    """Draw integers with probabilities proportional to ``exp(-k^2 / (2 scale^2))``.

    Added to an integer vector of L2 sensitivity S it is ``S^2 / (2 scale^2)``-zCDP, as the continuous Gaussian is (Canonne, Kamath
    and Steinke 2020, theorem 14). Its (epsilon, delta) is not quite the continuous one's: see `gaussian_mechanism`.

    Parameters
    ----------
    shape : int or tuple of int
        Of the result.
    scale : float
        In units of the grid, from 1/512 to 2^52; nearly the standard deviation where it is above 1.
    seed : int or None
        None draws from AES-256 in counter mode under a key of the operating system; a seed is reproducible, hence not private.

    Returns
    -------
    ndarray of int64

    Raises
    ------
    ValueError
        If ``scale`` or ``seed`` is not allowed.

    Notes
    -----
    Algorithm 3 of the paper: propose from the discrete Laplace law, accept with probability ``exp(-(|k| / scale - 1)^2 / 2)``. The
    proposal has the same scale, where the paper rounds it up to an integer: then all fractions share one denominator.

    Examples
    --------
    >>> discrete_gaussian(5, scale=10, seed=0)
    array([16,  8,  0,  7, -9])
    """
    return _sample(_gaussian, shape, scale, _integers(seed, "discrete gaussian"))


def discrete_laplace(shape: int | tuple[int, ...], *, scale: float, seed: int | None = None) -> NDArray[np.int64]:
    """Draw integers with probabilities proportional to ``exp(-|k| / scale)``, the two-sided geometric law.

    Added to an integer vector of L1 sensitivity S it is ``S / scale``-differentially private (Ghosh, Roughgarden and Sundararajan
    2009). Sampled by algorithm 2 of Canonne, Kamath and Steinke (2020).

    Parameters
    ----------
    shape, scale, seed
        As for `discrete_gaussian`.

    Returns
    -------
    ndarray of int64

    Raises
    ------
    ValueError
        If ``scale`` or ``seed`` is not allowed.

    Examples
    --------
    >>> discrete_laplace(5, scale=10, seed=0)
    array([-17,   3,   9,   0,   5])
    """
    return _sample(_laplace, shape, scale, _integers(seed, "discrete laplace"))


def _sample(sampler: Sampler, shape: int | tuple[int, ...], scale: float, draw: Draw) -> NDArray[np.int64]:
    scale = arguments.real("scale", scale, at_least=SMALLEST_SCALE, at_most=LARGEST_SCALE)
    fraction, out, filled = Fraction(scale), np.empty(shape, np.int64), 0
    while filled < out.size:
        attempts = min(BATCH, 3 * (out.size - filled) + 8)
        drawn = sampler(attempts, fraction.numerator, fraction.denominator, draw)[: out.size - filled]
        out.reshape(-1)[filled : filled + drawn.size] = drawn
        filled += drawn.size
    return out


def _laplace(attempts: int, numerator: int, denominator: int, draw: Draw) -> NDArray[np.int64]:
    """Discrete Laplace draws of scale ``numerator / denominator``, one for each attempt that succeeds."""
    part = draw(numerator, attempts)
    part = part[_exp_minus(lambda i: draw(numerator, i.size) < part[i], np.arange(attempts), draw)]
    whole, going = np.zeros(part.size, np.int64), np.arange(part.size)
    while going.size:  # one more with probability 1/e; only at 1024 would 64 bits overflow
        going = going[_exp_minus(lambda i: np.ones(i.size, np.bool_), going, draw)]
        whole[going] += 1
    size = (part + numerator * whole) // denominator
    negative = draw(2, size.size) == 1
    return np.where(negative, -size, size)[~negative | (size > 0)]  # else 0 would be twice as likely


def _gaussian(attempts: int, numerator: int, denominator: int, draw: Draw) -> NDArray[np.int64]:
    """Discrete Gaussian draws: those Laplace draws that ``exp(-z^2 / 2)`` accepts, with ``z = ||k| / scale - 1|``."""
    proposed = _laplace(attempts, numerator, denominator, draw)
    z = np.abs(np.abs(proposed) * denominator - numerator)  # times the numerator
    whole = z // numerator
    rest = z - whole * numerator

    def fraction(i: NDArray[np.intp]) -> NDArray[np.bool_]:
        return draw(numerator, i.size) < rest[i]

    def half(i: NDArray[np.intp]) -> NDArray[np.bool_]:
        return draw(2, i.size) == 0

    def half_square(i: NDArray[np.intp]) -> NDArray[np.bool_]:
        heads = half(i)
        for _ in range(2):
            heads[heads] = fraction(i[heads])
        return heads

    # z^2 / 2 = fraction^2 / 2 + whole * fraction + whole^2 * 1/2: a coin exp(-g) so many times for each g.
    accepted = np.arange(proposed.size)
    for coins, times in ((half_square, np.ones_like(whole)), (fraction, whole), (half, whole**2)):
        for done in itertools.count():
            due = times[accepted] > done
            if not due.any():
                break
            due[due] = ~_exp_minus(coins, accepted[due], draw)
            accepted = accepted[~due]
    return proposed[accepted]


def _exp_minus(coins: Coins, elements: NDArray[np.intp], draw: Draw) -> NDArray[np.bool_]:
    """Toss Bernoulli(exp(-g)) for each of the elements, of whom ``coins`` tosses Bernoulli(g)."""
    odd, going, toss = np.ones(elements.size, np.bool_), np.arange(elements.size), 1
    while going.size:
        if toss > 1:
            going = going[draw(toss, going.size) == 0]
        going = going[coins(elements[going])]
        odd[going] = toss % 2 == 0
        toss += 1
    return odd


def _integers(seed: int | None, purpose: str) -> Draw:
    """Uniform integers below a bound, from random 64-bit words: what is not below it is drawn again."""
    words = _secret_words() if seed is None else stream(seed, purpose).bit_generator.random_raw

    def draw(bound: int, count: int) -> NDArray[np.int64]:
        drawn = words(count)
        while (bad := drawn > 2**64 // bound * bound - 1).any():
            drawn = np.concatenate([drawn[~bad], words(int(bad.sum()))])
        return (drawn - drawn // np.uint64(bound) * np.uint64(bound)).view(np.int64)

    return draw


def _secret_words() -> Callable[[int], NDArray[np.uint64]]:
    read = keystream(new_secret())
    return lambda count: np.frombuffer(read(8 * count), dtype="<u8")
