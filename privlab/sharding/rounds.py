"""Rounds of training over shards, on any `concurrent.futures.Executor`: hand out tasks, add up answers, step.

Data travel as references to memory-mapped files, updates as whole numbers: the same job gives the same bits in this process, on a
pool, on Dask or MPI, in whatever order its tasks end, on one kind of CPU.
"""

import hashlib
import heapq
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from privlab import arguments
from privlab.learning.layers import Parameters
from privlab.learning.models import Model
from privlab.masking import Ledger, PrivacyPlan
from privlab.randomness import new_secret, secret_stream
from privlab.sharding.engines import InProcess, process_pool
from privlab.sharding.schedule import submission_order
from privlab.sharding.trace import POLICIES, Event, Trace
from privlab.sharding.workers import Answer, Job, Task, Unit, floating_point, pack, records, run, unpack

MODES, TRUSTS = ("synchronous", "asynchronous"), ("central", "secure-sum", "local")
PIECE = 4096  # expected rows of a batch in one unit; fixed, so that the bits do not depend on the number of workers
GROUPS = 8  # tasks per worker in a round: few enough to cost little, enough to even out


@dataclass(frozen=True)
class Round:
    """One round: mean ``loss`` of its batches in nats (exact, hence **not covered** by a guarantee), ``seconds``, and ``score``."""

    loss: float
    seconds: float
    score: float | None = None


@dataclass(frozen=True)
class ShardedRun:
    """What a run over shards produced.

    Attributes
    ----------
    parameters : dict of str to ndarray
    history : tuple of Round
        One for each round done: fewer than asked for if the run was interrupted.
    trace : Trace
        An event for each shard and round.
    ledger : Ledger
        What was released. Trust "central": for any record. Trust "local": by each shard; epsilon of the run is that of one
        shard only where one record changes one shard (see `privlab.sharding.partition_sensitivity`).
    """

    parameters: Parameters
    history: tuple[Round, ...]
    trace: Trace
    ledger: Ledger

    def epsilon(self, delta: float) -> float:
        """Return what the run spent at ``delta``: infinite without noise."""
        return self.ledger.epsilon(delta)


