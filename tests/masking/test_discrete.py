"""Exact integer noise: its law, with power shown; what it spends; and that float-safe releases show nothing but the grid."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import chisquare, kstest

from privlab.masking import gaussian_noise_multiplier
from privlab.masking.discrete import discrete_gaussian, discrete_laplace
from privlab.masking.noise import FINENESS, SMOOTHING, gaussian_mechanism, laplace_mechanism, residue_attack

DRAWS = 200_000
SAMPLERS = {discrete_gaussian: lambda k, s: -((k / s) ** 2) / 2, discrete_laplace: lambda k, s: -np.abs(k) / s}


def law(sampler, scale):
    """Integers around 0 and their probabilities, from the definition."""
    k = np.arange(-int(40 * scale) - 4, int(40 * scale) + 5)
    weights = np.exp(SAMPLERS[sampler](k, scale))
    return k, weights / weights.sum()


def fit(drawn, k, probabilities):
    """P-value of the chi-square test, neighbouring integers joined until each cell expects at least 20 draws."""
    expected, starts = probabilities * drawn.size, [0]
    for i in range(k.size):
        if expected[starts[-1] : i].sum() >= 20 and expected[i:].sum() >= 20:
            starts.append(i)
    counts = np.bincount(drawn - k[0], minlength=k.size)
    return chisquare(np.add.reduceat(counts, starts), np.add.reduceat(expected, starts)).pvalue


@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize("scale", [0.3, 1, 3.7, 20, 100.3])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_law_is_the_one_claimed(sampler, scale, seed):
    """Chi-square on 200,000 draws: false alarm 1e-6; a scale wrong by 5 %, or a 0 twice as likely, is always seen."""
    drawn = sampler(DRAWS, scale=scale, seed=seed)
    assert drawn.dtype == np.int64
    assert fit(drawn, *law(sampler, scale)) > 1e-6
    for wrong in (0.95, 1.05):
        assert fit(drawn, *law(sampler, wrong * scale)) < 1e-6
    k, doubled = law(sampler, scale)
    doubled[k == 0] *= 2
    assert fit(drawn, k, doubled / doubled.sum()) < 1e-6


@pytest.mark.parametrize("scale", [2.0**-9, 1 / 3, 1e6 / 7, 2.0**40 + 0.5, 2.0**52])
def test_scales_from_the_smallest_to_the_largest(scale):
    """The extremes, against the continuous law where that is the same: 100,000 seeded draws reject a scale wrong by 5 %."""
    for sampler, name in ((discrete_gaussian, "norm"), (discrete_laplace, "laplace")):
        drawn = sampler(DRAWS // 2, scale=scale, seed=1)
        if scale < 1:
            k, probabilities = law(sampler, scale)
            share = probabilities[k == 0][0]
            deviation = np.sqrt(share * (1 - share) / drawn.size)
            assert abs((drawn == 0).mean() - share) <= 5 * deviation
        else:
            assert kstest(drawn / scale, name).pvalue > 1e-3
            for wrong in (0.95, 1.05):
                assert kstest(drawn / (wrong * scale), name).pvalue < 1e-4


def test_moments_and_independence():
    """Mean, variance and fourth moment of each law, and the correlation of neighbours, each within 5 standard errors (6e-7)."""
    for sampler in SAMPLERS:
        k, probabilities = law(sampler, 2.5)
        drawn = sampler((DRAWS // 4, 4), scale=2.5, seed=2)
        assert drawn.shape == (DRAWS // 4, 4)
        for power in (1, 2, 3, 4):
            mean, square = probabilities @ k.astype(float) ** power, probabilities @ k.astype(float) ** (2 * power)
            assert abs((drawn.astype(float) ** power).mean() - mean) < 5 * np.sqrt((square - mean**2) / DRAWS)
        flat = drawn.ravel()
        for lag in (1, 2, 7):
            for values in (flat, np.abs(flat)):
                assert abs(np.corrcoef(values[lag:], values[:-lag])[0, 1]) < 5 / np.sqrt(DRAWS)


def test_seeds_repeat_and_secrets_do_not():
    for sampler in SAMPLERS:
        seeded, same, other = (sampler((2, 50), scale=9, seed=seed) for seed in (4, 4, 5))
        assert np.array_equal(seeded, same)
        assert not np.array_equal(seeded, other)
        assert not np.array_equal(sampler(100, scale=9), sampler(100, scale=9))
    assert discrete_gaussian((), scale=9).shape == ()
    assert discrete_gaussian(0, scale=9).shape == (0,)


def test_drawing_is_fast_enough_for_a_model():
    """About 0.3 microseconds of CPU a draw; the bound of 2 leaves room for a slow machine, and a loop in Python fails it."""
    seconds = []
    for _ in range(3):
        begun = time.process_time()
        discrete_gaussian(300_000, scale=1000.3)
        seconds.append(time.process_time() - begun)
    assert min(seconds) / 300_000 < 2e-6


def continuous_delta(noise, epsilon):
    """Balle and Wang (2018), equation 6, for sensitivity 1."""
    return ndtr(0.5 / noise - epsilon * noise) - np.exp(epsilon) * ndtr(-0.5 / noise - epsilon * noise)


def discrete_delta(scale, shift, epsilon):
    """Sum over all outcomes of max(0, p - e^epsilon q) for answers that differ by ``shift``, in one or two dimensions."""
    side = np.arange(-int(12 * scale) - 9, int(12 * scale) + 10)
    k = np.stack(np.meshgrid(*[side] * len(shift)), -1)
    log_p, log_q = ((-((k - at) ** 2)).sum(-1) / (2 * scale**2) for at in (np.zeros(len(shift)), np.array(shift)))
    total = np.exp(-(side**2) / (2 * scale**2)).sum() ** len(shift)
    return np.maximum(np.exp(log_p) - np.exp(epsilon + log_q), 0).sum() / total


@pytest.mark.parametrize("shift", [(1,), (2,), (7,), (1, 1), (2, -1), (3, 4)])
@pytest.mark.parametrize("noise", [0.5, 1.0, 3.0, 10.0])
def test_the_discrete_gaussian_spends_no_more_than_the_continuous_one_it_replaces(noise, shift):
    """Exactly, by summing over the outcomes; and without the smoothing it would spend more."""
    epsilons, unit = np.linspace(0.02, 4, 40), np.linalg.norm(shift)
    bound = np.array([continuous_delta(noise / unit, epsilon) for epsilon in epsilons])
    replaced = [discrete_delta(np.hypot(noise, SMOOTHING), shift, epsilon) for epsilon in epsilons]
    assert (replaced <= bound * (1 + 1e-9) + 1e-15).all()


def test_without_the_smoothing_it_would_spend_more():
    ratios = [
        discrete_delta(3.0, (1,), epsilon) / continuous_delta(3.0, epsilon) for epsilon in np.linspace(0.02, 1, 50)
    ]
    assert max(ratios) > 1.02


@given(st.integers(1, 6), st.floats(1e-3, 1e3), st.integers(0, 2**32))
def test_rounding_takes_answers_further_apart_by_what_is_charged_and_no_more(d, sensitivity, seed):
    rng = np.random.default_rng(seed)
    grid = 2.0 ** np.floor(np.log2(sensitivity * FINENESS / np.sqrt(d)))
    one = rng.normal(size=d) * 10
    step = rng.normal(size=d)
    other = one + step * sensitivity / np.linalg.norm(step)
    apart = np.linalg.norm(np.rint(one / grid) - np.rint(other / grid))
    assert apart <= np.linalg.norm(one - other) / grid + np.sqrt(d)


@pytest.fixture
def noise_scales(monkeypatch):
    """Records the scale of every discrete draw."""
    scales = []
    for sampler in SAMPLERS:

        def record(shape, *, scale, draw=sampler):
            scales.append(scale)
            return draw(shape, scale=scale)

        monkeypatch.setattr(f"privlab.masking.noise.{sampler.__name__}", record)
    return scales


@pytest.mark.parametrize(("sensitivity", "d"), [(1.0, 1), (3.0, 1), (0.1, 10), (1e6, 1000)])
def test_float_safe_noise_covers_the_sensitivity_after_rounding(noise_scales, sensitivity, d):
    """The worst pair sits on the edges of the grid's cells: h sqrt(d) further apart after rounding. It costs under 0.3 %."""
    values = np.zeros(d)
    noisy = gaussian_mechanism(values, l2_sensitivity=sensitivity, epsilon=1, delta=1e-5, level="float-safe")
    laplace_mechanism(values, sensitivity=sensitivity, epsilon=0.5, level="float-safe")
    multiplier, grids = gaussian_noise_multiplier(1, 1e-5), []
    for rounding in (np.sqrt(d), d):
        grids.append(2.0 ** np.floor(np.log2(sensitivity * FINENESS / rounding)))
    assert (noisy / grids[0] % 1 == 0).all()
    continuous = multiplier * (sensitivity / grids[0] + np.sqrt(d))
    low = np.array([np.hypot(continuous, SMOOTHING), (sensitivity / grids[1] + d) / 0.5])
    assert (noise_scales >= low * (1 - 1e-15)).all()
    assert (noise_scales <= low * (1 + 1e-12)).all()
    assert noise_scales[0] * grids[0] <= 1.003 * multiplier * sensitivity


