import itertools
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from privlab.plots import png
from privlab.plots.uneven import (
    HOW,
    MOST,
    SITES,
    Race,
    guesses,
    overlay,
    race,
    race_picture,
    speed_ups,
    spending,
    staleness,
)
from privlab.sharding import Event, Trace, lower_bound, schedule
from privlab.sharding.trace import POLICIES

DURATIONS = np.random.default_rng(1).exponential(size=9)
FORETOLD = {policy: schedule(DURATIONS, 3, policy) for policy in POLICIES}
ASKED = Trace(
    (
        Event(1, 0, 0, 0.0, 1.0, size=5),
        Event(0, 0, 1, 0.0, 3.0, staleness=2, size=40),
        Event(1, 1, 0, 1.0, 2.0, size=5),
    ),
    (1.0, 0.5),
)
REAL = {policy: schedule(1.1 * DURATIONS, 3, policy) for policy in POLICIES}


def boxes(bars):
    """Left, right and row of each bar."""
    corners = np.array([path.vertices[:4] for path in bars.get_paths()])
    return np.column_stack([corners[:, 0, 0], corners[:, 1, 0], corners[:, :, 1].mean(1)])


@pytest.mark.parametrize("skew", [0.0, 0.7, 1.4])
def test_shares_follow_the_power_law_in_another_order(skew):
    shares = Race(skew).shares
    falling = np.sort(shares)[::-1]
    np.testing.assert_allclose(falling / falling[0], np.arange(1, SITES + 1) ** -skew)
    assert shares.sum() == pytest.approx(1)
    assert skew == 0 or shares.argmax() not in (0, SITES - 1)


def test_a_race_is_a_schedule_of_its_shares():
    setting = Race(1.0, 3, 2.0)
    assert setting.speeds == (1.0, 1.0, 0.5)
    for policy in POLICIES:
        assert replace(setting, policy=policy).trace == schedule(setting.shares, setting.speeds, policy)
    assert setting.limit == pytest.approx(1 / lower_bound(setting.shares, setting.speeds))
    assert "3 workers of which one 2 times slower, static: " in str(setting)


def test_splitting_cuts_only_what_is_large_and_loses_nothing():
    setting = Race(1.2, 8, policy="split")
    pieces = np.array([event.end - event.start for event in setting.trace.events])
    assert pieces.sum() == pytest.approx(1)
    assert pieces.max() <= 0.5 / 8 + 1e-9
    small = setting.shares[setting.shares < 0.5 / 8]
    assert all(np.isclose(pieces, share).any() for share in small)
    assert 1 / setting.trace.makespan > 1.5 * setting.limit, "no order of whole shards gets there"


def test_speed_ups_keep_to_the_limit_and_to_the_number_of_workers():
    for skew, slowness in itertools.product((0.0, 0.8, 1.4), (1.0, 2.0)):
        found = speed_ups(skew, slowness)
        power = np.arange(MOST) + 1 / slowness
        assert set(found) == {*HOW, "limit"}
        assert all((np.array(found[policy]) <= np.array(found["limit"]) + 1e-9).all() for policy in POLICIES)
        assert (np.array(found["split"]) <= power + 1e-9).all()
        assert found["dynamic"][5] == pytest.approx(1 / Race(skew, 6, slowness, "dynamic").trace.makespan)


def test_the_picture_shows_the_round_and_all_policies():
    setting = Race(1.0, 5, 2.0, "dynamic")
    _, (left, right) = race(setting)
    expected = [(event.start, event.end, event.worker) for event in setting.trace.events]
    np.testing.assert_allclose(boxes(left.collections[0]), expected)
    end, least = (line.get_xdata()[0] for line in left.lines)
    assert (end, least) == (pytest.approx(setting.trace.makespan), pytest.approx(1 / setting.limit))
    limit, *lines, here = right.lines
    found = speed_ups(1.0, 2.0)
    assert list(limit.get_ydata()) == found["limit"]
    assert [list(line.get_ydata()) for line in lines] == [found[how] for how in HOW]
    widths = [line.get_linewidth() for line in lines]
    assert widths.index(max(widths)) == HOW.index("dynamic")
    assert (*here.get_xdata(), *here.get_ydata()) == (5, found["dynamic"][4])
    assert left.get_title(loc="left").startswith("dynamic: ends at ")


