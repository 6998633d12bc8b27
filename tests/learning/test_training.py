"""The training loop: what it releases, divides by, refuses and repeats."""

import time

import numpy as np
import pytest
from scipy.stats import kstest

from privlab.data import load_digits
from privlab.learning import mlp, softmax_regression, train
from privlab.masking import PrivacyPlan


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def toy(n=40, features=6, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, features), dtype=np.float32), rng.integers(classes, size=n)


def test_plain_training_learns_digits(digits):
    for optimizer, rate in (("sgd", 0.5), ("momentum", 0.1), ("adam", 0.005)):
        run = train(
            mlp([64, 32, 10]),
            digits.x_train,
            digits.y_train,
            steps=400,
            batch_size=64,
            learning_rate=rate,
            optimizer=optimizer,
        )
        logits = mlp([64, 32, 10]).logits(run.parameters, digits.x_test)
        assert (logits.argmax(-1) == digits.y_test).mean() > 0.93, optimizer
        assert run.epsilon(1e-5) == np.inf
        assert run.losses.shape == (400,)


def test_one_full_batch_step_is_the_clipped_sum_plus_noise_over_the_public_divisor():
    x, y = toy()
    model = softmax_regression(6, 3)
    start = model.init(3)
    for sigma in (0.0, 2.0):
        plan = PrivacyPlan(sigma, 0.1, 1.0, 1, sampling="full")
        run = train(model, x, y, steps=1, batch_size=40, learning_rate=1.0, privacy=plan, seed=3, noise_seed=1)
        clipped = model.clipped_gradient(start, x, y, 0.1)
        noise = np.concatenate(
            [(40 * (start[name] - run.parameters[name]) - clipped[name]).ravel() for name in sorted(clipped)]
        )
        assert noise.std() == pytest.approx(sigma * 0.1, rel=0.5, abs=1e-4)


def test_the_noise_added_has_the_scale_the_ledger_claims():
    """Without a gradient (no record is ever a member) the parameters move by noise alone; a scale wrong by 5 % is rejected."""
    x, y = toy(4, 300, 2)
    nobody, plan = np.zeros((50, 4), bool), PrivacyPlan(1.5, 0.7, 0.5, 4)
    model = softmax_regression(300, 2)
    run = train(
        model, x, y, steps=4, batch_size=1, learning_rate=1.0, privacy=plan, members=nobody, noise_seed=0, seed=1
    )
    start = model.init(1, 50)
    moves = np.concatenate([(run.parameters[name] - start[name]).ravel() for name in start])
    claimed = 1.5 * 0.7 * np.sqrt(4)
    assert kstest(moves, "norm", args=(0, claimed)).pvalue > 1e-3
    for wrong in (0.95, 1.05):
        assert kstest(moves, "norm", args=(0, wrong * claimed)).pvalue < 1e-3
    assert run.ledger.epsilon(1e-5) == pytest.approx(plan.epsilon(1e-5))  # empty batches were releases too


def test_private_replicas_ignore_padding_and_outsiders():
    x, y = toy()
    model = softmax_regression(6, 3)
    members = np.random.default_rng(1).random((5, 40)) < 0.5
    plan = PrivacyPlan(0.0, 1.0, 0.4, 1)
    run = train(
        model, x, y, steps=1, batch_size=8, learning_rate=1.0, privacy=plan, members=members, seed=2, noise_seed=5
    )
    hidden = np.where(members.any(0)[:, None], x, np.float32(9))
    again = train(
        model, hidden, y, steps=1, batch_size=8, learning_rate=1.0, privacy=plan, members=members, seed=2, noise_seed=5
    )
    start = model.init(2, 5)
    for name, array in run.parameters.items():
        assert np.array_equal(array, again.parameters[name])
        assert not np.array_equal(array, start[name])


def test_members_alone_are_trained_on():
    x, y = toy()
    members = np.zeros((2, 40), bool)
    members[0, :20], members[1, 20:] = True, True
    run = train(softmax_regression(6, 3), x, y, steps=5, batch_size=20, learning_rate=1.0, members=members)
    changed = x.copy()
    changed[20:] = 0
    other = train(softmax_regression(6, 3), changed, y, steps=5, batch_size=20, learning_rate=1.0, members=members)
    for name, array in run.parameters.items():
        assert np.array_equal(array[0], other.parameters[name][0])
    assert not np.array_equal(run.parameters["dense_1.weight"][1], other.parameters["dense_1.weight"][1])


def test_each_pass_deals_every_record_once():
    x, y = np.eye(12, dtype=np.float32), np.arange(12) % 2
    model = softmax_regression(12, 2)
    run = train(model, x, y, steps=3, batch_size=4, learning_rate=1e-3, seed=0)
    moved = np.abs(run.parameters["dense_1.weight"] - model.init(0)["dense_1.weight"]).max(-1)
    assert (moved > 0).all()
    assert moved.max() / moved.min() < 5


def test_seeds_repeat_and_secrets_do_not():
    x, y = toy()
    plan = PrivacyPlan(1.0, 1.0, 0.5, 3)

    def weights(**seeds):
        run = train(softmax_regression(6, 3), x, y, steps=3, batch_size=20, learning_rate=1.0, privacy=plan, **seeds)
        return run.parameters["dense_1.weight"], run.ledger.noise_source

    seeded, source = weights(noise_seed=4)
    assert np.array_equal(seeded, weights(noise_seed=4)[0])
    assert source == "seeded: not private"
    fresh, source = weights()
    assert not np.array_equal(fresh, weights()[0])
    assert source == "operating system"


