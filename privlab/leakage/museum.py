"""The museum of privacy bugs: what goes wrong, what each check says to it, and which check it takes to catch it.

Neighbouring data sets differ in one record, added or removed. The checks know the mechanism's plan, never its code, and each is
needed: without it some bug escapes.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import NDArray

from privlab import arguments
from privlab.leakage.audit import audit
from privlab.leakage.exhibits import EXHIBITS, Exhibit
from privlab.leakage.specimen import Data, batches, dp_sgd
from privlab.masking import Ledger
from privlab.randomness import stream

CHECKS = ("noise", "sampling", "sensitivity", "ledger", "audit")
DELTA = 1e-5
FALSE_ALARM = 1e-6  # of the tests of noise and of sampling
NUMBERS = 4000  # of noise that its test looks at
DRAWS = 20_000  # that the test of sampling looks at


@dataclass(frozen=True)
class Row:
    """One line of the museum's table.

    Attributes
    ----------
    bug, wrong, harm, label : str
        As in `Exhibit`.
    caught_by : tuple of str
        The checks that found something.
    claimed_epsilon : float
        The plan's, at delta 1e-5.
    ledger_epsilon : float
        What the ledger of a run says; NaN where that check was left out.
    audited_epsilon : float
        Lower bound; NaN where the audit was left out.
    confidence : float
        Of the audit's Clopper-Pearson intervals.
    """

    bug: str
    wrong: str
    harm: str
    label: str
    caught_by: tuple[str, ...]
    claimed_epsilon: float
    ledger_epsilon: float
    audited_epsilon: float
    confidence: float

    @property
    def verdict(self) -> str:
        """Return "caught" or "escaped"."""
        return "caught" if self.caught_by else "escaped"


def museum(
    *, checks: Collection[str] = CHECKS, trials: int = 600, confidence: float = 0.95, seed: int = 0
) -> tuple[Row, ...]:
    """Let every check look at every bug.

    Parameters
    ----------
    checks : collection of str
        Those of "noise", "sampling", "sensitivity", "ledger", "audit" to use. Leave one out and see what escapes.
    trials : int
        Runs of the audit on each side, at least 40.
    confidence : float
        Of each audit, in (0, 1).
    seed : int
        Public seed.

    Returns
    -------
    tuple of Row
        In the order of `EXHIBITS`.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> rows = museum(checks=["ledger"])
    >>> [row.bug for row in rows if row.verdict == "caught"]
    ['shuffled batches', 'trained on']
    """
    return tuple(visit(exhibit, checks=checks, trials=trials, confidence=confidence, seed=seed) for exhibit in EXHIBITS)


def visit(
    exhibit: Exhibit,
    *,
    checks: Collection[str] = CHECKS,
    trials: int = 600,
    confidence: float = 0.95,
    seed: int = 0,
) -> Row:
    """Let the checks look at one exhibit; arguments as for `museum`."""
    for check in checks:
        arguments.choice("checks", check, CHECKS)
    claimed, found = exhibit.plan.epsilon(DELTA), dict.fromkeys(("ledger", "audit"), np.nan)
    if "ledger" in checks:
        found["ledger"] = _ledger_epsilon(exhibit, seed)
    if "audit" in checks:
        found["audit"] = audit(
            lambda data, rng: exhibit.look(run_exhibit(exhibit, data, rng)),
            exhibit.neighbours,
            trials=trials,
            delta=DELTA,
            confidence=confidence,
            seed=seed,
        ).epsilon
    alarms = {
        "noise": lambda: _noise_is_wrong(exhibit, seed),
        "sampling": lambda: _sampling_is_wrong(exhibit, seed),
        "sensitivity": lambda: _sensitivity_is_wrong(exhibit, seed),
        "ledger": lambda: found["ledger"] > claimed * (1 + 1e-6),
        "audit": lambda: found["audit"] > claimed,
    }
    caught_by = tuple(check for check in CHECKS if check in checks and alarms[check]())
    return Row(
        exhibit.bug,
        exhibit.wrong,
        exhibit.harm,
        exhibit.label,
        caught_by,
        claimed,
        float(found["ledger"]),
        float(found["audit"]),
        confidence,
    )


def run_exhibit(exhibit: Exhibit, data: Data, rng: np.random.Generator, ledger: Ledger | None = None) -> NDArray:
    """Run an exhibit on some data, with its bug."""
    return dp_sgd(data, exhibit.plan, rng, batch_size=exhibit.batch_size, bug=exhibit.bug, ledger=ledger)


def _noise_is_wrong(exhibit: Exhibit, seed: int) -> bool:
    """Without records an update is nothing but noise: is it normal, with the plan's standard deviation? (Kolmogorov-Smirnov.)"""
    x, y = exhibit.neighbours[0]
    rng, numbers, width = stream(seed, "museum", "noise"), np.zeros(0), 2 * (x.shape[1] + 1)
    while numbers.size < NUMBERS:
        numbers = np.append(numbers, run_exhibit(exhibit, (x[:0], y[:0]), rng)[:, :width])
    scale = exhibit.plan.noise_multiplier * exhibit.plan.clip_norm / exhibit.batch_size
    return bool(scipy.stats.kstest(numbers / scale, "norm").pvalue < FALSE_ALARM)


def _sampling_is_wrong(exhibit: Exhibit, seed: int) -> bool:
    """Do records take part with the plan's probability? (Exact binomial test.)"""
    rng, plan, records = stream(seed, "museum", "sampling"), exhibit.plan, 100
    taken, draws = 0, 0
    while draws < DRAWS:
        for chosen in batches(plan, records, rng, exhibit.bug):
            taken, draws = taken + int(chosen.sum()), draws + records
    return bool(scipy.stats.binomtest(taken, draws, plan.sampling_rate).pvalue < FALSE_ALARM)


def _sensitivity_is_wrong(exhibit: Exhibit, seed: int) -> bool:
    """Does one record change a step without noise by more than the clip norm? On the exhibit's neighbours and on ten wild pairs."""
    bare = replace(exhibit, plan=replace(exhibit.plan, noise_multiplier=0.0, sampling_rate=1.0, steps=1))
    draw = stream(seed, "museum", "sensitivity")
    pairs, features = [exhibit.neighbours], exhibit.neighbours[0][0].shape[1]
    for _ in range(10):
        x = draw.standard_normal((6, features)) * 10 ** draw.uniform(-3, 3, (6, 1))
        y = draw.integers(2, size=6)
        pairs.append(((x[:-1], y[:-1]), (x, y)))
    for without, present in pairs:
        width = 2 * (without[0].shape[1] + 1)
        change = np.subtract(*(run_exhibit(bare, data, draw)[0, :width] for data in (present, without)))
        if not np.linalg.norm(change) * exhibit.batch_size <= exhibit.plan.clip_norm * (1 + 1e-9):  # NaN is wrong too
            return True
    return False


def _ledger_epsilon(exhibit: Exhibit, seed: int) -> float:
    ledger = Ledger()
    run_exhibit(exhibit, exhibit.neighbours[1], stream(seed, "museum", "ledger"), ledger)
    return ledger.epsilon(DELTA)
