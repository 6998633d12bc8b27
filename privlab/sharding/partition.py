"""Data over workers: who gets which record, how uneven that is, and whether one record can move another.

Epsilon of a sharded run is the maximum over shards (parallel composition, McSherry 2009) only where one record changes one shard.
Partitions that count records break this: take one record away, and the cuts move. Partitions that draw each record's shard from its
own id keep it. Both kinds draw from the same distribution over shards, so the skew is the same.
"""

import hashlib
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.randomness import stream

METHODS = ("iid", "dirichlet", "label", "power-law", "hash")
READ_LABELS = ("dirichlet", "label")


def partition(
    labels: ArrayLike,
    shards: int,
    *,
    how: str = "iid",
    alpha: float = 1.0,
    seed: int = 0,
    ids: ArrayLike | None = None,
    classes: int | None = None,
) -> list[NDArray[np.intp]]:
    """Deal records out: every record in exactly one shard.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Class of each record.
    shards : int
        Number of shards, at least 1. With few records or much skew some are empty: they stay in the list, with length 0.
    how : {"iid", "dirichlet", "label", "power-law", "hash"}
        "iid": shuffled, sizes differ by at most 1. "dirichlet": each label is spread by weights from a symmetric Dirichlet (Hsu et
        al. 2019). "label": sorted by label, cut into equal blocks (McMahan et al. 2017, with one block per client). "power-law":
        sizes as ``rank ** -alpha``. "hash": each record falls into a uniform shard by its id, by its row number without ``ids``.
    alpha : float
        Dirichlet concentration, above 0 (small is skewed), or exponent of the power law, at least 0 (large is skewed).
    seed : int
        Public seed.
    ids : array_like of int or str, shape (n,), or None
        Lasting names of the records. With them every method is stable: a record's shard depends on its id and label, ``seed`` and
        settings, on no other record; sizes then follow the weights up to chance. Records with one id stay together, unless ``how``
        reads labels and theirs differ.
    classes : int or None
        Public number of classes, needed by "label" with ``ids``: labels are below it.

    Returns
    -------
    list of ndarray of int
        Row numbers of each shard, ascending.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> partition([0, 1, 0, 1], 2, how="label")
    [array([0, 2]), array([1, 3])]
    """
    labels = _labels(labels)
    points = _own_points(labels.size, how, seed, ids)
    homes = _homes(labels, shards, how, alpha, seed, points, classes)
    return np.split(np.argsort(homes, kind="stable"), np.cumsum(np.bincount(homes, minlength=shards))[:-1])


@dataclass(frozen=True)
class Sensitivity:
    """What one record moves.

    ``shards_changed`` and ``records_moved``, integers of shape (trials,), count for each record tried the shards whose content
    differs between neighbours, and the *other* records that end up elsewhere. ``bound`` is the number of shards that one record can
    change in any data set at all: proved, from what a record's shard depends on.
    """

    shards_changed: NDArray[np.intp]
    records_moved: NDArray[np.intp]
    bound: int

    @property
    def composes_in_parallel(self) -> bool:
        """Whether epsilon of the run is the maximum over shards."""
        return self.bound == 1


