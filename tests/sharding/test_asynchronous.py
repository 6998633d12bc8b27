"""Asynchronous rounds: replayable by a virtual clock, normalised by concurrency, charged to each shard."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from jobs import BATCH, DIGITS, JOBS, MODEL, SHARDS, X, Y, bits, trained

from privlab.masking import Ledger, PrivacyPlan
from privlab.sharding import partition, schedule, train_sharded
from privlab.sharding.asynchronous import Asynchrony

EVEN = partition(Y, 8)
PLAIN = {"mode": "asynchronous", "rounds": 4, "local_steps": 2, "batch_size": 32, "learning_rate": 0.5}


def accuracy(parameters):
    return float((MODEL.logits(parameters, DIGITS.x_test).argmax(-1) == DIGITS.y_test).mean())


def asynchronous(shards=EVEN, **settings):
    return train_sharded(MODEL, X, Y, shards, **{**PLAIN, **settings})


def distance(left, right):
    return max(float(np.abs(left.parameters[name] - right.parameters[name]).max()) for name in left.parameters)


def test_a_virtual_clock_gives_the_same_bits_wherever_tasks_are_computed():
    run = asynchronous(speeds=(1.0, 1.0, 0.3), buffer=2)
    with ThreadPoolExecutor(3) as pool:
        again = asynchronous(speeds=(1.0, 1.0, 0.3), buffer=2, executor=pool)
    assert bits(again) == bits(run)
    assert [(e.task, e.worker, e.start, e.end, e.staleness) for e in again.trace.events] == [
        (e.task, e.worker, e.start, e.end, e.staleness) for e in run.trace.events
    ]
    assert bits(asynchronous(speeds=(1.0, 0.3, 0.3), buffer=2)) != bits(run)


def test_one_worker_and_one_shard_are_plain_steps():
    """With a step of all records and nothing in between, an asynchronous run is gradient descent."""
    settings = {"local_steps": 1, "batch_size": len(X), "rounds": 5}
    run = asynchronous([np.arange(len(X))], **settings)
    alone = train_sharded(MODEL, X, Y, [np.arange(len(X))], learning_rate=0.5, **settings)
    assert distance(run, alone) < 1e-6
    assert [event.staleness for event in run.trace.events] == [0] * 5


def test_a_full_buffer_of_equal_shards_is_a_synchronous_round():
    halves = [np.arange(0, 1200, 2), np.arange(1, 1200, 2)]
    settings = {"local_steps": 1, "batch_size": 600, "rounds": 3, "learning_rate": 0.5}
    run = asynchronous(halves, buffer=2, speeds=(1.0, 1.0), **settings)
    assert distance(run, train_sharded(MODEL, X, Y, halves, **settings)) < 1e-6
    assert {event.staleness for event in run.trace.events} == {0}


def test_staleness_is_what_happened_meanwhile_and_is_normalised_by_concurrency():
    run = asynchronous(speeds=(1.0,) * 4, rounds=8, staleness_power=0.0)
    assert np.mean([event.staleness for event in run.trace.events[8:]]) == pytest.approx(3, abs=0.3)
    slow = asynchronous(speeds=(1.0, 1.0, 1.0, 0.1), rounds=8)
    assert max(event.staleness for event in slow.trace.events) > 15


def test_a_stale_update_counts_less():
    assert [Asynchrony(4, 1, 0.5, None, 1).weight(staleness) for staleness in (0, 4, 12)] == [1.0, 2**-0.5, 0.5]
    assert Asynchrony(4, 2, 1.0, None, 1).weight(2) == 0.5, "a buffer of two halves the number of versions"
    settings = {"speeds": (1.0, 0.1), "rounds": 2}
    assert distance(asynchronous(staleness_power=0.0, **settings), asynchronous(staleness_power=1.0, **settings)) > 1e-3


def test_one_slow_worker_holds_up_everyone_only_in_synchronous_rounds():
    """Four workers, one of them slowed four times: the same accuracy in less time, at a price in privacy that is shown.

    With two shards a worker, a synchronous round waits for the slow worker's last task; by the same virtual clock the asynchronous
    run passes the synchronous run's final accuracy earlier.
    """
    speeds, rounds = (1.0, 1.0, 1.0, 0.25), 12
    plan = PrivacyPlan(2.0, 1.0, 0.2, rounds * 2)
    private = {"batch_size": BATCH, "privacy": plan, "trust": "local", "local_steps": 2, "learning_rate": 2.0}
    synchronous = train_sharded(MODEL, X, Y, EVEN, rounds=rounds, noise_seed=1, evaluate=accuracy, **private)
    work = [2 * 0.2 * len(shard) for shard in EVEN]
    a_round = schedule(work, speeds, "longest-first").makespan
    run = asynchronous(speeds=speeds, rounds=rounds, noise_seed=1, evaluate=accuracy, **private)
    target = np.mean([done.score for done in synchronous.history[-3:]])
    reached = next(i for i, done in enumerate(run.history) if done.score >= target)
    seconds = sum(done.seconds for done in run.history[: reached + 1])
    assert seconds < 0.75 * rounds * a_round
    assert synchronous.epsilons(1e-4).max() == synchronous.epsilons(1e-4).min() == plan.epsilon(1e-4)
    assert run.epsilons(1e-4).max() > plan.epsilon(1e-4) > run.epsilons(1e-4).min()


def test_in_real_time_a_slow_worker_holds_up_nobody():
    """Two threads that sleep as they work, one four times as long: rounds wait for it, updates do not."""
    names = {}

    class Sleepy(ThreadPoolExecutor):
        def submit(self, fn, /, *args):
            def slowly():
                place = names.setdefault(threading.get_ident(), len(names))
                time.sleep((0.04, 0.01)[place % 2])
                return fn(*args)

            return super().submit(slowly)

    halves = partition(Y, 2)

    def seconds(**settings):
        names.clear()
        with Sleepy(2) as pool:
            start = time.perf_counter()
            train_sharded(
                MODEL,
                X,
                Y,
                halves,
                rounds=25,
                local_steps=1,
                batch_size=32,
                learning_rate=0.5,
                executor=pool,
                **settings,
            )
            return time.perf_counter() - start

    rounds, updates = seconds(), seconds(mode="asynchronous")  # 50 tasks each: 25 x 40 ms, or five tasks every 40 ms
    assert updates < 0.7 * rounds


def test_each_shard_is_charged_for_what_it_sent():
    run = trained("asynchronous")
    plan = JOBS["asynchronous"]["privacy"]
    tasks = np.bincount([event.task for event in run.trace.events], minlength=len(SHARDS))
    for count, ledger, spent in zip(tasks, run.ledgers, run.epsilons(1e-4), strict=True):
        expected = Ledger.for_seed(5)
        expected.record("poisson", plan.sampling_rate, plan.noise_multiplier, 3 * int(count))
        assert spent == ledger.epsilon(1e-4) == expected.epsilon(1e-4)
    assert run.epsilon(1e-4) == run.epsilons(1e-4).max() == run.ledger.epsilon(1e-4)
    assert len(set(tasks.tolist())) > 1, "unequal shards take part unequally"


def test_nothing_is_amplified_where_arrival_decides_who_takes_part():
    arrived = trained("asynchronous", speeds=None)
    assert all(entry.sampler == "full" for ledger in arrived.ledgers for entry in ledger.entries)
    assert arrived.epsilon(1e-4) > 2 * trained("asynchronous").epsilon(1e-4)


def test_noise_of_trust_central_is_added_once_a_step():
    """Where gradients are nothing beside the noise, a step moves by sigma C over the public divisor, B / shards times k.

    650 numbers, 16 steps of independent noise: the standard error is 0.7 %; false alarm below 1e-6 at 4 %.
    """
    clip_norm, rate, k = 1e-6, 0.5, 4
    plan = PrivacyPlan(1e6, clip_norm, rate, 4)
    run = asynchronous(
        rounds=4, local_steps=1, batch_size=round(rate * len(X)), privacy=plan, noise_seed=3, learning_rate=1.0,
        speeds=(1.0,) * k, buffer=2,
    )  # fmt: skip
    change = np.concatenate([(run.parameters[n] - a).ravel() for n, a in MODEL.init(0).items()])
    step = 1e6 * clip_norm / (rate * len(X) / len(EVEN)) / k
    assert change.std() / step == pytest.approx(np.sqrt(16), rel=0.12)
    assert [entry.steps for ledger in run.ledgers for entry in ledger.entries] == [4] * 8


def test_shards_stop_at_their_budget():
    free = trained("asynchronous", rounds=8, privacy=PrivacyPlan(2.0, 1.0, 0.2, 24))
    budget = (float(np.median(free.epsilons(1e-4))), 1e-4)
    run = trained("asynchronous", rounds=8, privacy=PrivacyPlan(2.0, 1.0, 0.2, 24), budget=budget)
    assert (run.epsilons(1e-4) <= budget[0]).all()
    assert (free.epsilons(1e-4) > budget[0]).any()
    stopped = run.ledger.entries[0].steps
    more = Ledger()
    more.record("poisson", 0.2, 2.0, stopped + 3)
    assert more.epsilon(1e-4) > budget[0], "one task more would have been too many"
    with pytest.raises(ValueError, match="does not pay for one task"):
        trained("asynchronous", budget=(0.01, 1e-4))


def test_history_has_an_entry_for_every_round_of_updates():
    run = asynchronous(speeds=(1.0, 0.5), evaluate=accuracy)
    assert len(run.history) == 4
    assert sum(done.seconds for done in run.history) == pytest.approx(run.trace.makespan, rel=0.2)
    assert run.history[-1].score > 0.5
