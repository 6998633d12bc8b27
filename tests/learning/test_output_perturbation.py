"""Output perturbation: how far one record moves the minimiser, what is charged for it, and what it is worth."""

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.linear_model import LogisticRegression

from privlab.data import load_digits
from privlab.learning import softmax_regression
from privlab.learning.features import hog
from privlab.learning.small import (
    LIPSCHITZ,
    LOGIT_NOISE,
    TOLERANCE,
    _minimiser,
    _minimiser_sensitivity,
    _shortened,
    output_perturbation,
)
from privlab.masking import gaussian_noise_multiplier

BUDGET = {"epsilon": 1.0, "delta": 1e-5}


def moved(rows, labels, row, label, classes, strength, tolerance=TOLERANCE):
    """Distance between the minimisers without and with one record, and the sensitivity claimed."""
    longer, more = np.vstack([rows, row]), np.append(labels, label)
    pair = [_minimiser(_shortened(x), y, classes, strength, tolerance) for x, y in ((rows, labels), (longer, more))]
    return np.linalg.norm(pair[0] - pair[1]), _minimiser_sensitivity(strength, tolerance)


def test_random_neighbours_never_exceed_the_sensitivity():
    """200 data sets: few records or many, clustered or not, and records too long, which are scaled down."""
    rng, shares = np.random.default_rng(0), []
    for _ in range(200):
        n, features, classes = rng.integers(1, 60), rng.integers(1, 6), rng.integers(2, 5)
        rows = rng.standard_normal((n, features)) * rng.choice([0.1, 1, 100])
        labels = rng.integers(classes, size=n) if rng.random() < 0.5 else np.zeros(n, int)
        row = rows.mean(0) * rng.choice([-1e3, 1e3]) if rng.random() < 0.5 else rng.standard_normal(features)
        distance, claimed = moved(rows, labels, row, rng.integers(classes), classes, 10 ** rng.uniform(-3, 2))
        assert distance <= claimed
        shares.append(distance / claimed)
    assert max(shares) > 0.5


def worst_case(strength):
    """Many short rows push the weights towards class 0 and hardly resist; a row of norm 1 along them says class 1."""
    rows = np.full((int(40_000 * strength), 1), 0.001)
    return rows, np.zeros(len(rows), int), [[1.0]], 1


@pytest.mark.parametrize("strength", [0.1, 1.0])
@pytest.mark.parametrize("classes", [2, 10])
def test_the_worst_case_comes_near_the_claim(strength, classes):
    distance, claimed = moved(*worst_case(strength), classes, strength)
    assert 0.95 * claimed < distance <= claimed


def test_without_the_slack_solvers_that_stop_early_break_the_claim():
    """Two descents that come from opposite sides and stop as soon as their gradients are within the tolerance."""
    strength, tolerance, model = 0.1, 0.2, softmax_regression(1, 2)
    rows, labels, row, label = worst_case(strength)
    pair = [(rows, labels), (np.vstack([rows, row]), np.append(labels, label))]
    minima = [_minimiser(x, y, 2, strength, TOLERANCE) for x, y in pair]
    ends = []
    for (x, y), minimum, side in zip(pair, minima, (1, -1), strict=True):
        weight = minimum + side * (minima[0] - minima[1])
        while True:
            gradient, _ = model.gradient({"dense_1.weight": weight, "dense_1.bias": np.zeros(2)}, x, y)
            slope = gradient["dense_1.weight"] + strength * weight
            if np.linalg.norm(slope) <= tolerance:
                break
            weight = weight - slope
        ends.append(weight)
    apart = np.linalg.norm(ends[0] - ends[1])
    assert 1.1 * _minimiser_sensitivity(strength, 0) < apart <= _minimiser_sensitivity(strength, tolerance)


def test_the_minimiser_is_scikit_learns():
    """Without intercept and with C = 1 / regularization, scikit-learn minimises the same sum."""
    rng = np.random.default_rng(1)
    rows, labels = _shortened(rng.standard_normal((200, 5))), rng.integers(3, size=200)
    other = LogisticRegression(C=1 / 0.3, fit_intercept=False, tol=1e-9, max_iter=10_000).fit(rows, labels).coef_.T
    ours = _minimiser(rows, labels, 3, 0.3, 1e-6)
    np.testing.assert_allclose(ours, other, atol=1e-5)


def test_the_noise_is_what_the_ledger_and_the_sensitivity_say():
    """Rows of zeros leave weights of 0 and noise alone; 40,000 draws reject a scale wrong by 5 %."""
    x, y = np.zeros((10, 20_000)), np.arange(10) % 2
    for strength in (None, 0.5):
        run = output_perturbation(x, y, 2, **BUDGET, regularization=strength, seed=0)
        multiplier = run.ledger.entries[0].noise_multiplier
        assert multiplier == gaussian_noise_multiplier(**BUDGET)
        scale = LOGIT_NOISE if strength is None else multiplier * LIPSCHITZ / strength
        noise = run.parameters["dense_1.weight"].ravel()
        assert kstest(noise, "norm", args=(0, scale * (1 + LIPSCHITZ * TOLERANCE))).pvalue > 1e-3
        for wrong in (0.95, 1.05):
            assert kstest(noise, "norm", args=(0, wrong * scale)).pvalue < 1e-3


def test_it_spends_the_budget_and_no_more_and_says_where_noise_came_from():
    x, y = np.eye(4), np.array([0, 1, 0, 1])
    run, seeded, same = (output_perturbation(x, y, 2, **BUDGET, seed=seed) for seed in (None, 3, 3))
    assert 1 - 1e-6 < run.epsilon(1e-5) <= 1
    assert (run.ledger.noise_source, seeded.ledger.noise_source) == ("operating system", "seeded: not private")
    assert np.array_equal(seeded.parameters["dense_1.weight"], same.parameters["dense_1.weight"])
    assert not np.array_equal(run.parameters["dense_1.weight"], same.parameters["dense_1.weight"])


def test_longer_rows_count_as_rows_of_norm_one():
    y = np.array([0, 1, 0, 1])
    one, same, other = (output_perturbation(length * np.eye(4), y, 2, **BUDGET, seed=3) for length in (1, 1e6, 0.5))
    assert np.array_equal(one.parameters["dense_1.weight"], same.parameters["dense_1.weight"])
    assert not np.array_equal(one.parameters["dense_1.weight"], other.parameters["dense_1.weight"])


def test_accuracy_on_digits():
    """Mean of three splits; the sensitivity of weights is no match for that of class sums or gradients on small data."""
    hits = []
    for seed in range(3):
        d = load_digits(test_size=0.2, seed=seed)
        run = output_perturbation(hog(d.x_train, d.image_shape), d.y_train, 10, epsilon=4, delta=1e-4, seed=seed)
        logits = softmax_regression(512, 10).logits(run.parameters, hog(d.x_test, d.image_shape))
        hits.append((logits.argmax(-1) == d.y_test).mean())
    assert np.mean(hits) >= 0.94


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
        ("regularization", {"regularization": 0}),
        ("seed", {"seed": -1}),
    ],
)
def test_bad_input_is_refused(argument, given):
    sound = {"x": np.eye(2, 3), "y": np.array([0, 1]), "classes": 2, **BUDGET}
    with pytest.raises(ValueError, match=f"^{argument} "):
        output_perturbation(**{**sound, **given})
