"""Dask and MPI: what is special to each."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from needed import require, unavailable

from privlab.sharding.clusters import from_dask, from_mpi
from privlab.sharding.conformance import kill_own_process
from privlab.sharding.engines import WorkerLost

ROOT = Path(__file__).parents[2]


def log_process(path: str, number: int) -> int:
    with open(path, "a") as file:
        file.write(f"{number}\n")
    return os.getpid()


def test_dask_does_not_repeat_finished_tasks_when_a_worker_dies(dask_client, tmp_path):
    """Dask would compute again what the dead worker held, were the results not let go of: each a second release."""
    with from_dask(dask_client) as executor:
        futures = [executor.submit(log_process, str(tmp_path / "log"), number) for number in range(20)]
        assert len({future.result(60) for future in futures}) == 2
        with pytest.raises(WorkerLost, match=r"kill_own_process-\w+' on 1 "):
            executor.submit(kill_own_process).result(60)
        deadline = time.monotonic() + 60
        while len(dask_client.scheduler_info()["workers"]) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        executor.submit(pow, 2, 3).result(60)
    assert sorted(map(int, (tmp_path / "log").read_text().split())) == list(range(20))


def test_a_closed_dask_executor_takes_no_tasks_and_leaves_the_client_open(dask_client):
    executor = from_dask(dask_client)
    futures = [executor.submit(time.sleep, 0.2) for _ in range(8)]
    executor.shutdown(cancel_futures=True)
    assert any(future.cancelled() for future in futures)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(pow, 2, 3)
    assert dask_client.submit(pow, 2, 3).result(60) == 8


def test_another_thing_than_a_client_is_refused():
    require("distributed")
    with pytest.raises(ValueError, match=r"client is 'localhost:8786', but must be"):
        from_dask("localhost:8786")


@pytest.mark.parametrize(
    ("package", "call"), [("distributed", lambda: from_dask(None)), ("mpi4py", from_mpi)], ids=["dask", "mpi"]
)
def test_a_missing_package_is_named(package, call, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"needs .*{package}.*: pip install 'privlab\[engines\]'"):
        call()


def mpi(ranks: int, *arguments: str, seconds: float = 120, **environment: str) -> subprocess.CompletedProcess:
    require("mpi4py")
    launcher = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if launcher is None:
        unavailable("there is no mpiexec: install mpich")
    command = [launcher, "-n", str(ranks), sys.executable, "-m", "mpi4py.futures", *arguments]
    # Open MPI refuses root and more ranks than cores unless told; MPICH does not know these names.
    openmpi = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
    environment = {**os.environ, **openmpi, "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}", **environment}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )


def test_mpi_conforms():
    options = ["-q", "-o", "addopts=", "-p", "no:cacheprovider", "-k", "mpi"]
    run = mpi(
        3,
        "-m",
        "pytest",
        *options,
        "tests/sharding/test_conformance.py",
        PRIVLAB_ENGINES="mpi",
        OPENBLAS_NUM_THREADS="2",
    )
    assert run.returncode == 0, run.stdout + run.stderr


ALONE = """
import os
from privlab.sharding.clusters import from_mpi
with from_mpi() as executor:
    assert executor.submit(os.getpid).result() == os.getpid()
"""
DEADLY = """
import os, pathlib, sys, time
from privlab.sharding.clusters import from_mpi
from privlab.sharding.conformance import kill_own_process
print("program runs", flush=True)
with from_mpi() as executor:
    pids = {executor.submit(os.getpid).result() for _ in range(20)} | {os.getpid()}
    pathlib.Path(sys.argv[1]).write_text(" ".join(map(str, pids)))
    executor.submit(kill_own_process)
    time.sleep(60)
"""


def test_mpi_of_one_rank_works_in_process():
    assert mpi(1, "-c", ALONE).returncode == 0
    assert subprocess.run([sys.executable, "-c", ALONE], cwd=ROOT, timeout=60, check=False).returncode == 0


def test_a_dead_rank_ends_the_job_and_leaves_no_orphan(tmp_path):
    """The program has no guard: workers do not run it."""
    (tmp_path / "program.py").write_text(DEADLY)
    run = mpi(3, str(tmp_path / "program.py"), str(tmp_path / "pids"))
    assert (run.returncode != 0, run.stdout.count("program runs")) == (True, 1), run.stdout + run.stderr
    deadline, pids = time.monotonic() + 20, (tmp_path / "pids").read_text().split()
    while any(Path("/proc", pid).exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(pids) > 1
    assert not [pid for pid in pids if Path("/proc", pid).exists()]
