"""What private training spends: epsilon, calibration of noise and the trade-off curve.

Convention throughout: neighbouring data sets differ in one record, added or removed; a step releases the SUM of clipped
per-example gradients plus Gaussian noise of standard deviation ``noise_multiplier * clip_norm``; natural logarithms.
Every epsilon is an upper bound: numerical errors are on the safe side.
"""

from functools import lru_cache
from math import exp, inf, log, sqrt

import numpy as np
import scipy  # loads its parts when they are first used, which most workers never do
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.masking.gaussian import gaussian_epsilon, gaussian_noise_multiplier, raised, shuffle_epsilon_lower_bound
from privlab.masking.pld import pld_epsilon, pld_tradeoff
from privlab.masking.rdp import Steps, rdp_epsilon

__all__ = [
    "epsilon",
    "gaussian_epsilon",
    "gaussian_noise_multiplier",
    "noise_multiplier",
    "shuffle_epsilon_lower_bound",
    "tradeoff_curve",
]

METHODS = ("pld", "rdp")
SMALLEST_PLD_DELTA = 1e-10
SMALLEST_CALIBRATED = 0.05  # noise multiplier below which calibration does not search: it protects nothing


def epsilon(*, noise_multiplier: float, sampling_rate: float, steps: int, delta: float, method: str = "pld") -> float:
    """Epsilon that DP-SGD with Poisson sampling spends at ``delta``.

    Parameters
    ----------
    noise_multiplier : float
        Standard deviation of the noise in units of the clip norm, at least 0.
    sampling_rate : float
        Probability in [0, 1] with which each record takes part in a step, independently. At 1 the answer is exact.
    steps : int
        At least 1.
    delta : float
        In (0, 1); "pld" needs at least 1e-10 unless the rate is 1.
    method : {"pld", "rdp"}
        "pld": privacy loss distribution, composed by FFT (Koskela et al. 2020; Doroshenko et al. 2022), within about
        0.1 % of the truth. "rdp": Renyi divergences (Mironov et al. 2019; Canonne et al. 2020), 5-10 % looser.

    Returns
    -------
    float
        An upper bound; infinite without noise.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> round(epsilon(noise_multiplier=1.0, sampling_rate=0.01, steps=1000, delta=1e-5), 2)
    1.83
    """
    schedule = (checked_steps(noise_multiplier, sampling_rate, steps),)
    return spent(schedule, checked_delta(delta), arguments.choice("method", method, METHODS))


def noise_multiplier(*, epsilon: float, sampling_rate: float, steps: int, delta: float, method: str = "pld") -> float:
    """Noise multiplier with which DP-SGD spends at most ``epsilon`` at ``delta``, within 1 % of the smallest.

    Parameters
    ----------
    epsilon : float
        Above 0.
    sampling_rate, steps, delta, method
        As for `privlab.masking.epsilon`.

    Returns
    -------
    float
        `privlab.masking.epsilon` of it is at most ``epsilon``. Not below 0.05, except at rate 1 (exact) and rate 0 (0).

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> round(noise_multiplier(epsilon=1.0, sampling_rate=0.0512, steps=400, delta=1e-5), 1)
    4.0
    """
    target, delta = arguments.real("epsilon", epsilon, above=0), checked_delta(delta)
    rate, count = checked_steps(1.0, sampling_rate, steps)[::2]
    arguments.choice("method", method, METHODS)
    if rate == 0:
        return 0.0

    def spent_with(sigma: float) -> float:
        return spent((Steps(rate, sigma, count),), delta, method)

    if rate == 1 and method == "pld":
        return raised(gaussian_noise_multiplier(target, delta) * sqrt(count), 1e-11, lambda s: spent_with(s) <= target)
    low = high = 1.0
    while spent_with(high) > target:
        low, high = high, 2 * high
    while low == high or spent_with(low) <= target:
        low, high = low / 2, low
        if low < SMALLEST_CALIBRATED:
            return high

    def excess(log_sigma: float) -> float:
        return log(max(spent_with(exp(log_sigma)), 1e-3 * target) / target)

    sigma = exp(scipy.optimize.brentq(excess, log(low), log(high), xtol=5e-4, rtol=1e-12))
    return min(high, raised(sigma, 5e-4, lambda sigma: spent_with(sigma) <= target))


