"""Privacy loss distributions of composed subsampled Gaussians: safe bounds on a whole privacy profile.

A *direction* says which neighbour was run. REMOVE: outputs come from P (the record is there) and the privacy loss is
``log P/Q``; ADD: outputs come from Q and the loss is ``log Q/P``. Neither direction dominates in general, so both are
computed. Every approximation errs upwards: a loss is split over its two grid neighbours so that P and Q only become
easier to tell apart (connect the dots), and what lies beyond the grid counts as an infinite loss.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from privlab.masking.rdp import Array, Steps, log_sum_exp, privacy_loss

REMOVE, ADD = 1, -1
DIRECTIONS = (REMOVE, ADD)
SETTLED = 1.5e-3  # relative change, after refining the grid fourfold, at which the answer is taken
LOWER = 1e-5  # probability of small losses that may be rounded up
TRUNCATED = 3e-7  # share of delta that may be lost to the truncation of large losses
ALIASED = 1e-8  # share of the tilted law that may wrap round from above the window
RESOLUTION = 1e-10  # absolute allowance for rounding in a whole curve
BINS = [2**k for k in (14, 16, 18, 20, 22)]


@dataclass(frozen=True)
class Profile:
    """Distribution of the composed privacy loss above its lowest trusted point.

    ``masses[k]`` is the probability of loss ``lowest + k * spacing``, times ``exp(-log_scale)``; ``infinite`` likewise.
    """

    lowest: float
    spacing: float
    masses: Array
    infinite: float

    @cached_property
    def losses(self) -> Array:
        """Grid of losses."""
        return self.lowest + self.spacing * np.arange(float(len(self.masses)))

    @cached_property
    def upper_masses(self) -> Array:
        """Probability of a loss at or above each grid point, under the neighbour that was run."""
        return self.infinite + np.cumsum(self.masses[::-1])[::-1]

    @cached_property
    def other_masses(self) -> Array:
        """The same event's probability under the other neighbour, times ``exp(loss)`` of the grid point."""
        return scipy.signal.lfilter([1.0], [1.0, -np.exp(-self.spacing)], self.masses[::-1])[::-1]

    def epsilon(self, delta: float) -> float:
        """Smallest epsilon >= 0 at which the hockey stick ``upper - e^epsilon other`` is at most delta."""
        if self.infinite > delta:
            return np.inf
        first = int(np.argmax(self.upper_masses - self.other_masses <= delta))
        if first == 0:
            return max(0.0, self.lowest)
        ratio = (self.upper_masses[first] - delta) / self.other_masses[first]
        return max(0.0, float(self.losses[first] + np.log(ratio)))


def _gaussian_masses(edges: Array) -> Array:
    """Standard normal probability between consecutive edges, to full relative precision in both tails."""
    left, right = scipy.special.ndtr(edges), scipy.special.ndtr(-edges)
    return np.where(edges[:-1] > 0, right[:-1] - right[1:], left[1:] - left[:-1])


def _support(steps: Steps, direction: int, infinite: float, rounded: float) -> tuple[float, float]:
    """Outputs z to keep: at most ``infinite`` of the mass has a larger loss, and about ``rounded`` a smaller one."""
    rate, sigma, _ = steps
    if direction == ADD:
        return sigma * scipy.special.ndtri(infinite), -sigma * scipy.special.ndtri(rounded)
    absent = -sigma * scipy.special.ndtri(min(1.0, infinite / 2 / (1 - rate))) if rate < 1 else -np.inf
    return (1 if rate == 1 else 0) + sigma * scipy.special.ndtri(rounded), max(
        absent, 1 - sigma * scipy.special.ndtri(min(1.0, infinite / 2 / rate))
    )


def _edge_outputs(losses: Array, rate: float, sigma: float) -> tuple[Array, Array]:
    """Output z, in units of sigma, where log P/Q crosses each value; N(1)/N(0) there, negative below the range."""
    excess = np.expm1(np.minimum(losses, 600.0)) / rate
    absent = np.minimum((1 - rate) * np.exp(np.minimum(-losses, 600.0)), 1.0)
    with np.errstate(divide="ignore"):
        far = losses - np.log(rate) + np.log1p(-absent)
        exponent = np.where(np.abs(excess) < 0.5, np.log1p(np.clip(excess, -0.5, 0.5)), far)
    return sigma * exponent + 1 / (2 * sigma), 1 + excess