def test_a_real_run_lies_under_the_frames_of_its_forecast():
    picture, rows = overlay(FORETOLD, REAL)
    assert len({axes.get_xlim() for axes in rows}) == 1
    for axes, policy in zip(rows, POLICIES, strict=True):
        shown = [boxes(bars) for bars in axes.collections if len(bars.get_paths())]
        for found, trace in zip(shown, (REAL[policy], FORETOLD[policy]), strict=True):
            rank = np.argsort(np.argsort(-trace.busy, kind="stable"))
            np.testing.assert_allclose(found, [(event.start, event.end, rank[event.worker]) for event in trace.events])
            rows_busy = [np.ptp(found[found[:, 2].round() == row, :2]) for row in range(3)]
            assert rows_busy == sorted(rows_busy, reverse=True)
        foretold, took = FORETOLD[policy].makespan, REAL[policy].makespan
        assert axes.get_title(loc="left") == f"{policy}: foretold {foretold:.2f} s, took {took:.2f} s"
        assert axes.get_xlim()[1] >= max(foretold, took)
        assert [line.get_xdata()[0] for line in axes.lines if line.get_visible()] == [took]
    assert [words.get_text() for words in picture.legends[0].get_texts()] == ["measured", "foretold", "end"]


def test_a_forecast_of_other_policies_is_refused():
    with pytest.raises(ValueError, match="measured has \\['static'\\]"):
        overlay(FORETOLD, {"static": REAL["static"]})


def test_guesses_lie_over_the_truth_and_inside():
    _, axes = guesses([30, 300], [20, 310], "pages")
    line, points = axes.lines
    np.testing.assert_array_equal(points.get_xydata(), [[30, 20], [300, 310]])
    assert list(line.get_xdata()) == list(line.get_ydata()) == list(axes.get_xlim()) == list(axes.get_ylim())
    assert axes.get_xlim()[0] < 20 < 310 < axes.get_xlim()[1]
    assert axes.get_ylabel() == "guessed pages"


def test_the_same_setting_gives_the_same_bytes_and_leaves_no_figure_open():
    assert png(race()[0]) == png(race(Race())[0])
    picture = race_picture()
    assert picture.png(Race()) != picture.png(Race(policy="split"))
    assert png(overlay(FORETOLD, REAL)[0]) == png(overlay(FORETOLD, REAL)[0])
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"skew": -0.1}, "skew is -0.1"),
        ({"workers": 0}, "workers is 0"),
        ({"workers": 9}, "workers is 9"),
        ({"slowness": 0.5}, "slowness is 0.5"),
        ({"policy": "best"}, "policy is 'best'"),
    ],
)
def test_a_wrong_setting_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Race(**wrong)


def test_workers_without_a_task_stay_on_the_picture():
    idle = {"static": schedule([1.0, 2.0], 3, "static")}
    _, (axes,) = overlay(idle, {"static": Trace(idle["static"].events, (1.0,) * 3, "static")})
    assert axes.get_ylim() == (2.6, -0.6)


def test_staleness_is_counted_and_its_mean_is_marked():
    _, rows = staleness({"plain": ASKED, "late": replace(ASKED, events=ASKED.events[1:2])})
    counts = [[bar.get_height() for bar in axes.patches] for axes in rows]
    assert counts == [[2, 0, 1], [0, 0, 1]]
    assert [axes.lines[0].get_xdata()[0] for axes in rows] == [pytest.approx(2 / 3), 2]
    assert [axes.get_title(loc="left") for axes in rows] == ["plain: mean 0.7 (dashed)", "late: mean 2.0 (dashed)"]
    assert rows[0].get_xlim() == rows[1].get_xlim()


@pytest.mark.parametrize("traces", [{}, {"none": Trace((), (1.0,))}])
def test_staleness_of_nothing_is_refused(traces):
    with pytest.raises(ValueError, match="each with events"):
        staleness(traces)


def test_spending_shows_tasks_and_epsilon_of_each_shard_in_one_row():
    picture, (left, right) = spending(ASKED, [0.5, 2.5], 1.0)
    np.testing.assert_allclose(boxes(left.collections[0]), [(0, 1, 1), (0, 3, 0), (1, 2, 1)])
    assert [words.get_text() for words in left.get_yticklabels()] == ["0: 40 records", "1: 5 records"]
    plain, hatched = right.containers
    assert [bar.get_width() for bar in plain] == [0.5, 0]
    assert [bar.get_width() for bar in hatched] == [0, 2.5]
    assert all(bar.get_hatch() for bar in hatched), "more than reported is told by more than a colour"
    assert right.lines[0].get_xdata()[0] == 1.0
    assert right.get_ylim() == left.get_ylim()
    assert [words.get_text() for words in right.texts] == ["0.5", "2.5"]
    assert right.get_xlim()[1] > 2.5
    assert "reported: ε = 1.0" in [words.get_text() for words in picture.legends[0].get_texts()]


@pytest.mark.parametrize(
    ("epsilons", "message"), [([1.0], "must have one for each of 2 shards"), ([1.0, np.inf], "must be finite")]
)
def test_spending_without_an_epsilon_is_refused(epsilons, message):
    with pytest.raises(ValueError, match=message):
        spending(ASKED, epsilons, 1.0)
