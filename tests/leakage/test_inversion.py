"""Records from gradients of MNIST pictures through fresh models; the attack sees the gradient and nothing of the truth.

Seeds are fixed, and the bounds lie far from what was measured (in the comments), so chance has no part in these tests.
"""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privlab.data import load_mnist5k
from privlab.leakage.inversion import closed_form, invert_gradient, psnr, recover_labels
from privlab.learning import char_model, mlp, softmax_regression
from privlab.masking import secure_sum

X, Y = load_mnist5k().x_train.astype(np.float64), load_mnist5k().y_train
MEAN = X.mean(0, keepdims=True)  # what to guess without any gradient: about 11 dB
MODELS = {name: mlp([784, 100, 10], name) for name in ("tanh", "sigmoid", "relu")} | {
    "softmax": softmax_regression(784, 10)
}


def problem(name, records, *, seed=0, noise=0.0, clip_norm=None):
    """A model, its fresh parameters, and the mean gradient of a batch with noise on each coordinate; then the batch."""
    model, rng = MODELS[name], np.random.default_rng(seed)
    rows = rng.permutation(len(X))[:records]
    parameters = model.init(seed, dtype=np.float64)
    total, _ = model.gradient(parameters, X[rows], Y[rows], clip_norm=clip_norm)
    gradient = {key: array / records + noise * rng.standard_normal(array.shape) for key, array in total.items()}
    return (model, parameters, gradient), X[rows], Y[rows]


def recovered(name, records, **setting):
    """PSNR of each record, and the inversion."""
    attacked, x, _ = problem(name, records, **setting)
    inversion = invert_gradient(*attacked, records=records)
    return psnr(x, inversion.x), inversion


@pytest.mark.parametrize("name", MODELS)
def test_one_record_is_found_by_any_model_with_its_label(name):
    quality, inversion = recovered(name, 1)
    assert quality[0] > 100  # 139 and more
    assert inversion.y == problem(name, 1)[2]
    assert inversion.mismatch < 1e-10


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
@pytest.mark.parametrize("records", [2, 3, 4, 8])
def test_each_of_a_few_records_is_found_in_two_seconds(name, records):
    for seed in range(3):
        (model, *seen), x, y = problem(name, records, seed=seed)
        start = time.process_time()
        inversion = invert_gradient(model, *seen, records=records)
        assert time.process_time() - start < 2  # 0.02 to 0.3 s
        assert psnr(x, inversion.x).min() > 30  # 70 and more
        nearest = ((x[:, None] - inversion.x) ** 2).sum(-1).argmin(-1)
        np.testing.assert_array_equal(inversion.y[nearest], y)


@pytest.mark.parametrize("name", ["softmax", "relu"])
def test_linear_and_relu_models_give_up_two_records(name):
    assert recovered(name, 2)[0].min() > 100


def test_the_attacker_knows_when_it_succeeded():
    runs = {name: [recovered(name, 8, seed=seed) for seed in range(3)] for name in ("tanh", "relu")}
    for quality, inversion in runs["tanh"] + runs["relu"]:
        assert (inversion.mismatch < 1e-8) == (quality.min() > 50)
    assert all(inversion.mismatch < 1e-8 for _, inversion in runs["tanh"])
    assert all(inversion.mismatch > 1e-8 for _, inversion in runs["relu"]), "its kinks are local minima"


@pytest.mark.parametrize("name", ["softmax", "tanh"])
def test_the_closed_form_is_as_exact_as_its_noise(name):
    for noise in (1e-3, 1e-2):
        (model, parameters, gradient), x, y = problem(name, 1, noise=noise)
        error = x[0] - closed_form(gradient["dense_1.weight"], gradient["dense_1.bias"])
        clean = model.gradient(parameters, x, y)[0]["dense_1.bias"]
        expected = noise / np.linalg.norm(clean)  # of each pixel, but for what the noise of the bias adds
        assert np.sqrt((error**2).mean()) == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("records", [1, 4])
def test_noise_of_a_tenth_leaves_less_than_a_blind_guess(records):
    small, large = (recovered("sigmoid", records, noise=noise)[0] for noise in (1e-4, 0.1))
    _, x, _ = problem("sigmoid", records)
    assert small.min() > 30
    assert large.max() < 20
    assert large.mean() < psnr(x, np.repeat(MEAN, records, 0)).mean()


def test_matching_beats_the_closed_form_under_noise():
    (model, parameters, gradient), x, _ = problem("tanh", 1, noise=0.1)
    single = closed_form(gradient["dense_1.weight"], gradient["dense_1.bias"])
    matched = invert_gradient(model, parameters, gradient).x
    assert psnr(x, matched)[0] > psnr(x, single[None])[0] + 3  # 21 against 14


def test_clipping_alone_hides_nothing_of_one_record():
    quality, inversion = recovered("tanh", 1, clip_norm=1e-3)
    assert quality[0] > 100
    assert inversion.y == problem("tanh", 1)[2]


def test_different_gradients_give_different_records():
    (_, x, _), (_, other, _) = problem("tanh", 4), problem("tanh", 4, seed=1)
    own, foreign = (recovered("tanh", 4, seed=seed)[1].x for seed in (0, 1))
    assert psnr(x, own).min() > 30 > 20 > psnr(x, foreign).max()
    assert psnr(other, foreign).min() > 30 > 20 > psnr(other, own).max()


def test_the_wrong_model_or_the_wrong_number_of_records_fails():
    (model, parameters, gradient), x, _ = problem("tanh", 4)
    wrong = invert_gradient(model, model.init(99), gradient, records=4)
    assert psnr(x, wrong.x).max() < 30
    assert wrong.mismatch > 1e-3
    fewer = invert_gradient(model, parameters, gradient, records=3)
    assert psnr(x[:3], fewer.x).min() < 30
    assert fewer.mismatch > 1e-3


