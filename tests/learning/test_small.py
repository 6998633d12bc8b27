"""Learners for small data: what one record can change, what they spend, and how accurate they are for it."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import kstest

from privlab.data import load_digits, load_mnist5k
from privlab.learning import mlp, softmax_regression, train
from privlab.learning.features import hog
from privlab.learning.small import _class_sums, class_means, private_gradient_descent
from privlab.masking import gaussian_epsilon, gaussian_noise_multiplier

BUDGET = {"epsilon": 1.0, "delta": 1e-5}


def clusters(n=300, features=8, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    x = np.eye(features)[y] + 0.3 * rng.standard_normal((n, features))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), y


@pytest.mark.parametrize("length", [0.0, 1e-30, 0.5, 1.0, 1e3, 1e30])
@pytest.mark.parametrize("label", [0, 2])
def test_one_adversarial_row_moves_the_table_of_sums_by_at_most_one(length, label):
    x, y = clusters()
    x = x.astype(np.float64)
    sums = _class_sums(x, y, 3)
    for direction in (sums[label], -sums[label], np.eye(8)[7]):
        row = length * direction / np.linalg.norm(direction)
        moved = np.linalg.norm(_class_sums(np.vstack([x, row]), np.append(y, label), 3) - sums)
        assert moved <= 1 + 1e-12
        assert moved == pytest.approx(min(length, 1), abs=1e-12)


def test_class_means_add_the_noise_their_ledger_claims():
    """400 equal rows make a sum that is known but for 1 % of noise; the other 19,999 entries are noise. 10 % is rejected."""
    x, y = np.zeros((400, 20_000), np.float32), np.zeros(400, int)
    x[:, 0] = 1
    run = class_means(x, y, 2, **BUDGET, seed=0)
    weight = run.parameters["dense_1.weight"][:, 0].astype(np.float64)
    noise, claimed = weight[1:] * 400 / weight[0], run.ledger.entries[0].noise_multiplier
    assert claimed == gaussian_noise_multiplier(**BUDGET)
    assert kstest(noise, "norm", args=(0, claimed)).pvalue > 1e-3
    for wrong in (0.9, 1.1):
        assert kstest(noise, "norm", args=(0, wrong * claimed)).pvalue < 1e-3


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 7.0])
def test_the_ledger_spends_the_budget_and_no_more(epsilon):
    x, y = clusters()
    model, delta = softmax_regression(8, 3), 1e-5
    means = class_means(x, y, 3, epsilon=epsilon, delta=delta)
    descent = private_gradient_descent(model, x, y, epsilon=epsilon, delta=delta, steps=7)
    for run in (means, descent):
        assert epsilon * (1 - 1e-6) < run.epsilon(delta) <= epsilon
        assert run.ledger.noise_source == "operating system"
    assert sum(entry.steps for entry in descent.ledger.entries) == 7


def test_a_start_is_charged_to_the_run_that_continues_it():
    """Two equal releases cost as much as one with sqrt(2) times less noise; half-and-half gives exactly the budget."""
    x, y = clusters()
    sigma, delta = gaussian_noise_multiplier(2.0, 1e-5), 1e-5
    half = gaussian_epsilon(sigma * np.sqrt(2), delta)
    means = class_means(x, y, 3, epsilon=half, delta=delta, seed=1)
    begun = {name: array.copy() for name, array in means.parameters.items()}
    run = private_gradient_descent(softmax_regression(8, 3), x, y, epsilon=half, delta=delta, start=means)
    assert run.epsilon(delta) == pytest.approx(2.0, rel=1e-6)
    assert run.ledger.noise_source == "seeded: not private"
    assert all(np.array_equal(begun[name], array) for name, array in means.parameters.items())
    again = private_gradient_descent(softmax_regression(8, 3), x, y, epsilon=half, delta=delta, noise_seed=1)
    other = private_gradient_descent(
        softmax_regression(8, 3), x, y, epsilon=half, delta=delta, noise_seed=1, start=means
    )
    assert not np.allclose(again.parameters["dense_1.weight"], other.parameters["dense_1.weight"])


def test_seeds_repeat_and_secrets_do_not():
    x, y = clusters()

    def means(seed):
        return class_means(x, y, 3, **BUDGET, seed=seed)

    def descent(seed):
        return private_gradient_descent(softmax_regression(8, 3), x, y, **BUDGET, steps=3, noise_seed=seed)

    for learn in (means, descent):
        seeded, same, secret, other = (learn(seed).parameters["dense_1.weight"] for seed in (4, 4, None, None))
        assert np.array_equal(seeded, same)
        assert not np.array_equal(secret, other)
        assert learn(4).ledger.noise_source == "seeded: not private"


def test_the_default_step_gives_a_logit_noise_of_standard_deviation_one():
    """Rows of zeros move no weight, so the weights are noise alone: a random walk, whose last half is averaged."""
    steps = 100
    run = private_gradient_descent(
        softmax_regression(4000, 2),
        np.zeros((200, 4000), np.float32),
        np.arange(200) % 2,
        epsilon=0.5,
        delta=1e-5,
        steps=steps,
        noise_seed=0,
    )
    late = np.arange(steps // 2, steps) + 1
    averaged = np.minimum.outer(late, late).mean() / steps  # the variance of the average, where the last iterate has 1
    assert run.parameters["dense_1.weight"].std() == pytest.approx(np.sqrt(averaged), rel=0.03)


def test_an_average_of_iterates_is_their_mean_and_a_start_is_where_training_begins():
    x, y = clusters()
    model = softmax_regression(8, 3)
    start = model.init(5)
    settings = {"batch_size": 300, "learning_rate": 0.5}
    iterates = [train(model, x, y, steps=k, start=start, **settings).parameters for k in (1, 2, 3, 4)]
    for average, kept in ((0.0, 1), (0.25, 1), (0.5, 2), (1.0, 4)):
        run = train(model, x, y, steps=4, start=start, average=average, **settings)
        for name, array in run.parameters.items():
            assert np.allclose(array, np.mean([it[name] for it in iterates[-kept:]], axis=0), atol=1e-6)
    for name, array in model.init(5).items():
        assert np.array_equal(start[name], array)


@cache
def splits(load):
    """Six splits as features, with the functions' defaults: the same for both data sets and every epsilon."""
    parts = [load(test_size=0.2, seed=seed) for seed in range(6)]
    return [(hog(d.x_train, d.image_shape), d.y_train, hog(d.x_test, d.image_shape), d.y_test) for d in parts]


