"""One frozen plan of a private training run, from which sampler, clip, noise and accountant all come, so they cannot disagree."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.masking.accounting import Ledger, noise_multiplier

SAMPLERS = ("poisson", "full", "shuffle")


@dataclass(frozen=True)
class PrivacyPlan:
    """DP-SGD: sample, clip each example's gradient, sum, add noise (Abadi et al. 2016).

    Neighbouring data sets differ in one record, added or removed. A step releases the SUM of clipped gradients plus
    N(0, (noise_multiplier * clip_norm)^2) in every coordinate.

    Parameters
    ----------
    noise_multiplier : float
        Standard deviation of the noise in units of ``clip_norm``, at least 0; 0 clips without noise, and epsilon is infinite.
    clip_norm : float
        Bound on the L2 norm of one example's gradient, above 0.
    sampling_rate : float
        Probability, in (0, 1], that a record takes part in a step.
    steps : int
        Number of releases, at least 1.
    sampling : {"poisson", "full", "shuffle"}
        "poisson": each record takes part independently. "full": all take part, the rate must be 1. "shuffle": each pass deals all
        records out to ``floor(1 / sampling_rate)`` batches; it is charged without amplification.

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

    def __post_init__(self) -> None:
        arguments.real("noise_multiplier", self.noise_multiplier, at_least=0)
        arguments.real("clip_norm", self.clip_norm, above=0)
        arguments.real("sampling_rate", self.sampling_rate, above=0, at_most=1)
        arguments.whole("steps", self.steps)
        arguments.choice("sampling", self.sampling, SAMPLERS)
        if self.sampling == "full" and self.sampling_rate != 1:
            raise ValueError(f"sampling_rate is {self.sampling_rate!r}, but must be 1 where sampling is 'full'")

    @classmethod
    def for_epsilon(
        cls, epsilon: float, delta: float, *, clip_norm: float, sampling_rate: float, steps: int
    ) -> "PrivacyPlan":
        """Return the Poisson plan with the least noise that spends at most ``epsilon`` at ``delta``."""
        sigma = noise_multiplier(epsilon=epsilon, sampling_rate=sampling_rate, steps=steps, delta=delta)
        return cls(sigma, clip_norm, sampling_rate, steps)

    def epsilon(self, delta: float) -> float:
        """Return what the whole run will spend at ``delta``."""
        ledger = Ledger()
        self.record(ledger, self.steps)
        return ledger.epsilon(delta)

    def record(self, ledger: Ledger, steps: int = 1) -> None:
        """Write releases into the ledger. A step whose batch happens to be empty is a release like any other."""
        ledger.record(self.sampling, self.sampling_rate, self.noise_multiplier, steps)

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
        for _ in range(self.steps):
            yield members if self.sampling_rate == 1 else members & (rng.random(members.shape) < self.sampling_rate)

    def noise(self, like: Mapping[str, NDArray], rng: np.random.Generator) -> Iterator[dict[str, NDArray]]:
        """Yield, for each step, N(0, (noise_multiplier * clip_norm)^2) noise for every array in ``like``.

        It is drawn one step ahead in a second thread, which costs a training loop next to nothing where there is a second core:
        NumPy draws without holding the interpreter's lock. What was yielded is overwritten two steps later.
        """
        ends = np.cumsum([array.size for array in like.values()])
        dtype = next(iter(like.values())).dtype
        buffers = [np.empty(ends[-1], dtype) for _ in range(2)]  # one is drawn into while the other is in use
        parts = [zip(like, np.split(flat, ends[:-1]), strict=True) for flat in buffers]
        views = [{name: part.reshape(like[name].shape) for name, part in named} for named in parts]
        with ThreadPoolExecutor(1) as thread:
            ahead = thread.submit(rng.standard_normal, None, dtype, buffers[0])
            for step in range(self.steps):
                flat = ahead.result()
                if step + 1 < self.steps:
                    ahead = thread.submit(rng.standard_normal, None, dtype, buffers[(step + 1) % 2])
                flat *= self.noise_multiplier * self.clip_norm
                yield views[step % 2]

    def _shuffled(self, members: NDArray[np.bool_], rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
        batches = int(1 / self.sampling_rate + 1e-9)
        for step in range(self.steps):
            if step % batches == 0:
                keys = np.where(members, rng.random(members.shape), np.inf)
                ranks = keys.argsort(-1).argsort(-1)
                batch_of = ranks * batches // np.maximum(members.sum(-1, keepdims=True), 1)
            yield members & (batch_of == step % batches)
