"""Traces: figures by hand, JSON lines that survive, and replay that repeats what was and foretells what would be."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privlab.sharding.schedule import lower_bound, replay, schedule
from privlab.sharding.trace import POLICIES, STATUSES, Event, Trace

TRACE = Trace(
    (
        Event(0, 0, 0, 1.0, 4.0, bytes_in=100, bytes_out=10, size=30),
        Event(1, 0, 1, 1.0, 2.0, bytes_in=100, bytes_out=0, status="lost", size=10),
        Event(1, 0, 1, 2.0, 3.0, bytes_in=100, bytes_out=20, size=10),
    ),
    speeds=(1.0, 1.0, 2.0),
    policy="longest-first",
)


@st.composite
def traces(draw):
    speeds = tuple(draw(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=4)))
    count = st.integers(0, 2**60)
    event = st.builds(
        lambda task, worker, start, length, *rest: Event(task, task % 3, worker, start, start + length, *rest),
        *(count, st.integers(0, len(speeds) - 1), st.floats(0, 1e9), st.floats(0, 1e9)),
        *(count, count, st.sampled_from(STATUSES), count, count),
    )
    return Trace(tuple(draw(st.lists(event, max_size=5))), speeds, draw(st.sampled_from(POLICIES)))


@settings(deadline=None, max_examples=30)
@given(traces())
def test_a_trace_survives_its_file(tmp_path_factory, trace):
    path = tmp_path_factory.mktemp("trace") / "run.jsonl"
    trace.save(path)
    assert Trace.load(path) == trace
    lines = path.read_text().splitlines()
    assert len(lines) == 1 + len(trace.events)
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.jsonl"
    TRACE.save(path)

    def disk_full(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="disk full"):
        replace(TRACE, policy="dynamic").save(path)
    assert Trace.load(path) == TRACE
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "line", "named"),
    [
        (1, "", "line 1 is not"),
        (1, '{"format": "another", "speeds": [1.0]}', "line 1 .* format must be"),
        (1, '{"speeds": [1.0]}', "line 1 .* 'format'"),
        (1, '{"format": "privlab trace 1", "speeds": []}', "line 1 .* speeds has 0"),
        (1, "[1]", "line 1"),
        (2, '{"task": 0', "line 2"),
        (2, "3", "line 2"),
        (3, '{"task": 0, "colour": 1}', "line 3 .*colour"),
        (4, '{"task": 1, "round": 0, "worker": 1, "start": 5.0, "end": 3.0}', "line 4 .*end is 3.0"),
        (4, '{"task": 1, "round": 0, "worker": 3, "start": 2.0, "end": 3.0}', "speeds has 3"),
        (4, '{"task": 1, "round": 0, "worker": 1, "start": 2.0, "end": NaN}', "line 4 .*end is nan"),
    ],
)
def test_a_damaged_file_is_refused_by_line(tmp_path, number, line, named):
    path = tmp_path / "run.jsonl"
    TRACE.save(path)
    lines = path.read_text().splitlines()
    lines[number - 1] = line
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=named):
        Trace.load(path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ValueError, match="line 1 is not"):
        Trace.load(tmp_path / "empty.jsonl")


def test_figures_by_hand():
    assert TRACE.makespan == 3
    np.testing.assert_array_equal(TRACE.busy, [3, 2, 0])
    np.testing.assert_array_equal(TRACE.idle, [0, 1, 3])
    assert TRACE.utilisation == pytest.approx(5 / 9)
    assert TRACE.traffic() == {"server": (30, 300), 0: (100, 10), 1: (200, 20)}
    assert TRACE.traffic("task") == {"server": (30, 300), 0: (100, 10), 1: (200, 20)}
    nothing = Trace((), (1.0,))
    assert (nothing.makespan, nothing.utilisation, nothing.traffic()) == (0, 1, {"server": (0, 0)})


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"task": -1}, "task is -1"),
        ({"round": 0.5}, "round is 0.5"),
        ({"worker": None}, "worker is None"),
        ({"start": -1.0}, "start is -1"),
        ({"end": 0.5}, "end is 0.5"),
        ({"end": 0}, "end is 0"),
        ({"end": float("inf")}, "end is inf"),
        ({"bytes_in": -1}, "bytes_in is -1"),
        ({"bytes_out": 1.5}, "bytes_out is 1.5"),
        ({"status": "fine"}, "status is 'fine'"),
        ({"staleness": -1}, "staleness is -1"),
        ({"size": -1}, "size is -1"),
    ],
)
def test_bad_events_are_named(changed, named):
    with pytest.raises(ValueError, match=named):
        Event(**{"task": 0, "round": 0, "worker": 0, "start": 1.0, "end": 2.0} | changed)


def test_bad_traces_are_named():
    for changed, named in (({"speeds": (1.0,)}, "speeds has 1"), ({"speeds": (1.0, 0.0)}, "speeds is 0.0")):
        with pytest.raises(ValueError, match=named):
            replace(TRACE, **changed)
    with pytest.raises(ValueError, match="policy is 'fifo'"):
        replace(TRACE, policy="fifo")
    with pytest.raises(ValueError, match="party is 'shard'"):
        TRACE.traffic("shard")


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 9), max_size=15),
    st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=4),
    st.sampled_from(POLICIES),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_replay_with_its_own_settings_repeats_the_run(durations, speeds, policy, rounds, seed):
    guesses = np.random.default_rng(seed).random(len(durations))
    trace = schedule([durations] * rounds, speeds, policy, estimates=guesses)
    again = replay(trace)
    assert again.makespan == pytest.approx(trace.makespan)
    assert (again.policy, again.speeds, len(again.events)) == (trace.policy, trace.speeds, len(trace.events))
    np.testing.assert_allclose(again.busy.sum(), trace.busy.sum())


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.01, 9), min_size=1, max_size=15), st.integers(1, 5), st.integers(1, 5))
def test_replay_foretells_the_schedule_with_other_workers_and_policy(durations, workers, others):
    for before in POLICIES:
        trace = schedule([durations, durations[::-1]], workers, before)
        for after in POLICIES:
            foretold = replay(trace, workers=others, policy=after)
            actual = schedule([durations, durations[::-1]], others, after)
            if before == after == "longest-first" or after != before:
                assert foretold.makespan == pytest.approx(actual.makespan)
            assert foretold.makespan >= lower_bound([durations, durations[::-1]], others) - 1e-9
    assert replay(trace, workers=[2.0] * workers, policy="static").makespan == pytest.approx(
        schedule([durations, durations[::-1]], workers, "static").makespan / 2
    )


def test_replay_with_other_shards_keeps_the_work_and_shares_it_by_size():
    sizes, seconds = [10, 30, 60], [1.0, 6.0, 3.0]  # 0.1, 0.2 and 0.05 s a record
    events = [
        Event(task, number, 0, start, start + length, 100, 10 * task, size=size)
        for number in range(2)
        for task, (size, length, start) in enumerate(zip(sizes, seconds, [0.0, 1.0, 7.0], strict=True))
    ]
    events = [
        replace(event, start=event.start + 10 * event.round, end=event.end + 10 * event.round) for event in events
    ]
    trace = Trace(tuple(events), (1.0,), "dynamic")
    halves = replay(trace, shards=2, workers=2)
    lengths = [event.end - event.start for event in halves.events]
    np.testing.assert_allclose(lengths, [7.5, 2.5, 7.5, 2.5])  # 10 + 30 + 10 records, then 50
    assert [(event.task, event.round, event.size) for event in halves.events] == [
        (0, 0, 50),
        (1, 0, 50),
        (0, 1, 50),
        (1, 1, 50),
    ]
    assert {(event.bytes_in, event.bytes_out) for event in halves.events} == {(100, 10)}
    assert halves.makespan == 15
    same = replay(trace, shards=sizes)
    np.testing.assert_allclose([event.end - event.start for event in same.events], seconds * 2)
    for shards in (1, 7, [1, 5, 2]):
        assert replay(trace, shards=shards).busy.sum() == pytest.approx(20)


def test_replay_with_more_shards_mends_a_giant_one():
    recorded = schedule([8.0, 1.0, 1.0, 2.0], 4, "longest-first")
    assert recorded.makespan == 8
    assert replay(recorded, shards=24).makespan == pytest.approx(3)
    assert replay(recorded, shards=2).makespan == pytest.approx(6)


def test_replay_counts_the_attempts_that_succeeded():
    after = replay(TRACE)
    assert [(event.task, event.status) for event in after.events] == [(0, "ok"), (1, "ok")]
    assert after.makespan == pytest.approx(3 / 2)  # the fastest worker, idle in the recording, takes the longest task
    assert replay(Trace((), (1.0,)), workers=3, shards=2).events == ()


def test_an_empty_shard_that_took_time_is_not_forgotten():
    events = (Event(0, 0, 0, 0.0, 1.0, size=0), Event(1, 0, 0, 1.0, 3.0, size=8), Event(2, 0, 0, 3.0, 6.0, size=0))
    assert replay(Trace(events, (1.0,)), shards=4).busy.sum() == pytest.approx(6)


def test_bad_replays_are_named():
    stale = Trace((Event(0, 0, 0, 0.0, 1.0, staleness=2),), (1.0,))
    with pytest.raises(ValueError, match="trace is of an asynchronous run"):
        replay(stale)
    for changed in ({"workers": 0}, {"policy": "fifo"}, {"shards": 0}, {"shards": [1.0, -1.0]}, {"shards": []}):
        with pytest.raises(ValueError, match=rf"{next(iter(changed))} is"):
            replay(TRACE, **changed)
