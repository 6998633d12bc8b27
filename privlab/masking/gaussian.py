"""Closed forms: one Gaussian release, exactly; and what a shuffled pass of such releases spends at least."""

from collections.abc import Callable
from math import inf, log, sqrt

import numpy as np
import scipy

from privlab import arguments


def gaussian_epsilon(noise_multiplier: float, delta: float) -> float:
    """Epsilon of one Gaussian release at ``delta``, exactly.

    Balle and Wang (2018), equation 6, ``delta = Phi(1/(2s) - eps s) - e^eps Phi(-1/(2s) - eps s)``, solved in
    logarithms.

    Parameters
    ----------
    noise_multiplier : float
        Standard deviation of the noise over the L2 sensitivity, at least 0.
    delta : float
        In (0, 1).

    Returns
    -------
    float
        At least 0; infinite without noise.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> round(gaussian_epsilon(3.7306316348, 1e-5), 6)
    1.0
    """
    sigma = arguments.real("noise_multiplier", noise_multiplier, at_least=0)
    delta = arguments.real("delta", delta, above=0, below=1)
    if sigma == 0:
        return inf
    if _gaussian_log_delta(sigma, 0.0) <= log(delta):
        return 0.0
    highest = 0.5 / sigma**2 + sqrt(2 * log(1 / delta)) / sigma
    root = scipy.optimize.brentq(
        lambda eps: _gaussian_log_delta(sigma, eps) - log(delta), 0.0, highest * 1.01, xtol=1e-15 * highest
    )
    return float(root) * (1 + 1e-11)


def gaussian_noise_multiplier(epsilon: float, delta: float) -> float:
    """Smallest noise multiplier at which one Gaussian release spends at most ``epsilon`` at ``delta``.

    Parameters
    ----------
    epsilon : float
        Above 0.
    delta : float
        In (0, 1).

    Returns
    -------
    float
        ``gaussian_epsilon`` of it is at most ``epsilon``.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> round(gaussian_noise_multiplier(1.0, 1e-5), 4)
    3.7306
    """
    epsilon = arguments.real("epsilon", epsilon, above=0)
    delta = arguments.real("delta", delta, above=0, below=1)
    depth = sqrt(2 * log(1 / delta))
    high = (sqrt(depth**2 + 2 * epsilon) + depth) / (2 * epsilon)
    low = high
    while _gaussian_log_delta(low, epsilon) < log(delta):
        low /= 2
    if low < high:
        high = float(
            scipy.optimize.brentq(
                lambda sigma: _gaussian_log_delta(sigma, epsilon) - log(delta), low, high, xtol=1e-14 * low
            )
        )
    return raised(high, 1e-11, lambda sigma: gaussian_epsilon(sigma, delta) <= epsilon)


def shuffle_epsilon_lower_bound(*, noise_multiplier: float, batches: int, delta: float) -> float:
    """Epsilon that one shuffled pass over the data spends *at least*: what Poisson's figure hides.

    Chua et al. (2024): the event that some batch's noisy sum is at least C, when all other records push against it.
    Neighbours differ in one record replaced by nothing (zero-out).

    Parameters
    ----------
    noise_multiplier : float
        At least 0.
    batches : int
        Batches in the pass, at least 1.
    delta : float
        In (0, 1).

    Returns
    -------
    float
        A lower bound on the true epsilon, at least 0; infinite without noise.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> round(shuffle_epsilon_lower_bound(noise_multiplier=0.5, batches=10_000, delta=1e-6), 2)
    10.99
    """
    sigma = arguments.real("noise_multiplier", noise_multiplier, at_least=0)
    batches, delta = arguments.whole("batches", batches), arguments.real("delta", delta, above=0, below=1)
    if sigma == 0:
        return inf
    thresholds = np.linspace(2 - 10 * sigma, 2 + 12 * sigma, 20_001)
    others = (batches - 1) * scipy.special.log_ndtr(thresholds / sigma)
    present = -np.expm1(scipy.special.log_ndtr((thresholds - 2) / sigma) + others)
    absent = -np.expm1(scipy.special.log_ndtr((thresholds - 1) / sigma) + others)
    usable = (present > delta) & (absent > 0)
    if not usable.any():
        return 0.0
    return max(0.0, float(np.log((present[usable] - delta) / absent[usable]).max()))


def _gaussian_log_delta(sigma: float, eps: float) -> float:
    """Log of Balle and Wang's delta; each tail in logarithms, because their difference may be far below 1e-16."""
    present, absent = (
        scipy.special.log_ndtr(0.5 / sigma - eps * sigma),
        eps + scipy.special.log_ndtr(-0.5 / sigma - eps * sigma),
    )
    return float(present + np.log(-np.expm1(min(absent - present, -1e-300))))


def raised(sigma: float, share: float, holds: Callable[[float], bool]) -> float:
    """First of ``sigma``, ``sigma (1 + share)``, … for which the budget holds, with growing steps."""
    while not holds(sigma):
        sigma, share = sigma * (1 + share), share * 1.5
    return sigma
