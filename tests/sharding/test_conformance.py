"""Every executor keeps the same promises: in process, in the process pool, on Dask and, started by ``test_clusters.py``, on MPI."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait

import numpy as np
import pytest
from jobs import JOBS, bits, trained

from privlab.sharding.clusters import from_dask, from_mpi
from privlab.sharding.conformance import blas_threads, check_executor, echo
from privlab.sharding.engines import InProcess, ProcessPool

ENGINES = os.environ.get("PRIVLAB_ENGINES", "in-process pool dask").split()
SECONDS = 60


@pytest.fixture(scope="module", params=ENGINES)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "in-process":
        yield InProcess()
    elif request.param == "dask":
        with from_dask(request.getfixturevalue("dask_client")) as dask:
            yield dask
    else:
        before = {*multiprocessing.active_children()}
        with {"pool": lambda: ProcessPool(2), "mpi": from_mpi}[request.param]() as pool:
            yield pool
        assert {*multiprocessing.active_children()} <= before


def test_the_checks_find_nothing(executor):
    assert check_executor(executor, kill="mpi" not in ENGINES) == []


def test_a_thousand_small_tasks(executor, request):
    count = 300 if "dask" in request.node.callspec.id else 1000  # milliseconds each
    futures = [executor.submit(divmod, number, 7) for number in range(count)]
    assert [future.result(SECONDS) for future in futures] == [divmod(number, 7) for number in range(count)]


def test_large_results(executor):
    futures = [executor.submit(np.full, 1_000_000, value) for value in range(2)]
    assert all(np.array_equal(f.result(SECONDS), np.full(1_000_000, value)) for value, f in enumerate(futures))


def test_every_worker_has_one_blas_thread(executor):
    assert {f.result(SECONDS) for f in [executor.submit(blas_threads, 0.02) for _ in range(12)]} == {1}


def test_no_task_runs_twice_or_not_at_all(executor, tmp_path):
    futures = [executor.submit(log, str(tmp_path / "log"), number) for number in range(40)]
    wait(futures, SECONDS)
    assert sorted(map(int, (tmp_path / "log").read_text().split())) == list(range(40))


def test_cancelled_tasks_end_and_others_go_on(executor):
    futures = [executor.submit(echo, number, 0.05) for number in range(12)]
    cancelled = [future for future in futures[6:] if future.cancel()]
    assert not wait(futures, SECONDS).not_done
    assert all(future.cancelled() for future in cancelled)
    assert [future.result() for future in futures[:6]] == list(range(6))


def test_keywords_reach_the_function(executor):
    keywords = {"key": 1, "workers": 2, "retries": 3, "pure": True, "fn": 4}
    assert executor.submit(dict, **keywords).result(SECONDS) == keywords


def test_an_interrupt_leaves_it_usable(executor):
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        wait([executor.submit(time.sleep, 1)], SECONDS)
    assert executor.submit(pow, 2, 5).result(SECONDS) == 32


@pytest.mark.parametrize("job", JOBS)
def test_training_gives_the_same_bits(executor, job):
    run = trained(job, executor=executor)
    assert bits(run) == bits(trained(job))
    assert len({event.worker for event in run.trace.events}) <= 3


class Flawed(Executor):
    """Threads that share a cache, mix results up or lose what is cancelled: each is found."""

    def __init__(self, flaw: str) -> None:
        self.flaw, self.threads, self.cache = flaw, ThreadPoolExecutor(2), {}

    def submit(self, fn, /, *args, **kwargs):
        key = (fn, *map(id, args))
        if self.flaw == "caches":
            return self.cache.setdefault(key, self.threads.submit(fn, *args, **kwargs))
        if self.flaw == "swallows":
            return self.threads.submit(lambda: echo(8) if "odd" in fn.__name__ else fn(*args, **kwargs))
        if self.flaw == "mixes" and fn is pow:
            return self.threads.submit(fn, args[0] + 1, *args[1:])
        if self.flaw == "rounds" and fn is np.negative:
            return self.threads.submit(lambda: fn(args[0]).astype(np.float32) / 3)
        return Future() if self.flaw == "hangs" else self.threads.submit(fn, *args)


@pytest.mark.parametrize(
    ("flaw", "finding"),
    [
        ("caches", "caches nothing: four random draws gave 1"),
        ("swallows", "survives odd errors: a task that raised"),
        ("mixes", "keeps results apart: futures do not hold"),
        ("rounds", "carries large arrays: an array of 8 MB"),
        ("hangs", "keeps errors: it failed with TimeoutError: no answer in 0.3 s"),
    ],
)
def test_flaws_are_found(flaw, finding):
    found = check_executor(Flawed(flaw), seconds=0.3 if flaw == "hangs" else SECONDS)
    assert any(line.startswith(finding) for line in found), found


def test_the_standard_pool_does_not_conform():
    """It breaks for good on an exception that unpickles badly; that is why the kit has a pool of its own."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert check_executor(pool)[0].startswith("survives odd errors: it failed with BrokenProcessPool")


def log(path: str, number: int) -> None:
    with open(path, "a") as file:  # a short line is appended at once
        file.write(f"{number}\n")
