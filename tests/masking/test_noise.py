"""Mechanisms: their distribution, with power shown, and the guarantee they state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest

from privlab.masking import (
    clip_factors,
    gaussian_epsilon,
    gaussian_mechanism,
    gaussian_noise_multiplier,
    laplace_mechanism,
    randomized_response,
)

DRAWS = np.zeros(400_000)
SAFE = {"level": "float-safe"}


@pytest.mark.parametrize(
    ("noise", "law", "scale"),
    [
        (laplace_mechanism(DRAWS, sensitivity=3, epsilon=0.5, seed=1), "laplace", 6.0),
        (
            gaussian_mechanism(DRAWS, l2_sensitivity=2, epsilon=4, delta=1e-5, seed=1),
            "norm",
            2 * gaussian_noise_multiplier(4, 1e-5),
        ),
        (laplace_mechanism(DRAWS, sensitivity=3, epsilon=0.5), "laplace", 6.0),
        (
            gaussian_mechanism(DRAWS, l2_sensitivity=2, epsilon=1, delta=1e-5),
            "norm",
            2 * gaussian_noise_multiplier(1, 1e-5),
        ),
        (laplace_mechanism(DRAWS, sensitivity=3, epsilon=0.5, **SAFE), "laplace", 6.0),
        (
            gaussian_mechanism(DRAWS, l2_sensitivity=2, epsilon=1, delta=1e-5, **SAFE),
            "norm",
            2 * gaussian_noise_multiplier(1, 1e-5),
        ),
    ],
)
def test_noise_has_the_scale_claimed(noise, law, scale):
    """Kolmogorov-Smirnov on 400,000 draws: false alarm 1e-6, and a scale wrong by 5 % is always seen."""
    assert kstest(noise, law, args=(0, scale)).pvalue > 1e-6
    for wrong in (0.95, 1.05):
        assert kstest(noise, law, args=(0, wrong * scale)).pvalue < 1e-6


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
def test_randomized_response_tells_the_truth_as_often_as_its_epsilon_says(epsilon):
    bits = np.arange(100_000) % 2
    truths = int((randomized_response(bits, epsilon=epsilon, seed=2) == bits).sum())
    p = np.exp(epsilon) / (1 + np.exp(epsilon))
    assert binomtest(truths, bits.size, p).pvalue > 1e-6
    assert binomtest(truths, bits.size, 0.95 * p).pvalue < 1e-6
    for value in (0, 1):  # lies are as likely for both answers
        assert (
            binomtest(
                int((randomized_response(bits, epsilon=epsilon, seed=3) == bits)[bits == value].sum()), 50_000, p
            ).pvalue
            > 1e-6
        )


def test_the_gaussian_scale_keeps_its_promise_above_epsilon_one():
    """The classic formula would not: at epsilon 20 it adds too little."""
    classic = np.sqrt(2 * np.log(1.25 / 1e-6)) / 20
    assert gaussian_epsilon(classic, 1e-6) > 20
    assert gaussian_epsilon(gaussian_noise_multiplier(20, 1e-6), 1e-6) <= 20


def test_without_a_seed_no_two_releases_share_noise():
    first, second = (laplace_mechanism(np.zeros(8), sensitivity=1, epsilon=1) for _ in range(2))
    assert not np.isin(first, second).any()
    again = laplace_mechanism(np.zeros(8), sensitivity=1, epsilon=1, seed=7)
    assert np.array_equal(again, laplace_mechanism(np.zeros(8), sensitivity=1, epsilon=1, seed=7))


def test_shapes_in_are_shapes_out():
    assert isinstance(laplace_mechanism(3, sensitivity=1, epsilon=1), float)
    assert gaussian_mechanism(np.zeros((2, 3)), l2_sensitivity=1, epsilon=1, delta=0.1).shape == (2, 3)
    assert randomized_response([[True, False]], epsilon=1).shape == (1, 2)


@given(st.lists(st.floats(0, 1e200) | st.sampled_from([np.inf, np.nan]), min_size=1), st.floats(1e-6, 1e6))
def test_clipped_norms_never_exceed_the_bound(norms, clip_norm):
    factors = clip_factors(norms, clip_norm)
    finite = np.isfinite(norms)
    assert (factors[~finite] == 0).all()
    assert (factors[finite] * np.array(norms)[finite] <= clip_norm * (1 + 1e-14)).all()
    assert (factors[finite & (np.array(norms) <= clip_norm)] == 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: laplace_mechanism(1, sensitivity=0, epsilon=1), "sensitivity is 0"),
        (lambda: laplace_mechanism(1, sensitivity=1, epsilon=-1), "epsilon is -1"),
        (lambda: laplace_mechanism(np.nan, sensitivity=1, epsilon=1), "value has 1 NaN"),
        (lambda: laplace_mechanism("a", sensitivity=1, epsilon=1), "value has dtype"),
        (lambda: gaussian_mechanism(1, l2_sensitivity=-1, epsilon=1, delta=0.1), "l2_sensitivity is -1"),
        (lambda: gaussian_mechanism(1, l2_sensitivity=1, epsilon=1, delta=0), "delta is 0"),
        (lambda: gaussian_mechanism(1, l2_sensitivity=1, epsilon=1, delta=1.0), "delta is 1.0"),
        (lambda: gaussian_mechanism(1, l2_sensitivity=1, epsilon=True, delta=0.1), "epsilon is True"),
        (lambda: randomized_response([0, 2], epsilon=1), "bits holds .*2"),
        (lambda: randomized_response([0, 1], epsilon=0), "epsilon is 0"),
        (lambda: clip_factors([1.0], 0), "clip_norm is 0"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
