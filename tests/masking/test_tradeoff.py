"""The trade-off curve against exact tests, single lines of the guarantee, and a simulated attack."""

from math import exp

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import norm

from privlab.masking import epsilon, tradeoff_curve
from privlab.masking.pld import pld_tradeoff
from privlab.masking.rdp import Steps

rates = st.floats(-4, 0).map(lambda power: min(0.999, 10**power))
sigmas = st.floats(-0.4, 1.5).map(lambda power: 10**power)
counts = st.floats(0, 3.5).map(lambda power: int(10**power))
deltas = st.floats(-9, -1).map(lambda power: 10**power)


def test_tradeoff_at_rate_one_is_gaussian():
    fpr = np.linspace(0, 1, 21)
    exact = ndtr(ndtri(fpr) + 1.5)
    curve = tradeoff_curve(noise_multiplier=4.0, sampling_rate=1.0, steps=36, false_positive_rates=fpr)
    np.testing.assert_allclose(curve, exact, rtol=1e-12)
    numerical = pld_tradeoff([Steps(1.0, 4.0, 36)], fpr)
    assert np.all(numerical >= exact - 1e-12)
    np.testing.assert_allclose(numerical, exact, rtol=1e-3, atol=1e-9)


def test_tradeoff_of_one_step_is_the_likelihood_ratio_test():
    rate, sigma = 0.3, 1.0
    threshold = np.linspace(-3, 5, 60)
    fpr = norm.sf(threshold, 0, sigma)
    remove = (1 - rate) * fpr + rate * norm.sf(threshold, 1, sigma)
    ours = tradeoff_curve(noise_multiplier=sigma, sampling_rate=rate, steps=1, false_positive_rates=fpr)
    assert np.all(ours >= remove * (1 - 1e-9))
    # The other direction: positives are the runs without the record, which give small outputs.
    mirrored = np.interp(fpr, 1 - remove, 1 - fpr)
    np.testing.assert_allclose(ours, np.maximum(remove, mirrored), atol=2e-3)


def test_tradeoff_uses_the_whole_profile():
    run = {"noise_multiplier": 2.0, "sampling_rate": 0.15, "steps": 400}
    curve = tradeoff_curve(false_positive_rates=[1e-3], **run)[0]
    eps = epsilon(delta=1e-5, **run)
    line = min(exp(eps) * 1e-3 + 1e-5, 1 - exp(-eps) * (1 - 1e-5 - 1e-3))
    assert 0.066 < curve < 0.069
    assert line > 0.99


@given(rate=rates, sigma=sigmas, count=counts, delta=deltas)
@settings(max_examples=7, deadline=None)
def test_tradeoff_lies_under_every_line(rate, sigma, count, delta):
    run = {"noise_multiplier": sigma, "sampling_rate": rate, "steps": count}
    fpr = np.concatenate([[0.0], np.geomspace(1e-6, 1, 40)])
    curve = tradeoff_curve(false_positive_rates=fpr, **run)
    eps = epsilon(delta=delta, **run)
    line = np.minimum(exp(eps) * fpr + delta, 1 - exp(-eps) * (1 - delta - fpr)) if eps < 700 else np.ones_like(fpr)
    assert np.all(curve <= np.minimum(line, 1) * (1 + 2e-3) + 1e-9)
    assert np.all(np.diff(curve) >= 0)
    assert np.all((curve >= fpr) & (curve <= 1))
    assert curve[0] < 1e-8


def test_tradeoff_holds_a_simulated_attack():
    """The optimal attack, simulated: its rates lie under the curve, and reach nine tenths of it; false alarm below 1e-4."""
    rate, sigma, steps, runs = 0.2, 1.5, 40, 100_000
    rng = np.random.default_rng(3)
    scores = np.zeros((2, runs))
    for _ in range(steps):
        z = rng.normal(0, sigma, (2, runs))
        z[1] += rng.random(runs) < rate
        scores += np.log1p(rate * np.expm1((2 * z - 1) / (2 * sigma**2)))
    for positive, negative in ((scores[1], scores[0]), (-scores[0], -scores[1])):
        fpr = np.array([0.01, 0.1, 0.5])
        tpr = (positive[:, None] > np.quantile(negative, 1 - fpr)).mean(0)
        bound = tradeoff_curve(noise_multiplier=sigma, sampling_rate=rate, steps=steps, false_positive_rates=fpr)
        error = 5 * np.sqrt(tpr / runs) + 5 * np.sqrt(fpr / runs) * tpr / fpr
        assert np.all(tpr <= bound + error)
        assert np.all(tpr >= 0.75 * bound)


def test_tradeoff_edges():
    fpr = np.array([[0.0, 0.3], [0.5, 1.0]])
    run = {"steps": 3, "false_positive_rates": fpr}
    np.testing.assert_array_equal(tradeoff_curve(noise_multiplier=0, sampling_rate=0.5, **run), np.ones((2, 2)))
    np.testing.assert_array_equal(tradeoff_curve(noise_multiplier=1, sampling_rate=0, **run), fpr)
    assert tradeoff_curve(noise_multiplier=1, sampling_rate=0.5, **run).shape == (2, 2)
