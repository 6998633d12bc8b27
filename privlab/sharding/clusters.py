"""Clusters as engines: Dask and MPI behind `concurrent.futures.Executor`."""

import functools
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

from privlab.sharding.engines import InProcess, WorkerLost, attempt, one_blas_thread, outcome, task_name

P = ParamSpec("P")
T = TypeVar("T")
INSTALL = "pip install 'privlab[engines]'"


def from_dask(client: Any) -> Executor:
    """Run tasks on a Dask cluster, each task for itself: no result is cached and no failed task is silently tried again.

    Dask's own executor takes a function called twice with the same arguments for the same work, so four draws of noise would be the
    same noise. Here each task has its own key, and its result leaves the cluster when it arrives: Dask would run a finished task
    again if the worker that holds the result died. A task that is running when its worker dies is run again by the cluster, up to
    its setting ``distributed.scheduler.allowed-failures`` (3), and then once more, alone; so noise must be keyed by its task
    (`privlab.randomness.secret_stream`). A worker that has run a task keeps to one BLAS thread. Closing the executor leaves client
    and cluster open.

    Parameters
    ----------
    client : distributed.Client
        Connected to a cluster whose workers have the package installed.

    Returns
    -------
    concurrent.futures.Executor
        A running task cannot be stopped: cancelling its future drops its result. A task that lost its worker too often raises
        `WorkerLost`.

    Raises
    ------
    ImportError
        If Dask is not installed.
    ValueError
        If ``client`` is not a synchronous client.

    Examples
    --------
    >>> from distributed import Client                                                            # doctest: +SKIP
    >>> with Client(n_workers=2, threads_per_worker=1) as client, from_dask(client) as executor:  # doctest: +SKIP
    ...     executor.submit(pow, 2, 10).result()
    1024
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(f"from_dask needs dask[distributed]: {INSTALL}") from error
    if not isinstance(client, Client) or client.asynchronous:
        raise ValueError(f"client is {client!r}, but must be a distributed.Client with asynchronous=False")
    return _Dask(client)


def from_mpi() -> Executor:
    """Run tasks on the ranks of an MPI job: rank 0 goes on with the program, the others work for it.

    Start the program with ``mpiexec -n 5 python -m mpi4py.futures train.py`` for four workers, each with one BLAS thread. What they
    run must be importable from a package. Without ``-m mpi4py.futures`` every rank runs the program up to this call, where all but
    rank 0 stay, and end with it. A job of one rank, so any program started without ``mpiexec``, runs its tasks in process.

    MPI does not outlive its ranks: when one dies, the whole job ends, and a run goes on from its checkpoint.

    Returns
    -------
    concurrent.futures.Executor
        To be closed, best by ``with``: workers wait for it.

    Raises
    ------
    ImportError
        If mpi4py or an MPI library is not installed.
    SystemExit
        On the ranks that worked, once rank 0 has closed the executor.

    Examples
    --------
    >>> with from_mpi() as executor:  # doctest: +SKIP
    ...     executor.submit(pow, 2, 10).result()
    1024
    """
    try:
        from mpi4py import MPI
        from mpi4py.futures import MPICommExecutor
    except (ImportError, RuntimeError) as error:  # RuntimeError: no library
        raise ImportError(f"from_mpi needs mpi4py and an MPI library, such as mpich: {INSTALL}") from error
    if MPI.COMM_WORLD.Get_size() == 1:
        return InProcess()
    pool: Any = MPICommExecutor(MPI.COMM_WORLD, root=0, initializer=one_blas_thread, main=False).__enter__()
    if pool is None:
        raise SystemExit
    return pool


class _Dask(Executor):
    """Dask's client as an executor."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._futures: weakref.WeakSet[Future] = weakref.WeakSet()
        self._suspects = ThreadPoolExecutor(1)
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        # One opaque argument: Dask reads keywords such as `key` and `workers` as its own, and looks for futures in the others.
        call = functools.partial(fn, *args, **kwargs)
        ours: Future[T] = Future()
        theirs = self._send(call)
        ours.add_done_callback(lambda _: theirs.cancel() if ours.cancelled() and not theirs.cancelled() else None)
        theirs.add_done_callback(functools.partial(self._settle, ours, call))
        self._futures.add(ours)
        return ours

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._closed = True
        futures = list(self._futures)
        for future in futures if cancel_futures else ():
            future.cancel()
        if wait:
            wait_for(futures)

    def _send(self, call: functools.partial[T]) -> Any:
        key = f"{task_name(call)}-{uuid4().hex}"
        return self._client.submit(_attempt_on_one_thread, call, key=key, pure=False, retries=0)

    def _settle(self, ours: Future[T], call: functools.partial[T], theirs: Any) -> None:
        """In a thread of Dask's, when a task is done there."""
        if theirs.cancelled():
            ours.cancel()
        if ours.set_running_or_notify_cancel():
            self._deliver(ours, call, theirs)

    def _deliver(self, ours: Future[T], call: functools.partial[T], theirs: Any = None) -> None:
        """Hand over the outcome of a task; without ``theirs``, of a task that is tried again."""
        from distributed import KilledWorker

        again = theirs is None
        try:
            theirs = theirs or self._send(call)
            result = outcome(theirs.result())
            theirs.release()  # or a worker's death would have the cluster compute it again
            ours.set_result(result)
        except KilledWorker as error:
            if again:
                ours.set_exception(WorkerLost(str(error)))
            else:  # Dask blames all tasks that it had given to the worker, so suspects get one more chance, one at a time
                self._suspects.submit(self._deliver, ours, call)
        except BaseException as error:
            ours.set_exception(error)


def _attempt_on_one_thread(call: Callable[[], T]) -> tuple[T | None, Exception | None]:
    one_blas_thread()
    return attempt(call)