def partition_sensitivity(
    labels: ArrayLike,
    shards: int,
    *,
    how: str = "iid",
    alpha: float = 1.0,
    seed: int = 0,
    ids: ArrayLike | None = None,
    classes: int | None = None,
    neighbours: str = "remove",
    trials: int = 100,
) -> Sensitivity:
    """Count the shards that change when one record does: measured on these data, and bounded for all.

    Parameters
    ----------
    labels, shards, how, alpha, seed, ids, classes
        As for `partition`. Without ids, rows behind a removed one move up; where its row stays, masked out, the row numbers are
        names: give ``ids=np.arange(n)``.
    neighbours : {"remove", "replace"}
        "remove": a record is deleted, or, read backwards, added. "replace": it gets another label and, with ``ids``, another id.
    trials : int
        Records tried, chosen at random; all of them where there are no more.

    Returns
    -------
    Sensitivity

    Raises
    ------
    ValueError
        If an argument is not allowed or there is no record.

    Examples
    --------
    >>> people, labels = np.arange(500), np.arange(500) % 10
    >>> partition_sensitivity(labels, 8, how="dirichlet", ids=people).composes_in_parallel
    True
    >>> bool(partition_sensitivity(labels, 8, how="dirichlet").shards_changed.max() > 1)
    True
    """
    labels = _labels(labels)
    arguments.choice("neighbours", neighbours, ("remove", "replace"))
    arguments.whole("trials", trials)
    if not labels.size:
        raise ValueError("labels is empty, but must hold the record to be removed")
    points = _own_points(labels.size, how, seed, ids)
    before = _homes(labels, shards, how, alpha, seed, points, classes)
    rng = stream(seed, "neighbours")
    counts = []
    for row in rng.choice(labels.size, min(trials, labels.size), replace=False):
        others = np.arange(labels.size) != row
        after = before.copy()
        if neighbours == "remove":
            left = None if points is None else points[:-1] if ids is None else points[others]
            after[others] = _homes(labels[others], shards, how, alpha, seed, left, classes)
        else:
            kinds = np.unique(labels[labels != labels[row]])
            changed = np.where(others, labels, rng.choice(kinds) if kinds.size else labels[row])
            renamed = points if points is None or ids is None else np.where(others, points, rng.random())
            after = _homes(changed, shards, how, alpha, seed, renamed, classes)
        moved = before != after
        touched = {before[row], *before[moved], *after[moved]}
        counts.append((len(touched), (moved & others).sum()))
    shards_changed, records_moved = np.array(counts, dtype=np.intp).T
    return Sensitivity(shards_changed, records_moved, min(shards, _bound(how, ids is not None, neighbours) or shards))


@dataclass(frozen=True)
class Imbalance:
    """How uneven shards are: ``sizes`` in records and label ``divergences`` in [0, 1], both of shape (shards,)."""

    sizes: NDArray[np.intp]
    divergences: NDArray[np.float64]

    @property
    def largest_over_mean(self) -> float:
        """Size of the largest shard over the mean: no number of workers makes a run faster than ``shards`` / this."""
        return float(self.sizes.max() / max(self.sizes.mean(), np.finfo(float).tiny))

    @property
    def divergence(self) -> float:
        """Mean of the divergences, each shard weighted by its size."""
        return float(self.divergences @ self.sizes / max(self.sizes.sum(), 1))


def imbalance(shards: Sequence[ArrayLike], labels: ArrayLike) -> Imbalance:
    """Measure a partition of records with ``labels``, shape (n,).

    Divergence is the total variation between a shard's label distribution and that of all records: the share of its records that
    would need another label. An empty shard has 0. Raises `ValueError` where ``shards`` is not a partition of the n records.

    Examples
    --------
    >>> imbalance([[0, 2], [1, 3]], [0, 1, 0, 1]).divergences
    array([0.5, 0.5])
    """
    labels = _labels(labels)
    rows = _rows(shards, labels.size)
    kinds, codes = np.unique(labels, return_inverse=True)
    counts = np.array([np.bincount(codes[part], minlength=kinds.size) for part in rows])
    sizes = counts.sum(1)
    excess = counts - sizes[:, None] * counts.sum(0) / max(labels.size, 1)
    return Imbalance(sizes, abs(excess).sum(1) / 2 / np.maximum(sizes, 1))


def rebalance(shards: Sequence[ArrayLike], *, tolerance: float = 0.0, seed: int = 0) -> list[NDArray[np.intp]]:
    """Move the fewest records that leave no shard larger than ``1 + tolerance`` times the mean, rounded up.

    Which records leave is random by the public ``seed``; each goes to the shard then smallest. This counts, so nothing bounds
    what one record changes; and records change hands. Raises `ValueError` where an argument is not allowed.

    Examples
    --------
    >>> [part.size for part in rebalance([[0, 1, 2, 3, 4], [5]])]
    [3, 3]
    """
    arguments.real("tolerance", tolerance, at_least=0)
    rows = _rows(shards)
    mean = sum(part.size for part in rows) / len(rows)
    limit = math.ceil(mean + min(tolerance, len(rows)) * mean - 1e-9)
    shuffled = [stream(seed, "rebalance", shard).permutation(part) for shard, part in enumerate(rows)]
    kept = [list(part[:limit]) for part in shuffled]
    sizes = [(len(part), shard) for shard, part in enumerate(kept)]
    heapq.heapify(sizes)
    for row in np.concatenate([part[limit:] for part in shuffled]):
        size, shard = sizes[0]
        kept[shard].append(row)
        heapq.heapreplace(sizes, (size + 1, shard))
    return [np.sort(np.array(part, dtype=np.intp)) for part in kept]