def train_sharded(
    model: Model,
    x: ArrayLike,
    y: ArrayLike,
    shards: Sequence[ArrayLike],
    *,
    rounds: int,
    local_steps: int,
    batch_size: int,
    learning_rate: float,
    workers: int | None = None,
    executor: Executor | None = None,
    mode: str = "synchronous",
    trust: str = "central",
    privacy: PrivacyPlan | None = None,
    proximal: float = 0.0,
    policy: str = "longest-first",
    evaluate: Callable[[Parameters], float] | None = None,
    scratch: str | Path | None = None,
    checkpoint: str | Path | None = None,
    seed: int = 0,
    noise_seed: int | None = None,
    progress: bool = False,
) -> ShardedRun:
    """Train one model on data split over shards (federated averaging, McMahan et al. 2017).

    In a round every shard starts from the same parameters and makes ``local_steps`` steps; the changes are averaged by the shards'
    sizes, which are taken to be public. With one local step that is the gradient step of all shards' batches together.

    Parameters
    ----------
    model : Model
    x, y : array_like, shapes (n, features) and (n,)
        Records and their classes.
    shards : sequence of int arrays
        Rows of each shard, from `privlab.sharding.partition`. Empty ones are left out.
    rounds, local_steps : int
    batch_size : int
        Records in a step of one shard; all of them where it has fewer. With privacy, the public divisor
        ``round(privacy.sampling_rate * n)``, n counting all records.
    learning_rate : float
    workers : int or None
        Processes of a pool that lives as long as the run; None with no ``executor`` either runs in this process.
    executor : concurrent.futures.Executor or None
        Where tasks run otherwise, such as `from_dask` or `from_mpi`; it is left open.
    mode : {"synchronous"}
        "asynchronous" is not available yet.
    trust : {"central", "local"}
        Whom the records' owners trust. "central": the server sees each shard's update; with privacy, shards send sums of
        clipped gradients of one step, and noise is added once. "local": with privacy, each shard runs DP-SGD and the server sees
        only noisy changes. "secure-sum" is not available yet.
    privacy : PrivacyPlan or None
        Sampling "poisson" or "full"; its steps are ``rounds * local_steps``.
    proximal : float
        Pull of each local step towards the round's start, at least 0 (FedProx, Li et al. 2020).
    policy : {"longest-first", "dynamic", "static"}
        Order in which tasks are handed to the executor's queue: the largest first, or as they come. "static" is refused: a queue
        has no fixed blocks (see `privlab.sharding.schedule` for what they would cost).
    evaluate : callable or None
        Called with the parameters after each round; what it returns is in the history. It sees what it is given: its result is not
        covered by a guarantee.
    scratch : path or None
        Folder in which the records are laid out for the workers, who must see it too; the system's temporary folder by default.
    checkpoint : None
        Not available yet.
    seed : int
        Public seed of the initial parameters, and of the batches without privacy.
    noise_seed : int or None
        None draws sampling and noise from the operating system. A seed makes a private run reproducible, and marks its ledger.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    ShardedRun
        Of the rounds done, with a warning, if the run was interrupted.

    Raises
    ------
    ValueError
        If an argument is not allowed, before any work is done; or if a shard's update is not finite.

    Examples
    --------
    >>> from privlab.learning import softmax_regression
    >>> x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> shards = [np.array([0, 1, 2]), np.array([3])]
    >>> run = train_sharded(softmax_regression(4, 2), x, y, shards, rounds=20, local_steps=2, batch_size=2, learning_rate=0.5)
    >>> run.history[-1].loss < run.history[0].loss
    True
    """
    x, y, rows = _checked_records(model, x, y, shards)
    job = Job(
        model=model,
        gradients=trust == "central" and local_steps == 1,
        local_steps=arguments.whole("local_steps", local_steps),
        batch_size=arguments.whole("batch_size", batch_size),
        learning_rate=arguments.real("learning_rate", learning_rate, above=0),
        proximal=arguments.real("proximal", proximal, at_least=0),
        privacy=privacy,
        seed=arguments.whole("seed", seed, at_least=0),
    )
    _check_combination(job, arguments.whole("rounds", rounds), len(x), mode, trust, policy, checkpoint)
    if workers is not None and executor is not None:
        raise ValueError(f"workers is {workers!r}, but must be None where an executor is given")
    parameters, ledger = model.init(seed), Ledger.for_seed(noise_seed)
    secret = new_secret() if noise_seed is None else hashlib.sha256(f"noise seed {noise_seed}".encode()).digest()
    with ExitStack() as stack:
        folder = stack.enter_context(_laid_out(x, y, rows, scratch))
        engine = executor or stack.enter_context(InProcess() if workers is None else process_pool(workers))
        groups = _groups(_units(job, rows, folder, secret), GROUPS * (workers or (8 if executor else 1)))
        order = submission_order([_size(group) for group in groups], policy)
        server = _Server(job, [groups[i] for i in order], engine, policy)
        history: list[Round] = []
        try:
            for number in tqdm(range(rounds), disable=not progress, desc="rounds", unit="round"):
                begun = time.perf_counter()
                if privacy is not None and trust == "local":  # charged before a worker can have sent anything
                    privacy.record(ledger, local_steps)
                loss = server.round(parameters, number, secret)
                if privacy is not None and trust == "central":
                    privacy.record(ledger)
                seconds = time.perf_counter() - begun
                history.append(Round(loss, seconds, None if evaluate is None else float(evaluate(parameters))))
        except KeyboardInterrupt:
            warnings.warn(f"interrupted after {len(history)} of {rounds} rounds", stacklevel=2)
    if privacy is None:
        ledger.record("none", 1.0, 0.0, max(1, len(history)))
    return ShardedRun(parameters, tuple(history), server.trace(), ledger)


