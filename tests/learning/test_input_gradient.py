"""The gradient with respect to examples, against central differences of the losses."""

import numpy as np
import pytest

from privlab.learning import char_model, mlp, softmax_regression

MODELS = {
    "softmax": softmax_regression(5, 3),
    "tanh": mlp([5, 4, 3], "tanh"),
    "sigmoid": mlp([5, 4, 6, 3], "sigmoid"),
    "relu": mlp([5, 8, 3]),
}


def problem(model, replicas=None):
    rng = np.random.default_rng(7)
    return model.init(3, replicas, dtype=np.float64), rng.standard_normal((4, 5)), rng.integers(3, size=4)


def differences(model, parameters, x, y, step=1e-6):
    """Each example's loss depends on that example alone, so one column of all examples moves at a time."""
    columns = []
    for direction in np.eye(x.shape[-1]):
        high, low = (model.losses(parameters, x + sign * step * direction, y) for sign in (1, -1))
        columns.append((high - low) / (2 * step))
    return np.stack(columns, -1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("replicas", [None, 2])
def test_it_is_the_slope_of_the_losses(name, replicas):
    model = MODELS[name]
    parameters, x, y = problem(model, replicas)
    slope = model.input_gradient(parameters, x, y)
    assert slope.shape == ((4, 5) if replicas is None else (2, 4, 5))
    assert np.abs(slope).max() > 1e-3
    np.testing.assert_allclose(slope, differences(model, parameters, x, y), atol=1e-8)


def test_replicas_with_batches_of_their_own_are_one_model_each():
    model = MODELS["tanh"]
    parameters, x, y = problem(model, 2)
    batches, labels = np.stack([x, 2 * x]), np.stack([y, y[::-1]])
    together = model.input_gradient(parameters, batches, labels)
    for r in range(2):
        alone = {name: array[r] for name, array in parameters.items()}
        np.testing.assert_allclose(together[r], model.input_gradient(alone, batches[r], labels[r]), rtol=1e-12)


def test_it_does_not_touch_what_it_is_given():
    model = MODELS["relu"]
    parameters, x, y = problem(model)
    kept = x.copy(), {name: array.copy() for name, array in parameters.items()}
    model.input_gradient(parameters, x, y)
    np.testing.assert_array_equal(x, kept[0])
    assert all(np.array_equal(parameters[name], array) for name, array in kept[1].items())


def test_tokens_and_misfits_are_refused():
    tokens = char_model(4, context=3)
    with pytest.raises(ValueError, match="takes tokens"):
        tokens.input_gradient(tokens.init(0), np.zeros((2, 3), int), np.zeros(2, int))
    parameters, x, y = problem(MODELS["tanh"])
    with pytest.raises(ValueError, match="x has shape"):
        MODELS["tanh"].input_gradient(parameters, x[:, :4], y)
    with pytest.raises(ValueError, match="y has shape"):
        MODELS["tanh"].input_gradient(parameters, x, y[:2])
