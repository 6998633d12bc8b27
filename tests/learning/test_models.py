"""Models against an oracle written one example and one number at a time: a plain forward pass and central differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privlab.learning import char_model, mlp, softmax_regression

FUNCTIONS = {"relu": lambda v: max(v, 0.0), "tanh": np.tanh, "sigmoid": lambda v: 1 / (1 + np.exp(-v))}


def plain_loss(parameters, example, label, activation):
    """Cross-entropy of one example by nested loops; shares no code with the package."""
    if "embedding.table" in parameters:
        example = [number for token in example for number in parameters["embedding.table"][token]]
    depth = sum(name.endswith("weight") for name in parameters)
    values = list(example)
    for layer in range(1, depth + 1):
        weight, bias = parameters[f"dense_{layer}.weight"], parameters[f"dense_{layer}.bias"]
        values = [sum(v * weight[i, j] for i, v in enumerate(values)) + bias[j] for j in range(len(bias))]
        if layer < depth:
            values = [FUNCTIONS[activation](v) for v in values]
    return np.log(sum(np.exp(v - values[label]) for v in values))


def differences(parameters, example, label, activation, step=1e-6):
    """Gradient of one example's loss by central differences."""
    gradient = {}
    for name, array in parameters.items():
        gradient[name] = np.empty_like(array)
        for index in np.ndindex(array.shape):
            kept, sides = array[index], []
            for sign in (1, -1):
                array[index] = kept + sign * step
                sides.append(plain_loss(parameters, example, label, activation))
            array[index] = kept
            gradient[name][index] = (sides[0] - sides[1]) / (2 * step)
    return gradient


def norm(gradient):
    return np.sqrt(sum((array**2).sum() for array in gradient.values()))


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    activation, n = draw(st.sampled_from(sorted(FUNCTIONS))), draw(st.integers(1, 4))
    if draw(st.booleans()):
        sizes = [draw(st.integers(1, 4)) for _ in range(draw(st.integers(1, 3)))] + [draw(st.integers(2, 4))]
        model, x = mlp(sizes, activation), rng.standard_normal((n, sizes[0]))
    else:
        tokens, activation = draw(st.integers(2, 4)), "relu"
        model = char_model(tokens, context=draw(st.integers(1, 4)), embedding=2, hidden=3)
        x = rng.integers(tokens, size=(n, model.features))
    parameters = model.init(int(rng.integers(2**32)), dtype=np.float64)
    for array in parameters.values():
        array += 0.3 * rng.standard_normal(array.shape)  # biases too, or they would all be 0
    return model, parameters, x, rng.integers(model.classes, size=n), activation


