"""One frozen plan of a private training run, from which sampler, clip, noise and accountant all come, so they cannot disagree."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.masking.accounting import gaussian_noise_multiplier, noise_multiplier
from privlab.masking.correlated import NAMES, Correlation
from privlab.masking.gaussian import raised
from privlab.masking.ledger import Ledger, batches_per_pass, check_sampler
from privlab.randomness import fill_normal

SAMPLERS = ("poisson", "full", "shuffle", "cyclic")


@dataclass(frozen=True)
class PrivacyPlan:
    """DP-SGD: sample, clip each example's gradient, sum, add noise (Abadi et al. 2016).

    Neighbouring data sets differ in one record, added or removed; for "shuffle" and "cyclic" replaced by nothing, so that the
    others keep their places. A step releases the SUM of clipped gradients plus N(0, (noise_multiplier * clip_norm)^2) in every
    coordinate, independent of other steps' noise unless there is a correlation.

    Parameters
    ----------
    noise_multiplier : float
        Standard deviation of a step's fresh noise in units of ``clip_norm``, at least 0; 0 clips without noise, and epsilon is
        infinite. A run that is not amplified spends ``gaussian_epsilon(noise_multiplier / sensitivity, delta)``, with the
        sensitivity of the whole run: the square root of a record's passes, or `Correlation.sensitivity`.
    clip_norm : float
        Bound on the L2 norm of one example's gradient, above 0.
    sampling_rate : float
        Probability, in (0, 1], that a record takes part in a step.
    steps : int
        Number of releases, at least 1.
    sampling : {"poisson", "full", "shuffle", "cyclic"}
        "poisson": each record takes part independently. "full": all take part, the rate must be 1. "shuffle": each pass deals all
        records out to ``floor(1 / sampling_rate)`` batches. "cyclic": the rate is 1/b, and the record in place i takes part in
        steps i mod b, i mod b + b, …, whatever the other records are. The last three are charged without amplification.
    correlation : Correlation or {"tree", "square-root", "banded-square-root", "one-step"} or None
        How noise depends on earlier steps' noise, for "cyclic" and "full" only, as it needs a known distance between a record's
        steps; a name stands for `Correlation.suited`. None for independent noise.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> plan = PrivacyPlan(noise_multiplier=1.0, clip_norm=1.0, sampling_rate=0.05, steps=500)
    >>> 5 < plan.epsilon(1e-4) < 8
    True
    """

    noise_multiplier: float
    clip_norm: float
    sampling_rate: float
    steps: int
    sampling: str = "poisson"
    correlation: Correlation | str | None = None

    def __post_init__(self) -> None:
        arguments.real("noise_multiplier", self.noise_multiplier, at_least=0)
        arguments.real("clip_norm", self.clip_norm, above=0)
        arguments.real("sampling_rate", self.sampling_rate, above=0, at_most=1)
        arguments.whole("steps", self.steps)
        arguments.choice("sampling", self.sampling, SAMPLERS)
        if self.correlation is not None and not isinstance(self.correlation, Correlation):
            name, batches = (
                arguments.choice("correlation", self.correlation, NAMES),
                batches_per_pass(self.sampling_rate),
            )
            object.__setattr__(self, "correlation", Correlation.suited(name, self.steps, batches))
        check_sampler("sampling", self.sampling, self.sampling_rate, self._correlation)

    @classmethod
    def for_epsilon(
        cls,
        epsilon: float,
        delta: float,
        *,
        clip_norm: float,
        sampling_rate: float,
        steps: int,
        sampling: str = "poisson",
        correlation: Correlation | str | None = None,
    ) -> "PrivacyPlan":
        """Return the plan with the least noise that spends at most ``epsilon`` at ``delta``."""
        unit = cls(1.0, clip_norm, sampling_rate, steps, sampling, correlation)
        if sampling == "poisson":
            sigma = noise_multiplier(epsilon=epsilon, sampling_rate=sampling_rate, steps=steps, delta=delta)
            return replace(unit, noise_multiplier=sigma)
        sigma = gaussian_noise_multiplier(epsilon, delta) * unit._released().entries[0].sensitivity
        sigma = raised(sigma, 1e-11, lambda sigma: replace(unit, noise_multiplier=sigma).epsilon(delta) <= epsilon)
        return replace(unit, noise_multiplier=sigma)

    def epsilon(self, delta: float) -> float:
        """Return what the whole run will spend at ``delta``."""
        return self._released().epsilon(delta)

    def record(self, ledger: Ledger, steps: int = 1) -> None:
        """Write releases into the ledger. A step whose batch happens to be empty is a release like any other."""
        ledger.record(self.sampling, self.sampling_rate, self.noise_multiplier, steps, self._correlation, self.steps)

    def running_sum_error(self) -> float:
        """Return the root mean square, over steps and coordinates, of the noise in the running sums of gradients, in clip norms."""
        correlation = self._correlation
        per_unit = correlation.running_sum_error(self.steps) if correlation else sqrt((self.steps + 1) / 2)
        return self.noise_multiplier * per_unit

    def batches(self, members: NDArray[np.bool_], rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
        """Yield, for each step, who takes part.

        Parameters
        ----------
        members : ndarray of bool, shape (..., n)
            Who is in the training set, per replica.
        rng : numpy.random.Generator
            Whoever can predict it undoes the amplification by sampling.

        Yields
        ------
        ndarray of bool, shape (..., n)
        """
        if self.sampling == "shuffle":
            yield from self._shuffled(members, rng)
            return
        if self.sampling == "cyclic":
            # By place alone: a dealing that even counted the members would move others when one of them leaves.
            batch_of = np.arange(members.shape[-1]) % batches_per_pass(self.sampling_rate)
            for step in range(self.steps):
                yield members & (batch_of == step % batches_per_pass(self.sampling_rate))
            return
        for _ in range(self.steps):
            yield members if self.sampling_rate == 1 else members & (rng.random(members.shape) < self.sampling_rate)

    def noise(self, like: Mapping[str, NDArray], rng: np.random.Generator) -> Iterator[dict[str, NDArray]]:
        """Yield, for each step, noise for every array in ``like``: N(0, (noise_multiplier * clip_norm)^2), or correlated from it.

        What was yielded is overwritten by the next step's.
        """
        ends = np.cumsum([array.size for array in like.values()])
        flat = np.empty(ends[-1], next(iter(like.values())).dtype)
        parts = zip(like.items(), np.split(flat, ends[:-1]), strict=True)
        views = {name: part.reshape(array.shape) for (name, array), part in parts}
        drawn: Iterator[NDArray] = (fill_normal(rng, flat) for _ in range(self.steps))
        if self._correlation is not None:
            drawn = self._correlation.stream(drawn, self.steps)
        for noise in drawn:
            noise *= self.noise_multiplier * self.clip_norm
            yield views

    @property
    def _correlation(self) -> Correlation | None:
        """The correlation, of which `__post_init__` has left no bare name."""
        return self.correlation if isinstance(self.correlation, Correlation) else None

    def _released(self) -> Ledger:
        ledger = Ledger()
        self.record(ledger, self.steps)
        return ledger

    def _shuffled(self, members: NDArray[np.bool_], rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
        batches = batches_per_pass(self.sampling_rate)
        for step in range(self.steps):
            if step % batches == 0:
                keys = np.where(members, rng.random(members.shape), np.inf)
                ranks = keys.argsort(-1).argsort(-1)
                batch_of = ranks * batches // np.maximum(members.sum(-1, keepdims=True), 1)
            yield members & (batch_of == step % batches)


def running_sum_errors(epsilon: float, delta: float, *, steps: int, batches: int) -> dict[str, float]:
    """Noise in the running sums of gradients under each kind of noise, all spending the same: where correlation pays.

    Parameters
    ----------
    epsilon, delta : float
        What each run of ``steps`` steps spends, as for `gaussian_noise_multiplier`; delta at least 1e-10.
    steps, batches : int
        Length of the run, and steps in a pass over the data; the sampling rate is 1 / batches.

    Returns
    -------
    dict of str to float
        `PrivacyPlan.running_sum_error` in clip norms: "independent" noise without and "amplified" with Poisson sampling, and each
        correlation by its name, with parameters as `Correlation.suited` has them.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> errors = running_sum_errors(8.0, 1e-5, steps=512, batches=64)
    >>> round(errors["banded-square-root"] / errors["amplified"], 2)
    0.59
    """
    rate = 1 / arguments.whole("batches", batches)

    def error(sampling: str, correlation: str | None = None) -> float:
        return PrivacyPlan.for_epsilon(
            epsilon,
            delta,
            clip_norm=1.0,
            sampling_rate=rate,
            steps=steps,
            sampling=sampling,
            correlation=correlation,
        ).running_sum_error()

    white = {"independent": error("cyclic"), "amplified": error("poisson")}
    return white | {name: error("cyclic", name) for name in NAMES}
