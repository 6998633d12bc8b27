"""Training on a fixed dealing of the records, with noise that later steps take back."""

import numpy as np
import pytest
from scipy.stats import kstest

from privlab.data import load_digits
from privlab.learning import mlp, softmax_regression, train
from privlab.masking import PrivacyPlan
from privlab.masking.correlated import Correlation


def toy(n=42, features=6, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, features), dtype=np.float32), rng.integers(classes, size=n)


def cyclic(steps, batches, correlation=None, sigma=0.0, clip_norm=0.3):
    return PrivacyPlan(sigma, clip_norm, 1 / batches, steps, sampling="cyclic", correlation=correlation)


def by_hand(model, parameters, x, y, *, steps, batches, divisor):
    for step in range(steps):
        mine = slice(step % batches, None, batches)
        change = model.clipped_gradient(parameters, x[mine], y[mine], 0.3)
        parameters = {name: array - change[name] / divisor for name, array in parameters.items()}
    return parameters


def test_cyclic_training_takes_every_bth_record_in_turn():
    x, y = toy()
    model = softmax_regression(6, 3)
    for batches in (1, 4, 14):
        settings = {"steps": 9, "batch_size": max(1, round(42 / batches)), "learning_rate": 1.0}
        run = train(model, x, y, privacy=cyclic(9, batches), **settings)
        expected = by_hand(model, model.init(0), x, y, steps=9, batches=batches, divisor=settings["batch_size"])
        for name, array in run.parameters.items():
            assert np.allclose(array, expected[name], atol=1e-5)


def test_replicas_of_cyclic_training_keep_their_members_and_their_places():
    """A replica's members in their own places, whatever the others are; ragged and empty batches are padded with weight 0."""
    x, y = toy()
    model = softmax_regression(6, 3)
    members = np.random.default_rng(1).random((4, 42)) < 0.5
    members[0] = False
    members[1] = np.arange(42) % 7 == 2
    settings = {"steps": 9, "batch_size": 3, "learning_rate": 1.0}
    run = train(model, x, y, privacy=cyclic(9, 7), members=members, **settings)
    start = model.init(0, 4)
    for replica in range(4):
        mine = {name: array[replica] for name, array in start.items()}
        for step in range(9):
            batch = members[replica] & (np.arange(42) % 7 == step % 7)
            change = model.clipped_gradient(mine, x[batch], y[batch], 0.3)
            mine = {name: array - change[name] / 3 for name, array in mine.items()}
        for name, array in mine.items():
            assert np.allclose(run.parameters[name][replica], array, atol=1e-5)
    assert np.isnan(run.losses[0]).all()
    assert run.ledger.entries[0].steps == 9


@pytest.mark.parametrize(
    "kind",
    [
        Correlation("tree"),
        Correlation("square-root"),
        Correlation("banded-square-root", bands=5),
        Correlation("one-step", decay=0.7),
    ],
    ids=str,
)
def test_the_noise_left_in_the_parameters_is_that_of_the_last_running_sum(kind):
    """Nobody is a member, so parameters move by noise alone: the last row of B. False alarms 1e-3; 5 % off, or white, is found."""
    x, y = toy(4, 300, 2)
    plan = cyclic(12, 4, kind, sigma=1.5, clip_norm=0.7)
    model = softmax_regression(300, 2)
    run = train(
        model,
        x,
        y,
        steps=12,
        batch_size=1,
        learning_rate=1.0,
        privacy=plan,
        members=np.zeros((50, 4), bool),
        noise_seed=0,
    )
    start = model.init(0, 50)
    moves = np.concatenate([(run.parameters[name] - start[name]).ravel() for name in start])
    last_row = np.linalg.solve(kind.matrix(12).T, np.ones(12))
    claimed = 1.5 * 0.7 * np.linalg.norm(last_row)
    assert kstest(moves, "norm", args=(0, claimed)).pvalue > 1e-3
    for wrong in (0.95 * claimed, 1.05 * claimed, 1.5 * 0.7 * np.sqrt(12)):
        assert kstest(moves, "norm", args=(0, wrong)).pvalue < 1e-3
    assert run.epsilon(1e-5) == plan.epsilon(1e-5)


def test_banded_noise_trains_digits_at_epsilon_8():
    """16 batches, 10 passes: above 88 %, and not what white noise of the same cost leaves."""
    digits = load_digits(test_size=0.2, seed=0)
    model, x = mlp([64, 64, 10]), digits.x_train - np.float32(0.3)
    runs = {}
    for correlation in ("banded-square-root", None):
        plan = PrivacyPlan.for_epsilon(
            8.0,
            1e-4,
            clip_norm=0.5,
            sampling_rate=1 / 16,
            steps=160,
            sampling="cyclic",
            correlation=correlation,
        )
        run = train(
            model,
            x,
            digits.y_train,
            steps=160,
            batch_size=round(len(x) / 16),
            learning_rate=2.0,
            privacy=plan,
            noise_seed=0,
        )
        assert 8.0 * (1 - 1e-9) < run.epsilon(1e-4) <= 8.0
        runs[correlation] = run
    banded, white = runs["banded-square-root"], runs[None]
    assert banded.ledger.entries[0].correlation == Correlation("banded-square-root", bands=16)
    logits = model.logits(banded.parameters, digits.x_test - np.float32(0.3))
    assert (logits.argmax(-1) == digits.y_test).mean() > 0.88
    assert not np.allclose(banded.parameters["dense_1.weight"], white.parameters["dense_1.weight"], atol=0.05)


def test_correlated_runs_repeat_with_a_seed_and_not_without():
    x, y = toy()

    def weight(**seeds):
        plan = cyclic(6, 2, "square-root", sigma=1.0)
        run = train(softmax_regression(6, 3), x, y, steps=6, batch_size=21, learning_rate=1.0, privacy=plan, **seeds)
        return run.parameters["dense_1.weight"]

    assert np.array_equal(weight(noise_seed=1), weight(noise_seed=1))
    assert not np.array_equal(weight(), weight())