def tradeoff_curve(
    *, noise_multiplier: float, sampling_rate: float, steps: int, false_positive_rates: ArrayLike
) -> NDArray[np.float64]:
    """Most that any membership attack on DP-SGD can achieve, at each false-positive rate.

    It uses the whole privacy profile, every (epsilon, delta) at once (Dong, Roth and Su 2022, proposition 2.12), and
    holds whichever of "in" and "out" the attacker calls positive. Rate 1 gives exactly ``Phi(Phi^-1(fpr) + mu)`` with
    ``mu = sqrt(steps) / noise_multiplier``.

    Parameters
    ----------
    noise_multiplier, sampling_rate, steps
        As for `privlab.masking.epsilon`.
    false_positive_rates : array_like, any shape
        In [0, 1].

    Returns
    -------
    ndarray of float64, same shape
        Upper bounds on the true-positive rate, between the false-positive rate and 1; rising with it.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> tradeoff_curve(noise_multiplier=1.0, sampling_rate=1.0, steps=1, false_positive_rates=[0.01, 0.5]).round(3)
    array([0.092, 0.841])
    """
    rates = arguments.finite_array("false_positive_rates", false_positive_rates).astype(np.float64)
    if np.any((rates < 0) | (rates > 1)):
        outside = rates[(rates < 0) | (rates > 1)][0]
        raise ValueError(f"false_positive_rates has {outside!r}, but all must be >= 0 and <= 1")
    schedule = checked_steps(noise_multiplier, sampling_rate, steps)
    rate, sigma, count = schedule
    if rate == 0:
        return rates
    if sigma == 0:
        return np.ones_like(rates)
    if rate == 1:
        return np.asarray(scipy.special.ndtr(scipy.special.ndtri(rates) + sqrt(count) / sigma), dtype=np.float64)
    return pld_tradeoff([schedule], rates)


@lru_cache(maxsize=4096)
def spent(schedule: tuple[Steps, ...], delta: float, method: str) -> float:
    """Epsilon of any schedule: all public figures come from here."""
    releases = [steps for steps in schedule if steps.sampling_rate > 0]
    if any(steps.noise_multiplier == 0 for steps in releases):
        return inf
    # Unamplified Gaussians compose exactly into one: their 1/sigma^2 add up.
    precision = sum(steps.number / steps.noise_multiplier**2 for steps in releases if steps.sampling_rate == 1)
    amplified = sorted(steps for steps in releases if steps.sampling_rate < 1)
    if not amplified and method == "pld":
        return gaussian_epsilon(1 / sqrt(precision), delta) if precision else 0.0
    whole = [Steps(1.0, 1 / sqrt(precision), 1)] if precision else []
    if method == "rdp":
        return rdp_epsilon(amplified + whole, delta) if amplified + whole else 0.0
    if delta < SMALLEST_PLD_DELTA:
        raise ValueError(
            f'delta is {delta!r}, but must be >= {SMALLEST_PLD_DELTA:g} for method="pld"; use method="rdp"'
        )
    return pld_epsilon(amplified + whole, delta)


def _sigma(noise_multiplier: float) -> float:
    return arguments.real("noise_multiplier", noise_multiplier, at_least=0)


def checked_delta(delta: float) -> float:
    return arguments.real("delta", delta, above=0, below=1)


def checked_steps(noise_multiplier: float, sampling_rate: float, steps: int) -> Steps:
    rate = arguments.real("sampling_rate", sampling_rate, at_least=0, at_most=1)
    return Steps(rate, _sigma(noise_multiplier), arguments.whole("steps", steps))
