"""Updates that are none, tasks that fail, workers that lie: refused, named, counted, and the run goes on."""

import os
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from jobs import BATCH, MODEL, SHARDS, X, Y, bits, trained

from privlab.masking import PrivacyPlan
from privlab.sharding import InProcess, from_dask, train_sharded
from privlab.sharding.workers import pack, run, unpack

BAD = 3
BROKEN = X.copy()
BROKEN[SHARDS[BAD][0]] = 3e38  # its gradient overflows
WHOLE = {"rounds": 3, "local_steps": 2, "batch_size": 10_000}


class Altering(InProcess):
    """An engine whose worker changes the answers of one shard's task, or fails, the first so many times."""

    def __init__(self, change, times=10**6):
        super().__init__()
        self._change, self._left = change, times

    def submit(self, fn, /, *args):
        if fn is not run or self._left == 0 or BAD not in {unit.shard for unit in unpack(args[0]).units}:
            return super().submit(fn, *args)
        self._left -= 1
        return super().submit(lambda: pack(self._change(unpack(fn(*args)))))


class Cut(InProcess):
    """An engine that loses the masked update of one client."""

    def __init__(self, shard):
        super().__init__()
        self._shard = shard

    def submit(self, fn, /, *args):
        step = unpack(args[0])
        if step.task is not None and step.unit.shard == self._shard:
            return super().submit(divmod, 1, 0)
        return super().submit(fn, *args)


def dropping(**settings):
    with np.errstate(all="ignore"), pytest.warns(UserWarning, match="not used") as caught:
        run_ = trained("gradient", faults="drop", **{**WHOLE, **settings})
    return run_, str(caught[-1].message)


def without_it(**settings):
    others = [[] if shard == BAD else rows for shard, rows in enumerate(SHARDS)]
    return trained("gradient", others, **{**WHOLE, **settings})


def close(left, right, tolerance=1e-6):
    return all(np.abs(left.parameters[name] - right.parameters[name]).max() < tolerance for name in left.parameters)


def test_a_shard_whose_update_is_nan_is_named_and_the_others_go_on():
    run_, message = dropping(x=BROKEN)
    assert message.startswith("3 update(s) were not used: the update of shard 3 in round 0 holds a value that is NaN")
    assert [(fault.shard, fault.round) for fault in run_.faults] == [(3, 0), (3, 1), (3, 2)]
    assert {event.task for event in run_.trace.events if event.status == "rejected"} == {BAD}
    assert close(run_, without_it()), "the mean is that of the shards that are left"


def test_the_default_is_to_raise():
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="the update of shard 3 in round 0 holds a value"):
        trained("gradient", x=BROKEN, **WHOLE)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="the update of shard 3 in round 0 holds a value"):
        trained("gradient", x=BROKEN, faults="retry", **WHOLE)  # it stays NaN however often it is computed


def test_an_update_over_its_bound_is_refused():
    bound = {"norm_bound": 0.9}
    norms = []
    run_, message = dropping(**bound, rounds=1)
    assert "but norm_bound is 0.9" in message
    for shard in range(7):
        alone = trained(
            "gradient", [rows if i == shard else [] for i, rows in enumerate(SHARDS)], **{**WHOLE, "rounds": 1}
        )
        norms.append(np.sqrt(sum(((alone.parameters[n] - a) ** 2).sum() for n, a in MODEL.init(0).items())))
    assert {fault.shard for fault in run_.faults} == {shard for shard in range(7) if norms[shard] > 0.9}
    assert 0 < len(run_.faults) < 7


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: replace(a, sums={n: s[:1] for n, s in a.sums.items()}), "has not the shapes of the parameters"),
        (lambda a: replace(a, sums={}), "has not the shapes of the parameters"),
        (lambda a: replace(a, sums={n: s * 1.0 for n, s in a.sums.items()}), "does not hold whole numbers"),
        (lambda a: replace(a, sums={n: s + (1 << 60) for n, s in a.sums.items()}), "holds a value beyond"),
        (lambda a: replace(a, loss=float("nan")), "a finite loss"),
        (lambda a: replace(a, sums={n: s + (1 << 40) for n, s in a.sums.items()}), "but at most"),
    ],
    ids=["shape", "empty", "type", "huge", "loss", "norm"],
)
def test_answers_that_no_honest_worker_gives_are_refused(change, reason):
    plan = {"rounds": 1, "privacy": PrivacyPlan(2.0, 1.0, 0.2, 1)} if reason == "but at most" else {"rounds": 1}
    job = "central" if "privacy" in plan else "gradient"
    with pytest.raises(ValueError, match=reason):
        trained(job, executor=Altering(change), **plan)
    with pytest.warns(UserWarning, match=reason):
        run_ = trained(job, executor=Altering(change), faults="drop", **plan)
    assert BAD in {fault.shard for fault in run_.faults}
    assert all(np.isfinite(array).all() for array in run_.parameters.values())


