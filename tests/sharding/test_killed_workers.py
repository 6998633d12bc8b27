"""Workers killed at random moments of a training run: not a bit changes, nothing is left behind."""

import multiprocessing
import os
import random
import signal
import threading
import time

import pytest
from jobs import bits, trained

from privlab.sharding import ProcessPool

ROUNDS = {"rounds": 6, "local_steps": 300, "learning_rate": 0.05}


@pytest.fixture(scope="module")
def pool():
    before = {*multiprocessing.active_children()}
    with ProcessPool(2) as pool:
        yield pool
    assert {*multiprocessing.active_children()} <= before


@pytest.fixture(scope="module")
def undisturbed(pool):
    trained("local steps", executor=pool, **ROUNDS)  # both workers have loaded everything
    start = time.perf_counter()
    run = trained("local steps", executor=pool, **ROUNDS)
    return bits(run), time.perf_counter() - start


def workers(pool):
    return [pid for worker in pool._workers for pid in (worker._processes or {})]


@pytest.mark.parametrize("seed", range(20))
def test_a_worker_killed_at_a_random_moment_changes_nothing(pool, undisturbed, seed, tmp_path):
    expected, seconds = undisturbed
    draw = random.Random(seed)
    killed = []

    def kill():
        killed.append(draw.choice(workers(pool)))
        os.kill(killed[0], signal.SIGKILL)

    timer = threading.Timer(draw.uniform(0, 0.8 * seconds), kill)
    timer.start()
    run = trained("local steps", executor=pool, scratch=tmp_path, **ROUNDS)
    timer.join()
    assert bits(run) == expected
    assert killed, "the timer fired"
    assert list(tmp_path.iterdir()) == []


def test_a_killed_worker_does_not_change_a_private_run(pool):
    expected = bits(trained("local"))
    timer = threading.Timer(0.02, lambda: os.kill(workers(pool)[0], signal.SIGKILL))
    timer.start()
    assert bits(trained("local", executor=pool)) == expected
    timer.join()
