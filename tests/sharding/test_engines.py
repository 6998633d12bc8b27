"""The process pool: one BLAS thread, no orphans, environment restored."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from privlab.sharding import InProcess, process_pool


def blas_threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    return [library["num_threads"] for library in threadpool_info()]


def test_workers_have_one_blas_thread_and_the_environment_is_restored():
    before = dict(os.environ)
    with process_pool(2) as pool:
        assert set(pool.submit(blas_threads).result(60)) == {1}
    assert dict(os.environ) == before


def test_errors_come_back_and_the_pool_ends():
    with process_pool(1) as pool:
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result(60)
        processes = list(pool._processes.values())
    assert not any(process.is_alive() for process in processes)


PARENT = """
import os, time
from privlab.sharding import process_pool
with process_pool(1) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""
SCRIPT = """
from privlab.sharding import process_pool
print("once")
with process_pool(2) as pool:
    print(sorted(pool.map(abs, [-2, 1])))
"""


@pytest.mark.parametrize("how", ["file", "standard input", "-c"])
def test_scripts_need_no_guard(how, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command, text = {"file": ([script], None), "standard input": (["-"], SCRIPT), "-c": (["-c", SCRIPT], None)}[how]
    run = subprocess.run(
        [sys.executable, *command], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.stdout.split("\n"), run.stderr) == (["once", "[1, 2]", ""], "")


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads the state of a process from /proc")
def test_a_killed_parent_leaves_no_orphan(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        if "\nState:\tZ" in Path(f"/proc/{worker}/status").read_text():
            return  # ended; nobody has collected its status
        time.sleep(0.1)
    pytest.fail("the worker outlived its parent")


def test_in_process_runs_at_once_and_keeps_errors():
    assert InProcess().submit(pow, 2, 3).result() == 8
    assert isinstance(InProcess().submit(divmod, 1, 0).exception(), ZeroDivisionError)


@pytest.mark.parametrize("workers", [0, -1, 1.5])
def test_bad_worker_counts_are_refused(workers):
    with pytest.raises(ValueError, match="workers is"), process_pool(workers):
        pass