def accuracy(load, delta, epsilon, learn):
    """Mean over the splits."""
    hits = []
    for seed, (x, y, x_test, y_test) in enumerate(splits(load)):
        model = softmax_regression(x.shape[1], 10)
        run = learn(model, x, y, epsilon=epsilon, delta=delta, seed=seed)
        assert run.epsilon(delta) <= epsilon
        hits.append((model.logits(run.parameters, x_test).argmax(-1) == y_test).mean())
    return np.mean(hits)


def descent(model, x, y, *, epsilon, delta, seed):
    return private_gradient_descent(model, x, y, epsilon=epsilon, delta=delta, noise_seed=seed)


def means(model, x, y, *, epsilon, delta, seed):
    return class_means(x, y, model.classes, epsilon=epsilon, delta=delta, seed=seed)


@pytest.mark.parametrize(
    ("load", "delta", "epsilon", "learn", "at_least"),
    [
        (load_digits, 1e-4, 1, descent, 0.95),
        (load_digits, 1e-4, 4, descent, 0.97),
        (load_mnist5k, 1e-5, 1, descent, 0.94),
        (load_mnist5k, 1e-5, 4, descent, 0.95),
        (load_digits, 1e-4, 1, means, 0.92),
    ],
)
def test_accuracy_at_a_given_epsilon(load, delta, epsilon, learn, at_least):
    assert accuracy(load, delta, epsilon, learn) >= at_least


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("x", {"x": np.zeros(3)}),
        ("x", {"x": np.full((2, 3), np.inf)}),
        ("y", {"y": np.array([0, 1, 1])}),
        ("y", {"y": np.array([0, 5])}),
        ("classes", {"classes": 1}),
        ("epsilon", {"epsilon": 0}),
        ("delta", {"delta": 1.0}),
    ],
)
def test_class_means_refuse(argument, given):
    sound = {"x": np.eye(2, 3), "y": np.array([0, 1]), "classes": 2, **BUDGET}
    with pytest.raises(ValueError, match=f"^{argument} "):
        class_means(**{**sound, **given})


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("x", {"x": np.zeros((2, 4))}),
        ("x", {"x": np.full((2, 3), np.nan)}),
        ("y", {"y": np.array([0, 5])}),
        ("epsilon", {"epsilon": -1}),
        ("delta", {"delta": 0}),
        ("steps", {"steps": 0}),
        ("clip_norm", {"clip_norm": 0}),
        ("learning_rate", {"learning_rate": 0}),
        ("learning_rate", {"model": mlp([3, 4, 2])}),
        ("start", {"start": class_means(np.eye(2), [0, 1], 2, **BUDGET, seed=0)}),
    ],
)
def test_private_gradient_descent_refuses(argument, given):
    sound = {"model": softmax_regression(3, 2), "x": np.eye(2, 3), "y": np.array([0, 1]), **BUDGET}
    with pytest.raises(ValueError, match=f"^{argument} "):
        private_gradient_descent(**{**sound, **given})


@pytest.mark.parametrize("average", [-0.1, 1.5, np.nan])
def test_train_refuses_an_average_outside_zero_to_one(average):
    x, y = clusters()
    with pytest.raises(ValueError, match=r"^average "):
        train(softmax_regression(8, 3), x, y, steps=1, batch_size=1, learning_rate=1.0, average=average)


def test_a_network_learns_too_when_told_its_step():
    x, y = clusters()
    model = mlp([8, 16, 3])
    run = private_gradient_descent(
        model, x, y, epsilon=8, delta=1e-5, learning_rate=2.0, clip_norm=1.0, steps=50, noise_seed=0
    )
    assert (model.logits(run.parameters, x).argmax(-1) == y).mean() > 0.8
