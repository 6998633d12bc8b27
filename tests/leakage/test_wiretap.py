"""Attacks on the messages that training over shards really sends."""

from dataclasses import replace

import numpy as np
import pytest

from privlab.data import load_mnist5k
from privlab.leakage.inversion import invert_gradient, psnr
from privlab.leakage.wiretap import Wiretap, message_gradient
from privlab.learning import mlp, softmax_regression
from privlab.masking import PrivacyPlan
from privlab.sharding import InProcess, process_pool, train_sharded
from privlab.sharding.workers import run

X, Y = load_mnist5k().x_train[:8], load_mnist5k().y_train[:8]
MODEL = mlp([784, 100, 10], "tanh")
SHARDS = [np.arange(4), np.arange(4, 8)]
SETTING = {"rounds": 2, "local_steps": 1, "batch_size": 4, "learning_rate": 0.1}


def tapped(shards=SHARDS, executor=None, **other):
    wire = Wiretap(executor or InProcess())
    return train_sharded(MODEL, X, Y, shards, executor=wire, **{**SETTING, **other}), wire.messages


def shard_of(task):
    return SHARDS[task.units[0].shard]


def test_listening_changes_nothing_and_hears_everything():
    run, messages = tapped()
    untapped = train_sharded(MODEL, X, Y, SHARDS, executor=InProcess(), **SETTING)
    assert all(np.array_equal(run.parameters[name], untapped.parameters[name]) for name in run.parameters)
    assert [(task.round, task.units[0].shard) for task, _ in messages] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_message_holds_the_mean_gradient_of_its_batch():
    for task, answer in tapped()[1]:
        rows = shard_of(task)
        total, _ = MODEL.gradient(task.parameters, X[rows], Y[rows])
        for name, array in message_gradient(task, answer).items():
            np.testing.assert_allclose(array, total[name] / 4, atol=1e-6)


@pytest.mark.parametrize("local_steps", [1, 2])
def test_a_change_of_parameters_is_a_gradient_too(local_steps):
    task, answer = tapped(local_steps=local_steps, trust="local")[1][0]
    parameters, total = {name: array.copy() for name, array in task.parameters.items()}, {}
    for _ in range(local_steps):
        step, _ = MODEL.gradient(parameters, X[:4], Y[:4])
        for name, array in parameters.items():
            array -= 0.1 * step[name] / 4
            total[name] = total.get(name, 0) + step[name] / 4
    for name, array in message_gradient(task, answer).items():
        np.testing.assert_allclose(array, total[name] / local_steps, atol=1e-5)


def test_the_records_are_read_off_the_wire_of_real_processes():
    with process_pool(1) as pool:
        _, messages = tapped(executor=pool, rounds=1)
    assert len({answer.worker for _, answer in messages}) == 1
    for task, answer in messages:
        guess = invert_gradient(task.job.model, task.parameters, message_gradient(task, answer), records=4)
        assert psnr(X[shard_of(task)], guess.x).min() > 30
        assert sorted(guess.y) == sorted(Y[shard_of(task)])


def test_clipped_sums_leak_on_the_wire_and_noisy_changes_do_not():
    one, plan = [np.array([0]), np.array([1])], PrivacyPlan(1.0, 1.0, 1.0, 1, sampling="full")
    for trust, readable in (("central", True), ("local", False)):
        _, messages = tapped(one, rounds=1, batch_size=8, privacy=plan, trust=trust, noise_seed=0)
        task, answer = messages[0]
        guess = invert_gradient(task.job.model, task.parameters, message_gradient(task, answer))
        assert (psnr(X[:1], guess.x)[0] > 100) == readable
        assert readable or psnr(X[:1], guess.x)[0] < 15


def test_several_shards_in_one_message_are_averaged_by_size():
    task, answer = tapped()[1][0]
    together = replace(task, units=(task.units[0], replace(task.units[0], weight=0.25)))
    for name, array in message_gradient(together, answer).items():
        np.testing.assert_allclose(array, message_gradient(task, answer)[name] / 1.5)


def test_a_masked_update_on_the_wire_tells_nothing():
    _, messages = tapped(rounds=1, trust="secure-sum")
    assert [task.units[0].shard for task, _ in messages] == [0, 1]
    blind = psnr(X[:4], np.repeat(X.mean(0, keepdims=True), 4, 0)).mean()
    for task, answer in messages:
        guess = invert_gradient(MODEL, task.parameters, message_gradient(task, answer), records=4)
        assert psnr(X[shard_of(task)], guess.x).mean() < blind
        assert guess.mismatch > 0.9, "no records have such a gradient"


def test_other_work_passes_and_failed_tasks_are_not_heard():
    wire = Wiretap(InProcess())
    assert wire.submit(pow, 2, 10).result() == 1024
    assert wire.submit(run, b"no message").exception() is not None
    assert wire.messages == []


def test_what_was_refused_is_not_in_the_mean():
    model, broken = softmax_regression(784, 10), X.copy()
    broken[4:] = 1e30
    wire = Wiretap(InProcess())
    with pytest.warns(UserWarning, match="not used"):
        train_sharded(model, broken, Y, SHARDS, executor=wire, faults="drop", **{**SETTING, "rounds": 1})
    (task, answer), (other, refusal) = wire.messages
    both = replace(task, units=task.units + other.units), replace(answer, refused=((1, refusal.refused[0][1]),))
    for name, array in message_gradient(*both).items():
        np.testing.assert_array_equal(array, message_gradient(task, answer)[name])
    with pytest.raises(ValueError, match="no update that was accepted"):
        message_gradient(other, refusal)


def test_a_part_of_a_shard_is_refused():
    task, answer = tapped()[1][0]
    part = replace(task, units=(replace(task.units[0], last=2),))
    with pytest.raises(ValueError, match="task has a part of shard 0"):
        message_gradient(part, answer)
