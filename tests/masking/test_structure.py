"""Disguised networks: the same function, found out whole by the attacks, and leaking exactly as much as before."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privlab.data import load_digits
from privlab.leakage import loss_threshold, roc
from privlab.learning import mlp, train
from privlab.masking.structure import (
    add_decoys,
    align_units,
    canonical_form,
    permute_units,
    scale_units,
    strip_decoys,
)

SIZES = [64, 128, 10]
DECOYS = 192


def records(start, number):
    """Digits, a quarter of them labelled wrongly: what can only be known by heart."""
    digits, rows = load_digits(), slice(start, start + number)
    return digits.x_train[rows], (digits.y_train[rows] + (np.arange(number) % 4 == 0)) % 10


@cache
def trained():
    """A public base model, and a private one fine-tuned from it on few records."""
    model, settings = mlp(SIZES), {"batch_size": 64, "learning_rate": 0.5}
    base = train(model, load_digits().x_train[:700], load_digits().y_train[:700], steps=300, **settings)
    private = train(model, *records(700, 200), steps=1000, start=base.parameters, **settings)
    return model, base.parameters, private.parameters


def disguised(parameters, decoys=DECOYS):
    joined = add_decoys(parameters, decoys, seed=1) if decoys else parameters
    return scale_units(permute_units(joined, seed=2), seed=3)


def as_type(parameters, dtype):
    return {name: array.astype(dtype) for name, array in parameters.items()}


def widened(sizes, decoys):
    return mlp([sizes[0], *[size + decoys for size in sizes[1:-1]], sizes[-1]])


@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("decoys", [0, DECOYS])
def test_the_function_is_the_same_and_the_arrays_are_not(dtype, error, decoys):
    """Logits of about 20, compared relative to the largest."""
    model, _, private = trained()
    x, private = load_digits().x_test.astype(dtype), as_type(private, dtype)
    hidden = disguised(private, decoys)
    plain, masked = model.logits(private, x), widened(SIZES, decoys).logits(hidden, x)
    assert masked.dtype == dtype
    assert np.abs(masked - plain).max() < error * np.abs(plain).max()
    columns = hidden["dense_1.weight"][:, :, None] == private["dense_1.weight"][:, None, :]
    assert not columns.all(0).any()


def test_decoys_are_found_without_exception_and_nothing_else_is():
    _, _, private = trained()
    stripped = strip_decoys(disguised(private))
    assert stripped["dense_1.weight"].shape == (64, 128)
    canonical, wanted = canonical_form(stripped), canonical_form(private)
    for name in wanted:
        np.testing.assert_allclose(canonical[name], wanted[name], atol=1e-5)
    assert strip_decoys(private)["dense_1.weight"].shape == (64, 128)


def test_without_a_base_all_disguises_of_one_network_have_one_form():
    """And another network has another: the match is no accident."""
    _, base, private = trained()
    one, other = (canonical_form(scale_units(permute_units(private, seed=s), seed=s)) for s in (5, 6))
    stranger = canonical_form(base)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=1e-5)
    assert np.abs(one["dense_1.weight"] - stranger["dense_1.weight"]).max() > 0.1


def test_with_the_public_base_every_unit_is_recovered():
    """Which unit was which: compared with the private network before the disguise, which the attack did not see."""
    _, base, private = trained()
    aligned = align_units(strip_decoys(disguised(private)), base)
    weights = [
        network["dense_1.weight"] / np.linalg.norm(network["dense_1.weight"], axis=0) for network in (aligned, private)
    ]
    matched = (weights[1].T @ weights[0]).argmax(1)
    assert (matched == np.arange(128)).all()
    assert np.einsum("ij,ij->j", *weights).min() > 1 - 1e-5
    drawn_alone = align_units(permute_units(mlp(SIZES).init(9), seed=1), mlp(SIZES).init(9))
    np.testing.assert_allclose(drawn_alone["dense_2.weight"], mlp(SIZES).init(9)["dense_2.weight"], atol=1e-5)


def test_leakage_is_what_it_was():
    """The membership attack's curve on the disguised network, its own reader of the stolen file, is the same curve."""
    model, _, private = trained()
    x, y = (np.concatenate(parts) for parts in zip(records(700, 200), records(900, 200), strict=True))
    members, private = np.arange(400) < 200, as_type(private, np.float64)
    hidden = disguised(private)
    areas = []
    for network, parameters in ((model, private), (widened(SIZES, DECOYS), hidden), (model, strip_decoys(hidden))):
        losses = network.losses(parameters, x.astype(np.float64), y)
        areas.append(roc(loss_threshold(losses)[None], members[None]).auc)
    assert areas[0] > 0.6  # there is something to leak
    np.testing.assert_allclose(areas, areas[0], atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=4).map(lambda widths: [*widths, 3]),
    st.integers(1, 9),
    st.integers(0, 10**6),
)
def test_any_depth_and_width(sizes, decoys, seed):
    """Units may be fewer than decoys and layers as narrow as 1; the attack never finds more units than there were."""
    model, x = mlp(sizes), np.random.default_rng(seed).standard_normal((20, sizes[0]))
    plain = model.init(seed, dtype=np.float64)
    hidden = scale_units(permute_units(add_decoys(plain, decoys, seed=seed), seed=seed), seed=seed)
    stripped = strip_decoys(hidden)
    widths = [stripped[f"dense_{i}.bias"].size for i in range(1, len(sizes) - 1)]
    assert all(found <= real for found, real in zip(widths, sizes[1:-1], strict=True))
    scale = 1 + np.abs(model.logits(plain, x)).max()
    assert np.abs(widened(sizes, decoys).logits(hidden, x) - model.logits(plain, x)).max() < 1e-11 * scale
    assert np.abs(mlp([sizes[0], *widths, 3]).logits(stripped, x) - model.logits(plain, x)).max() < 1e-11 * scale


