"""Judging an attack: the receiver operating characteristic of its scores, with its uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.randomness import stream


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic, one point per distinct score.

    Attributes
    ----------
    false_positive_rates, true_positive_rates : ndarray
        Non-decreasing, from (0, 0) to (1, 1). Equal scores fall together: no threshold can part them.
    non_members, members : int
        How many of each were judged.
    """

    false_positive_rates: NDArray
    true_positive_rates: NDArray
    non_members: int
    members: int

    @property
    def auc(self) -> float:
        """Area under the curve: the chance that a random member outscores a random non-member, ties counted half."""
        return float(np.trapezoid(self.true_positive_rates, self.false_positive_rates))

    @property
    def advantage(self) -> float:
        """Largest difference of true- and false-positive rate (Yeom et al. 2018, definition 4)."""
        return float((self.true_positive_rates - self.false_positive_rates).max())

    def tpr_at(self, fpr: float) -> float:
        """Return the best true-positive rate with at most ``fpr`` false positives, ``fpr`` in [0, 1]."""
        return float(self.tprs_at([fpr])[0])

    def tprs_at(self, fprs: Sequence[float] | NDArray) -> NDArray:
        """Return `tpr_at` of every element of ``fprs``."""
        for fpr in fprs:
            arguments.real("fpr", float(fpr), at_least=0, at_most=1)
        # The product with the count is rounded: 0.01 * 300 must allow 3 false positives.
        allowed = np.floor(np.asarray(fprs) * self.non_members + 1e-9)
        counts = np.rint(self.false_positive_rates * self.non_members)
        return self.true_positive_rates[np.searchsorted(counts, allowed, side="right") - 1]

    def band(self, fprs: Sequence[float] | NDArray, *, confidence: float = 0.95) -> tuple[NDArray, NDArray]:
        """Return the Clopper-Pearson interval of `tpr_at` at every element of ``fprs``, as if scores were independent."""
        arguments.real("confidence", confidence, above=0, below=1)
        hits = np.rint(self.tprs_at(fprs) * self.members)
        tail = (1 - confidence) / 2
        low = np.where(hits > 0, scipy.special.betaincinv(hits, self.members - hits + 1, tail), 0.0)
        high = np.where(hits < self.members, scipy.special.betaincinv(hits + 1, self.members - hits, 1 - tail), 1.0)
        return low, high


def bootstrap_band(
    scores: ArrayLike,
    members: ArrayLike,
    fprs: Sequence[float] | NDArray,
    *,
    confidence: float = 0.95,
    repeats: int = 500,
    seed: int = 0,
) -> tuple[NDArray, NDArray]:
    """Confidence band of a pooled ROC whose scores are independent across models but not within one.

    Models are drawn with replacement and the curve of each draw is read at ``fprs``. Where few events leave the bootstrap no
    spread, the exact binomial interval is wider and is taken instead.

    Parameters
    ----------
    scores, members : array_like, shape (K, n)
        Of K target models, as for `roc`.
    fprs : sequence of float
        Increasing false-positive rates in (0, 1].
    confidence : float
        Of each point of the band, in (0, 1).
    repeats, seed : int
        Number of draws; their public seed.

    Returns
    -------
    low, high : ndarray
        Shaped like ``fprs``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> members = rng.random((20, 300)) < 0.5
    >>> low, high = bootstrap_band(rng.standard_normal((20, 300)) + members, members, [0.1])
    >>> bool(low[0] < 0.39 < high[0])
    True
    """
    curve = roc(scores, members)
    values, inside = np.asarray(scores, dtype=np.float64), np.asarray(members)
    low, high = curve.band(fprs, confidence=confidence)
    # Thresholds at the wanted rates and between; per model, how many members and others reach each.
    thresholds = np.unique(np.quantile(values[~inside], 1 - np.append(np.asarray(fprs), np.geomspace(1e-4, 1, 200))))
    above = [
        [len(v) - np.searchsorted(np.sort(v), thresholds) for v in (s[m], s[~m])]
        for s, m in zip(values, inside, strict=True)
    ]
    weights = stream(seed, "bootstrap").multinomial(len(values), np.full(len(values), 1 / len(values)), size=repeats)
    reached = np.einsum("rk,kjt->rjt", weights, np.array(above, dtype=np.float64))
    totals = weights @ np.stack([inside.sum(1), (~inside).sum(1)], axis=1)
    rates = reached / totals[:, :, None]
    draws = np.stack([np.interp(fprs, false[::-1], true[::-1]) for true, false in rates])
    tail = 100 * (1 - confidence) / 2
    bootstrap_low, bootstrap_high = np.percentile(draws, [tail, 100 - tail], axis=0)
    return np.minimum(low, bootstrap_low), np.maximum(high, bootstrap_high)


def roc(scores: ArrayLike, members: ArrayLike) -> Roc:
    """Judge scores, pooled over all axes.

    Parameters
    ----------
    scores : array_like
        Higher = "was a member"; no NaN.
    members : array_like of bool
        The truth, shaped like ``scores``; at least one member and one non-member.

    Raises
    ------
    ValueError
        If shapes differ, a score is NaN, or one kind is missing.

    Examples
    --------
    >>> curve = roc([3, 2, 1, 0], [True, True, False, False])
    >>> curve.auc, curve.tpr_at(0.0)
    (1.0, 1.0)
    """
    flat, truth = np.asarray(scores, dtype=np.float64).ravel(), np.asarray(members)
    if truth.dtype != bool or truth.shape != np.shape(scores):
        raise ValueError(
            f"members has dtype {truth.dtype} and shape {truth.shape}, but must be bool {np.shape(scores)}"
        )
    if np.isnan(flat).any():
        raise ValueError(f"scores has {int(np.isnan(flat).sum())} NaN value(s), but all must be numbers")
    truth = truth.ravel()
    hits, false_alarms = int(truth.sum()), int((~truth).sum())
    if hits == 0 or false_alarms == 0:
        raise ValueError(f"members has {hits} members and {false_alarms} non-members, but must have both")
    order = np.argsort(-flat, kind="stable")
    ends = np.append(
        np.flatnonzero(np.diff(flat[order])), flat.size - 1
    )  # the last index of each block of equal scores
    true_positives = np.cumsum(truth[order])[ends]
    return Roc(
        np.append(0.0, (ends + 1 - true_positives) / false_alarms),
        np.append(0.0, true_positives / hits),
        false_alarms,
        hits,
    )
