"""What each shard spent: its releases are counted, charged to a ledger, and held to a budget."""

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.masking import Ledger
from privlab.sharding.asynchronous import Asynchrony
from privlab.sharding.workers import Job


def ledgers_of(
    job: Job, releases: NDArray[np.int64], rounds: int, asynchrony: Asynchrony | None, noise_seed: int | None
) -> tuple[Ledger, ...]:
    """Return the ledger of each shard, from how often something of it was released in so many rounds."""
    made: dict[int, Ledger] = {}
    for count in map(int, releases):
        ledger = made.setdefault(count, Ledger.for_seed(noise_seed))
        if job.privacy is None:
            ledger.entries[:] = []
            ledger.record("none", 1.0, 0.0, max(1, rounds))
        elif count and not ledger.entries:
            _charge(job, ledger, count, None if asynchrony is None else asynchrony.speeds is None)
    return tuple(made[int(count)] for count in releases)


def _charge(job: Job, ledger: Ledger, releases: int, by_arrival: bool | None) -> None:
    """Record releases of one shard; ``by_arrival`` is None in synchronous rounds, whose number is planned."""
    plan, steps = job.privacy, releases * job.local_steps
    assert plan is not None
    if by_arrival:  # whose update arrives when depends on the batches that were drawn: nothing is amplified
        ledger.record("full", 1.0, plan.noise_multiplier, steps)
    else:
        planned = plan.steps if by_arrival is None else None
        ledger.record(plan.sampling, plan.sampling_rate, plan.noise_multiplier, steps, planned=planned)


def releases_within(job: Job, budget: tuple[float, float], *, by_arrival: bool) -> int:
    """Return the most releases of a shard that spend at most the budget, (epsilon, delta)."""
    if job.privacy is None or len(budget) != 2:
        raise ValueError(f"budget is {budget!r}, but must be None without privacy, else a pair (epsilon, delta)")
    most, delta = arguments.real("budget", budget[0], above=0), arguments.real("budget", budget[1], above=0, below=1)

    def fits(count: int) -> bool:
        ledger = Ledger()
        _charge(job, ledger, count, by_arrival)
        return ledger.epsilon(delta) <= most

    low, high = 0, 1
    while fits(high) and high < 2**20:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    if low == 0:
        raise ValueError(f"budget is {budget!r}, which does not pay for one task of {job.local_steps} step(s)")
    return low
