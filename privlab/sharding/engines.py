"""Engines: where tasks run. Any `concurrent.futures.Executor` will do; this is the default one."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from privlab import arguments

P = ParamSpec("P")
T = TypeVar("T")
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of worker processes, each with one BLAS thread, that ends with the ``with`` block or with its parent.

    Workers are spawned, so what they run must be importable: a function of a package, never of a notebook cell or of a script. In
    return a script needs no ``if __name__ == "__main__"``.

    Parameters
    ----------
    workers : int
        Number of processes, at least 1.

    Yields
    ------
    concurrent.futures.ProcessPoolExecutor

    Raises
    ------
    ValueError
        If ``workers`` is not a whole number of at least 1.

    Examples
    --------
    >>> with process_pool(1) as pool:
    ...     pool.submit(pow, 2, 10).result()
    1024
    """
    arguments.whole("workers", workers)
    before = {name: os.environ.get(name) for name in BLAS_THREADS}
    os.environ.update(dict.fromkeys(BLAS_THREADS, "1"))  # read when a worker first imports NumPy
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent)
    try:
        with _main_hidden():
            for _ in range(workers):
                pool.submit(int)  # each starts one worker
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):  # an interrupt must not wait for running tasks
            process.terminate()
        raise
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Keep new workers from running the user's script again, guarded or not: what they run is in packages."""
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    try:
        for name in kept:
            setattr(main, name, None)
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)


class InProcess(Executor):
    """An executor that runs each task when it is submitted, in this process.

    Examples
    --------
    >>> InProcess().submit(pow, 2, 10).result()
    1024
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run the task now; its result or exception is in the future returned."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def _end_with_parent() -> None:
    """Leave no orphan when a kernel is killed: a spawned worker would wait for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
