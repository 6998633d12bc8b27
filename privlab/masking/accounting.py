"""What private training spends: epsilon, calibration of noise, the trade-off curve, and the ledger of a run.

Convention throughout: neighbouring data sets differ in one record, added or removed; a step releases the SUM of clipped
per-example gradients plus Gaussian noise of standard deviation ``noise_multiplier * clip_norm``; natural logarithms.
Every epsilon is an upper bound: numerical errors are on the safe side.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from math import ceil, exp, inf, log, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from privlab import arguments
from privlab.masking.correlated import Correlation
from privlab.masking.gaussian import gaussian_epsilon, gaussian_noise_multiplier, raised, shuffle_epsilon_lower_bound
from privlab.masking.pld import pld_epsilon, pld_tradeoff
from privlab.masking.rdp import Steps, rdp_epsilon

__all__ = [
    "Ledger",
    "Release",
    "epsilon",
    "gaussian_epsilon",
    "gaussian_noise_multiplier",
    "noise_multiplier",
    "shuffle_epsilon_lower_bound",
    "tradeoff_curve",
]

METHODS = ("pld", "rdp")
OPERATING_SYSTEM, SEEDED = "operating system", "seeded: not private"  # where sampling and noise may come from
SAMPLERS = ("poisson", "full", "shuffle", "cyclic", "none")
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
    schedule = (_steps(noise_multiplier, sampling_rate, steps),)
    return _spent(schedule, _delta(delta), arguments.choice("method", method, METHODS))


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
    target, delta = arguments.real("epsilon", epsilon, above=0), _delta(delta)
    rate, count = _steps(1.0, sampling_rate, steps)[::2]
    arguments.choice("method", method, METHODS)
    if rate == 0:
        return 0.0

    def spent(sigma: float) -> float:
        return _spent((Steps(rate, sigma, count),), delta, method)

    if rate == 1 and method == "pld":
        return raised(gaussian_noise_multiplier(target, delta) * sqrt(count), 1e-11, lambda s: spent(s) <= target)
    low = high = 1.0
    while spent(high) > target:
        low, high = high, 2 * high
    while low == high or spent(low) <= target:
        low, high = low / 2, low
        if low < SMALLEST_CALIBRATED:
            return high

    def excess(log_sigma: float) -> float:
        return log(max(spent(exp(log_sigma)), 1e-3 * target) / target)

    sigma = exp(brentq(excess, log(low), log(high), xtol=5e-4, rtol=1e-12))
    return min(high, raised(sigma, 5e-4, lambda sigma: spent(sigma) <= target))


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
    schedule = _steps(noise_multiplier, sampling_rate, steps)
    rate, sigma, count = schedule
    if rate == 0:
        return rates
    if sigma == 0:
        return np.ones_like(rates)
    if rate == 1:
        return np.asarray(ndtr(ndtri(rates) + sqrt(count) / sigma), dtype=np.float64)
    return pld_tradeoff([schedule], rates)


@dataclass(frozen=True)
class Release:
    """Equal consecutive steps of a run; ``planned`` is how many the run was to have, None where no plan was given."""

    sampler: str
    sampling_rate: float
    noise_multiplier: float
    steps: int
    correlation: Correlation | None = None
    planned: int | None = None

    @property
    def sensitivity(self) -> float:
        """L2 norm, in clip norms, of all that one record can change in these steps, begun with a pass; without amplification."""
        batches = batches_per_pass(self.sampling_rate)
        if self.correlation is not None:
            return self.correlation.sensitivity(self.steps, batches)
        return sqrt(ceil(self.steps / batches))

    def __str__(self) -> str:
        noise = f", {self.correlation} noise" if self.correlation else ""
        rates = f"sampling rate {self.sampling_rate:g}, noise multiplier {self.noise_multiplier:g}"
        stopped = f" of {self.planned}" if self.planned not in (None, self.steps) else ""
        return f"{self.steps}{stopped} steps, {self.sampler}, {rates}{noise}"


@dataclass
class Ledger:
    """What one run did, step by step; epsilon is computed from it and from nothing else.

    Parameters
    ----------
    noise_source : str
        Where sampling and noise came from, "operating system" or "seeded: not private". It does not enter epsilon: who
        knows the seed of a seeded run knows its noise.
    entries : list of Release
        In order; equal consecutive steps are one entry.

    Examples
    --------
    >>> ledger = Ledger()
    >>> for _ in range(1000):
    ...     ledger.record("poisson", 0.01, 1.0)
    >>> print(ledger)
    1000 steps, poisson, sampling rate 0.01, noise multiplier 1 (noise: operating system)
    """

    noise_source: str = OPERATING_SYSTEM
    entries: list[Release] = field(default_factory=list)

    @classmethod
    def for_seed(cls, noise_seed: int | None) -> "Ledger":
        """Return an empty ledger of a run whose sampling and noise have this seed; None is the operating system."""
        return cls(OPERATING_SYSTEM if noise_seed is None else SEEDED)

    def followed_by(self, later: "Ledger") -> "Ledger":
        """Return the ledger of both runs together; one seeded run makes the whole "not private"."""
        source = SEEDED if SEEDED in (self.noise_source, later.noise_source) else OPERATING_SYSTEM
        return Ledger(source, [*self.entries, *later.entries])

    def record(
        self,
        sampler: str | None,
        sampling_rate: float,
        noise_multiplier: float,
        steps: int = 1,
        correlation: Correlation | None = None,
        planned: int | None = None,
    ) -> None:
        """Add steps that were released. A step whose batch was empty is recorded like any other.

        Steps equal to those before them carry the same run on, in its passes and in its noise, until it has the planned ones. A run
        after one that stopped early needs a ledger of its own: see `followed_by`.

        Parameters
        ----------
        sampler : {"poisson", "full", "shuffle", "cyclic", "none", None}
            How the batch was drawn; "none" for training without privacy.
        sampling_rate : float
            In [0, 1]; 1 where the sampler is "full", above 0 where it is "shuffle", 1/b for a whole b where it is "cyclic".
        noise_multiplier : float
            Standard deviation of a step's fresh noise in units of the clip norm, at least 0.
        steps : int
            At least 1.
        correlation : Correlation or None
            How noise depends on earlier steps' noise, only for "cyclic" and "full"; None where it does not.
        planned : int or None
            Steps of the whole run, where that is known.

        Raises
        ------
        ValueError
            If an argument is outside its range.
        """
        sampler = arguments.choice("sampler", "none" if sampler is None else sampler, SAMPLERS)
        rate, sigma, count = _steps(noise_multiplier, sampling_rate, steps)
        check_sampler("sampler", sampler, rate, correlation)
        whole = None if planned is None else arguments.whole("planned", planned)
        new = Release(sampler, rate, sigma, count, correlation, whole)
        done = self.entries[-1].steps if self.entries else 0
        done = done if done and self.entries[-1] == replace(new, steps=done) and done != whole else 0
        if whole is not None and done + count > whole:
            raise ValueError(f"steps is {steps}, but must be <= {whole - done}, what is left of the plan")
        if done:
            self.entries.pop()
        self.entries.append(replace(new, steps=done + count))

    def epsilon(self, delta: float, method: str = "pld") -> float:
        """Upper bound on what the run spent at ``delta``; 0 where nothing was released.

        "poisson" is amplified by sampling, "full" is rate 1. "shuffle" is charged without amplification: a record takes
        part once per pass of ``floor(1 / sampling_rate)`` batches, so each pass begun costs one Gaussian release (for
        neighbours that differ in one record replaced by nothing). "cyclic" and all correlated noise is one Gaussian release whose
        sensitivity is `Release.sensitivity`, exactly, for the same neighbours. "none" costs infinitely much.

        Only steps done count. A run that was stopped in view of its own results spent what was planned: ask `PrivacyPlan.epsilon`.

        Parameters
        ----------
        delta : float
            In (0, 1); "pld" needs at least 1e-10 unless nothing is amplified.
        method : {"pld", "rdp"}

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If an argument is outside its range.
        """
        delta = _delta(delta)
        arguments.choice("method", method, METHODS)
        return _spent(tuple(_charges(self.entries)), delta, method)

    def as_record(self) -> dict[str, Any]:
        """Return the ledger as plain lists, numbers and strings, for JSON."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Ledger":
        """Rebuild a ledger from `as_record`, checking every entry as `record` does. Equal entries are two runs and stay apart."""
        ledger = cls(record["noise_source"])
        for entry in record["entries"]:
            given, alone = entry.get("correlation"), cls()
            alone.record(**{**entry, "correlation": given and Correlation(**given)})
            ledger.entries.extend(alone.entries)
        return ledger

    def __str__(self) -> str:
        return ("\n".join(map(str, self.entries)) or "nothing released") + f" (noise: {self.noise_source})"


