"""Ratios of CPU time, and what a command costs with all the processes that it starts."""

import cProfile
import pstats
import re
import resource
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

INTERVAL = 0.1  # seconds between two looks at the processes
LIMIT = 1200  # seconds that a command may take


def cpu_seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Return the CPU time of this process, all threads: the work of others is not in it. Or the time of another clock."""
    start = clock()
    work()
    return clock() - start


def cpu_ratios(
    work: Callable[[], object],
    reference: Callable[[], object],
    pairs: int,
    clock: Callable[[], float] = time.process_time,
) -> list[float]:
    """Return CPU times of ``work`` over those of ``reference``, each pair measured back to back."""
    ratios = []
    for _ in range(pairs):
        below = cpu_seconds(reference, clock)
        ratios.append(cpu_seconds(work, clock) / below)
    return ratios


def profiled(work: Callable[[], object], lines: int = 8) -> str:
    """Return in words which functions use most CPU time of this thread, their own only."""
    profile = cProfile.Profile(time.thread_time)
    profile.runcall(work)
    stats: Any = pstats.Stats(profile)
    spent = sorted(((own, name) for (_, _, name), (_, _, own, _, _) in stats.stats.items()), reverse=True)
    return ", ".join(f"{_short(name)} {own / stats.total_tt:.0%}" for own, name in spent[:lines])


def _short(name: str) -> str:
    """Of ``<method 'take' of 'numpy.ndarray' objects>`` leave ``take``, of ``<built-in method numpy.x.dot>`` leave ``dot``."""
    method = re.search(r"method '(\w+)' of", name)
    return method[1] if method else name.strip("<>").rpartition(".")[2]


@dataclass(frozen=True)
class Cost:
    """What a command cost.

    Attributes
    ----------
    seconds, cpu_seconds : float
        By the clock from start to end, and of all its processes together.
    times, cpu_so_far : sequence of float
        CPU seconds that had been used at some times (`time.time`).
    """

    seconds: float
    cpu_seconds: float
    times: Sequence[float]
    cpu_so_far: Sequence[float]

    def cpu_between(self, start: float, end: float) -> float:
        """Return the CPU seconds used between two times."""
        first, last = np.interp([start, end], self.times, self.cpu_so_far)
        return float(last - first)


def run_and_measure(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a command to its end; raise `RuntimeError`, with the end of its output, if it fails or takes too long.

    CPU time is counted twice and the larger count is used: what the system reports of processes that were waited for, which
    leaves out those that nobody waited for, and what was seen of each while it lived, which leaves out its last moments.
    """
    waited, begun = waited_for(), time.time()
    seen: dict[tuple[int, float], float] = {}
    times, so_far = [begun], [0.0]
    with tempfile.TemporaryFile() as output:
        process = psutil.Popen(command, env=dict(environment), stdout=output, stderr=output)
        while process.poll() is None:
            _look(process, seen)
            times.append(time.time())
            so_far.append(sum(seen.values()))
            time.sleep(INTERVAL)
            if time.time() - begun > LIMIT:
                _kill(process)
        seconds = time.time() - begun
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{output.read().decode(errors='replace')[-4000:]}")
    return Cost(seconds, max(waited_for() - waited, so_far[-1]), times, so_far)


def waited_for() -> float:
    """Return the CPU time of all processes that this one has started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return []


def _kill(process: psutil.Process) -> None:
    for member in _family(process):
        with suppress(psutil.NoSuchProcess):
            member.kill()


def _look(process: psutil.Process, seen: dict[tuple[int, float], float]) -> None:
    """Note the CPU time so far of a process and its descendants; those that have ended keep what was noted last."""
    for member in _family(process):
        with suppress(psutil.NoSuchProcess):
            used = member.cpu_times()
            seen[member.pid, member.create_time()] = used.user + used.system