def _connect_the_dots(
    steps: Steps, direction: int, spacing: float, infinite: float, rounded: float
) -> tuple[int, Array, float]:
    """One step's loss on the grid: first grid index, masses, infinite mass.

    In each grid cell the masses of both neighbours are kept, and put on the cell's two ends in the one way that has the
    right likelihood ratios there (Doroshenko et al. 2022, algorithm 1). It is done from cell masses and not from
    differences of hockey sticks, because those lose all digits when the spacing is small. The share of the upper end,
    ``(P - e^l Q) / (1 - e^-h)``, is ``q`` times a difference of Gaussian masses; rounding is clipped into the cell.
    """
    rate, sigma, _ = steps
    low, high = _support(steps, direction, infinite, rounded)
    bottom, top = privacy_loss(np.array([low, high]), rate, sigma) / spacing
    first, last = int(np.floor(bottom)), int(np.ceil(top)) + 1
    losses = spacing * np.arange(float(first), float(last + 1))
    outputs, ratio = _edge_outputs(losses, rate, sigma)
    without, present = _gaussian_masses(outputs), _gaussian_masses(outputs - 1 / sigma)
    masses = np.zeros(len(losses))
    if direction == REMOVE:
        cell = (1 - rate) * without + rate * present
        upper = np.clip(rate * (present - ratio[:-1] * without) / -np.expm1(-spacing), 0, cell)
        masses[1:] += upper
        masses[:-1] += cell - upper
        masses[0] += (1 - rate) * scipy.special.ndtr(outputs[0]) + rate * scipy.special.ndtr(outputs[0] - 1 / sigma)
        return (
            first,
            masses,
            float((1 - rate) * scipy.special.ndtr(-outputs[-1]) + rate * scipy.special.ndtr(1 / sigma - outputs[-1])),
        )
    shrink = np.exp(np.minimum(-losses[1:], 600.0))
    weighted = (1 - (1 - rate) * shrink) * without - rate * shrink * present
    upper = np.clip(weighted / -np.expm1(-spacing), 0, without)
    masses[:-1] += upper
    masses[1:] += without - upper
    masses[-1] += scipy.special.ndtr(-outputs[-1])
    return -last, masses[::-1], float(scipy.special.ndtr(outputs[0]))


