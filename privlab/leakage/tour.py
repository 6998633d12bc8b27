"""A tour of the museum, kept in a file: its table, and for each bug how often an auditor's score reached each threshold.

python -m privlab.leakage.tour FILE
"""

import json
import sys
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privlab.files import replacing
from privlab.leakage.audit import lower_bound, outputs_of, statistics
from privlab.leakage.exhibits import EXHIBITS, Exhibit
from privlab.leakage.museum import DELTA, Row, museum, run_exhibit

TRIALS = (50, 100, 200, 400, 800)  # on each side
THRESHOLDS = 21


@dataclass(frozen=True)
class Counts:
    """Of how many runs an auditor's score reached a threshold.

    Attributes
    ----------
    bug : str
        "" for the correct specimen.
    score : str
        What was computed from the released updates.
    claimed_epsilon : float
    seen : tuple, shape (number of `TRIALS`, 2, `THRESHOLDS`)
        Runs among the first 50, 100, … without (0) and with (1) the record; thresholds from low to high.
    fresh : tuple, same shape
        The same thresholds on as many runs that nobody has looked at.
    """

    bug: str
    score: str
    claimed_epsilon: float
    seen: tuple[tuple[tuple[int, ...], ...], ...]
    fresh: tuple[tuple[tuple[int, ...], ...], ...]

    def bound(self, trials: int, threshold: int, *, fresh: bool, confidence: float = 0.95) -> float:
        """Lower bound on epsilon at delta 1e-5 that the event "score at or above the threshold" gives, or its complement."""
        counts = np.array((self.fresh if fresh else self.seen)[TRIALS.index(trials)])[:, threshold]
        return float(max(lower_bound(side, trials, DELTA, confidence) for side in (counts, counts[::-1])))


@dataclass(frozen=True)
class Tour:
    """The museum's rows, and the counts of every bug and of the correct specimen (which comes first)."""

    rows: tuple[Row, ...]
    counts: tuple[Counts, ...]

    def save(self, path: str | PathLike[str]) -> None:
        """Write the tour as JSON. The file is replaced only when complete."""
        record = asdict(self)
        with replacing(path) as file:
            file.write(json.dumps(record, indent=None, separators=(",", ":"), allow_nan=False).encode() + b"\n")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Tour":
        """Read a tour written by `save`."""
        record = json.loads(Path(path).read_text())
        rows = tuple(Row(**row | {"caught_by": tuple(row["caught_by"])}) for row in record["rows"])
        return cls(rows, tuple(Counts(**counts | _tuples(counts)) for counts in record["counts"]))


def escaped(rows: tuple[Row, ...], without: str) -> list[str]:
    """Bugs that only the check ``without`` has caught.

    >>> escaped(museum(checks=["ledger"]), "ledger")[-1]
    'trained on'
    """
    return [row.bug for row in rows if row.caught_by == (without,)]


def tour(*, trials: int = 600, seed: int = 0) -> Tour:
    """Visit the whole museum: some 20 seconds.

    Parameters
    ----------
    trials : int
        As for `museum`.
    seed : int
        Public seed.
    """
    correct = replace(next(exhibit for exhibit in EXHIBITS if exhibit.bug == "fixed seed"), bug="")
    return Tour(museum(trials=trials, seed=seed), tuple(_count(exhibit, seed) for exhibit in (correct, *EXHIBITS)))


def _count(exhibit: Exhibit, seed: int) -> Counts:
    """Learn a score on as many runs as are then counted, and choose it by the best bound on the runs that are seen."""
    most = TRIALS[-1]

    def mechanism(data: Any, rng: np.random.Generator) -> NDArray:
        return exhibit.look(run_exhibit(exhibit, data, rng))

    learn, seen, fresh = np.split(outputs_of(mechanism, exhibit.neighbours, 3 * most, seed), 3, axis=1)
    choices = []
    for name, statistic in statistics(learn):
        scores, edges = statistic(seen), _thresholds(statistic(seen))
        best = max(lower_bound(_reached(scores, edges)[::way], most, DELTA, 0.95).max() for way in (1, -1))
        choices.append((best, name, edges, scores, statistic(fresh)))
    _, name, edges, scores, others = max(choices, key=lambda choice: choice[0])
    tables = [
        tuple(tuple(map(tuple, _reached(values[:, :trials], edges).tolist())) for trials in TRIALS)
        for values in (scores, others)
    ]
    return Counts(exhibit.bug, name, exhibit.plan.epsilon(DELTA), *tables)


def _thresholds(scores: NDArray) -> NDArray:
    """Quantiles of both sides together; the ends leave nobody out and let few in."""
    return np.quantile(scores, np.linspace(0, 1, THRESHOLDS), method="lower")


def _reached(scores: NDArray, edges: NDArray) -> NDArray[np.int64]:
    """How many of each side, shape (2, n), reach each threshold: shape (2, thresholds)."""
    return np.stack([len(side) - np.searchsorted(np.sort(side), edges) for side in scores])


def _tuples(counts: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(tuple(map(tuple, table)) for table in counts[name]) for name in ("seen", "fresh")}


if __name__ == "__main__":
    tour().save(sys.argv[1])
