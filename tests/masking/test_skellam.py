"""Noise in shares: its law, what it costs, against sums over its probabilities, and what the clients of a sum really add."""

import os
from math import exp, sqrt

import numpy as np
import pytest
from scipy.special import ive, logsumexp
from scipy.stats import chi2

from privlab.masking import gaussian_epsilon
from privlab.masking.aggregation import secure_sum
from privlab.masking.ring import Keystream
from privlab.masking.skellam import NoisyFixedPoint, _cumulative, _reach, skellam, skellam_epsilon, skellam_rdp


def log_law(variance, shift=0):
    k = np.arange(-60 * int(sqrt(variance) + 1), 60 * int(sqrt(variance) + 1) + 1) - shift
    with np.errstate(divide="ignore"):
        return np.log(ive(np.abs(k), variance))


@pytest.mark.parametrize("variance", [4.0, 100.0, 2500.0])
@pytest.mark.parametrize("shifts", [[1], [3, 0, 1], [2] * 5, [10]])
def test_renyi_divergence_is_at_most_the_formula_and_close_to_it(variance, shifts):
    """The divergence of independent coordinates is a sum; each is a sum over the law itself, with no formula in between."""
    orders = np.array([2.0, 3.0, 8.0, 20.0])
    truth = np.zeros(4)
    for shift in shifts:
        p, q = log_law(variance, shift), log_law(variance)
        kept = np.isfinite(p) & np.isfinite(q)
        truth += [logsumexp(a * p[kept] + (1 - a) * q[kept]) / (a - 1) for a in orders]
    claimed = skellam_rdp(
        orders,
        variance=variance,
        l2_sensitivity=sqrt(sum(s * s for s in shifts)),
        l1_sensitivity=sum(np.abs(shifts)),
    )
    assert (truth <= claimed * (1 + 1e-9)).all()
    if variance == 2500:
        assert (claimed < 1.02 * truth).all()


@pytest.mark.parametrize("variance", [16.0, 400.0])
@pytest.mark.parametrize("shift", [1, 8, 20])
def test_epsilon_is_at_least_the_truth_of_one_coordinate(variance, shift):
    """The exact delta of the law at the epsilon claimed is at most the delta asked for."""
    delta = 1e-5
    epsilon = skellam_epsilon(variance=variance, l2_sensitivity=shift, l1_sensitivity=shift, delta=delta)
    p, q = np.exp(log_law(variance, shift)), np.exp(log_law(variance))
    exact = np.maximum(p - exp(epsilon) * q, 0).sum()
    assert exact <= delta
    assert np.maximum(p - exp(0.75 * epsilon) * q, 0).sum() > delta / 10 or variance == 16  # and it is not loose


def test_much_noise_costs_what_gaussian_noise_costs():
    """Renyi conversion is up to 8 % loose; the limit itself is exact."""
    for z in (0.5, 1.0, 4.0):
        ours = skellam_epsilon(variance=(1e5 * z) ** 2, l2_sensitivity=1e5, l1_sensitivity=1e7, delta=1e-6)
        assert gaussian_epsilon(z, 1e-6) <= ours <= 1.1 * gaussian_epsilon(z, 1e-6)
    many = skellam_epsilon(variance=1e10, l2_sensitivity=1e5, l1_sensitivity=1e7, delta=1e-6, releases=16)
    assert gaussian_epsilon(0.25, 1e-6) <= many <= 1.1 * gaussian_epsilon(0.25, 1e-6)


