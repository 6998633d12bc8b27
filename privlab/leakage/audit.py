"""Empirical lower bounds on epsilon: run a mechanism often on two neighbouring data sets and try to tell them apart.

A bound is only as good as its statistics, so each one comes with two controls made with as many trials: a *null run*, in which
nothing can be told apart and any bound above 0 is false, and an *oracle run*, on a Gaussian mechanism whose epsilon is known.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.masking import gaussian_noise_multiplier
from privlab.randomness import stream

Mechanism = Callable[[Any, np.random.Generator], ArrayLike]
Statistic = Callable[[NDArray], NDArray]

REPEATS = 200  # null runs and oracle runs
ORACLE_EPSILON = 4.0
ORACLE_DELTA = 1e-5  # used where delta is 0: no Gaussian keeps a finite epsilon there
BINS = 16  # of the likelihood ratio


@dataclass(frozen=True)
class Audit:
    """What an audit found, and how far to trust it.

    Attributes
    ----------
    epsilon : float
        Lower bound at ``delta``, in nats: a mechanism that keeps a smaller epsilon is called worse than it is with probability at
        most ``1 - confidence``. 0 says that nothing was found, not that nothing leaks.
    false_positive_rate : float
        Share of 200 null runs, same outputs with sides drawn by lot, whose bound is above 0.
    oracle_false_positive_rate : float
        Share of 200 oracle runs, a Gaussian of epsilon 4 with as many trials, whose bound is above 4.
    efficiency : float
        Median bound of the oracle runs over 4: the share of a true epsilon that so many trials can show.
    evidence : str
        The event and the counts that the bound rests on.
    trials : int
        Runs on each side, or canaries.
    delta, confidence : float
        As asked for.

    Examples
    --------
    >>> print(Audit(1.25, 0.01, 0.0, 0.4, "output >= 3: 5 of 100 without, 60 of 100 with", 200, 1e-5, 0.95))
    epsilon >= 1.25 at delta 1e-05 (95 %; output >= 3: 5 of 100 without, 60 of 100 with)
    null runs above 0: 1.0 %; oracle runs above the truth: 0.0 %, efficiency 40 %
    """

    epsilon: float
    false_positive_rate: float
    oracle_false_positive_rate: float
    efficiency: float
    evidence: str
    trials: int
    delta: float
    confidence: float

    def __str__(self) -> str:
        return (
            f"epsilon >= {self.epsilon:.2f} at delta {self.delta:g} ({self.confidence:.0%}; {self.evidence})\n"
            f"null runs above 0: {self.false_positive_rate:.1%}; oracle runs above the truth: "
            f"{self.oracle_false_positive_rate:.1%}, efficiency {self.efficiency:.0%}"
        ).replace("%", " %")


def audit(
    mechanism: Mechanism,
    neighbours: Sequence[Any],
    *,
    trials: int,
    delta: float = 0.0,
    confidence: float = 0.95,
    seed: int = 0,
) -> Audit:
    """Bound a mechanism's epsilon from below by its outputs alone, for one pair of data sets (add or remove one record).

    A quarter of the trials of each side teaches statistics: the output itself, or for vectors its projection on the difference of
    the means and its distance from the mean; and of each the likelihood ratio over 16 bins and point masses, where NaN is an
    event of its own. The second quarter chooses one of them and a threshold, the rest gives Clopper-Pearson intervals of
    both probabilities of that one event, hence ``epsilon >= log((p - delta) / q)`` (Jagielski, Ullman & Oprea 2020).

    Parameters
    ----------
    mechanism : callable
        ``mechanism(data, rng)`` returns a number or an array, of one shape for both data sets. All its randomness must come
        from ``rng``, or be drawn anew in each call.
    neighbours : pair
        The data, and the data with one record more. A poor pair shows little: the bound holds for this pair.
    trials : int
        Runs on each of the two, at least 40. No bound exceeds about ``log(trials / 7)``.
    delta : float
        In [0, 1).
    confidence : float
        In (0, 1).
    seed : int
        Public seed of the generator that the mechanism is given.

    Returns
    -------
    Audit

    Raises
    ------
    ValueError
        If an argument is not allowed, or the outputs differ in size.

    Examples
    --------
    >>> def leaky(data, rng):
    ...     return sum(data) + rng.laplace(scale=0.1)
    >>> audit(leaky, ([3, 4], [3, 4, 1]), trials=400).epsilon > 2
    True
    """
    if not isinstance(neighbours, Sequence) or len(neighbours) != 2:
        raise ValueError(
            f"neighbours is {neighbours!r}, but must be a pair: the data, and the data with one record more"
        )
    trials = arguments.whole("trials", trials, at_least=40)
    delta = arguments.real("delta", delta, at_least=0, below=1)
    confidence = arguments.real("confidence", confidence, above=0, below=1)
    outputs = outputs_of(mechanism, neighbours, trials, seed)
    bound, evidence = _bound(outputs, delta, confidence)
    pooled, draw = outputs.reshape(2 * trials, -1), stream(seed, "audit", "null")
    lots = (pooled[draw.permutation(2 * trials)].reshape(outputs.shape) for _ in range(REPEATS))
    false_positives = np.mean([_bound(lot, delta, confidence)[0] > 0 for lot in lots])
    exceeded, efficiency = _oracle(trials, delta or ORACLE_DELTA, confidence)
    return Audit(bound, float(false_positives), exceeded, efficiency, evidence, trials, delta, confidence)


def outputs_of(mechanism: Mechanism, neighbours: Sequence[Any], trials: int, seed: int) -> NDArray[np.float64]:
    """Run the mechanism and return what it said, shape (2, trials, d)."""
    # In random order: a mechanism that drifts from call to call must not look like one that tells the sides apart.
    order, draw = stream(seed, "audit", "order").permutation(2 * trials), stream(seed, "audit", "mechanism")
    outputs = {
        run: np.asarray(mechanism(neighbours[run // trials], draw), dtype=np.float64).ravel() for run in order.tolist()
    }
    sizes = {output.size for output in outputs.values()}
    if len(sizes) > 1 or not min(sizes):
        raise ValueError(
            f"mechanism returns {sorted(sizes)} numbers, but must return the same number, at least 1, each time"
        )
    return np.stack([outputs[run] for run in range(2 * trials)]).reshape(2, trials, -1)


def _bound(outputs: NDArray, delta: float, confidence: float) -> tuple[float, str]:
    """Choose an event on the first half of the trials and return the second half's bound, with its evidence."""
    trials = outputs.shape[1]
    learn, choose, test = np.split(outputs, [trials // 4, trials // 2], axis=1)
    choices = []
    for name, statistic in statistics(learn):
        scores = statistic(choose)
        thresholds = np.unique(scores)
        counts = np.stack([len(side) - np.searchsorted(np.sort(side), thresholds) for side in scores])
        for way in (1, -1):  # which side the event is to be rarer on
            found = lower_bound(counts[::way], choose.shape[1], delta, confidence)
            choices.append((found.max(), way, thresholds[found.argmax()], name, statistic))
    _, way, threshold, name, statistic = max(choices, key=lambda choice: choice[0])
    seen, number = (statistic(test) >= threshold).sum(1), test.shape[1]
    evidence = f"{name} >= {threshold:.4g}: {seen[0]} of {number} without, {seen[1]} of {number} with the record"
    return float(lower_bound(seen[::way], number, delta, confidence)), evidence


def statistics(learn: NDArray) -> Iterator[tuple[str, Statistic]]:
    """Yield named functions from outputs (..., d) to numbers (...); what they learn is learnt from ``learn``, (2, n, d)."""
    plain: dict[str, Statistic] = {"output": lambda outputs: outputs[..., 0]}
    if learn.shape[-1] > 1:
        sides = [side[np.isfinite(side).all(-1)] for side in learn]
        means = [side.mean(0) if len(side) else np.zeros(learn.shape[-1]) for side in sides]
        direction, middle = means[1] - means[0], (means[0] + means[1]) / 2

        def projection(outputs: NDArray) -> NDArray:
            return _where_finite(outputs, lambda finite: finite @ direction)

        def distance(outputs: NDArray) -> NDArray:
            return _where_finite(outputs, lambda finite: np.sqrt(((finite - middle) ** 2).sum(-1)))

        plain = {"projection on the mean difference": projection, "distance from the mean": distance}
    for name, statistic in plain.items():
        yield name, partial(_ordered, statistic)
        yield f"likelihood ratio of {name}", _likelihood_ratio(statistic, statistic(learn))


def _ordered(statistic: Statistic, outputs: NDArray) -> NDArray:
    """The statistic with NaN above all numbers: beside infinity, from which the likelihood ratio tells it apart."""
    numbers = statistic(outputs)
    return np.where(np.isnan(numbers), np.inf, numbers)


def _where_finite(outputs: NDArray, statistic: Statistic) -> NDArray:
    finite = np.isfinite(outputs).all(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(finite, statistic(np.where(finite[..., None], outputs, 0.0)), np.nan)


def _likelihood_ratio(statistic: Statistic, learn: NDArray) -> Statistic:
    """Return the log ratio of the two sides' frequencies in the bin that an output falls in, learnt from numbers (2, n)."""
    known = np.sort(learn[~np.isnan(learn)])
    quantiles = known[np.linspace(0, len(known) - 1, BINS + 1).astype(int)] if len(known) else known
    values, counts = np.unique(known, return_counts=True)
    masses = values[counts > 1][np.argsort(-counts[counts > 1], kind="stable")[: 4 * BINS]]
    # A point mass is a bin of its own: from itself to the next float.
    edges = np.unique(np.concatenate([quantiles, masses, np.nextafter(masses, np.inf)]))

    def bins(numbers: NDArray) -> NDArray:
        return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, side="right"))

    frequency = np.stack([np.bincount(side, minlength=len(edges) + 2) for side in bins(learn)]) + 0.5
    ratios = np.log(frequency[1] / frequency[0])
    return lambda outputs: ratios[bins(statistic(outputs))]


def lower_bound(counts: NDArray, number: int, delta: float, confidence: float) -> NDArray:
    """Lower bounds from events seen ``counts[0]`` times of ``number`` on one side and ``counts[1]`` on the other, at least 0."""
    low, high = clopper_pearson(number, confidence)
    p, q = low[counts[1]], high[counts[0]]
    gains = np.maximum(p - delta, q), np.maximum(1 - q - delta, 1 - p)  # the event, and its complement
    return np.log(np.maximum(gains[0] / q, gains[1] / (1 - p)))


@lru_cache(maxsize=64)
def clopper_pearson(number: int, confidence: float) -> tuple[NDArray, NDArray]:
    """Return lower and upper ends of the interval for a probability, for 0, 1, …, ``number`` successes in ``number`` trials.

    Both ends hold together with probability ``confidence`` (Clopper & Pearson 1934), also where each is of a different event.
    """
    tail, successes = (1 - confidence) / 2, np.arange(number + 1.0)
    low = np.append(0.0, scipy.special.betaincinv(successes[1:], number - successes[1:] + 1, tail))
    return low, 1 - low[::-1]


@lru_cache(maxsize=64)
def _oracle(trials: int, delta: float, confidence: float) -> tuple[float, float]:
    """How often bounds of a Gaussian of epsilon 4 exceed 4, and their median over 4."""
    draw, gap = stream(0, "audit", "oracle"), 1 / gaussian_noise_multiplier(ORACLE_EPSILON, delta)
    shift = np.array([0.0, gap])[:, None, None]
    bounds = [_bound(shift + draw.standard_normal((2, trials, 1)), delta, confidence)[0] for _ in range(REPEATS)]
    return float(np.mean(np.greater(bounds, ORACLE_EPSILON))), float(np.median(bounds)) / ORACLE_EPSILON