def _homes(
    labels: NDArray, shards: int, how: str, alpha: float, seed: int, points: NDArray | None, classes: int | None
) -> NDArray[np.intp]:
    """Shard of each record: where its point in [0, 1) falls among the cumulated weights of the shards."""
    arguments.whole("shards", shards)
    if how == "power-law":
        arguments.real("alpha", alpha, at_least=0)
    else:
        arguments.real("alpha", alpha, above=0, at_most=10**9)
    own_label = how == "label" and points is not None
    known = arguments.whole("classes", classes) if own_label else 1  # type: ignore[arg-type]  # refuses None, too
    if own_label and not np.isin(labels, np.arange(known)).all():
        raise ValueError(f"classes is {known}, but labels run from {labels.min()} to {labels.max()}")
    if points is None:
        points = _mid_ranks(labels, how, seed)
    homes = np.empty(labels.size, dtype=np.intp)
    groups = labels if how == "dirichlet" or own_label else np.zeros_like(labels)
    for group in np.unique(groups):
        weights = np.ones(shards)
        if how == "power-law":
            weights = np.arange(1.0, shards + 1) ** -alpha
        elif how == "dirichlet":
            weights = stream(seed, "label weights", int(group)).dirichlet(np.full(shards, alpha))
        elif own_label:
            weights = (np.arange(shards) % known == group % shards).astype(float)
        ends = np.cumsum(weights)
        homes[groups == group] = np.searchsorted(ends / ends[-1], points[groups == group], side="right")
    return homes


def _own_points(records: int, how: str, seed: int, ids: ArrayLike | None) -> NDArray[np.float64] | None:
    """Points in [0, 1) from each record's own id: nobody else's id or label enters. None for methods that count."""
    arguments.choice("how", how, METHODS)
    seed = arguments.whole("seed", seed, at_least=0)  # a NumPy integer's repr is another
    names = np.arange(records) if ids is None else np.asarray(ids)
    if names.shape != (records,) or (records and names.dtype.kind not in "iuUS"):
        raise ValueError(f"ids has shape {names.shape} and dtype {names.dtype}, but must be {records} ints or strings")
    if ids is None and how != "hash":
        return None
    digests = [hashlib.blake2b(repr((seed, name)).encode(), digest_size=6).digest() for name in names.tolist()]
    return np.array([int.from_bytes(digest, "big") * 2.0**-48 for digest in digests])


def _mid_ranks(labels: NDArray, how: str, seed: int) -> NDArray[np.float64]:
    """Evenly spaced points in a random order, by label where the method reads labels: sizes match the weights to one record."""
    order = stream(seed, "partition").permutation(labels.size)
    if how in READ_LABELS:
        order = order[np.argsort(labels[order], kind="stable")]
    ranks = np.empty(labels.size)
    ranks[order] = np.arange(labels.size) + 0.5
    if how != "dirichlet":
        return ranks / max(labels.size, 1)
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (ranks - (np.cumsum(counts) - counts)[codes]) / counts[codes]


def _bound(how: str, named: bool, neighbours: str) -> int | None:
    """Shards that one record can change at most; None where nothing better than all of them is proved."""
    if named:  # only the changed record can move: it leaves one shard, and where it is replaced, enters another
        return 1 if neighbours == "remove" else 2
    if neighbours == "replace" and how not in READ_LABELS:
        return 1  # shards depend on row numbers alone, and those stay
    return None


def _labels(labels: ArrayLike) -> NDArray:
    array = arguments.finite_array("labels", labels, dimensions=1)
    if array.dtype.kind not in "biu" and array.size:
        raise ValueError(f"labels has dtype {array.dtype}, but must hold integers")
    return array.astype(np.int64)


def _rows(shards: Sequence[ArrayLike], records: int | None = None) -> list[NDArray[np.intp]]:
    rows = [np.asarray(part) for part in shards]
    joined = np.sort(np.concatenate(rows)) if rows else np.zeros(0)
    expected = np.arange(joined.size if records is None else records)
    if not rows or any(part.ndim != 1 for part in rows) or not np.array_equal(joined, expected):
        raise ValueError(f"shards is not a partition: every row from 0 to {expected.size - 1} must be in exactly one")
    return [part.astype(np.intp) for part in rows]
