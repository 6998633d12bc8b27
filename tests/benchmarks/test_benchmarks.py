"""Each benchmark runs at a tiny size, without its peers and without processes of its own, and returns what it printed."""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import psutil
import pytest

import benchmarks.__main__ as everything
from benchmarks import federated_averaging, federated_privlab, measure, peers, sharding, start
from benchmarks.federated_job import BIAS, WEIGHT, Job, average, local_sgd, write_result
from benchmarks.measure import Cost, cpu_ratios, run_and_measure
from benchmarks.records import tiled_mnist
from benchmarks.results import Comparison, Line
from privlab.learning import softmax_regression
from privlab.sharding import InProcess, train_sharded

TINY = {
    "dp_sgd": ["--no-peer", "--epochs", "1", "--pairs", "1"],
    "accountant": ["--no-peer", "--settings", "1"],
    "shadow_training": ["--no-peer", "--steps", "12", "--looped", "1", "--pairs", "1"],
    "membership": ["--no-peer", "--models", "24", "--records", "160", "--passes", "2", "--pairs", "1"],
    "encryption": ["--no-peer", "--mebibytes", "1", "--box", "1", "--pairs", "1"],
    "secure_sum": ["--no-peer", "--dimension", "4000", "--neighbours", "4", "--threshold", "3", "--pairs", "1"],
    "sharding": ["--rows", "240", "--rounds", "2", "--repeats", "1", "--tasks", "5", "--clients", "9"],
    "cost_curves": ["--sizes", "3", "--repeats", "1"],
    "start": ["--modules", "data", "--repeats", "1"],
}


@pytest.mark.parametrize("name", TINY)
def test_it_runs_at_a_tiny_size(name, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(
        sharding, "train_sharded", lambda *a, workers, **k: train_sharded(*a, executor=InProcess(), **k)
    )
    monkeypatch.setattr(sharding, "bare_pool", lambda: ThreadPoolExecutor(2))
    monkeypatch.setattr(sharding, "process_pool", ThreadPoolExecutor)
    monkeypatch.setattr(sharding, "JOBS", {"softmax": (softmax_regression(784, 10), 8)})
    monkeypatch.setattr(start, "PANELS", {"noise": start.PANELS["noise"]})
    figure = tmp_path / "curves.png"
    found = import_module(f"benchmarks.{name}").main(
        [*TINY[name], *(("--figure", str(figure)) if name == "cost_curves" else ())]
    )
    assert capsys.readouterr().out.strip() == found.markdown().strip()
    assert found.lines
    assert all(np.isfinite(line.values).all() and len(line.values) for line in found.lines)
    assert found.notes
    assert found.versions
    assert (found.figure is None) != (name == "cost_curves")
    assert found.figure is None or figure.read_bytes()[1:4] == b"PNG"


def test_every_comparison_is_on_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(everything, "PAGE", tmp_path / "RESULTS.md")
    line = Line("peer over privlab", [3.0, 1.0, 2.0], at_least=2.5)

    def apart(name):
        if name == "sharding":
            raise OSError("no processes left")
        return Comparison(name, "Some work.", [line, Line("seconds", [1.0], at_most=2)], {"peer": "1.2"}, ["Fair."])

    monkeypatch.setattr(everything, "apart", apart)
    assert everything.main() == 1, "one failed"
    page = everything.PAGE.read_text()
    assert sorted([*TINY, "federated_averaging"]) == sorted(re.findall(r"^## (\w+)$", page, re.M))
    assert "## federated_averaging --clients 500" in page
    assert "| peer over privlab | 2.00 (1.00 to 3.00) | at least 2.5 | **no** |" in page
    assert "| seconds | 1.00 (1.00 to 1.00) | at most 2 | yes |" in page
    assert "Not measured: OSError." in page
    assert "peer 1.2" in page


ECHO = """
from benchmarks.peers import serve

def answer(word):
    print("by the way")
    return word.upper()

serve(answer, "numpy")
"""


def test_a_peer_answers_in_turn_and_tells_its_versions(tmp_path, monkeypatch):
    (tmp_path / "echo.py").write_text(ECHO)
    path = f"{tmp_path}{os.pathsep}{peers.ROOT}"
    monkeypatch.setattr(peers, "peer_python", lambda name: sys.executable)
    monkeypatch.setattr(peers, "environment", lambda: {**os.environ, "PYTHONPATH": path})
    versions, notes = {}, []
    with peers.beside("any", "echo", versions, notes) as peer:
        assert [peer.ask(word="one"), peer.ask(word="two")] == ["ONE", "TWO"]
        with pytest.raises(RuntimeError, match="ended with status 1"):
            peer.ask(number=3)
    assert versions == {"numpy": np.__version__}
    assert not notes


def test_a_peer_that_cannot_be_installed_is_a_note(tmp_path, monkeypatch):
    def refused(command, **settings):
        if "venv" in command:
            command[-1].mkdir(parents=True)
            return subprocess.CompletedProcess(command, 0)
        return subprocess.CompletedProcess(command, 1, stderr="WARNING: slow\nERROR: no such package\n")

    monkeypatch.setattr(peers.subprocess, "run", refused)
    monkeypatch.setattr(peers, "ROOT", tmp_path)
    notes = []
    with peers.beside("tink", "echo", {}, notes) as peer:
        assert peer is None
    assert notes == ["Not measured: pip cannot install tink: ERROR: no such package."]
    assert not (tmp_path / "build/tink").exists(), "so that the next run tries again"


def averaged(folder, job, spoilt):
    """Federated averaging as a peer does it: by clients that know their parameters and records only."""
    parameters = {name: np.load(folder / f"{file}.npy") for name, file in ((WEIGHT, "weight"), (BIAS, "bias"))}
    for number in range(job.rounds):
        parameters = average([local_sgd(folder, job, parameters, client, number) for client in range(job.clients)])
    result = {name: -array if spoilt else array for name, array in parameters.items()}
    write_result(folder, result, [10.0, 20.0, 30.0])


@pytest.mark.parametrize("spoilt", [False, True])
def test_all_sides_of_federated_averaging_reach_the_same(spoilt, tmp_path, monkeypatch):
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
            federated_averaging.compare(tmp_path, data, {"Flower": "peer"}, pairs=1)
        return
    found, _ = federated_averaging.compare(tmp_path, data, {"Flower": "peer"}, pairs=1)
    np.testing.assert_allclose(*reached, atol=1e-6)
    assert found["whole command, by the clock, Flower over privlab"] == [5.0]
    assert found["whole command, Flower over privlab"] == [5.0]
    assert len(found) == 4


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
    deadline = time.monotonic() + 20  # it ends when it is next scheduled; left alone, it would sleep for 60 s
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.05)


def test_ratios_are_of_work_over_reference():
    def spin(loops):
        return lambda: sum(range(loops))

    assert min(cpu_ratios(spin(3_000_000), spin(100_000), pairs=3)) > 3
