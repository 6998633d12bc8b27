import math

import numpy as np
import pytest

from privlab.learning import mlp
from privlab.sharding import InProcess
from privlab.sharding.costs import FLOPS, Calibration, best_workers, calibrate, round_cost, step_seconds

CLUSTER = Calibration(flops=2e9, bandwidth=5e7, overhead=0.003)
ROUND = {"records": 1000, "parameters": 5000, "messages": 7, "workers": 4}


def test_the_parts_are_those_of_the_formula():
    cost = round_cost(CLUSTER, **ROUND, imbalance=1.5)
    assert cost.compute == pytest.approx(1.5 * 1000 * FLOPS * 5000 / (4 * 2e9))
    assert cost.transfer == pytest.approx(2 * 7 * 4 * 5000 / 5e7)
    assert cost.overhead == pytest.approx(7 * 0.003)
    assert cost.total == pytest.approx(cost.compute + cost.transfer + cost.overhead)


def test_the_size_of_messages_can_be_measured():
    assert round_cost(CLUSTER, **ROUND, message_bytes=30_000).transfer == pytest.approx(2 * 7 * 30_000 / 5e7)
    assert round_cost(CLUSTER, **ROUND, message_bytes=0).transfer == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"records": 0}, "records is 0"),
        ({"parameters": 2.5}, "parameters is 2.5"),
        ({"messages": 0}, "messages is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"imbalance": 0.9}, r"imbalance is 0\.9"),
        ({"message_bytes": -1}, "message_bytes is -1"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        round_cost(CLUSTER, **ROUND | wrong)


@pytest.mark.parametrize("name", ["flops", "bandwidth", "overhead"])
def test_a_wrong_calibration_is_named(name):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        Calibration(**{"flops": 1.0, "bandwidth": 1.0, "overhead": 1.0} | {name: 0})


@pytest.mark.parametrize("work", [1e-3, 0.5, 5.9, 6.1, 7.0, 20.0, 333.3])
@pytest.mark.parametrize("message", [0.9, 1.0, 9.0])
def test_no_number_of_workers_beats_the_best(work, message):
    found = best_workers(work, message)
    assert found == min(range(1, 100), key=lambda k: work / k + k * message)


def test_half_the_time_is_work_at_the_best_and_the_gain_is_gone_at_its_square():
    best = best_workers(100, 0.01)
    assert 100 / best == pytest.approx(best * 0.01)
    assert 100 / best**2 + best**2 * 0.01 == pytest.approx(100, rel=1e-3)


@pytest.mark.parametrize("wrong", [0, -1, math.nan])
def test_work_and_messages_must_take_time(wrong):
    with pytest.raises(ValueError, match="work is"):
        best_workers(wrong, 1)
    with pytest.raises(ValueError, match="message_seconds is"):
        best_workers(1, wrong)


class Clocked(InProcess):
    """Tasks take no time of their own: a made-up clock moves on by what they cost."""

    now = 0.0

    def submit(self, work, /, *arguments):
        size = sum(a.nbytes for a in arguments if isinstance(a, np.ndarray)) if work is np.negative else 0
        Clocked.now += 0.004 + 2 * size / 1e8
        return super().submit((lambda *_: 0.05) if work is step_seconds else work, *arguments)


def test_the_probe_finds_the_numbers_of_a_known_engine(monkeypatch):
    monkeypatch.setattr("privlab.sharding.costs.time.perf_counter", lambda: Clocked.now)
    model, x, y = mlp([6, 5, 3]), np.zeros((20, 6), np.float32), np.zeros(20, int)
    found = calibrate(Clocked(), model, x, y)
    parameters = 6 * 5 + 5 + 5 * 3 + 3
    assert found.flops == pytest.approx(20 * FLOPS * parameters / 0.05)
    assert found.overhead == pytest.approx(0.004)
    assert found.bandwidth == pytest.approx(1e8)


def test_a_real_probe_is_finite_and_a_larger_batch_takes_longer():
    model, x, y = mlp([64, 32, 10]), np.zeros((2000, 64), np.float32), np.zeros(2000, int)
    found = calibrate(InProcess(), model, x, y, tasks=3)
    assert all(0 < value < math.inf for value in (found.flops, found.bandwidth, found.overhead))
    assert step_seconds(model, x, y) > step_seconds(model, x[:10], y[:10])
    with pytest.raises(ValueError, match="tasks is 0"):
        calibrate(InProcess(), model, x, y, tasks=0)
