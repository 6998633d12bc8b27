"""Who does which task, when: assignment policies on a virtual clock, the bound none can beat, and what-if replay of real runs.

Times are in seconds on a worker of speed 1. Tasks of one round are independent; a round begins when the one before has ended.
"""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.sharding.trace import POLICIES, Event, Trace


def schedule(
    durations: ArrayLike, workers: int | Sequence[float], policy: str, *, estimates: ArrayLike | None = None
) -> Trace:
    """Run tasks on a virtual clock.

    Parameters
    ----------
    durations : array_like of float, shape (tasks,) or (rounds, tasks)
        Seconds each task takes on a worker of speed 1, at least 0.
    workers : int or sequence of float
        Number of workers of speed 1, or the speed of each worker, above 0.
    policy : {"static", "dynamic", "longest-first"}
        "static": consecutive blocks with equal numbers of tasks, one per worker. "dynamic": a queue in the order given; whoever is
        free pulls the next task. "longest-first": the same with the longest task at the head (LPT), which for k equal workers
        ends within 4/3 - 1/(3k) of the optimum where the estimates are right (Graham 1969).
    estimates : array_like of float, shape like ``durations`` or (tasks,), or None
        What "longest-first" sorts by, for example shard sizes or the durations of the round before; None: ``durations``.

    Returns
    -------
    Trace
        Events in the order in which tasks are handed out.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> [schedule([1, 1, 2, 4], 2, policy).makespan for policy in ("static", "dynamic", "longest-first")]
    [6.0, 5.0, 4.0]
    """
    work = _durations(durations)
    speeds = _speeds(workers)
    arguments.choice("policy", policy, POLICIES)
    guesses = arguments.finite_array("estimates", durations if estimates is None else estimates)
    if guesses.shape not in (np.shape(durations), work.shape[1:]):
        raise ValueError(
            f"estimates has shape {guesses.shape}, but must have {np.shape(durations)} or {work.shape[1:]}"
        )
    events: list[Event] = []
    clock = 0.0
    for number, (row, guess) in enumerate(zip(work, np.broadcast_to(guesses, work.shape), strict=True)):
        tasks = [Event(int(task), number, 0, 0.0, 0.0) for task in submission_order(guess, policy)]
        events += _handed_out(tasks, [row[event.task] for event in tasks], speeds, policy, clock)
        clock = max((event.end for event in events), default=0.0)
    return Trace(tuple(events), speeds, policy)


def lower_bound(durations: ArrayLike, workers: int | Sequence[float]) -> float:
    """Return the makespan in seconds that no schedule beats, not even one that may interrupt tasks.

    For k equal workers it is ``max(total / k, longest)``. In general the j longest tasks keep at most the j fastest workers busy
    (Horvath, Lam & Sethi 1977), and all tasks all workers. Arguments, rounds and errors are those of `schedule`.

    Examples
    --------
    >>> lower_bound([1, 1, 2, 4], 2), lower_bound([1, 1, 2, 4], [1, 3])
    (4.0, 2.0)
    """
    work = np.sort(_durations(durations), axis=1)[:, ::-1]
    speeds = np.sort(_speeds(workers))[::-1]
    few = min(len(speeds), work.shape[1])
    bounds = np.cumsum(work, axis=1)[:, :few] / np.cumsum(speeds)[:few]
    return float(np.maximum(bounds.max(axis=1, initial=0.0), work.sum(axis=1) / speeds.sum()).sum())


def submission_order(durations: ArrayLike, policy: str) -> NDArray[np.intp]:
    """Return the order in which tasks of these (estimated) durations, shape (tasks,), are submitted to any executor.

    An executor's queue is pulled from, so submitting in this order *is* "dynamic" or "longest-first"; for "static" submit each of
    `static_blocks` as one task. Raises `ValueError` where an argument is not allowed.

    Examples
    --------
    >>> submission_order([1, 3, 2], "longest-first")
    array([1, 2, 0])
    """
    work = arguments.finite_array("durations", durations, dimensions=1)
    longest_first = arguments.choice("policy", policy, POLICIES) == "longest-first"
    return np.argsort(-work.astype(np.float64), kind="stable") if longest_first else np.arange(work.size)


def static_blocks(tasks: int, workers: int) -> list[NDArray[np.intp]]:
    """Return consecutive blocks of task numbers, one per worker, whose lengths differ by at most 1; the later may be empty."""
    count = arguments.whole("workers", workers)
    return np.array_split(np.arange(arguments.whole("tasks", tasks, at_least=0)), count)


def split_counts(durations: ArrayLike, workers: int, *, share: float = 0.5) -> NDArray[np.intp]:
    """Into how many equal pieces to cut each task, so that no piece exceeds ``share`` of the mean load of a worker.

    Exact only where a task's result is a sum over records: full-batch gradients, sums of clipped gradients. A chain of local steps
    becomes another algorithm when cut. Any pull queue of the pieces ends within ``1 + share`` of the optimum (Graham 1966).

    Parameters
    ----------
    durations : array_like of float, shape (tasks,)
        Durations or sizes, at least 0.
    workers : int
        Number of equal workers.
    share : float
        Above 0.

    Returns
    -------
    ndarray of int, shape (tasks,)
        Pieces of each task, at least 1: for the clock ``np.repeat(durations / counts, counts)``, for data
        ``np.array_split(shard, count)``.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> split_counts([9, 1, 2], 2)
    array([3, 1, 1])
    """
    work = _durations(arguments.finite_array("durations", durations, dimensions=1))[0]
    limit = arguments.real("share", share, above=0) * work.sum() / arguments.whole("workers", workers)
    return np.maximum(np.ceil(work / (limit or 1.0) * (1 - 1e-12)), 1).astype(np.intp)


