from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from privlab.plots import png
from privlab.plots.sharding import COST, Simulation, bound, gantt, label_mix, traffic, what_if, what_if_picture
from privlab.plots.style import BLUE, SKY
from privlab.sharding import Event, Trace, imbalance, lower_bound, partition, schedule

LABELS = np.random.default_rng(0).integers(3, 8, size=400)  # five kinds, the first is 3
DURATIONS = np.random.default_rng(1).exponential(size=(2, 9))
TRACE = schedule(DURATIONS, 3, "static")


def boxes(bars):
    """Left, right and row of each bar."""
    corners = np.array([path.vertices[:4] for path in bars.get_paths()])
    return np.column_stack([corners[:, 0, 0], corners[:, 1, 0], corners[:, :, 1].mean(1)])


def test_columns_are_as_wide_as_shards_and_as_dark_as_labels_are_frequent():
    shards = partition(LABELS, 4, how="dirichlet", alpha=0.5)
    _, axes = label_mix(shards, LABELS)
    (image,), (borders,) = axes.images, axes.collections
    ends = np.cumsum([len(rows) for rows in shards])
    assert [segment[0][0] for segment in borders.get_segments()] == ends[:-1].tolist()
    assert image.get_extent()[:2] == [0, 400]
    shown = image.get_array()
    for end, rows in zip(ends, shards, strict=True):
        inside = int((end - len(rows) / 2) / 400 * shown.shape[1])
        share = np.bincount(LABELS[rows] - 3, minlength=5) / len(rows)
        np.testing.assert_allclose(shown[:, inside], share)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["3", "4", "5", "6", "7"]


def test_empty_shards_take_no_room():
    shards = [np.array([], int), np.arange(400), np.array([], int)]
    _, axes = label_mix(shards, LABELS)
    np.testing.assert_allclose(axes.images[0].get_array()[:, 0], np.bincount(LABELS - 3) / 400)


def test_shards_that_are_no_partition_are_refused():
    with pytest.raises(ValueError, match="shards is not a partition"):
        label_mix([[0, 1], [1, 2]], LABELS)


def test_every_task_is_where_and_when_it_was():
    later = [replace(event, start=event.start + 5, end=event.end + 5) for event in TRACE.events]
    _, (axes,) = gantt(Trace(tuple(later), TRACE.speeds, TRACE.policy))
    used, unused = axes.collections
    expected = [(event.start, event.end, event.worker) for event in TRACE.events]
    np.testing.assert_allclose(boxes(used), expected, err_msg="time begins with the first start")
    assert not unused.get_paths()
    colours = [to_rgba((BLUE, SKY)[event.round]) for event in TRACE.events]
    np.testing.assert_allclose(used.get_facecolors(), colours)
    end, least = (line.get_xdata()[0] for line in axes.lines)
    assert (end, least) == (pytest.approx(TRACE.makespan), pytest.approx(lower_bound(DURATIONS, 3)))


def test_wide_bars_bear_their_number():
    trace = schedule([10, 0.1, 5], 1, "static")
    _, (axes,) = gantt(trace)
    assert [text.get_text() for text in axes.texts] == ["0", "2"]


def test_work_that_was_lost_is_hatched_and_not_in_the_bound():
    lost = replace(TRACE.events[0], status="lost")
    trace = Trace((lost, *TRACE.events[1:]), TRACE.speeds, TRACE.policy)
    picture, (axes,) = gantt(trace)
    assert len(axes.collections[0].get_paths()) == len(TRACE.events) - 1
    np.testing.assert_allclose(boxes(axes.collections[1]), [(lost.start, lost.end, lost.worker)])
    assert axes.collections[1].get_hatch()
    assert "result not used" in [text.get_text() for text in picture.legends[0].get_texts()]
    kept = np.delete(DURATIONS[0], lost.task)
    assert bound(trace) == pytest.approx(lower_bound(kept, 3) + lower_bound(DURATIONS[1], 3))


def test_the_bound_knows_speeds_and_runs_without_a_barrier():
    fast = schedule(DURATIONS, [1.0, 2.0], "dynamic")
    assert bound(fast) == pytest.approx(lower_bound(DURATIONS, [1.0, 2.0]))
    stale = Trace(tuple(replace(event, staleness=1) for event in fast.events), fast.speeds)
    assert bound(stale) == pytest.approx(DURATIONS.sum() / 3)