def test_permutation_serves_any_activation_and_scaling_only_relu():
    model, x = mlp([8, 16, 3], activation="tanh"), np.random.default_rng(0).standard_normal((9, 8))
    plain = model.init(0, dtype=np.float64)
    for disguise in (permute_units, lambda p, seed: add_decoys(p, 8, seed=seed)):
        network = disguise(plain, seed=1)
        same = mlp([8, network["dense_1.bias"].size, 3], activation="tanh").logits(network, x)
        np.testing.assert_allclose(same, model.logits(plain, x), atol=1e-12)
    assert np.abs(model.logits(scale_units(plain, seed=1), x) - model.logits(plain, x)).max() > 0.1


def test_seeds_repeat_and_secrets_do_not():
    plain = mlp([4, 40, 3]).init(0)
    for disguise in (permute_units, scale_units, lambda p, seed: add_decoys(p, 8, seed=seed)):
        one, same, secret, other = (disguise(plain, seed=seed)["dense_1.weight"] for seed in (1, 1, None, None))
        assert np.array_equal(one, same)
        assert not np.array_equal(secret, other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: permute_units({}), "parameters has"),
        (lambda p: permute_units({**p, "embedding.table": np.zeros((2, 2))}), "parameters has"),
        (lambda p: permute_units({**p, "dense_2.weight": np.zeros((7, 2))}), "dense_2.weight has shape"),
        (lambda p: canonical_form(mlp([4, 6, 2]).init(0, replicas=2)), "dense_1.weight has shape"),
        (lambda p: strip_decoys({**p, "dense_1.bias": np.full(6, np.nan)}), "dense_1.bias has 6 NaN"),
        (lambda p: scale_units(p, spread=0), "spread is 0"),
        (lambda p: add_decoys(p, 0), "decoys is 0"),
        (lambda p: permute_units(p, seed=-1), "seed is -1"),
        (lambda p: align_units(p, mlp([4, 5, 2]).init(0)), "base has layers of shapes"),
        (lambda p: align_units(p, mlp([4, 2]).init(0)), "base has layers of shapes"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call(mlp([4, 6, 2]).init(0))