def replay(
    trace: Trace,
    *,
    workers: int | Sequence[float] | None = None,
    policy: str | None = None,
    shards: int | Sequence[float] | None = None,
) -> Trace:
    """What if: schedule the tasks of a recorded synchronous run again, with something changed.

    Assumed: a task's work, its duration times its worker's speed, stays what it was; rounds end in a barrier; handing out costs
    nothing, so a real run's gaps vanish; failed attempts are not repeated. With other shards: records keep the cost they had on
    their old shard, tasks have no fixed cost, and messages have the mean size.

    Parameters
    ----------
    trace : Trace
        Of a run with staleness 0.
    workers, policy
        As for `schedule`; None keeps those of the trace. A queue whose policy stays keeps its recorded order, which may rest on
        estimates; one that becomes longest-first is sorted by what was measured.
    shards : int or sequence of float, or None
        Number of equal shards, or relative sizes, above 0, of the shards that the records, laid end to end, are cut into.
        Records are counted by the events' sizes; where no event has one, sizes are taken to be proportional to work.

    Returns
    -------
    Trace

    Raises
    ------
    ValueError
        If an argument is not allowed or the trace is of an asynchronous run.

    Examples
    --------
    >>> recorded = schedule([1, 1, 2, 4], 2, "static")
    >>> replay(recorded).makespan, replay(recorded, policy="longest-first").makespan, replay(recorded, shards=8).makespan
    (6.0, 4.0, 4.0)
    """
    if any(event.staleness for event in trace.events):
        raise ValueError("trace is of an asynchronous run, but must have staleness 0 throughout")
    speeds = trace.speeds if workers is None else _speeds(workers)
    chosen = arguments.choice("policy", trace.policy if policy is None else policy, POLICIES)
    portions = None if shards is None else _speeds(shards, "shards")
    keeps_order = chosen == trace.policy and portions is None
    events: list[Event] = []
    clock = 0.0
    for number in sorted({event.round for event in trace.events}):
        done = [event for event in trace.events if event.round == number and event.status == "ok"]
        done.sort(key=lambda event: event.start if keeps_order and chosen != "static" else event.task)
        work = [(event.end - event.start) * trace.speeds[event.worker] for event in done]
        if portions and done:
            done, work = _resharded(done, work, portions)
        order = range(len(done)) if keeps_order else submission_order(work, chosen)
        events += _handed_out([done[i] for i in order], [work[i] for i in order], speeds, chosen, clock)
        clock = max((event.end for event in events), default=0.0)
    return Trace(tuple(events), speeds, chosen)


def _handed_out(
    tasks: Sequence[Event], work: Sequence[float], speeds: Sequence[float], policy: str, clock: float
) -> Iterator[Event]:
    """Tasks of one round, in this order, with the workers and times that the policy gives them."""
    if policy == "static":
        for worker, block in enumerate(static_blocks(len(tasks), len(speeds))):
            start = clock
            for task in block:
                end = start + work[task] / speeds[worker]
                yield replace(tasks[task], worker=worker, start=start, end=end)
                start = end
        return
    free = [(clock, -speed, worker) for worker, speed in enumerate(speeds)]  # of several free workers the fastest pulls
    heapq.heapify(free)
    for event, seconds in zip(tasks, work, strict=True):
        start, minus_speed, worker = free[0]
        end = start - seconds / minus_speed
        heapq.heapreplace(free, (end, minus_speed, worker))
        yield replace(event, worker=worker, start=start, end=end)


def _resharded(done: list[Event], work: list[float], portions: Sequence[float]) -> tuple[list[Event], list[float]]:
    """Lay the records of all tasks end to end, cut the line elsewhere, and share out the work along it."""
    sizes = [event.size for event in done]
    ends = np.cumsum([0.0, *(sizes if any(sizes) else work)])
    cuts = np.cumsum([0.0, *portions]) / math.fsum(portions)
    work_before = np.interp(cuts * ends[-1], ends, np.cumsum([0.0, *work]))
    work_before[[0, -1]] = 0.0, math.fsum(work)  # where an empty shard at either end took time
    bytes_in, bytes_out = (
        round(np.mean([getattr(event, name) for event in done])) for name in ("bytes_in", "bytes_out")
    )
    events = [
        Event(task, done[0].round, 0, 0.0, 0.0, bytes_in, bytes_out, size=int(size))
        for task, size in enumerate(np.diff(np.rint(cuts * sum(sizes))))
    ]
    return events, np.maximum(np.diff(work_before), 0.0).tolist()


def _durations(durations: ArrayLike) -> NDArray[np.float64]:
    """Check durations; shape (rounds, tasks)."""
    work = arguments.finite_array("durations", durations)
    if work.ndim not in (1, 2) or (work < 0).any():
        raise ValueError(
            f"durations has shape {work.shape}, but must be (tasks,) or (rounds, tasks), with all values >= 0"
        )
    return np.atleast_2d(work).astype(np.float64)


def _speeds(workers: int | Sequence[float], name: str = "workers") -> tuple[float, ...]:
    if np.ndim(workers) == 0:
        return (1.0,) * arguments.whole(name, workers)  # type: ignore[arg-type]
    speeds = tuple(arguments.real(name, speed, above=0) for speed in workers)  # type: ignore[union-attr]
    if not speeds:
        raise ValueError(f"{name} is empty, but must have at least one value")
    return speeds