class _Server:
    """Hands out a round's tasks, adds up the answers, makes the step; keeps the trace."""

    def __init__(self, job: Job, groups: list[tuple[Unit, ...]], engine: Executor, policy: str):
        self._job, self._groups, self._engine, self._policy = job, groups, engine, policy
        self._begun = time.time()
        self._workers: dict[str, int] = {}
        self._events: list[Event] = []

    def round(self, parameters: Parameters, number: int, secret: bytes) -> float:
        """Update the parameters in place and return the mean loss."""
        digest = _digest(self._job, parameters)
        messages = [pack(Task(self._job, group, number, parameters, digest)) for group in self._groups]
        waiting = {self._engine.submit(run, message): i for i, message in enumerate(messages)}
        sums: dict[str, NDArray[np.int64]] = {name: np.zeros(a.shape, np.int64) for name, a in parameters.items()}
        loss, examples, events = 0.0, 0, {}
        try:
            for future, task in _as_they_end(waiting):
                sealed = future.result()
                answer: Answer = unpack(sealed)
                for name, array in answer.sums.items():
                    sums[name] += array
                loss, examples = loss + answer.loss, examples + answer.examples
                events[task] = self._spans(answer, task, number, len(messages[task]), len(sealed))
        finally:
            for future in waiting:
                future.cancel()
        self._events += [event for task in sorted(events) for event in events[task]]
        self._step(parameters, floating_point(sums), number, digest, secret)
        return loss / examples if examples else float("nan")

    def _step(self, parameters: Parameters, update: Parameters, number: int, digest: str, secret: bytes) -> None:
        job = self._job
        if job.gradients and job.privacy is not None:
            rng = secret_stream(secret, "central noise", number, digest)
            scale = job.privacy.noise_multiplier * job.privacy.clip_norm
            update = {name: (a + scale * rng.standard_normal(a.shape)) / job.batch_size for name, a in update.items()}
        for name, array in parameters.items():
            array += (-job.learning_rate if job.gradients else 1.0) * update[name]

    def _spans(self, answer: Answer, task: int, number: int, received: int, sent: int) -> list[Event]:
        """An event for each unit; the message's bytes are the first one's."""
        worker = self._workers.setdefault(answer.worker, len(self._workers))
        events = []
        for unit, (shard, start, end) in zip(self._groups[task], answer.spans, strict=True):
            start, end = max(0.0, start - self._begun), max(0.0, end - self._begun)  # other machines' clocks may differ
            size = unit.last - unit.first
            events.append(Event(shard, number, worker, start, max(start, end), received, sent, size=size))
            received = sent = 0
        return events

    def trace(self) -> Trace:
        """Return what happened so far."""
        return Trace(tuple(self._events), (1.0,) * max(1, len(self._workers)), self._policy)


def _as_they_end(waiting: dict[Future[bytes], int]) -> Iterator[tuple[Future[bytes], int]]:
    left = set(waiting)
    while left:
        done, left = wait(left, return_when=FIRST_COMPLETED)
        yield from ((future, waiting[future]) for future in done)


def _digest(job: Job, parameters: Parameters) -> str:
    """What a round computes: noise is keyed by it, so two different computations never share noise."""
    summary = hashlib.sha256(repr(job).encode())
    for name, array in sorted(parameters.items()):
        summary.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return summary.hexdigest()