def test_traces_below_each_other_share_a_clock():
    quick = schedule(DURATIONS, 3, "longest-first")
    _, (first, second) = gantt({"static": TRACE, "longest first": quick})
    assert first.get_xlim() == second.get_xlim()
    assert first.get_title(loc="left").startswith("static: ")
    assert f"{quick.makespan / bound(quick):.2f} times the bound" in second.get_title(loc="left")


def test_nothing_useful_done_is_no_error_and_no_events_are():
    assert "no work was of use" in gantt(Trace((Event(0, 0, 0, 0.0, 1.0, status="lost"),), (1.0,)))[1][0].get_title(
        loc="left"
    )
    for empty in (Trace((), (1.0,)), {}):
        with pytest.raises(ValueError, match="each with events"):
            gantt(empty)


@pytest.mark.parametrize(("party", "names"), [("task", [0, 1, 2]), ("worker", [0, 1])])
def test_bars_are_the_bytes_of_the_trace(party, names):
    events = [Event(i, r, i % 2, 0, 1, 10**6 * (i + 1), 2 * 10**6, size=100 * i) for r in range(2) for i in range(3)]
    trace = Trace(tuple(events), (1, 1))
    _, axes = traffic(trace, party=party, record_bytes=1000)
    received, sent, records = ([bar.get_height() * 1e6 for bar in bars] for bars in axes.containers)
    totals = trace.traffic(party)
    assert [*zip(received, sent, strict=True)] == [totals[name] for name in names]
    sizes = [1000 * sum(event.size for event in events if getattr(event, party) == name) for name in names]
    assert records == pytest.approx(sizes)
    assert [bar.get_y() * 1e6 for bar in axes.containers[2]] == received, "hollow bars stand on the others"
    assert len(traffic(trace, party=party)[1].containers) == 2
    assert axes.get_title(loc="left") == "the server received 12 MB and sent 12 MB"


def test_a_wrong_party_is_named():
    with pytest.raises(ValueError, match="party is 'server'"):
        traffic(TRACE, party="server")


@pytest.mark.parametrize("how", ["dirichlet", "power-law"])
def test_a_simulation_is_a_partition_and_its_schedule(how):
    simulation = Simulation(LABELS, shards=10, skew=2.0, how=how, policy="longest-first")
    assert simulation.alpha == (0.25 if how == "dirichlet" else 2.0)
    sizes = imbalance(simulation.rows, LABELS).sizes  # refuses what is no partition
    assert sorted(sizes) == sorted(map(len, partition(LABELS, 10, how=how, alpha=simulation.alpha)))
    work = [event.end - event.start for event in sorted(simulation.trace.events, key=lambda event: event.task)]
    np.testing.assert_allclose(work, sizes + COST)
    assert simulation.speed_up == pytest.approx((400 + COST) / simulation.trace.makespan)
    assert f"{simulation.speed_up:.1f} times as fast" in str(simulation)


def test_the_static_picture_has_shards_and_schedule_inside_its_axes():
    for skew in (0.1, 3.0):
        for shards in (2, 48):
            simulation = Simulation(LABELS, shards=shards, skew=skew, how="power-law")
            _, (left, right) = what_if(simulation)
            assert len(boxes(right.collections[0])) == shards
            marks = simulation.trace.makespan, bound(simulation.trace), 400 + COST
            assert [line.get_xdata()[0] for line in right.lines] == [*marks]
            assert simulation.trace.makespan < right.get_xlim()[1]
            assert left.get_title(loc="left").startswith(f"{shards} shards; ")


def test_same_input_same_bytes_and_no_figure_left_open():
    assert png(what_if(Simulation(LABELS))[0]) == png(what_if(Simulation(LABELS))[0])
    picture = what_if_picture(LABELS)
    assert picture.png(Simulation(LABELS)) != picture.png(Simulation(LABELS, 24))
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"how": "iid"}, "how is 'iid'"),
        ({"skew": 0}, "skew is 0"),
        ({"shards": 0}, "shards is 0"),
        ({"policy": "best"}, "policy is 'best'"),
    ],
)
def test_a_wrong_setting_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Simulation(LABELS, **wrong)
