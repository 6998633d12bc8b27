"""Asynchronous rounds: every update is used as it arrives, whatever has happened to the parameters since its task began.

With a virtual clock the order is that of workers of given speeds, the same each time; else it is the order in which tasks end.
"""

import math
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import Any

import numpy as np

from privlab.learning.layers import Parameters
from privlab.randomness import secret_stream
from privlab.sharding.engines import RETRIES
from privlab.sharding.server import accepted, noisy, since, status_of
from privlab.sharding.state import Fault, State
from privlab.sharding.trace import Event
from privlab.sharding.workers import Answer, Job, Task, Unit, digest, floating_point, pack, run


@dataclass(frozen=True)
class Asynchrony:
    """How updates are used.

    Parameters
    ----------
    in_flight : int
        Tasks at a time.
    buffer : int
        Updates that make one step of the server (1: Xie, Koyejo & Gupta 2019; more: FedBuff, Nguyen et al. 2022).
    power : float
        An update that is ``s`` times as stale as the mean counts ``(1 + s) ** -power``.
    speeds : tuple of float, or None
        Of the virtual workers, in records a second.
    limit : float
        Releases after which a shard has spent its budget.
    """

    in_flight: int
    buffer: int
    power: float
    speeds: tuple[float, ...] | None
    limit: float

    def weight(self, staleness: int) -> float:
        """How much an update counts: at most 1, so that weights do not raise the sensitivity."""
        return (1 + staleness * self.buffer / self.in_flight) ** -self.power


@dataclass(eq=False)
class Flight:
    """A task that was handed out: of which shard, its how-manieth, from which version of the parameters."""

    shard: int
    round: int
    version: int
    worker: int
    start: float
    parameters: Parameters

    def as_record(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "parameters"}


