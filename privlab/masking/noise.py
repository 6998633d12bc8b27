"""Noise masks: clip, so that one record can change only so much; add noise, so that the change does not show.

Every mechanism states the relation it protects. The noise is drawn in floating point: its guarantee holds for exact real
arithmetic, and the last bits of a float may say more (Mironov 2012).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.masking.accounting import gaussian_noise_multiplier
from privlab.randomness import generator


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
    value: ArrayLike, *, sensitivity: float, epsilon: float, seed: int | None = None
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

    Returns
    -------
    float or ndarray
        Shaped like ``value`` (Dwork et al. 2006, proposition 1).

    Raises
    ------
    ValueError
        If an argument is not allowed or ``value`` is not finite.

    Examples
    --------
    >>> round(laplace_mechanism(100, sensitivity=1, epsilon=1, seed=0), 1)
    101.0
    """
    arguments.real("sensitivity", sensitivity, above=0)
    arguments.real("epsilon", epsilon, above=0)
    exact = arguments.finite_array("value", value)
    return _like(exact, exact + generator(seed, "laplace").laplace(scale=sensitivity / epsilon, size=exact.shape))


def gaussian_mechanism(
    value: ArrayLike, *, l2_sensitivity: float, epsilon: float, delta: float, seed: int | None = None
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
    seed : int or None
        None draws from the operating system; a seed is reproducible and therefore not private.

    Returns
    -------
    float or ndarray
        Shaped like ``value``. The scale is exact (Balle & Wang 2018, algorithm 1), not the classic bound.

    Raises
    ------
    ValueError
        If an argument is not allowed or ``value`` is not finite.

    Examples
    --------
    >>> round(gaussian_mechanism(100, l2_sensitivity=1, epsilon=1, delta=1e-5, seed=0), 1)
    101.1
    """
    arguments.real("l2_sensitivity", l2_sensitivity, above=0)
    exact = arguments.finite_array("value", value)
    scale = l2_sensitivity * gaussian_noise_multiplier(epsilon, delta)
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


def _like(exact: NDArray, noisy: NDArray) -> NDArray | float:
    return float(noisy) if exact.ndim == 0 else noisy
