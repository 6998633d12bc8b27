"""Noise masks: clip, so that one record can change only so much; add noise, so that the change does not show.

Every mechanism states the relation it protects. Noise that is drawn in floating point keeps its promise in exact arithmetic only:
the last bits of a float may say more (Mironov 2012), as `residue_attack` shows. Hence levels of noise, by name:

- "reproducible": from a seed, not private;
- "operating-system": floats from a generator that a secret of the operating system seeds;
- "float-safe": the answer is rounded to a grid, and integers are added that AES-256 in counter mode draws exactly.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.masking.accounting import gaussian_noise_multiplier
from privlab.masking.discrete import SMALLEST_SCALE, discrete_gaussian, discrete_laplace
from privlab.masking.ledger import OPERATING_SYSTEM, SEEDED
from privlab.randomness import generator

__all__ = [
    "LEVELS",
    "clip_factors",
    "discrete_gaussian",
    "discrete_laplace",
    "gaussian_mechanism",
    "laplace_mechanism",
    "randomized_response",
    "residue_attack",
]

# What a ledger calls each level's source of noise.
LEVELS = {"reproducible": SEEDED, "operating-system": OPERATING_SYSTEM, "float-safe": OPERATING_SYSTEM}
FINENESS = 2.0**-10  # share of the sensitivity that rounding to the grid may add
LARGEST = 2.0**62  # grid steps to which answers are clipped: with noise added they still fit in 64 bits
SMOOTHING = 2.0  # see gaussian_mechanism


def clip_factors(norms: ArrayLike, clip_norm: float) -> NDArray:
    """Factors that scale vectors of the given L2 norms down to norm ``clip_norm`` where they are longer.

    Parameters
    ----------
    norms : array_like
        L2 norms; a NaN or infinite norm gets factor 0.
    clip_norm : float
        Bound on the norm, above 0.

    Returns
    -------
    ndarray
        ``min(1, clip_norm / norm)``, shaped like ``norms`` (Abadi et al. 2016, algorithm 1).

    Examples
    --------
    >>> clip_factors([0.5, 2.0, np.inf], clip_norm=1.0)
    array([1. , 0.5, 0. ])
    """
    arguments.real("clip_norm", clip_norm, above=0)
    norms = np.asarray(norms, dtype=np.float64)
    return np.where(np.isfinite(norms), clip_norm / np.maximum(norms, clip_norm), 0.0)


def laplace_mechanism(
    value: ArrayLike, *, sensitivity: float, epsilon: float, seed: int | None = None, level: str | None = None
) -> NDArray | float:
    """Release ``value`` plus Laplace noise of scale ``sensitivity / epsilon``: epsilon-differentially private.

    Parameters
    ----------
    value : float or array_like
        The exact answer.
    sensitivity : float
        Largest L1 distance between the answers on two neighbouring data sets, above 0.
    epsilon : float
        Privacy loss in nats, above 0.
    seed : int or None
        None draws from the operating system; a seed is reproducible and therefore not private.
    level : {"reproducible", "operating-system", "float-safe"} or None
        None is the first with a seed, the second without. Only "reproducible" takes a seed, and it needs one.

    Returns
    -------
    float or ndarray
        Shaped like ``value`` (Dwork et al. 2006, proposition 1).

    Raises
    ------
    ValueError
        If an argument is not allowed or ``value`` is not finite.

    Notes
    -----
    "float-safe" rounds to a grid of step h, a power of two, at most 1/1024 of the sensitivity per coordinate. That may take two
    answers h further apart in each of d coordinates, so the noise is discrete Laplace of scale ``(sensitivity + h d) / epsilon``.
    Answers (as float64) beyond ``2^62 h`` are clipped, which takes none further apart.

    Examples
    --------
    >>> round(laplace_mechanism(100, sensitivity=1, epsilon=1, seed=0), 1)
    101.0
    """
    arguments.real("sensitivity", sensitivity, above=0)
    arguments.real("epsilon", epsilon, above=0)
    exact = arguments.finite_array("value", value)
    if _level(level, seed) == "float-safe":

        def noise(reach: float) -> NDArray[np.int64]:
            return discrete_laplace(exact.shape, scale=max(math.nextafter(reach / epsilon, math.inf), SMALLEST_SCALE))

        return _on_grid(exact, sensitivity, exact.size, noise)
    return _like(exact, exact + generator(seed, "laplace").laplace(scale=sensitivity / epsilon, size=exact.shape))


def gaussian_mechanism(
    value: ArrayLike,
    *,
    l2_sensitivity: float,
    epsilon: float,
    delta: float,
    seed: int | None = None,
    level: str | None = None,
) -> NDArray | float:
    """Release ``value`` plus the least Gaussian noise that is (epsilon, delta)-differentially private.

    Parameters
    ----------
    value : float or array_like
        The exact answer.
    l2_sensitivity : float
        Largest L2 distance between the answers on two neighbouring data sets, above 0.
    epsilon, delta : float
        Privacy loss in nats, above 0 and not limited to 1; failure probability in (0, 1).
    seed, level
        As for `laplace_mechanism`.

    Returns
    -------
    float or ndarray
        Shaped like ``value``. The scale is exact (Balle & Wang 2018, algorithm 1), not the classic bound.

    Raises
    ------
    ValueError
        If an argument is not allowed or ``value`` is not finite.

    Notes
    -----
    "float-safe" rounds and clips as `laplace_mechanism` does; here rounding takes answers ``h sqrt(d)`` further apart at most. Let
    S be the sensitivity after it and r the noise that a *continuous* Gaussian needs for S, in grid steps. The discrete Gaussian
    of scale ``sqrt(r^2 + 4)`` spends no more, in any dimension: up to a factor ``1 + 1e-33`` per coordinate it is what comes out
    where continuous noise N(0, r^2) is added and each sum x is then rounded at random, to k with probability proportional to
    ``exp(-(k - x)^2 / 8)``; and rounding what was released costs nothing. (The product of the two bells, summed over x, is a bell
    of variance ``r^2 + 4`` in k. What the second is divided by, its sum over k, varies with x by less than a share
    ``4 exp(-8 pi^2)``, by Poisson summation: Micciancio & Regev 2007, Peikert 2010.) The scale r alone may spend more. The release
    is ``S^2 / (2 scale^2)``-zCDP too (Canonne, Kamath & Steinke 2020), but going by that alone would take 4-10 % more noise.

    Examples
    --------
    >>> round(gaussian_mechanism(100, l2_sensitivity=1, epsilon=1, delta=1e-5, seed=0), 1)
    101.1
    """
    arguments.real("l2_sensitivity", l2_sensitivity, above=0)
    exact = arguments.finite_array("value", value)
    multiplier = gaussian_noise_multiplier(epsilon, delta)  # 1e-11 too large in epsilon: covers the factors 1 + 1e-33
    if _level(level, seed) == "float-safe":

        def noise(reach: float) -> NDArray[np.int64]:
            return discrete_gaussian(exact.shape, scale=math.hypot(multiplier * reach, SMOOTHING))

        return _on_grid(exact, l2_sensitivity, math.sqrt(exact.size), noise)
    scale = l2_sensitivity * multiplier
    return _like(exact, exact + generator(seed, "gaussian").normal(scale=scale, size=exact.shape))


def randomized_response(bits: ArrayLike, *, epsilon: float, seed: int | None = None) -> NDArray:
    """Answer each yes/no question truthfully with probability ``e^epsilon / (1 + e^epsilon)``, else with the opposite.

    Each bit is protected on its own, by whoever holds it (local privacy; Warner 1965). With p the probability of the truth, the
    mean of the true bits is estimated without bias by ``(mean - (1 - p)) / (2 p - 1)``.

    Parameters
    ----------
    bits : array_like of bool or 0/1
        The true answers.
    epsilon : float
        Privacy loss of one answer in nats, above 0.
    seed : int or None
        None draws from the operating system; a seed is reproducible and therefore not private.

    Returns
    -------
    ndarray of bool
        Shaped like ``bits``.

    Raises
    ------
    ValueError
        If ``epsilon`` is not above 0 or ``bits`` holds anything but 0 and 1.

    Examples
    --------
    >>> randomized_response([1, 1, 0, 1], epsilon=1, seed=0)
    array([ True, False,  True,  True])
    """
    arguments.real("epsilon", epsilon, above=0)
    truth = arguments.finite_array("bits", bits)
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(f"bits holds {truth[~np.isin(truth, (0, 1))].flat[0]!r}, but must hold only 0 and 1")
    lie = 1.0 / (1.0 + math.exp(min(epsilon, 700.0)))
    return truth.astype(bool) ^ (generator(seed, "randomized response").random(truth.shape) < lie)


def residue_attack(outputs: ArrayLike) -> NDArray[np.bool_]:
    """Tell which noisy answers cannot come from an exact answer in [1, 2), by their last bits alone.

    A float in [1, 2) is a multiple of 2^-52, and its sum with noise of 2^-53 at least. Noise alone may be close to 0, where floats
    are finer. So no answer 1 + noise is ever ruled out, while every fourth or so of 0 + noise is, with certainty (Mironov 2012).

    Parameters
    ----------
    outputs : array_like
        Releases of a mechanism whose noise is of the order of 1.

    Returns
    -------
    ndarray of bool
        Shaped like ``outputs``; True is a proof.

    Examples
    --------
    >>> naive = [laplace_mechanism(np.full(1000, value), sensitivity=1, epsilon=1, seed=0) for value in (0, 1)]
    >>> [bool(residue_attack(noisy).any()) for noisy in naive]
    [True, False]
    """
    return np.asarray(outputs, dtype=np.float64) * 2.0**53 % 1 != 0


def _level(level: str | None, seed: int | None) -> str:
    level = ("operating-system" if seed is None else "reproducible") if level is None else level
    arguments.choice("level", level, LEVELS)
    if (level == "reproducible") != (seed is not None):
        raise ValueError(f"seed is {seed!r}, but must be {'a number' if seed is None else 'None'} for level {level!r}")
    return level


def _on_grid(
    exact: NDArray, sensitivity: float, rounding: float, noise: Callable[[float], NDArray[np.int64]]
) -> NDArray | float:
    """Clip and round to a grid, add ``noise(sensitivity in grid steps)``; rounding adds ``rounding`` steps to a distance."""
    grid = max(2.0 ** math.floor(math.log2(sensitivity * FINENESS / max(rounding, 1.0))), np.finfo(np.float64).tiny)
    with np.errstate(over="ignore"):
        steps = np.rint(np.clip(exact.astype(np.float64) / grid, -LARGEST, LARGEST)).astype(np.int64)
    # Products with a power of two are exact; the last bit of the sum may be lost, but only after the noise is in.
    return _like(exact, (steps + noise(math.nextafter(sensitivity / grid + rounding, math.inf))) * grid)


def _like(exact: NDArray, noisy: NDArray) -> NDArray | float:
    return float(noisy) if exact.ndim == 0 else noisy
