"""Each benchmark runs at a tiny size, without its peer and without processes of its own, and prints ratios."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks import encryption, federated_averaging, federated_privlab, measure, membership, secure_sum, sharding
from benchmarks.federated_job import BIAS, WEIGHT, Job, local_sgd, write_result
from benchmarks.measure import Cost, cpu_ratios, run_and_measure, spread
from benchmarks.records import tiled_mnist
from privlab.learning import softmax_regression
from privlab.sharding import InProcess, train_sharded

TINY = {
    "sharding": (sharding, ["--rows", "240", "--rounds", "2", "--repeats", "1", "--tasks", "5", "--clients", "9"]),
    "encryption": (encryption, ["--mebibytes", "1", "--pairs", "1"]),
    "secure sum": (secure_sum, ["--no-peer", "--dimension", "4000", "--neighbours", "4", "--threshold", "3"]),
    "membership": (membership, ["--no-peer", "--models", "24", "--records", "160", "--passes", "2", "--repeats", "1"]),
}


@pytest.mark.parametrize("name", TINY)
def test_it_runs_at_a_tiny_size(name, capsys, monkeypatch):
    monkeypatch.setattr(
        sharding, "train_sharded", lambda *a, workers, **k: train_sharded(*a, executor=InProcess(), **k)
    )
    monkeypatch.setattr(sharding, "bare_pool", lambda: ThreadPoolExecutor(2))
    monkeypatch.setattr(sharding, "process_pool", ThreadPoolExecutor)
    monkeypatch.setattr(sharding, "JOBS", {"softmax": (softmax_regression(784, 10), 8)})
    module, arguments = TINY[name]
    module.main(arguments)
    printed = capsys.readouterr().out
    assert re.search(r"\d+\.\d\d \(\d+\.\d\d to \d+\.\d\d\)", printed)
    assert not re.search(r"\b(nan|inf)\b", printed)


def averaged(folder, job, spoilt):
    """Federated averaging as a peer does it: by clients that know their parameters and records only."""
    average = {name: np.load(folder / f"{file}.npy") for name, file in ((WEIGHT, "weight"), (BIAS, "bias"))}
    for number in range(job.rounds):
        answers = [local_sgd(folder, job, average, client, number) for client in range(job.clients)]
        sizes = [size for _, size in answers]
        average = {name: np.average([own[name] for own, _ in answers], axis=0, weights=sizes) for name in average}
    write_result(folder, {name: -array if spoilt else array for name, array in average.items()}, [10.0, 20.0, 30.0])


@pytest.mark.parametrize("spoilt", [False, True])
def test_both_sides_of_federated_averaging_reach_the_same(spoilt, tmp_path, capsys, monkeypatch):
    data, reached = tiled_mnist(400), []
    job = federated_averaging.write_job(tmp_path, data, clients=3, rounds=3, epochs=1)
    assert job == Job.read(tmp_path)

    def in_this_process(command, environment):
        if command[2] == "benchmarks.federated_flower":
            averaged(tmp_path, job, spoilt)
            reached.append(np.load(tmp_path / "result.npz")["weight"])
            return Cost(40.0, 20.0, [0.0, 40.0], [0.0, 20.0])
        federated_privlab.run(Path(command[3]), replace(job, processes=None))
        reached.append(np.load(tmp_path / "result.npz")["weight"])
        return Cost(8.0, 4.0, [0.0, 4e9], [0.0, 4e9])

    monkeypatch.setattr(federated_averaging, "run_and_measure", in_this_process)
    if spoilt:
        with pytest.raises(RuntimeError, match="accuracies differ"):
            federated_averaging.compare(tmp_path, data, Path("peer"), repeats=1)
        return
    federated_averaging.compare(tmp_path, data, Path("peer"), repeats=1)
    np.testing.assert_allclose(*reached, atol=1e-6)
    printed = capsys.readouterr().out
    assert "Flower:  seconds 40.00, steady round 10.00, CPU seconds 20.00, CPU of a steady round 5.00" in printed
    assert re.search(r"seconds, Flower over privlab +5\.0 \(5\.0 to 5\.0\)", printed)


def test_the_cpu_time_of_grandchildren_counts():
    spin = "import time; [None for _ in iter(lambda: time.process_time() < 0.3, False)]"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spin!r}], check=True)"
    assert 0.3 <= run_and_measure([sys.executable, "-c", code], {}).cpu_seconds < 3
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run_and_measure([sys.executable, "-c", "1 / 0"], {})


def test_a_command_that_hangs_is_ended_with_its_children(monkeypatch):
    monkeypatch.setattr(measure, "LIMIT", 1.0)
    child = "import os, time; print('child', os.getpid(), flush=True); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(RuntimeError, match="child") as error:
        run_and_measure([sys.executable, "-c", code], {})
    number = int(re.search(r"^child (\d+)$", str(error.value), re.M)[1])
    assert not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE


def test_ratios_are_of_work_over_reference():
    def spin(loops):
        return lambda: sum(range(loops))

    assert min(cpu_ratios(spin(3_000_000), spin(100_000), pairs=3)) > 3
    assert spread([3, 1, 2]) == "2.00 (1.00 to 3.00)"
