"""Engines: where tasks run. Any `concurrent.futures.Executor` will do; these run in this process and in processes beside it."""

import functools
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController, threadpool_limits

from privlab import arguments

P = ParamSpec("P")
T = TypeVar("T")
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
RETRIES = 3  # how often a task that lost its worker is run again
_STARTING = threading.Lock()


class WorkerLost(BrokenExecutor):
    """A task ended without a result because its worker process did, each time it was tried."""


class InProcess(Executor):
    """An executor that runs each task when it is submitted, in this process, on one BLAS thread.

    Examples
    --------
    >>> InProcess().submit(pow, 2, 10).result()
    1024
    """

    def __init__(self) -> None:
        self._libraries = ThreadpoolController()  # looking for them takes milliseconds: once, not for each task

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run the task now; its result or exception is in the future returned."""
        future: Future[T] = Future()
        try:
            with self._libraries.limit(limits=1, user_api="blas"):
                future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class ProcessPool(Executor):
    """A pool of worker processes, each with one BLAS thread, that heals when one of them dies.

    Each worker is a `ProcessPoolExecutor` of one process, fed by a thread of its own. So a death takes no other task along and none
    has to be suspected: the task that was running runs again, in a new process, with the very bytes sent before. That makes
    it the same release where noise is keyed by its task (`privlab.randomness.secret_stream`). Queued tasks can be cancelled.

    Workers are spawned, so what they run must be importable: a function of a package, never of a notebook cell or of a script. In
    return a script needs no ``if __name__ == "__main__"``. Workers ignore interrupts and end with their parent. Leaving a ``with``
    block waits for all tasks; leaving it by an exception or an interrupt calls `kill_workers`.

    Parameters
    ----------
    workers : int
        Number of processes, at least 1. Each starts when it is first needed.

    Raises
    ------
    ValueError
        If ``workers`` is not a whole number of at least 1.
    WorkerLost
        From a future, if its task lost its worker four times: as a rule the task itself is what kills.

    Examples
    --------
    >>> with ProcessPool(1) as pool:
    ...     pool.submit(pow, 2, 10).result()
    1024
    """

    def __init__(self, workers: int) -> None:
        self._threads = ThreadPoolExecutor(arguments.whole("workers", workers))
        self._own = threading.local()
        self._workers: set[ProcessPoolExecutor] = set()
        self._killed = False
        self._numbers = itertools.count(1)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a task; arguments are pickled when it first starts, and only then."""
        if getattr(fn, "__module__", None) == "__main__":
            raise ValueError(f"fn is {fn!r}, but must be a function that a worker can import from a package")
        return self._threads.submit(self._run, next(self._numbers), functools.partial(fn, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; with ``wait``, return when those submitted are done and no worker is left."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        if not wait:
            threading.Thread(target=self.shutdown).start()  # somebody has to end the workers when the tasks are done
            return
        for worker in list(self._workers):
            worker.shutdown()

    def kill_workers(self) -> None:
        """End at once: running tasks fail with `WorkerLost`, queued ones are cancelled, no process is left."""
        with _STARTING:  # no worker starts after this
            self._killed = True
        for worker in list(self._workers):
            for process in list((worker._processes or {}).values()):
                process.kill()
        self.shutdown(cancel_futures=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:  # an error or an interrupt must not wait for running tasks
            self.kill_workers()
            return
        try:
            self.shutdown()
        except BaseException:  # a second interrupt, while waiting
            self.kill_workers()
            raise

    def _run(self, number: int, call: functools.partial[T]) -> T:
        """Run one task, in a thread: send it to this thread's worker, again if the worker dies."""
        message = bytes(ForkingPickler.dumps(call, -1))
        for _ in range(1 + RETRIES):
            worker = self._worker()
            try:
                answer = worker.submit(_answer, message).result()
            except BrokenExecutor:
                self._lay_off(worker)
            else:
                return outcome(ForkingPickler.loads(answer))
        raise WorkerLost(f"task {number}, {task_name(call)}, lost its worker {1 + RETRIES} times")

    def _lay_off(self, worker: ProcessPoolExecutor) -> None:
        del self._own.worker
        worker.shutdown()
        self._workers.discard(worker)

    def _worker(self) -> ProcessPoolExecutor:
        if hasattr(self._own, "worker") and self._own.worker._broken:  # it died between tasks: no task is to blame
            self._lay_off(self._own.worker)
        if not hasattr(self._own, "worker"):
            with _STARTING, _inherited():
                if self._killed:
                    raise WorkerLost("the pool was closed while the task was running")
                context = multiprocessing.get_context("spawn")
                worker = ProcessPoolExecutor(1, mp_context=context, initializer=_begin)
                worker.submit(int)  # starts the process
                # While this end is open, a worker that dies as it sends a large result is waited for, for ever.
                worker._result_queue._writer.close()  # type: ignore[attr-defined]
                self._workers.add(worker)
                self._own.worker = worker
        return self._own.worker


process_pool = ProcessPool  # the verb for a `with` statement


def attempt(call: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """Run a task in a worker and return its result or its exception, the latter so that it survives the way back.

    An exception carries the worker's traceback as a note; one that cannot be pickled and unpickled, or that would end the reader's
    program (`SystemExit`), comes back as a `RuntimeError` that quotes it.
    """
    try:
        return call(), None
    except BaseException as error:
        return None, _sendable(error)


def outcome(attempted: tuple[T, Exception | None]) -> T:
    """Return the result in what `attempt` returned, or raise its exception."""
    result, error = attempted
    if error is not None:
        raise error
    return result


@functools.cache
def one_blas_thread() -> None:
    """Limit this process to one BLAS thread for good, in libraries loaded already and in those loaded later."""
    os.environ.update(dict.fromkeys(BLAS_THREADS, "1"))
    threadpool_limits(1)


def _answer(message: bytes) -> bytes:
    """In a worker: read a task, run it and write what came of it. Whatever pickles badly is this task's error and no one else's."""
    attempted = attempt(lambda: ForkingPickler.loads(message)())
    try:
        return bytes(ForkingPickler.dumps(attempted, -1))
    except Exception as error:
        return bytes(ForkingPickler.dumps((None, _sendable(error)), -1))


def _sendable(error: BaseException) -> Exception:
    """Return the exception with its traceback as a note, or one that quotes it."""
    report = "".join(traceback.format_exception(error)).rstrip()
    try:
        if isinstance(error, Exception):
            error.add_note(f"In the worker:\n{report}")
            if type(ForkingPickler.loads(ForkingPickler.dumps(error))) is type(error):
                return error
    except Exception:
        pass
    return RuntimeError(f"the task raised {type(error).__qualname__}, which cannot be sent back:\n{report}")


def task_name(call: functools.partial) -> str:
    """Name a task by its function, never by its arguments: they may hold secrets."""
    function = call.func
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__qualname__)}"


@contextmanager
def _inherited() -> Iterator[None]:
    """Set what a worker takes over as it starts: one BLAS thread, and no main script to run again, guarded or not."""
    before = {name: os.environ.get(name) for name in BLAS_THREADS}
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    try:
        os.environ.update(dict.fromkeys(BLAS_THREADS, "1"))  # read when the worker first imports NumPy
        for name in kept:
            setattr(main, name, None)
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)
        for name, setting in before.items():
            if setting is None:
                del os.environ[name]
            else:
                os.environ[name] = setting


def _begin() -> None:
    """In a new worker: leave interrupts to the parent, and end with it, for a spawned worker would wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