def test_the_same_seed_gives_the_same_bits_and_the_input_is_left_alone():
    (model, parameters, gradient), _, _ = problem("tanh", 2)
    kept = {name: array.copy() for name, array in gradient.items()}
    first, second = (invert_gradient(model, parameters, gradient, records=2, seed=5) for _ in range(2))
    assert first.x.tobytes() == second.x.tobytes()
    assert all(np.array_equal(kept[name], gradient[name]) for name in kept)


def flat(gradient, parameters):
    return np.concatenate([gradient[name].ravel() for name in parameters])


def unflat(vector, parameters):
    ends = np.cumsum([array.size for array in parameters.values()])[:-1]
    pieces = np.split(vector, ends)
    return {name: piece.reshape(parameters[name].shape) for name, piece in zip(parameters, pieces, strict=True)}


def test_a_secure_sum_shows_the_server_a_crowd_only():
    _, x, y = problem("tanh", 20)
    model = mlp([784, 10, 10], "tanh")  # 10 units span no more than 10 dimensions of the 20 records'
    parameters = model.init(0, dtype=np.float64)
    rows = [flat(model.gradient(parameters, x[i : i + 1], y[i : i + 1])[0], parameters) for i in range(len(x))]
    alone = invert_gradient(model, parameters, unflat(rows[0], parameters))
    assert psnr(x[:1], alone.x)[0] > 100
    summed = secure_sum(rows, clip=1.0, seed=0)
    as_numbers = summed.masked[0].astype(np.int32) / summed.round.encoding.scale
    masked = invert_gradient(model, parameters, unflat(as_numbers, parameters))
    assert psnr(x[:1], masked.x)[0] < psnr(x[:1], MEAN)[0]
    assert masked.mismatch > 0.9, "no record has such a gradient"
    crowd = invert_gradient(model, parameters, unflat(summed.total / len(x), parameters), records=len(x))
    assert np.median(psnr(x, crowd.x)) < 25
    assert psnr(x, crowd.x).max() < 50


def test_a_secure_sum_of_few_is_no_crowd():
    (model, parameters, _), x, y = problem("tanh", 4)
    rows = [flat(model.gradient(parameters, x[i : i + 1], y[i : i + 1])[0], parameters) for i in range(4)]
    total = secure_sum(rows, clip=1.0, seed=0).total
    assert psnr(x, invert_gradient(model, parameters, unflat(total / 4, parameters), records=4).x).min() > 60


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(0, 1000))
def test_labels_come_back_with_their_repeats(labels, seed):
    probabilities = np.random.default_rng(seed).dirichlet(np.full(5, 20.0))
    gradient = probabilities - np.bincount(labels, minlength=5) / len(labels)
    np.testing.assert_array_equal(recover_labels(gradient, len(labels), probabilities), np.sort(labels))


def test_labels_that_are_certain_need_no_probabilities():
    confident = np.array([0.48, 0.02, 0.49, 0.01])  # of a trained model on one record of class 0 and one of class 2
    gradient = confident - np.array([0.5, 0, 0.5, 0])
    np.testing.assert_array_equal(recover_labels(gradient, 2, [0.0, 0.9, 0.0, 0.1]), [0, 2])


def test_the_label_of_one_record_needs_no_probabilities():
    probabilities = np.array([0.90, 0.06, 0.04])
    for clip in (1, 1e-3):
        gradient = clip * (probabilities - np.eye(3)[2])
        assert recover_labels(gradient, 1, [1 / 3] * 3) == [2]


def test_psnr_pairs_each_record_with_its_guess():
    rng = np.random.default_rng(0)
    truth = rng.random((5, 50))
    guess = truth + 0.01 * rng.choice([-1, 1], truth.shape) * (np.abs(truth - 0.5) < 0.4)
    order = rng.permutation(5)
    np.testing.assert_allclose(psnr(truth, guess[order]), -10 * np.log10(((truth - guess) ** 2).mean(-1)))
    assert psnr([[0.0, 1.0]], [[-3.0, 9.0]]) == np.inf, "clipped to the range of pixels"
    assert psnr(np.zeros((1, 4)), np.full((1, 4), 0.1))[0] == pytest.approx(20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"records": 0}, "records is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"gradient": {}}, r"gradient has , but must have dense_1.weight \(784, 100\)"),
        ({"parameters": MODELS["tanh"].init(0, 2)}, r"parameters has dense_1.weight \(2, 784, 100\)"),
        ({"model": char_model(4, context=3)}, "model begins with Embedding"),
    ],
)
def test_what_cannot_be_attacked_is_named(change, message):
    model, parameters, gradient = problem("tanh", 1)[0]
    given = {"model": model, "parameters": parameters, "gradient": gradient} | change
    with pytest.raises(ValueError, match=message):
        invert_gradient(**given)


def test_values_that_are_no_gradient_are_named():
    model, parameters, gradient = problem("softmax", 1)[0]
    with pytest.raises(ValueError, match=r"gradient dense_1.bias has 10 NaN"):
        invert_gradient(model, parameters, gradient | {"dense_1.bias": np.full(10, np.nan)})
    with pytest.raises(ValueError, match="gradient is 0"):
        invert_gradient(model, parameters, {name: 0 * array for name, array in gradient.items()})
    with pytest.raises(ValueError, match=r"guess has shape \(1, 2\), but must be \(2, 2\)"):
        psnr(np.zeros((2, 2)), np.zeros((1, 2)))
