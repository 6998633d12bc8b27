"""The process pool: it heals, it leaves no orphans, and what pickles badly harms nobody else."""

import ctypes
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from privlab.sharding.conformance import OddError, echo, kill_own_process, raise_odd_error
from privlab.sharding.engines import InProcess, ProcessPool, WorkerLost, process_pool

posix = pytest.mark.skipif(os.name != "posix", reason="sends signals")


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    before = {*multiprocessing.active_children()}
    with process_pool(2) as pool:
        yield pool
    assert {*multiprocessing.active_children()} <= before


def first_time(path: str) -> bool:
    """Whether a task runs for the first time: ``path`` is its memory."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def log_and_die(path: str) -> None:
    with open(path, "a") as file:
        file.write("ran\n")
    kill_own_process()


def die_once(path: str, result: np.ndarray) -> np.ndarray:
    if first_time(path):
        time.sleep(0.2)
        kill_own_process()
    return result


def die_while_sending_once(path: str) -> bytes:
    """The worker dies when the first bytes of its result are in the pipe, and the rest never comes."""

    def send_a_little(connection: Connection, message: bytes) -> None:
        os.write(connection.fileno(), message[:1000])
        kill_own_process()

    if first_time(path):
        Connection._send = send_a_little
    return bytes(1_000_000)


def exit_with(code: int) -> None:
    raise SystemExit(code)


class UnreadableResult:
    def __reduce__(self):
        return raise_odd_error, ()


def unreadable() -> UnreadableResult:
    return UnreadableResult()


def test_the_environment_is_as_before(pool):
    before = dict(os.environ)
    assert pool.submit(os.getenv, "OPENBLAS_NUM_THREADS").result(60) == "1"
    assert dict(os.environ) == before


def test_a_poison_task_is_named_and_runs_four_times(pool, tmp_path):
    """The tasks beside it run once: nobody dies with their neighbour."""
    others = [pool.submit(echo, number, 0.2) for number in range(8)]
    with pytest.raises(WorkerLost, match=r"^task \d+, test_engines\.log_and_die, lost its worker 4 times$"):
        pool.submit(log_and_die, str(tmp_path / "log")).result(60)
    assert (tmp_path / "log").read_text() == 4 * "ran\n"
    assert [other.result(60) for other in others] == list(range(8))


def die_three_times(path: str) -> str:
    with open(path, "a") as file:
        file.write("ran\n")
    if Path(path).read_text().count("ran") <= 3:
        kill_own_process()
    return "done"


def test_a_worker_that_died_idle_is_not_held_against_the_next_task(tmp_path):
    with process_pool(1) as pool:
        pool.submit(os.getpid).result(60)
        (worker,) = pool._workers
        (process,) = worker._processes.values()
        process.kill()
        while not worker._broken:
            time.sleep(0.01)
        assert pool.submit(die_three_times, str(tmp_path / "log")).result(60) == "done"


def test_a_task_is_repeated_with_the_arguments_that_it_first_had(pool, tmp_path):
    sent = np.zeros(1000)
    future = pool.submit(die_once, str(tmp_path / "ran"), sent)
    while not (tmp_path / "ran").exists():
        time.sleep(0.01)
    sent += 1
    assert not future.result(60).any()


def test_a_worker_that_dies_as_it_sends_is_noticed(pool, tmp_path):
    assert len(pool.submit(die_while_sending_once, str(tmp_path / "ran")).result(60)) == 1_000_000


def kill_at_random(pool: ProcessPool, seed: int, times: int) -> None:
    rng = np.random.default_rng(seed)
    for pause in rng.exponential(0.3, times):
        time.sleep(pause)
        processes = [p for worker in list(pool._workers) for p in (worker._processes or {}).values()]
        if processes:
            processes[rng.integers(len(processes))].kill()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_random_kills_cost_no_result(pool, seed):
    """Three kills cannot exhaust the four runs of a task, so a lost or a wrong result is a bug and no bad luck."""
    time.sleep(0.1)  # the death of an idle worker, by the test before, is noticed by now
    killer = threading.Thread(target=kill_at_random, args=(pool, seed, 3))
    killer.start()
    results, number = [], 0
    while killer.is_alive() or number < 60:
        results += [(number, pool.submit(np.full, 100_000, number)), (number, pool.submit(echo, number, 0.01))]
        number += 1
        wait([future for _, future in results[-8:-4]], 60)
    killer.join()
    assert all(np.all(future.result(60) == number) for number, future in results)


def test_errors_come_back_with_the_workers_traceback(pool):
    error = pool.submit(divmod, 1, 0).exception(60)
    assert isinstance(error, ZeroDivisionError)
    assert "In the worker:\nTraceback" in error.__notes__[0]


def test_what_pickles_badly_is_its_own_tasks_error(pool):
    workers = {pool.submit(os.getpid).result(60)}
    odd = pool.submit(raise_odd_error).exception(60)
    assert isinstance(odd, RuntimeError)
    assert "OddError, which cannot be sent back" in str(odd)
    assert "raise_odd_error" in str(odd)  # the traceback
    assert "SystemExit: 3" in str(pool.submit(exit_with, 3).exception(60))
    assert isinstance(pool.submit(unreadable).exception(60), OddError)
    assert "pickle" in str(pool.submit(ctypes.pointer, ctypes.c_int(1)).exception(60))
    assert isinstance(pool.submit(len, threading.Lock()).exception(60), TypeError)
    assert {pool.submit(os.getpid).result(60) for _ in range(20)} & workers  # no worker died of it


def test_functions_of_a_script_are_refused_at_once(pool, monkeypatch):
    monkeypatch.setattr(echo, "__module__", "__main__")
    with pytest.raises(ValueError, match=r"fn is <function echo.*must be a function that a worker can import"):
        pool.submit(echo, 1)


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{pid}/status")
        if status.exists() and "\nState:\tZ" in status.read_text():
            return True  # ended; nobody has collected its status
        time.sleep(0.1)
    return False


def fail_while_tasks_run(tasks: list[Future]) -> None:
    with ProcessPool(1) as pool:
        pool.submit(int).result(60)
        tasks += [pool.submit(time.sleep, 300) for _ in range(2)]
        raise KeyError


def test_an_error_in_the_block_ends_running_tasks_at_once():
    before, tasks = {*multiprocessing.active_children()}, []
    with pytest.raises(KeyError):
        fail_while_tasks_run(tasks)
    assert all(task.cancelled() or isinstance(task.exception(), WorkerLost) for task in tasks)
    assert {*multiprocessing.active_children()} <= before


def test_a_forgotten_pool_ends_its_workers():
    pool = ProcessPool(1)
    worker = pool.submit(os.getpid).result(60)
    del pool
    gc.collect()
    assert wait_until_gone(worker)


def test_a_pool_that_is_shut_down_without_waiting_finishes_its_tasks():
    pool = ProcessPool(1)
    worker = pool.submit(os.getpid).result(60)
    futures = [pool.submit(echo, number, 0.05) for number in range(3)]
    pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(int)
    assert [future.result(60) for future in futures] == [0, 1, 2]
    assert wait_until_gone(worker)


SCRIPT = """
from privlab.sharding import process_pool
print("once")
with process_pool(1) as pool:
    print(sorted(pool.map(abs, [-2, 1])))
