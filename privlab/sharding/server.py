"""The server's side of a round: hand out tasks, refuse what is no update, add up the rest, make the step, keep the trace."""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, wait
from dataclasses import replace
from typing import TypeVar

import numpy as np

from privlab.learning.layers import Parameters
from privlab.randomness import secret_stream
from privlab.sharding.engines import RETRIES
from privlab.sharding.state import Fault, State
from privlab.sharding.trace import Event
from privlab.sharding.workers import (
    FRACTION_BITS,
    LARGEST,
    Answer,
    Job,
    Task,
    Unit,
    floating_point,
    norm,
    pack,
    run,
    unpack,
)

T = TypeVar("T")
FAULTS = ("raise", "drop", "retry")


class Server:
    """Makes synchronous rounds. With trust "secure-sum" it sees sums only (`privlab.sharding.secure`).

    Parameters
    ----------
    job : Job
    groups : sequence of tuples of Unit
        What goes into one task each, in the order of handing out.
    engine : Executor
    state : State
        Changed by every round.
    faults : {"raise", "drop", "retry"}
    secure_sum : callable or None
        Takes a task and returns the sum of the updates and the shards in it, where the server is to see no more.
    """

    def __init__(
        self,
        job: Job,
        groups: Sequence[tuple[Unit, ...]],
        engine: Executor,
        state: State,
        faults: str,
        secure_sum: Callable[[Task], tuple[Parameters, set[int]]] | None,
    ):
        self._job, self._groups, self._engine, self._state, self._faults = job, groups, engine, state, faults
        self._secure_sum = secure_sum
        self._begun = time.time() - state.seconds

    def rounds(self, number: int) -> Generator[float]:
        """Make the rounds that are left of so many, and yield the mean loss of each."""
        for done in range(len(self._state.history), number):
            yield self.round(done)

    def round(self, number: int) -> float:
        """Update the parameters in place and return the mean loss."""
        task = Task(self._job, (), number, self._state.parameters)
        if self._job.privacy is not None and not self._job.gradients:  # charged before a worker can have sent anything
            self._state.releases += 1
        update, rows, loss = self._securely(task) if self._secure_sum else self._openly(task)
        total, left = sum(size(group) for group in self._groups), sum(rows.values())
        if not left:
            raise ValueError(f"round {number} has no update left: {self._state.faults[-1].reason}")
        if self._job.privacy is not None and self._job.gradients:
            self._state.releases += 1
            # Keyed by whose records are in the sum, too: the same round with and without a shard must not share its noise.
            rng = secret_stream(
                self._state.secret, "central noise", number, task.computation, repr(sorted(rows.items()))
            )
            update = noisy(self._job, update, rng, self._job.batch_size)
        elif left < total:  # the mean of the shards that are left; what a private run divides by is public
            update = {name: array * (total / left) for name, array in update.items()}
        for name, array in self._state.parameters.items():
            array += (-self._job.learning_rate if self._job.gradients else 1.0) * update[name]
        self._state.seconds = time.time() - self._begun
        return loss

    def _openly(self, task: Task) -> tuple[Parameters, Counter[int], float]:
        """Sum of the updates, how many records of each shard are behind it, and the mean loss."""
        tasks = [replace(task, units=group) for group in self._groups]
        messages = [pack(one) for one in tasks]
        sums = {name: np.zeros(array.shape, np.int64) for name, array in task.parameters.items()}
        loss, examples, events = 0.0, 0, {}
        rows: Counter[int] = Counter()

        def accept(i: int, message: bytes) -> tuple[Answer, int]:
            return accepted(message, tasks[i], partly=self._faults == "drop"), len(message)

        for i, result in asked(self._engine, run, messages, accept, self._faults):
            group = self._groups[i]
            if isinstance(result, Exception):
                events[i] = self._dropped(group, task.round, result)
                continue
            answer, sent = result
            for name, array in answer.sums.items():
                sums[name] += array
            loss, examples = loss + answer.loss, examples + answer.examples
            refused = dict(answer.refused)
            self._state.faults += [Fault(group[k].shard, task.round, reason) for k, reason in refused.items()]
            for k, unit in enumerate(group):
                rows[unit.shard] += 0 if k in refused else unit.rows
            events[i] = self._spans(answer, group, task.round, len(messages[i]), sent)
        self._state.events += [event for i in sorted(events) for event in events[i]]
        return floating_point(sums), rows, loss / examples if examples else float("nan")

    def _securely(self, task: Task) -> tuple[Parameters, Counter[int], float]:
        assert self._secure_sum is not None
        update, shards = self._secure_sum(task)
        rows = Counter({group[0].shard: size(group) for group in self._groups if group[0].shard in shards})
        return update, rows, float("nan")

    def _spans(self, answer: Answer, group: Sequence[Unit], number: int, received: int, sent: int) -> list[Event]:
        """An event for each unit; the message's bytes are the first one's."""
        worker = self._state.worker(answer.worker)
        events, refused = [], dict(answer.refused)
        for k, (unit, (shard, start, end)) in enumerate(zip(group, answer.spans, strict=True)):
            start, end = since(self._begun, start, end)
            status = "rejected" if k in refused else "ok"
            events.append(Event(shard, number, worker, start, end, received, sent, status, size=unit.rows))
            received = sent = 0
        return events

    def _dropped(self, group: Sequence[Unit], number: int, error: Exception) -> list[Event]:
        now = time.time() - self._begun
        self._state.faults += [Fault(unit.shard, number, str(error)) for unit in group]
        return [Event(unit.shard, number, 0, now, now, status=status_of(error), size=unit.rows) for unit in group]


