"""Renyi differential privacy of the Poisson-subsampled Gaussian: one quadrature for every real order.

The pair of neighbours behind all of it is ``Q = N(0, sigma^2)``, without the record, against
``P = (1 - q) N(0, sigma^2) + q N(1, sigma^2)``, with it; ``q`` is the sampling rate and ``sigma`` the noise multiplier.
The privacy loss of one step at output ``z`` is ``log P(z)/Q(z)``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Steps(NamedTuple):
    """Equal DP-SGD steps: Poisson sampling rate, noise multiplier, and how many."""

    sampling_rate: float
    noise_multiplier: float
    number: int


def log_sum_exp(logs: Array) -> float:
    """Log of the sum of exponentials of a vector; SciPy's takes four times as long on short ones."""
    largest = logs.max()
    return float(largest + np.log(np.exp(logs - largest).sum()))


def privacy_loss(z: Array, rate: float, sigma: float) -> Array:
    """Log of P/Q at outputs ``z``, to full relative precision where it is close to zero as well."""
    exponent = (2 * z - 1) / (2 * sigma**2)
    log_absent = np.log1p(-rate) if rate < 1 else -np.inf
    excess = rate * np.expm1(np.minimum(exponent, 700.0))
    far = np.logaddexp(log_absent, np.log(rate) + exponent)
    return np.where(np.abs(excess) < 0.5, np.log1p(np.clip(excess, -0.5, 0.5)), far)


def log_moment(order: float, rate: float, sigma: float) -> float:
    """Log of ``A = E_Q[(P/Q)^order]`` for one step, order > 1, to about 1e-13 relative.

    With ``t = P/Q - 1`` the mean of ``t`` under Q is zero, so ``A - 1 = E_Q[(1 + t)^order - 1 - order t]``. By
    Bernoulli's inequality this integrand is never negative: nothing cancels, whatever the order. It is a sum of bumps of
    width sigma centred between 0 and ``order``, analytic up to ``pi sigma^2`` off the real axis, where the trapezoid
    rule converges geometrically. ``A`` is that of Mironov, Talwar and Zhang (2019), section 3.
    """
    if rate == 1:
        return order * (order - 1) / (2 * sigma**2)
    step = min(sigma / 4, sigma**2 / 2)
    z = np.arange(-10 * sigma, max(order, 2.0) + 10 * sigma + step, step)
    loss = privacy_loss(z, rate, sigma)
    log_power, linear = order * loss, order * np.expm1(np.minimum(loss, 600.0))
    low = np.minimum(log_power, 1.0)
    with np.errstate(divide="ignore"):
        log_integrand = np.where(
            log_power < 1,
            np.log(np.where(np.abs(linear) < 0.05, _binomial_rest(order, linear), np.expm1(low) - linear).clip(0)),
            log_power + np.log1p(-np.minimum((1 + linear) * np.exp(-np.maximum(log_power, 1.0)), 1.0)),
        )
    density = -0.5 * (z / sigma) ** 2 + np.log(step / (sigma * np.sqrt(2 * np.pi)))
    return float(np.logaddexp(0.0, log_sum_exp(log_integrand + density)))


def _binomial_rest(order: float, linear: Array) -> Array:
    """``(1 + t)^order - 1 - order t`` where ``linear = order t`` is below 0.05 in size, by the binomial series."""
    x = np.clip(linear, -0.05, 0.05) / order
    total = np.zeros_like(x)
    for k in range(10, 2, -1):
        total = (order - k + 1) / k * x * (1 + total)
    return order * (order - 1) / 2 * x**2 * (1 + total)


def renyi_divergence(order: float, schedule: Sequence[Steps]) -> float:
    """Renyi divergence of the given order > 1 of a whole schedule: that of its steps, added up."""
    return sum(steps.number * log_moment(order, *steps[:2]) for steps in schedule) / (order - 1)


def rdp_epsilon(schedule: Sequence[Steps], delta: float) -> float:
    """Smallest epsilon that Renyi divergences prove.

    Canonne, Kamath and Steinke (2020), proposition 12, at the best real order. Multiplied by ``order - 1`` the bound is
    convex in the order, so the bound itself is quasi-convex and one bounded search finds its minimum. Where ``delta``
    exceeds the total variation that Bretagnolle-Huber allows, epsilon is 0.
    """
    if delta >= np.sqrt(-np.expm1(-renyi_divergence(1.01, schedule))):
        return 0.0

    def bound(log_excess: float) -> float:
        order = 1 + np.exp(log_excess)
        conversion = np.log1p(-1 / order) - (np.log(delta) + np.log(order)) / (order - 1)
        return float(renyi_divergence(order, schedule) + conversion)

    highest = min(_highest_useful_order(steps, delta) for steps in schedule)
    search = scipy.optimize.minimize_scalar(
        bound, bounds=(np.log(0.01), np.log(highest - 1)), method="bounded", options={"xatol": 1e-6}
    )
    return max(0.0, float(search.fun))


def _highest_useful_order(steps: Steps, delta: float) -> float:
    """Order beyond which the bound only grows, as ``log A >= order (order - 1) / (2 sigma^2) - order log(1/q)``."""
    rate, sigma, _ = steps
    useful = 2 + 4 * sigma**2 * np.log(1 / rate) + 2 * sigma * np.sqrt(np.log(1 / delta))
    return float(min(useful, 1e5 * min(sigma, sigma**2)))