def test_answers_are_rounded_to_the_nearest_grid_point(monkeypatch):
    monkeypatch.setattr("privlab.masking.noise.discrete_laplace", lambda shape, *, scale: np.zeros(shape, np.int64))
    value = np.random.default_rng(0).normal(size=1000)
    released = laplace_mechanism(value, sensitivity=1000.0, epsilon=1, level="float-safe")
    assert np.array_equal(released, np.rint(value * 1024) / 1024)


@pytest.mark.parametrize(
    "mechanism",
    [
        lambda value, level: laplace_mechanism(value, sensitivity=1, epsilon=1, level=level),
        lambda value, level: gaussian_mechanism(value, l2_sensitivity=1, epsilon=4, delta=1e-5, level=level),
    ],
)
def test_the_last_bits_give_naive_noise_away_and_not_the_safe_level(mechanism):
    """A million releases: a fifth or more of the naive answers 0 is proved not to be 1; of the safe ones, none."""
    for level, least, most in (("operating-system", 0.2, 0.3), ("float-safe", 0.0, 0.0)):
        found = [residue_attack(mechanism(np.full(1_000_000, value), level)).mean() for value in (0.0, 1.0)]
        assert least <= found[0] <= most
        assert found[1] == 0
    safe = [mechanism(value, "float-safe") for value in (0.0, 1.0) for _ in range(100)]
    assert not residue_attack(safe).any()
    assert (np.array(safe) * 2048 % 1 == 0).all()