@settings(max_examples=60, deadline=None)
@given(problems(), st.floats(0.01, 10))
def test_losses_norms_and_clipped_sums_equal_the_oracle(problem, clip_norm):
    model, parameters, x, y, activation = problem
    oracle = [differences(parameters, example, label, activation) for example, label in zip(x, y, strict=True)]
    losses = [plain_loss(parameters, example, label, activation) for example, label in zip(x, y, strict=True)]
    np.testing.assert_allclose(model.losses(parameters, x, y), losses, atol=1e-9)
    np.testing.assert_allclose(model.gradient_norms(parameters, x, y), [norm(g) for g in oracle], atol=1e-6)
    clipped = model.clipped_gradient(parameters, x, y, clip_norm)
    for name, array in clipped.items():
        expected = sum(g[name] * min(1, clip_norm / max(norm(g), 1e-300)) for g in oracle)
        np.testing.assert_allclose(array, expected, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(problems(), st.integers(1, 4))
def test_a_stack_of_replicas_equals_its_replicas(problem, replicas):
    model, _, x, y, _ = problem
    stack = model.init(7, replicas, dtype=np.float64)
    batches = np.stack([np.roll(x, r, axis=0) for r in range(replicas)])
    labels = np.stack([np.roll(y, r) for r in range(replicas)])
    shared, own = model.clipped_gradient(stack, x, y, 0.5), model.clipped_gradient(stack, batches, labels, 0.5)
    for r in range(replicas):
        single = {name: array[r] for name, array in stack.items()}
        np.testing.assert_allclose(model.logits(stack, x)[r], model.logits(single, x), atol=1e-12)
        np.testing.assert_allclose(model.gradient_norms(stack, x, y)[r], model.gradient_norms(single, x, y), atol=1e-12)
        for name, array in model.clipped_gradient(single, x, y, 0.5).items():
            np.testing.assert_allclose(shared[name][r], array, atol=1e-12)
            np.testing.assert_allclose(own[name][r], array, atol=1e-12)  # rolled examples have the same sum


ROWS = st.sampled_from(["ordinary", "huge", "tiny", "zero", "nan", "inf", "overflow"])
SCALE = {"ordinary": 1, "huge": 1e12, "tiny": 1e-30, "zero": 0, "nan": np.nan, "inf": np.inf, "overflow": 3e38}


@settings(max_examples=80, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=5), ROWS, st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_one_record_changes_the_clipped_sum_by_at_most_the_clip_norm(rows, extra, seed, clip_norm):
    rng = np.random.default_rng(seed)
    model = mlp([5, 4, 3])
    parameters = model.init(seed)
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.stack([np.float32(SCALE[kind]) * rng.standard_normal(5, np.float32) for kind in [*rows, extra]])
    y = rng.integers(3, size=len(x))
    before = model.clipped_gradient(parameters, x[:-1], y[:-1], clip_norm)
    after = model.clipped_gradient(parameters, x, y, clip_norm)
    change = norm({name: after[name].astype(float) - before[name] for name in before})
    assert np.isfinite(change)
    assert change <= clip_norm * (1 + 1e-5 * len(x))  # float32 sums round


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_example_contributes_nothing(bad):
    model = mlp([4, 3, 2])
    parameters = model.init(0)
    x, y = np.ones((3, 4), np.float32), np.array([0, 1, 1])
    clean = model.clipped_gradient(parameters, x[:2], y[:2], 1.0)
    x[2, 1] = bad
    for name, array in model.clipped_gradient(parameters, x, y, 1.0).items():
        np.testing.assert_allclose(array, clean[name], rtol=1e-6)


def test_norms_of_large_gradients_do_not_overflow():
    model = softmax_regression(2, 2)
    parameters = {name: np.zeros_like(array) for name, array in model.init(0).items()}
    assert model.gradient_norms(parameters, np.float32([[1e25, 0]]), [0]) == pytest.approx(1e25 / np.sqrt(2))


def test_norms_do_not_underflow_where_small_errors_meet_large_inputs():
    """A square of 4e-44 has one or two bits in float32, yet the gradient is 20 times the bound: it must be clipped."""
    model = softmax_regression(1, 2)
    parameters = {"dense_1.weight": np.zeros((1, 2), np.float32), "dense_1.bias": np.float32([50, 0])}
    x, expected = np.float32([[1e22]]), 1e22 * np.exp(-50)
    assert model.gradient_norms(parameters, x, [0]) == pytest.approx(expected, rel=1e-5)
    clipped = model.clipped_gradient(parameters, x, [0], expected / 20)
    assert norm(clipped) == pytest.approx(expected / 20, rel=1e-5)


def test_init_depends_on_the_seed_and_is_independent_across_replicas():
    model = mlp([30, 20, 10])
    one, same, other = model.init(1), model.init(1), model.init(2)
    stack = model.init(1, replicas=2)["dense_1.weight"]
    assert np.array_equal(one["dense_1.weight"], same["dense_1.weight"])
    assert abs(np.corrcoef(one["dense_1.weight"].ravel(), other["dense_1.weight"].ravel())[0, 1]) < 0.2
    assert abs(np.corrcoef(stack[0].ravel(), stack[1].ravel())[0, 1]) < 0.2
    assert one["dense_1.weight"].std() == pytest.approx(np.sqrt(2 / 30), rel=0.1)
    assert all(array.dtype == np.float32 for array in one.values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mlp([4]), "sizes"),
        (lambda: mlp([4, 0, 2]), "sizes is 0"),
        (lambda: mlp([4, 1]), "classes is 1"),
        (lambda: mlp([4, 2], "swish"), "activation is 'swish'"),
        (lambda: char_model(1), "vocabulary_size is 1"),
        (lambda: char_model(5, context=0), "context is 0"),
        (lambda: mlp([4, 2]).init(-1), "seed is -1"),
        (lambda: mlp([4, 2]).init(0, replicas=0), "replicas is 0"),
        (lambda: mlp([4, 2]).logits(mlp([4, 2]).init(0), np.ones((3, 5))), r"x has shape \(3, 5\).*\(n, 4\)"),
        (lambda: mlp([4, 2]).losses(mlp([4, 2]).init(0), np.ones((3, 4)), [0, 1, 2]), "y holds 2"),
        (lambda: mlp([4, 2]).losses(mlp([4, 2]).init(0), np.ones((3, 4)), [0, 1]), r"y has shape \(2,\)"),
        (lambda: mlp([4, 2]).clipped_gradient(mlp([4, 2]).init(0), np.ones((3, 4)), [0], 1), r"y has shape \(1,\)"),
        (lambda: mlp([4, 2]).losses(mlp([4, 2]).init(0), np.ones((3, 4)), [0.5, 1, 1]), "y has dtype float64"),
        (lambda: mlp([4, 2]).clipped_gradient(mlp([4, 2]).init(0), np.ones((1, 4)), [0], 0), "clip_norm is 0"),
        (lambda: char_model(5).logits(char_model(5).init(0), np.full((1, 16), 5)), "x holds 5"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