"""


@pytest.mark.parametrize("how", ["file", "standard input", "-c"])
def test_scripts_need_no_guard(how, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command, text = {"file": ([script], None), "standard input": (["-"], SCRIPT), "-c": (["-c", SCRIPT], None)}[how]
    run = subprocess.run(
        [sys.executable, *command], input=text, capture_output=True, text=True, timeout=120, check=False
    )
    assert (run.stdout.split("\n"), run.stderr) == (["once", "[1, 2]", ""], "")


PARENT = """
import os, sys
from concurrent.futures import wait
from privlab.sharding import process_pool
from privlab.sharding.conformance import echo
pool = process_pool(1)
print(pool.submit(os.getpid).result(), flush=True)
running = pool.submit(echo, 7, 1 if "interrupt" in sys.argv else 60)
try:
    wait([running])
except KeyboardInterrupt:
    print(running.result(), pool.submit(os.getpid).result(), flush=True)
"""


@posix
@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_an_interrupted_parent_goes_on_and_a_killed_one_leaves_no_orphan(how):
    """An interrupt goes to the whole group, as from a terminal or from Jupyter. The pool is used again, and never closed."""
    command = [sys.executable, "-c", PARENT, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        worker = int(parent.stdout.readline())
        time.sleep(0.2)
        if how == "interrupt":
            os.killpg(parent.pid, signal.SIGINT)
        else:
            parent.kill()
        rest = parent.communicate(timeout=60)[0]
    assert (parent.returncode, rest) == ((0, f"7 {worker}\n") if how == "interrupt" else (-signal.SIGKILL, ""))
    assert wait_until_gone(worker)


def test_in_process_runs_at_once_and_keeps_errors():
    assert InProcess().submit(pow, 2, 3).result() == 8
    assert isinstance(InProcess().submit(divmod, 1, 0).exception(), ZeroDivisionError)


@pytest.mark.parametrize("workers", [0, -1, 1.5])
def test_bad_worker_counts_are_refused(workers):
    with pytest.raises(ValueError, match="workers is"):
        process_pool(workers)