def test_a_task_that_fails_once_is_run_again_and_changes_nothing():
    def fail(answer):
        raise OSError("the network is down")

    for job in ("central", "local", "asynchronous"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert bits(trained(job, executor=Altering(fail, 2), faults="retry")) == bits(trained(job))
    with pytest.raises(OSError, match="the network is down"):
        trained("local", executor=Altering(fail), faults="retry")
    with pytest.raises(OSError, match="the network is down"):
        trained("local", executor=Altering(fail))


@pytest.mark.parametrize("trust", ["central", "secure-sum"])
def test_a_round_without_a_shard_draws_other_noise(trust):
    """Else a round that is made again, once with and once without a shard, would give the shard's sum away without any noise."""
    plan = {"rounds": 1, "privacy": PrivacyPlan(1e4, 1.0, 0.2, 1), "trust": trust}

    def fail(answer):
        raise OSError("the network is down")

    whole = trained("central", **plan)
    engine = Altering(fail) if trust == "central" else Cut(BAD)
    with pytest.warns(UserWarning, match="not used"):
        part = trained("central", executor=engine, faults="drop", **plan)
    noise = 1e4 / BATCH * 0.5
    change = np.concatenate([(whole.parameters[name] - part.parameters[name]).ravel() for name in whole.parameters])
    assert change.std() == pytest.approx(np.sqrt(2) * noise, rel=0.15)


def test_a_round_in_which_nothing_is_left_is_an_error():
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"round 0 has no update left: the update of shard"):
        train_sharded(
            MODEL,
            np.full_like(X, 3e38),
            Y,
            SHARDS,
            faults="drop",
            rounds=2,
            local_steps=2,
            batch_size=50,
            learning_rate=1.0,
        )


def test_an_asynchronous_run_goes_on_without_a_shard_that_sends_nan():
    settings = {"mode": "asynchronous", "speeds": (1.0, 0.5), "faults": "drop", **WHOLE}
    with np.errstate(all="ignore"), pytest.warns(UserWarning, match="the update of shard 3"):
        run_ = trained("gradient", x=BROKEN, **settings)
    assert {fault.shard for fault in run_.faults} == {BAD}
    assert len(run_.history) == 3
    assert run_.history[-1].loss < run_.history[0].loss


def test_a_slow_worker_costs_at_most_one_task():
    """40 tasks, 10 ms on one thread, 100 ms on the other: a pull queue needs 0.36 s and at most one slow task, halves 2 s."""
    pauses = {}

    class Uneven(ThreadPoolExecutor):
        def submit(self, fn, /, *args):
            def paused():
                place = pauses.setdefault(threading.get_ident(), len(pauses))
                threading.Event().wait((0.1, 0.01)[place % 2])
                return fn(*args)

            return super().submit(paused)

    with Uneven(2) as pool:
        start = time.perf_counter()
        run_ = trained("gradient", executor=pool, rounds=1, shards=[np.arange(i, 1200, 40) for i in range(40)])
        assert time.perf_counter() - start < 1.0
    assert bits(run_) == bits(trained("gradient", rounds=1, shards=[np.arange(i, 1200, 40) for i in range(40)]))


def test_a_killed_dask_worker_changes_nothing(dask_client):
    before = {worker["pid"] for worker in dask_client.run(lambda: {"pid": os.getpid()}).values()}
    timer = threading.Timer(0.5, lambda: os.kill(min(before), signal.SIGKILL))
    timer.start()
    with from_dask(dask_client) as executor:
        run_ = trained("local steps", executor=executor, faults="retry", rounds=6, local_steps=200)
    timer.join()
    assert bits(run_) == bits(trained("local steps", rounds=6, local_steps=200))
    dask_client.wait_for_workers(2, timeout=60)