def asked(
    engine: Executor,
    function: Callable[[bytes], bytes],
    messages: Sequence[bytes],
    accept: Callable[[int, bytes], T],
    faults: str,
) -> Iterator[tuple[int, T | Exception]]:
    """Submit messages and yield, as they end, the number of each and what `accept` makes of the answer.

    An exception, of the task or of `accept`, is raised, yielded ("drop"), or has the same message run again, up to three times.
    """
    waiting = {engine.submit(function, message): i for i, message in enumerate(messages)}
    attempts = [0] * len(messages)
    try:
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                i = waiting.pop(future)
                try:
                    result: T | Exception = accept(i, future.result())
                except Exception as error:
                    attempts[i] += 1
                    if faults == "retry" and attempts[i] <= RETRIES:
                        waiting[engine.submit(function, messages[i])] = i
                        continue
                    if faults != "drop":
                        raise
                    result = error
                yield i, result
    finally:
        for future in waiting:
            future.cancel()


def accepted(message: bytes, task: Task, *, partly: bool = False) -> Answer:
    """Return the answer in a message, or raise `ValueError` where it is none, or (unless ``partly`` will do) leaves a unit out."""
    answer: Answer = unpack(message)
    check_answer(answer, task)
    if answer.refused and not partly:
        raise ValueError(answer.refused[0][1])
    return answer


def since(begun: float, start: float, end: float) -> tuple[float, float]:
    """Return two times of a worker's clock as seconds of the run, in order: other machines' clocks may differ."""
    start = max(0.0, start - begun)
    return start, max(start, end - begun)


def check_answer(answer: Answer, task: Task) -> None:
    """Raise `ValueError`, naming the shards, where an answer is none that an honest worker gives."""
    who = f"the answer of shard(s) {sorted({unit.shard for unit in task.units})} in round {task.round}"
    shapes = {name: array.shape for name, array in task.parameters.items()}
    if not isinstance(answer, Answer) or {name: np.shape(array) for name, array in answer.sums.items()} != shapes:
        raise ValueError(f"{who} has not the shapes of the parameters")
    if any(array.dtype != np.int64 for array in answer.sums.values()) or not np.isfinite(answer.loss):
        raise ValueError(f"{who} does not hold whole numbers and a finite loss")
    largest = int(LARGEST) << FRACTION_BITS
    if any((np.abs(array) > len(task.units) * largest).any() for array in answer.sums.values()):
        raise ValueError(f"{who} holds a value beyond {LARGEST:.0f}")
    bound = _largest_norm(task)
    if bound is not None and (length := norm(floating_point(answer.sums))) > bound * (1 + 1e-6):
        raise ValueError(f"{who} has norm {length:.3g}, but at most {bound:.3g} is allowed")


def _largest_norm(task: Task) -> float | None:
    """What no honest answer exceeds: by the clip norm of each record, or by the bound on each shard."""
    if task.job.privacy is not None and task.job.gradients:
        return task.job.privacy.clip_norm * size(task.units)
    bound = task.job.norm_bound
    return None if bound is None else bound * sum(unit.weight for unit in task.units)


def status_of(error: Exception) -> str:
    """Name what became of a task in the trace."""
    return "lost" if isinstance(error, BrokenExecutor) else "rejected" if isinstance(error, ValueError) else "failed"


def noisy(job: Job, sums: Parameters, rng: np.random.Generator, divisor: float) -> Parameters:
    """Add the plan's noise to sums of clipped gradients, and divide by a public number."""
    assert job.privacy is not None
    scale = job.privacy.noise_multiplier * job.privacy.clip_norm
    return {name: (array + scale * rng.standard_normal(array.shape)) / divisor for name, array in sums.items()}


def size(group: Sequence[Unit]) -> int:
    """Records of some units together."""
    return sum(unit.rows for unit in group)