class Composition:
    """One direction of a schedule: an exponential tilt, the window of losses that matters, and the profile on any grid.

    Parameters
    ----------
    schedule : sequence of Steps
        At least one, all with noise and a positive sampling rate.
    direction : {REMOVE, ADD}
    tail : float
        Probability that may be counted as infinite loss.
    target : float or None
        Delta around which relative precision is wanted; None for a whole curve, precise to about 1e-12 absolute.

    Notes
    -----
    FFT rounding errors are relative to the largest mass, so a tail of 1e-10 would drown in them. Multiplying the mass of
    each loss by ``e^(tilt * loss)`` before the FFT, and undoing it after, moves the bulk towards the tail wanted: the
    idea of Chernoff's bound. Half of Chernoff's tilt gives digits enough, and amplifies less what wraps round.

    The window comes from Chernoff bounds on a rough law. What lies above it is bounded again on the true grid and added
    to the infinite mass; what lies below it wraps round to larger losses, which is safe.
    """

    def __init__(self, schedule: Sequence[Steps], direction: int, tail: float, target: float | None = None) -> None:
        self.schedule, self.direction, self.tail = schedule, direction, tail
        self._rounded = tail if target is None else LOWER
        self._total = sum(steps.number for steps in schedule)
        self._rough = [(steps.number, *self._rough_law(steps)) for steps in schedule]
        reach = max(np.ptp(losses) + 1e-3 * np.abs(losses).max() for _, losses, _ in self._rough)
        self._blur = (reach / 64) ** 2
        self.tilt = 0.0 if target is None else self._exceeded(target)[1] / 2
        self.highest, self._tail_tilt = self._exceeded(tail)
        self.highest = max(self.highest, self._exceeded(ALIASED, self.tilt)[0])
        self.lowest = -self._exceeded(self._rounded, self.tilt, sign=-1)[0]
        if 0 < self.lowest < self.highest / 2:
            self.lowest = 0.0  # cheap, and an epsilon of 0 can then be told from a small one

    def _rough_law(self, steps: Steps) -> tuple[Array, Array]:
        low, high = _support(steps, self.direction, self.tail / self._total, self._rounded / self._total)
        rate, sigma, _ = steps
        edges = np.linspace(low, high, 2049)
        masses = _gaussian_masses(edges / sigma)
        if self.direction == REMOVE:
            masses = (1 - rate) * masses + rate * _gaussian_masses((edges - 1) / sigma)
        losses = self.direction * privacy_loss((edges[1:] + edges[:-1]) / 2, rate, sigma)
        return losses, np.log(np.maximum(masses, 1e-300))

    def _cumulant(self, tilt: float) -> float:
        rough = sum(count * log_sum_exp(tilt * losses + logs) for count, losses, logs in self._rough)
        return float(rough + self._blur * tilt**2 / 2)

    def _exceeded(self, probability: float, tilt: float = 0.0, sign: int = 1) -> tuple[float, float]:
        """Chernoff: what ``sign`` times the tilted loss exceeds with at most this probability; the tilt that it took."""
        base = self._cumulant(tilt) + np.log(probability)
        return _minimum(lambda more: (self._cumulant(tilt + sign * more) - base) / more)

    def profile(self, bins: int, log_scale: float = 0.0) -> Profile:
        """Privacy profile on a grid of so many losses, masses divided by ``exp(log_scale)``."""
        spacing = (self.highest - self.lowest) / (bins - 1)
        start = int(np.floor(self.lowest / spacing))
        spectrum = np.ones(bins // 2 + 1, complex)
        offset, scale, infinite, beyond = 0, 0.0, 0.0, -self._tail_tilt * (start + bins) * spacing
        for steps in self.schedule:
            first, masses, lost = _connect_the_dots(
                steps, self.direction, spacing, self.tail / self._total, self._rounded / self._total
            )
            losses = spacing * np.arange(float(first), float(first + len(masses)))
            logs = np.log(np.maximum(masses, 1e-300))
            cumulant = log_sum_exp(self.tilt * losses + logs)
            tilted = np.exp(self.tilt * losses + logs - cumulant)
            # Centred at the mean, the spectrum's phase is small where its modulus is not, and powers keep their digits.
            centre = round(float(tilted @ np.arange(len(masses))))
            folded = np.bincount((np.arange(len(masses)) - centre) % bins, tilted, bins)
            spectrum = spectrum * np.fft.rfft(folded) ** steps.number
            offset += steps.number * (first + centre)
            scale += steps.number * cumulant
            beyond += steps.number * log_sum_exp(self._tail_tilt * losses + logs)
            infinite += steps.number * lost
        composed = np.roll(np.fft.irfft(spectrum, bins), offset - start).clip(0)
        grid = spacing * (start + np.arange(bins))
        masses = composed * np.exp(np.minimum(scale - self.tilt * grid - log_scale, 600.0))
        return Profile(grid[0], spacing, masses, float((infinite + np.exp(min(beyond, 0.0))) / np.exp(log_scale)))


def _minimum(function: Callable[[float], float]) -> tuple[float, float]:
    """Minimum over positive tilts, and where it is. The scale is logarithmic: losses may be 1e-11 or 1e5."""
    search = scipy.optimize.minimize_scalar(
        lambda log: function(np.exp(log)), bounds=(-12, 32), method="bounded", options={"xatol": 0.02}
    )
    return float(search.fun), float(np.exp(search.x))


def refined(bound: Callable[[int], Array]) -> Array:
    """Upper bound on ever finer grids until it settles; coarser bounds stay valid, so the smallest is kept."""
    best = bound(BINS[0])
    for bins in BINS[1:]:
        previous, best = best, np.minimum(best, bound(bins))
        if np.all(np.isfinite(best) & (previous <= (1 + SETTLED) * best)):
            break
    return best


def pld_epsilon(schedule: Sequence[Steps], delta: float) -> float:
    """Smallest epsilon of a composed schedule, never below the truth.

    Numerical composition of privacy loss distributions (Koskela et al. 2020; Doroshenko et al. 2022), the larger of
    both directions. The delta aimed at is smaller by a millionth, which covers rounding errors.
    """
    # Total variation adds up at most: where it is below delta, no grid is needed.
    if sum(count * rate * (2 * scipy.special.ndtr(0.5 / sigma) - 1) for rate, sigma, count in schedule) <= delta:
        return 0.0
    aim = delta * (1 - 1e-6)
    both = [Composition(schedule, direction, tail=TRUNCATED * delta, target=delta) for direction in DIRECTIONS]
    return float(refined(lambda bins: np.array(max(c.profile(bins, np.log(aim)).epsilon(1.0) for c in both))))


def pld_tradeoff(schedule: Sequence[Steps], false_positive_rates: Array) -> Array:
    """Upper bound on the true-positive rate of any attack at each false-positive rate.

    The larger of the Neyman-Pearson curves of the discretised pair in both directions. A curve's part of slope above 1
    comes from the direction in which positives are drawn, the rest from the other, mirrored: they are the lower
    envelopes of the lines ``e^eps a + delta(eps)`` and ``1 - e^-eps (1 - delta(eps) - a)`` over eps >= 0.
    """
    both = [Composition(schedule, direction, tail=RESOLUTION / 100) for direction in DIRECTIONS]

    def bound(bins: int) -> Array:
        corners = [_corners(composition.profile(bins)) for composition in both]
        return np.maximum(*(_curve(false_positive_rates, *pair) for pair in (corners, corners[::-1])))

    return refined(bound)


def _corners(profile: Profile) -> tuple[Array, Array]:
    """Corners of the curve where its slope is at least 1: the event's probability under either neighbour, ascending."""
    kept = profile.losses >= 0
    other = (profile.other_masses[kept] * np.exp(-profile.losses[kept]))[::-1]
    upper = profile.upper_masses[kept][::-1] + RESOLUTION
    return np.concatenate([[0.0], other]), np.concatenate([[profile.infinite + RESOLUTION], upper])


def _curve(rates: Array, steep: tuple[Array, Array], mirrored: tuple[Array, Array]) -> Array:
    """Both halves of the curve, each continued by its line of slope 1; the smaller of the two holds."""
    first = np.interp(rates, *steep) + np.maximum(rates - steep[0][-1], 0)
    x, y = 1 - mirrored[1][::-1], 1 - mirrored[0][::-1]
    second = np.interp(rates, x, y) + np.minimum(rates - x[0], 0)
    # A rate below the smallest float is still no rate of 0, at which only infinite losses are seen.
    return np.where(rates == 0, steep[1][0], np.clip(np.minimum(first, second), rates, 1.0))