@pytest.mark.parametrize("variance", [1, 7, 64, 5_000, 177_778])
def test_table_is_the_law_to_the_last_bits(variance):
    ends = _cumulative(variance)
    reach = _reach(variance)
    probabilities = np.diff(np.concatenate([[0.0], ends.astype(np.float64)])) / 2.0**64
    law = ive(np.abs(np.arange(-reach, reach + 1)), float(variance))[: ends.size]
    assert np.abs(probabilities - law).max() < 1e-13
    left = ends[: reach // 2].astype(np.float64)  # in the far tail, where floats keep relative precision
    assert np.allclose(left, np.cumsum(law)[: reach // 2] * 2.0**64, rtol=1e-9, atol=reach)
    assert 1 - ends[-1] / 2.0**64 < 1e-15


@pytest.mark.parametrize("variance", [1, 25])
def test_noise_follows_the_law(variance):
    """Chi-square on 200,000 draws: false alarm 1e-6; the law of a variance 5 % larger is rejected."""
    draws = skellam(200_000, variance=variance, stream=Keystream(bytes(15) + bytes([variance])))

    def pvalue(v):
        top = int(3 * sqrt(v))
        expected = ive(np.abs(np.arange(-top, top + 1)), v) * draws.size
        seen = np.bincount(draws[np.abs(draws) <= top] + top, minlength=2 * top + 1)
        rest = draws.size - expected.sum()
        statistic = ((seen - expected) ** 2 / expected).sum() + (draws.size - seen.sum() - rest) ** 2 / rest
        return chi2.sf(statistic, 2 * top + 1)

    assert pvalue(float(variance)) > 1e-6
    assert pvalue(1.05 * variance) < 1e-6


def test_noise_has_the_shape_asked_for_and_is_not_repeated():
    stream = Keystream(os.urandom(16))
    first = skellam((100, 400), variance=1000, stream=stream)
    assert first.shape == (100, 400)
    assert (first != skellam((100, 400), variance=1000, stream=stream)).mean() > 0.9


@pytest.mark.parametrize("dimension", [1, 10, 3_000])
def test_encoded_vectors_are_within_the_sensitivity_claimed(dimension):
    """The longest vectors, 50 roundings: all are short enough, and their mean is right within 7 standard deviations."""
    point = NoisyFixedPoint.for_noise(20, dimension, clip=9.0, l2_clip=1.0, noise_multiplier=1.0, contributors=18)
    vector, stream = np.random.default_rng(0).standard_normal(dimension) * 10, Keystream(bytes(16))
    rounded = [point.quantise(vector, stream) for _ in range(50)]
    assert all(int(row @ row) <= point.largest_square(dimension) for row in rounded)
    assert sqrt(point.largest_square(dimension)) < 1.02 * point.l2_clip * point.scale + 1
    clipped = vector.clip(-9, 9)
    assert np.abs(np.mean(rounded, axis=0) - clipped / np.linalg.norm(clipped) * point.scale).max() < 7 / sqrt(4 * 50)


def test_a_rounding_that_is_too_long_is_drawn_again():
    """Halves everywhere: 2 % of plain roundings are longer than allowed, so 1,000 of them would all pass with 2e-10."""
    point = NoisyFixedPoint(clip=1.0, scale=2.0, l2_clip=2.25, variance=1)
    lengths = [int((q := point.quantise(np.full(81, 0.25), Keystream(n.to_bytes(16, "big")))) @ q) for n in range(1000)]
    assert max(lengths) == point.largest_square(81) == 49
    plain = np.random.default_rng(0).binomial(81, 0.5, 1000)
    assert (plain > point.largest_square(81)).any()


def test_the_sum_carries_the_noise_promised():
    """Standard deviation over 20,000 coordinates within 3 % (6 standard errors: false alarm 2e-9); shares of 1/n^2 are far off."""
    vectors = np.zeros((20, 20_000))
    result = secure_sum(vectors, clip=1.0, l2_clip=2.0, noise_multiplier=0.5, dropouts=[4])
    # 18 of 20 are expected to add noise of 1.0 in all; here 19 did.
    assert result.total.std() == pytest.approx(sqrt(19 / 18), rel=0.03)
    assert abs(result.total.mean()) < 6 * result.total.std() / sqrt(20_000)


def test_epsilon_of_a_sum_is_that_of_the_noise_of_honest_survivors():
    vectors = np.random.default_rng(0).standard_normal((20, 500))
    result, fewer = (
        secure_sum(vectors, clip=1.0, l2_clip=1.0, noise_multiplier=1.0, dropouts=lost)
        for lost in ([7], [1, 2, 3, 4, 5])
    )
    assert gaussian_epsilon(1.0, 1e-5) < result.epsilon(1e-5) < 1.15 * gaussian_epsilon(1.0, 1e-5)
    assert fewer.epsilon(1e-5) > result.epsilon(1e-5)
    assert result.epsilon(1e-5, corrupt_rate=0.5) > 1.2 * result.epsilon(1e-5)
    assert result.epsilon(1e-5, corrupt_rate=0.95) == np.inf
    assert result.epsilon(1e-15) == np.inf  # the sampler itself is not that exact
    assert secure_sum(vectors, clip=1.0).epsilon(1e-5) == np.inf


def test_clipped_vectors_are_in_the_sum():
    vectors = np.zeros((10, 64))
    vectors[:, 0], vectors[:, 1] = 30.0, 0.3
    result = secure_sum(vectors, clip=1.0, l2_clip=0.5, noise_multiplier=1e-3)
    direction = np.array([1.0, 0.3]) / np.hypot(1.0, 0.3)
    assert result.total[:2] == pytest.approx(10 * 0.5 * direction, abs=0.02)


def test_what_does_not_fit_into_the_ring_is_refused():
    settings = {"clip": 1.0, "l2_clip": 1.0, "contributors": 10}
    with pytest.raises(ValueError, match="noise_multiplier is 1000"):
        NoisyFixedPoint.for_noise(60_000, 10**6, noise_multiplier=10_000.0, **settings)
    with pytest.raises(ValueError, match="noise_multiplier is 1e-09"):
        NoisyFixedPoint.for_noise(10, 10, noise_multiplier=1e-9, **settings)


@pytest.mark.parametrize("change", [{"delta": 0.0}, {"variance": -1.0}, {"releases": 0}, {"l2_sensitivity": np.nan}])
def test_accounting_refuses_what_is_out_of_range(change):
    good = {"variance": 10.0, "l2_sensitivity": 1.0, "l1_sensitivity": 1.0, "delta": 1e-5}
    with pytest.raises(ValueError, match=next(iter(change))):
        skellam_epsilon(**{**good, **change})
    assert skellam_epsilon(**{**good, "variance": 0.0}) == np.inf