class AsynchronousServer:
    """Hands out tasks and uses what comes back, one by one.

    A shard waits in a queue, is handed out, and queues again once its update is used. Every update counts the same: shards' sizes
    are no weights. The mean of the updates in flight is about one step of a synchronous round.

    Parameters
    ----------
    job : Job
    units : sequence of Unit
        One for each shard, in the order of handing out, of weight 1.
    settings : Asynchrony
    engine : Executor
    state : State
    faults : {"raise", "drop", "retry"}
    total : int
        Tasks to hand out.
    save : callable
        Called before a task goes out: what is charged is on disk before anything is released.
    """

    def __init__(
        self,
        job: Job,
        units: Sequence[Unit],
        settings: Asynchrony,
        engine: Executor,
        state: State,
        faults: str,
        total: int,
        save: Callable[[], None],
    ):
        self._job, self._settings, self._engine, self._state, self._faults = job, settings, engine, state, faults
        self._total, self._save = total, save
        self._units = {unit.shard: unit for unit in units}
        more = state.more or {
            "version": 0,
            "handed": 0,
            "used": 0,
            "queue": list(self._units),
            "buffered": [],
            "flights": [],
        }
        self._version, self._handed, self._used = more["version"], more["handed"], more["used"]
        self._queue: list[int] = more["queue"]
        self._buffered: list[list[Any]] = more["buffered"]
        self._counts = dict.fromkeys(self._units, 0) | {int(k): v for k, v in more.get("counts", {}).items()}
        named: dict[str, Parameters] = {}
        for name, array in state.arrays.items():
            owner, _, rest = name.partition("/")
            named.setdefault(owner, {})[rest] = array
        self._buffer = named.get("buffer", {name: np.zeros(a.shape) for name, a in state.parameters.items()})
        self._flights = [Flight(**record, parameters=named[f"shard {record['shard']}"]) for record in more["flights"]]
        self._futures: dict[Future[bytes], Flight] = {}
        self._messages: dict[Flight, bytes] = {}
        self._losses: list[float] = []
        self._clock, self._began = state.seconds, time.time() - state.seconds

    def rounds(self) -> Generator[float]:
        """Yield the mean loss whenever as many updates as there are shards have come back."""
        try:
            while True:
                self._hand_out()
                self._remember()
                self._save()
                for flight in self._flights:
                    if flight not in self._messages:
                        self._messages[flight] = pack(self._task(flight))
                        self._futures[self._engine.submit(run, self._messages[flight])] = flight
                while self._used // len(self._units) > len(self._state.history):
                    yield float(np.mean(self._losses)) if self._losses else math.nan
                    self._losses.clear()
                if not self._flights:
                    return
                self._use(*self._next())
        finally:
            for future in self._futures:
                future.cancel()

    def _hand_out(self) -> None:
        """Give free places to the shards that have waited longest and have budget left."""
        waiting = {shard for shard, _ in self._buffered}
        charged_now = self._job.privacy is not None and not self._job.gradients
        for shard in [shard for shard in self._queue if shard not in waiting]:
            if len(self._flights) == self._settings.in_flight or self._handed == self._total:
                break
            self._queue.remove(shard)
            if self._job.privacy is not None and self._state.releases[shard] >= self._settings.limit:
                continue
            self._state.releases[shard] += charged_now
            busy = {flight.worker for flight in self._flights}
            worker = next(i for i in self._fastest_first() if i not in busy)
            copies = {name: array.copy() for name, array in self._state.parameters.items()}
            self._flights.append(Flight(shard, self._counts[shard], self._version, worker, self._now(), copies))
            self._counts[shard] += 1
            self._handed += 1
        if self._buffered and not self._flights:
            self._step()  # nothing else will come
            self._hand_out()

    def _fastest_first(self) -> list[int]:
        speeds = self._settings.speeds or (1.0,) * self._settings.in_flight
        return sorted(range(len(speeds)), key=lambda i: -speeds[i])

    def _now(self) -> float:
        return time.time() - self._began if self._settings.speeds is None else self._clock

    def _task(self, flight: Flight) -> Task:
        return Task(self._job, (self._units[flight.shard],), flight.round, flight.parameters)

    def _end(self, flight: Flight) -> float:
        """When a flight ends by the virtual clock: work is the records that its batches are expected to hold."""
        rows, plan = self._units[flight.shard].rows, self._job.privacy
        batch = min(self._job.batch_size, rows) if plan is None else plan.sampling_rate * rows
        assert self._settings.speeds is not None
        return flight.start + self._job.local_steps * batch / self._settings.speeds[flight.worker]

    def _next(self) -> tuple[Flight, Answer | Exception, int]:
        """Wait for the next flight to end; return it, its answer, and the bytes of that."""
        if self._settings.speeds is None:
            done = wait(self._futures, return_when=FIRST_COMPLETED).done
            future = min(done, key=lambda future: self._flights.index(self._futures[future]))
        else:
            future = min(self._futures, key=lambda future: self._end(self._futures[future]))
            self._clock = max(self._clock, self._end(self._futures[future]))
        flight = self._futures.pop(future)
        for attempt in range(1 + RETRIES):
            try:
                message = future.result()
                return flight, accepted(message, self._task(flight)), len(message)
            except Exception as error:
                if self._faults == "retry" and attempt < RETRIES:
                    future = self._engine.submit(run, self._messages[flight])
                elif self._faults != "drop":
                    raise
                else:
                    return flight, error, 0
        raise AssertionError

    def _use(self, flight: Flight, answer: Answer | Exception, sent: int) -> None:
        """Count an update and, once the buffer is full, make a step."""
        self._flights.remove(flight)
        self._queue.append(flight.shard)
        self._used += 1
        staleness = self._version - flight.version
        self._note(flight, answer, sent, staleness)
        if isinstance(answer, Exception):
            return
        weight = self._settings.weight(staleness)
        for name, array in floating_point(answer.sums).items():
            self._buffer[name] += weight * array
        if answer.examples:
            self._losses.append(answer.loss / answer.examples)
        self._buffered.append([flight.shard, f"{flight.round} {weight!r} {self._task(flight).computation}"])
        if len(self._buffered) == self._settings.buffer:
            self._step()

    def _step(self) -> None:
        """Move the parameters by what is in the buffer. Each shard is in it at most once, so one release of it is one release."""
        job, update = self._job, self._buffer
        if job.privacy is not None and job.gradients:
            for shard, _ in self._buffered:
                self._state.releases[shard] += 1
            key = digest(f"{shard} {what}" for shard, what in self._buffered).hex()
            rng = secret_stream(self._state.secret, "asynchronous noise", self._version, key)
            update = noisy(job, update, rng, job.batch_size / len(self._units))
        for name, array in self._state.parameters.items():
            array += (-job.learning_rate if job.gradients else 1.0) / self._settings.in_flight * update[name]
        self._buffer = {name: np.zeros(array.shape) for name, array in self._buffer.items()}
        self._buffered.clear()
        self._version += 1

    def _note(self, flight: Flight, answer: Answer | Exception, sent: int, staleness: int) -> None:
        worker, start, end, status = flight.worker, flight.start, self._now(), "ok"
        if isinstance(answer, Exception):
            status = status_of(answer)
            self._state.faults.append(Fault(flight.shard, flight.round, str(answer)))
        elif self._settings.speeds is None:
            worker = self._state.worker(answer.worker)
            _, start, end = answer.spans[0]
            start, end = since(self._began, start, end)
        received, rows = len(self._messages.pop(flight)), self._units[flight.shard].rows
        self._state.events.append(
            Event(flight.shard, flight.round, worker, start, max(start, end), received, sent, status, staleness, rows)
        )

    def _remember(self) -> None:
        """Put all that goes on into the state."""
        self._state.more = {
            "version": self._version,
            "handed": self._handed,
            "used": self._used,
            "queue": self._queue,
            "counts": self._counts,
            "buffered": self._buffered,
            "flights": [flight.as_record() for flight in self._flights],
        }
        self._state.arrays = {f"buffer/{name}": array for name, array in self._buffer.items()} | {
            f"shard {flight.shard}/{name}": array
            for flight in self._flights
            for name, array in flight.parameters.items()
        }
        self._state.seconds = self._now()