def _units(job: Job, rows: list[NDArray], folder: str, secret: bytes) -> list[Unit]:
    """Shards, cut into pieces where a sum of gradients is wanted and a batch is large: that is exact."""
    total, start, units = sum(map(len, rows)), 0, []
    for shard, part in enumerate(rows):
        size, stop = len(part), start + len(part)
        expected = job.privacy.sampling_rate * size if job.privacy else min(job.batch_size, size)
        pieces = max(1, -int(-expected // PIECE)) if job.gradients else 1
        key = None if job.privacy is None else hashlib.sha256(secret + f"shard {shard}".encode()).digest()
        for first, last in pairwise(round(size * piece / pieces) for piece in range(pieces + 1)) if size else ():
            units.append(Unit(shard, folder, start, stop, first, last, size / total, key))
        start = stop
    return units


def _groups(units: list[Unit], number: int) -> list[tuple[Unit, ...]]:
    """Put units together in so many tasks of about equal size: a task for every small shard would cost more than its work."""
    heap: list[tuple[int, int, list[Unit]]] = [(0, i, []) for i in range(min(number, len(units)))]
    for unit in sorted(units, key=lambda unit: unit.first - unit.last):
        size, i, group = heap[0]
        group.append(unit)
        heapq.heapreplace(heap, (size + unit.last - unit.first, i, group))
    return [tuple(group) for _, _, group in sorted(heap, key=lambda item: item[1])]


def _size(group: tuple[Unit, ...]) -> int:
    return sum(unit.last - unit.first for unit in group)


@contextmanager
def _laid_out(x: NDArray, y: NDArray, rows: list[NDArray], scratch: str | Path | None) -> Iterator[str]:
    """Write the records in the order of the shards to files that workers map into memory; remove them in the end."""
    with tempfile.TemporaryDirectory(prefix="privlab-", dir=scratch, ignore_cleanup_errors=True) as folder:
        order = np.concatenate(rows)
        for name, array in (("x", x), ("y", y)):
            np.save(Path(folder) / f"{name}.npy", array[order], allow_pickle=False)
        try:
            yield folder
        finally:
            records.cache_clear()


def _checked_records(
    model: Model, x: ArrayLike, y: ArrayLike, shards: Sequence[ArrayLike]
) -> tuple[NDArray, NDArray, list[NDArray[np.intp]]]:
    x = model.examples(arguments.finite_array("x", x, dimensions=2))
    x = x.astype(np.float32, copy=False) if x.dtype.kind == "f" else x
    y = model.labels(arguments.finite_array("y", y, dimensions=1))
    if len(x) != len(y):
        raise ValueError(f"x and y hold {len(x)} and {len(y)} records, but must hold the same number")
    rows = [np.asarray(shard, dtype=np.intp) for shard in shards]
    used = np.concatenate([*rows, np.array([], np.intp)])
    if not used.size or used.min() < 0 or used.max() >= len(x) or np.bincount(used).max() > 1:
        raise ValueError(f"shards must hold rows from 0 to {len(x) - 1}, none of them twice, and at least one")
    return x, y, rows


def _check_combination(
    job: Job, rounds: int, records: int, mode: str, trust: str, policy: str, checkpoint: str | Path | None
) -> None:
    arguments.choice("mode", mode, MODES)
    arguments.choice("trust", trust, TRUSTS)
    arguments.choice("policy", policy, POLICIES)
    for name, value in (("mode", mode), ("trust", trust), ("checkpoint", checkpoint), ("policy", policy)):
        if value in ("asynchronous", "secure-sum", "static") or (name == "checkpoint" and value is not None):
            raise ValueError(f"{name} is {value!r}, which is not available here")
    plan = job.privacy
    if plan is None:
        return
    if trust == "central" and job.local_steps != 1:
        raise ValueError(f"local_steps is {job.local_steps}, but must be 1 for a private run of trust 'central'")
    if plan.sampling not in ("poisson", "full") or plan.correlation is not None:
        raise ValueError(f"privacy samples {plan.sampling!r}, but must sample 'poisson' or 'full', without correlation")
    if plan.steps != rounds * job.local_steps:
        raise ValueError(
            f"privacy has {plan.steps} steps, but must have {rounds * job.local_steps}: rounds * local_steps"
        )
    if job.batch_size != (public := max(1, round(plan.sampling_rate * records))):
        raise ValueError(f"batch_size is {job.batch_size}, but must be {public}, the sampling rate times the records")
    if job.proximal:
        raise ValueError(f"proximal is {job.proximal}, but must be 0 for a private run")