def test_private_losses_of_empty_batches_are_nan_and_training_goes_on():
    x, y = toy(4)
    plan = PrivacyPlan(1.0, 1.0, 0.05, 30)
    run = train(softmax_regression(6, 3), x, y, steps=30, batch_size=1, learning_rate=0.1, privacy=plan, noise_seed=0)
    assert np.isnan(run.losses).any()
    assert all(np.isfinite(array).all() for array in run.parameters.values())
    assert sum(release.steps for release in run.ledger.entries) == 30


def test_a_shuffled_run_is_charged_without_amplification():
    x, y = toy()
    runs = {
        sampling: train(
            softmax_regression(6, 3),
            x,
            y,
            steps=8,
            batch_size=10,
            learning_rate=0.1,
            privacy=PrivacyPlan(2.0, 1.0, 0.25, 8, sampling=sampling),
            noise_seed=0,
        )
        for sampling in ("poisson", "shuffle")
    }
    assert runs["shuffle"].epsilon(1e-5) > 1.5 * runs["poisson"].epsilon(1e-5)


def test_digits_at_epsilon_4(digits):
    """An MLP on pixels at epsilon 4, delta 1e-4: at least 93 % over 6 splits."""
    accuracies = []
    for seed in range(6):
        split = load_digits(test_size=0.2, seed=seed)
        plan = PrivacyPlan.for_epsilon(4.0, 1e-4, clip_norm=0.5, sampling_rate=1.0, steps=150)
        model = mlp([64, 64, 10])
        run = train(
            model,
            split.x_train - np.float32(0.3),
            split.y_train,
            steps=150,
            batch_size=len(split.x_train),
            learning_rate=4.0,
            privacy=plan,
            seed=seed,
            noise_seed=seed,
        )
        assert run.epsilon(1e-4) <= 4
        accuracies.append((model.logits(run.parameters, split.x_test - 0.3).argmax(-1) == split.y_test).mean())
    assert np.mean(accuracies) >= 0.93


def best_ratio(slow, fast, repeats):
    """Smallest wall-time ratio of two calls run in turn: the second core may be busy for a while."""
    ratios = []
    for _ in range(repeats):
        start = time.perf_counter()
        fast()
        middle = time.perf_counter()
        slow()
        ratios.append((time.perf_counter() - middle) / (middle - start))
    return min(ratios)


@pytest.mark.alone
def test_private_steps_cost_at_most_twice_plain_ones():
    """100,000 parameters, noise included."""
    rng = np.random.default_rng(0)
    x, y = rng.random((6000, 784), dtype=np.float32), rng.integers(10, size=6000)
    settings = {"steps": 20, "batch_size": 256, "learning_rate": 0.1}
    plan = PrivacyPlan(1.0, 1.0, 256 / 6000, 20)
    model = mlp([784, 128, 10])

    def private():
        train(model, x, y, privacy=plan, **settings)

    assert best_ratio(private, lambda: train(model, x, y, **settings), repeats=20) < 2


def test_replicas_are_cheaper_together(digits):
    settings = {"steps": 100, "batch_size": 64, "learning_rate": 0.1}
    model, x, y = mlp([64, 64, 10]), digits.x_train, digits.y_train
    one_by_one = best_ratio(
        lambda: [train(model, x, y, seed=seed, **settings) for seed in range(64)],
        lambda: train(model, x, y, replicas=64, **settings),
        repeats=3,
    )
    assert one_by_one > 0.5


X, Y = toy()
GOOD = {"steps": 2, "batch_size": 4, "learning_rate": 0.1}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": X[:, :5]}, r"x has shape \(40, 5\)"),
        ({"x": X[0]}, "x has shape"),
        ({"x": np.where(X > 0.9, np.nan, X)}, "x has .* NaN"),
        ({"y": Y + 1}, "y holds 3"),
        ({"y": Y - 1}, "y holds -1"),
        ({"y": Y[:-1]}, "40 and 39 records"),
        ({"x": X[:0], "y": Y[:0]}, "0 and 0 records"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 41}, "batch_size is 41.* at most 40"),
        ({"learning_rate": -1}, "learning_rate is -1"),
        ({"learning_rate": np.nan}, "learning_rate is nan"),
        ({"optimizer": "lbfgs"}, "optimizer is 'lbfgs'"),
        ({"replicas": 0}, "replicas is 0"),
        ({"members": np.ones((2, 39), bool)}, r"members has shape \(2, 39\)"),
        ({"members": np.ones((2, 40))}, "dtype float64"),
        ({"members": np.ones((2, 40), bool), "replicas": 3}, r"must be bool \(3, 40\)"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"privacy": PrivacyPlan(1, 1, 0.1, 3)}, "steps is 2, but must be 3"),
        ({"privacy": PrivacyPlan(1, 1, 0.5, 2)}, "batch_size is 4, but must be 20"),
        ({"privacy": PrivacyPlan(1, 1, 0.1, 2), "noise_seed": -3}, "seed is -3"),
    ],
)
def test_bad_input_is_refused_by_name(changed, message):
    given = {"x": X, "y": Y} | GOOD | changed
    with pytest.raises(ValueError, match=message):
        train(softmax_regression(6, 3), given.pop("x"), given.pop("y"), **given)