def batches_per_pass(sampling_rate: float) -> int:
    """Batches into which a pass deals the records: ``floor(1 / sampling_rate)``, forgiving rounding."""
    return int(1 / sampling_rate + 1e-9)


def check_sampler(name: str, sampler: str, rate: float, correlation: Correlation | None) -> None:
    """Refuse a rate or a correlation that does not go with the sampler; ``name`` is what the caller calls the sampler."""
    if correlation is not None and sampler not in ("cyclic", "full"):
        raise ValueError(f"{name} is {sampler!r}, but must be 'cyclic' or 'full' where noise is correlated")
    if sampler == "full" and rate != 1:
        raise ValueError(f"sampling_rate is {rate!r}, but must be 1 where {name} is 'full'")
    if sampler in ("shuffle", "cyclic") and rate == 0:
        raise ValueError(f"sampling_rate is {rate!r}, but must be > 0 where {name} is {sampler!r}")
    if sampler == "cyclic" and abs(batches_per_pass(rate) * rate - 1) > 1e-9:
        raise ValueError(f"sampling_rate is {rate!r}, but must be 1/b for a whole number b where {name} is 'cyclic'")


def _charges(entries: Sequence[Release]) -> Iterator[Steps]:
    """What each entry is charged as. A later shuffled entry may begin in mid-pass, hence touch one pass more."""
    shuffled_before = False
    for entry in entries:
        if entry.sampler == "none":
            yield Steps(1.0, 0.0, entry.steps)
        elif entry.sampler == "shuffle":
            batches = batches_per_pass(entry.sampling_rate)
            passes = 1 + ceil((entry.steps - 1) / batches) if shuffled_before else ceil(entry.steps / batches)
            shuffled_before = True
            yield Steps(1.0, entry.noise_multiplier, passes)
        elif entry.sampler == "cyclic" or entry.correlation is not None:
            yield Steps(1.0, entry.noise_multiplier / entry.sensitivity, 1)
        else:
            yield Steps(entry.sampling_rate, entry.noise_multiplier, entry.steps)


@lru_cache(maxsize=4096)
def _spent(schedule: tuple[Steps, ...], delta: float, method: str) -> float:
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


def _delta(delta: float) -> float:
    return arguments.real("delta", delta, above=0, below=1)


def _steps(noise_multiplier: float, sampling_rate: float, steps: int) -> Steps:
    rate = arguments.real("sampling_rate", sampling_rate, at_least=0, at_most=1)
    return Steps(rate, _sigma(noise_multiplier), arguments.whole("steps", steps))
