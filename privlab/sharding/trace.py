"""What happened when, where, and how many bytes it took: one record for runs that were simulated and runs that were real."""

import json
import os
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.files import replacing

POLICIES = ("static", "dynamic", "longest-first")
STATUSES = ("ok", "failed", "lost", "rejected")
FORMAT = "privlab trace 1"


@dataclass(frozen=True)
class Event:
    """One task on one worker.

    Parameters
    ----------
    task, round, worker : int
        Which shard, in which round (asynchronous: its how-manieth task), by which worker; each counts from 0.
    start, end : float
        Seconds since the run began; ``start <= end``.
    bytes_in, bytes_out : int
        What the worker received for the task, and sent back.
    status : {"ok", "failed", "lost", "rejected"}
        Its result was used; the task raised; its worker died; its result was refused.
    staleness : int
        Updates of the model between the task's start and the use of its result; 0 in synchronous rounds.
    size : int
        Records in the task; 0 where unknown.

    Raises
    ------
    ValueError
        If an argument is not allowed.
    """

    task: int
    round: int
    worker: int
    start: float
    end: float
    bytes_in: int = 0
    bytes_out: int = 0
    status: str = "ok"
    staleness: int = 0
    size: int = 0

    def __post_init__(self) -> None:
        for name in ("task", "round", "worker", "bytes_in", "bytes_out", "staleness", "size"):
            object.__setattr__(self, name, arguments.whole(name, getattr(self, name), at_least=0))
        object.__setattr__(self, "start", arguments.real("start", self.start, at_least=0))
        object.__setattr__(self, "end", arguments.real("end", arguments.real("end", self.end), at_least=self.start))
        arguments.choice("status", self.status, STATUSES)


@dataclass(frozen=True)
class Trace:
    """Events of one run.

    Parameters
    ----------
    events : tuple of Event
        In the order in which tasks were handed out.
    speeds : tuple of float
        One per worker, above 0: work per second relative to a worker of speed 1. A real run on equal workers has ``(1.0,) * k``.
    policy : str
        How tasks were assigned: "static", "dynamic" or "longest-first".

    Raises
    ------
    ValueError
        If there is no worker, a speed is not above 0 or an event's worker has none.

    Examples
    --------
    >>> trace = Trace((Event(0, 0, 0, 0.0, 3.0), Event(1, 0, 1, 0.0, 1.0)), speeds=(1, 1))
    >>> trace.makespan, trace.utilisation
    (3.0, 0.6666666666666666)
    """

    events: tuple[Event, ...]
    speeds: tuple[float, ...]
    policy: str = "dynamic"

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", tuple(self.events))
        object.__setattr__(self, "speeds", tuple(arguments.real("speeds", speed, above=0) for speed in self.speeds))
        arguments.choice("policy", self.policy, POLICIES)
        workers = 1 + max((event.worker for event in self.events), default=0)
        if len(self.speeds) < workers:
            raise ValueError(f"speeds has {len(self.speeds)} value(s), but must have one for each of {workers} workers")

    @property
    def makespan(self) -> float:
        """Seconds from the first start to the last end; 0 without events."""
        if not self.events:
            return 0.0
        return max(event.end for event in self.events) - min(event.start for event in self.events)

    @property
    def busy(self) -> NDArray[np.float64]:
        """Seconds of work of each worker, shape (workers,), whatever became of its results."""
        seconds = np.zeros(len(self.speeds))
        for event in self.events:
            seconds[event.worker] += event.end - event.start
        return seconds

    @property
    def idle(self) -> NDArray[np.float64]:
        """Seconds of the makespan in which each worker had nothing to do, shape (workers,)."""
        return np.maximum(self.makespan - self.busy, 0.0)

    @property
    def utilisation(self) -> float:
        """Share of the workers' time that was work, in [0, 1]; 1 where no time passed."""
        return float(self.busy.mean() / self.makespan) if self.makespan else 1.0

    def traffic(self, party: str = "worker") -> dict[int | str, tuple[int, int]]:
        """Bytes (received, sent) by each worker, or each task with ``party="task"``, and by the "server" at the other end."""
        arguments.choice("party", party, ("worker", "task"))
        totals: dict[int | str, tuple[int, int]] = {"server": (0, 0)}
        for event in self.events:
            for name, received, sent in (
                (getattr(event, party), event.bytes_in, event.bytes_out),
                ("server", event.bytes_out, event.bytes_in),
            ):
                before = totals.get(name, (0, 0))
                totals[name] = before[0] + received, before[1] + sent
        return totals

    def save(self, path: str | PathLike[str]) -> None:
        """Write JSON lines: one with the settings, then one per event. The file is replaced only when complete and on disk."""
        lines = [{"format": FORMAT, "speeds": self.speeds, "policy": self.policy}, *map(asdict, self.events)]
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        with replacing(path) as file:
            file.write(text.encode())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Trace":
        """Read a trace written by `save`. Raises `ValueError` naming the line where the file is not one."""
        trace = cls((), (1.0,))
        events = []
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines() or [""], 1):
            try:
                record = json.loads(line)
                if number > 1:
                    events.append(Event(**record))
                elif record.pop("format") != FORMAT:
                    raise ValueError(f"the format must be {FORMAT!r}")
                else:
                    trace = cls((), **record)
            except (ValueError, TypeError, AttributeError, KeyError) as error:
                raise ValueError(
                    f"path is {os.fspath(path)!r}, but line {number} is not of a trace: {error}"
                ) from error
        return replace(trace, events=tuple(events))