def test_answers_too_large_for_the_integers_are_clipped():
    for value in (1e300, -1e300):
        noisy = laplace_mechanism(value, sensitivity=1, epsilon=1, level="float-safe")
        assert noisy == pytest.approx(np.sign(value) * 2.0**62 / 1024, rel=1e-12)
    assert gaussian_mechanism([], l2_sensitivity=1, epsilon=1, delta=0.1, level="float-safe").shape == (0,)
    assert isinstance(laplace_mechanism(3, sensitivity=1, epsilon=1e9, level="float-safe"), float)


@pytest.mark.parametrize("mechanism", [laplace_mechanism, gaussian_mechanism])
def test_levels_and_seeds_that_contradict_each_other_are_refused(mechanism):
    budget = {"sensitivity": 1} if mechanism is laplace_mechanism else {"l2_sensitivity": 1, "delta": 1e-5}
    for level, seed, message in (
        ("float-safe", 0, "seed is 0"),
        ("operating-system", 0, "seed is 0"),
        ("reproducible", None, "seed is None"),
        ("safe", None, "level is 'safe'"),
    ):
        with pytest.raises(ValueError, match=message):
            mechanism(1.0, epsilon=1, level=level, seed=seed, **budget)
    assert mechanism(1.0, epsilon=1, seed=3, **budget) == mechanism(
        1.0, epsilon=1, seed=3, level="reproducible", **budget
    )


@pytest.mark.parametrize("scale", [0, -1.0, 1e-3, 1e16, np.nan, np.inf, "1", True])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_scales_out_of_range_are_refused(sampler, scale):
    with pytest.raises(ValueError, match="scale is"):
        sampler(3, scale=scale)
