"""Does an executor keep the promises that sharded training builds on? The same questions to any of them."""

import os
import secrets
import signal
import time
from concurrent.futures import FIRST_COMPLETED, Executor, wait

import numpy as np
from threadpoolctl import threadpool_info

from privlab import arguments


class OddError(Exception):
    """An exception that pickles and does not unpickle: its constructor takes two arguments and hands on one."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(what)
        self.code = code


def check_executor(executor: Executor, *, seconds: float = 60.0, kill: bool = False) -> list[str]:
    """Return what an executor gets wrong, a sentence for each promise that it breaks; an empty list where it conforms.

    The promises: each future holds the result of its own task; errors keep their type; an exception that cannot be sent back harms
    no other task; no result comes from a cache; workers have one BLAS thread; large arrays arrive whole; a cancelled future ends.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Only ``submit`` is called. Workers must be able to import this package.
    seconds : float
        How long each answer may take.
    kill : bool
        Also kill a worker process: only its own task may suffer. An executor that does not survive this is lost (an MPI job ends).
        Skipped where tasks run in this process.

    Raises
    ------
    ValueError
        If ``seconds`` is not a finite number > 0.

    Examples
    --------
    >>> from privlab.sharding import InProcess
    >>> check_executor(InProcess())
    []
    """
    arguments.real("seconds", seconds, above=0)
    checks = (_keeps_results_apart, _keeps_errors, _survives_odd_errors, _caches_nothing, _has_one_blas_thread)
    found = []
    for check in (*checks, _carries_large_arrays, _cancels, *([_survives_a_death] if kill else [])):
        try:
            finding = check(executor, seconds)
        except Exception as error:
            finding = f"it failed with {type(error).__name__}: {str(error) or f'no answer in {seconds:g} s'}"
        if finding:
            found.append(f"{check.__name__.strip('_').replace('_', ' ')}: {finding}")
    return found


def _keeps_results_apart(executor: Executor, seconds: float) -> str | None:
    futures = [executor.submit(pow, number, 2) for number in range(50)]
    done, _ = wait(futures, seconds, FIRST_COMPLETED)
    right = bool(done) and [future.result(seconds) for future in futures] == [number**2 for number in range(50)]
    return None if right else "futures do not hold their own tasks' results"


def _keeps_errors(executor: Executor, seconds: float) -> str | None:
    error = executor.submit(int, "one").exception(seconds)
    return None if isinstance(error, ValueError) else f"a ValueError came back as {error!r}"


def _survives_odd_errors(executor: Executor, seconds: float) -> str | None:
    error = executor.submit(raise_odd_error).exception(seconds)
    if error is None:
        return "a task that raised came back as a success"
    return None if executor.submit(pow, 2, 3).result(seconds) == 8 else "the task after it has a wrong result"


def _caches_nothing(executor: Executor, seconds: float) -> str | None:
    draws = [executor.submit(secrets.token_hex, 16) for _ in range(4)]
    different = len({draw.result(seconds) for draw in draws})
    return None if different == 4 else f"four random draws gave {different} different value(s): results are reused"


def _has_one_blas_thread(executor: Executor, seconds: float) -> str | None:
    futures = [executor.submit(blas_threads, 0.02) for _ in range(8)]
    threads = max(future.result(seconds) for future in futures)
    return None if threads == 1 else f"a worker's BLAS uses {threads} threads"


def _carries_large_arrays(executor: Executor, seconds: float) -> str | None:
    array = np.arange(1_000_000.0)
    back = executor.submit(np.negative, array).result(seconds)
    return None if np.array_equal(back, -array) else "an array of 8 MB came back changed"


def _cancels(executor: Executor, seconds: float) -> str | None:
    futures = [executor.submit(time.sleep, 0.05) for _ in range(6)]
    cancelled = [future for future in reversed(futures) if future.cancel()]
    if wait(futures, seconds).not_done:
        return "waiting for cancelled futures does not end"
    return None if all(future.cancelled() for future in cancelled) else "a future said to be cancelled is not"


def _survives_a_death(executor: Executor, seconds: float) -> str | None:
    if executor.submit(os.getpid).result(seconds) == os.getpid():
        return None
    others = [executor.submit(echo, number, 0.1) for number in range(4)]
    victim = executor.submit(kill_own_process)
    others += [executor.submit(echo, number, 0.1) for number in range(4, 8)]
    if victim.exception(seconds) is None:
        return "a task that killed its worker came back as a success"
    right = [future.result(seconds) for future in others] == list(range(8))
    return None if right and executor.submit(pow, 2, 3).result(seconds) == 8 else "another task's result is wrong"


def raise_odd_error() -> None:
    """Task: raise `OddError`."""
    raise OddError("odd", 1)


def kill_own_process() -> None:
    """Task: end the worker at once, as the system does when memory runs out."""
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def echo(value: int, pause: float = 0.0) -> int:
    """Task: return ``value`` after ``pause`` seconds."""
    time.sleep(pause)
    return value


def blas_threads(pause: float = 0.0) -> int:
    """Task: return the largest number of threads of a BLAS library that is loaded here."""
    time.sleep(pause)
    return max((library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"), default=1)
