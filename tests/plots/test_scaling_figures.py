import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from privlab.plots import png
from privlab.plots.scaling import (
    FLOPS,
    OVERHEAD,
    PARAMETERS,
    RECORDS,
    TASKS,
    WORKERS,
    Scale,
    bill,
    scaling,
    scaling_picture,
)
from privlab.sharding.costs import FLOPS as PER_PARAMETER

OTHER = Scale(64, 1e8, 100, TASKS[1])


def test_a_round_by_hand():
    cost = Scale(48, 1e8, 100, TASKS[0]).cost(48)
    assert cost.compute == pytest.approx(3 * RECORDS * PER_PARAMETER * PARAMETERS / FLOPS), "two have three clients"
    assert cost.transfer == pytest.approx(2 * 48 * 4 * PARAMETERS * 8 / 1e8)
    assert cost.overhead == pytest.approx(48 * OVERHEAD)
    assert OTHER.cost(7).overhead == pytest.approx(100 * OVERHEAD), "one message for each client"
    assert Scale(clients=100).cost(512).overhead == pytest.approx(100 * OVERHEAD), "no message from the idle"


@pytest.mark.parametrize("setting", [Scale(), OTHER, Scale(3, 1e7, 1), Scale(1024, 1e11, 10**6)])
def test_shares_are_all_of_a_workers_time(setting):
    for workers in WORKERS:
        shares = setting.shares(workers)
        assert sum(shares) == pytest.approx(1)
        assert min(shares) > -1e-12
        alone = setting.cost(1).compute
        assert shares[0] == pytest.approx(alone / (workers * setting.cost(workers).total))


def test_lines_and_bands_are_the_costs():
    _, (left, right) = scaling(OTHER)
    lines = [line.get_ydata() for line in left.lines[:4]]
    costs = OTHER.costs.values()
    for line, part in zip(lines, ("compute", "transfer", "overhead", "total"), strict=True):
        np.testing.assert_allclose(line, [getattr(cost, part) for cost in costs])
    tops = [band.get_paths()[0].vertices[: 2 * len(WORKERS)] for band in right.collections]
    for band, share in zip(tops, np.transpose([OTHER.shares(k) for k in WORKERS]), strict=True):
        low, high = band[: len(WORKERS), 1], band[len(WORKERS) :, 1][::-1]
        np.testing.assert_allclose(high - low, share, atol=1e-12)
    np.testing.assert_allclose(tops[-1][len(WORKERS) :, 1], 1)
    assert left.get_title(loc="left").startswith("64 workers: ")
    assert right.get_title(loc="left") == f"efficiency {100 * OTHER.shares(64)[0]:.2g} %"


def test_whole_rounds_stay_inside_the_axes():
    for bandwidth in (1e7, 1e11):
        for clients in (100, 10**6):
            for tasks in TASKS:
                setting = Scale(1, bandwidth, clients, tasks)
                _, (left, _) = scaling(setting)
                low, high = left.get_ylim()
                assert all(low < cost.total < high for cost in setting.costs.values())


def test_same_input_same_bytes_and_any_order_of_settings():
    assert png(scaling()[0]) == png(scaling()[0])
    first, second = scaling_picture(), scaling_picture()
    straight = first.png(OTHER)
    second.png(Scale())
    assert second.png(OTHER) == straight
    assert straight != first.png(Scale(32, 1e8, 100, TASKS[1]))
    assert plt.get_fignums() == []


def test_words_tell_the_fastest():
    fastest = min(WORKERS, key=lambda k: Scale().cost(k).total)
    assert str(Scale()).endswith(f"fastest with {fastest:,} workers")
    assert "20 h a round" in str(Scale(1, 1e10, 10**7))


def test_bytes_and_euros_are_in_proportion():
    picture, axes = bill({"small": 1000, "large": 10**9}, price=0.2, rounds=3)
    for line, parameters in zip(axes.lines, (1000, 10**9), strict=True):
        np.testing.assert_allclose(line.get_ydata(), 3 * line.get_xdata() * 4e-9 * parameters)
    picture.canvas.draw()
    (euros,) = axes.child_axes
    np.testing.assert_allclose(euros.get_ylim(), 0.2 * np.array(axes.get_ylim()))
    assert euros.get_ylabel() == "euros, if a gigabyte costs € 0.2"
    assert axes.get_title(loc="left") == "3 rounds"
    assert bill({"one": 1}, price=1)[1].get_title(loc="left") == "1 round"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workers": 0}, "workers is 0"),
        ({"bandwidth": math.inf}, "bandwidth is inf"),
        ({"clients": 1.5}, r"clients is 1\.5"),
        ({"tasks": "two"}, "tasks is 'two'"),
    ],
)
def test_a_wrong_setting_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Scale(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"), [({"price": 0}, "price is 0"), ({"rounds": 0}, "rounds is 0"), ({"models": {"a": 0}}, "is 0")]
)
def test_a_wrong_bill_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        bill(**{"models": {"a": 1}, "price": 1.0} | wrong)
