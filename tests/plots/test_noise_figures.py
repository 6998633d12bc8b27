import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from privlab.masking import gaussian_epsilon, laplace_mechanism, randomized_response, tradeoff_curve
from privlab.plots import png
from privlab.plots.noise import (
    classic_formula,
    describe,
    local_and_central,
    overlap,
    overlap_picture,
    privacy_loss,
    repeated_question,
    share_error,
)
from privlab.plots.noise_scenes import DELTA, OUTCOMES, Promise, best_test, guarantee

NOISE = {"laplace": stats.laplace, "gaussian": stats.norm}
RATES = np.linspace(0.001, 0.999, 333)
SETTINGS = [(mechanism, scale) for mechanism in NOISE for scale in (0.2, 1.0, 3.0, 10.0)]


def lines(axes):
    """The curves of a figure by their labels."""
    return {line.get_label(): line for line in axes.lines}


@pytest.mark.parametrize(("mechanism", "scale"), SETTINGS)
def test_the_best_test_is_the_threshold_test_of_scipys_distributions(mechanism, scale):
    noise = NOISE[mechanism](scale=scale)
    np.testing.assert_allclose(best_test(mechanism, scale, RATES), noise.sf(noise.isf(RATES) - 1), rtol=1e-9)


@pytest.mark.parametrize(("mechanism", "scale"), SETTINGS)
def test_no_test_gets_out_of_the_region_and_some_test_reaches_it(mechanism, scale):
    slack = guarantee(mechanism, scale).allows(RATES) - best_test(mechanism, scale, RATES)
    assert slack.min() > -1e-12
    if mechanism == "laplace":
        assert slack.min() < 1e-12
    else:  # tight for a randomised test at one rate only: a smaller epsilon at the same delta is overstepped there
        smaller = Promise(guarantee(mechanism, scale).epsilon * 0.99, DELTA)
        tiny = np.geomspace(1e-30, 0.999, 50_000)
        assert (smaller.allows(tiny) - best_test(mechanism, scale, tiny)).min() < 0


def test_the_gaussians_curve_is_the_accountants():
    curve = tradeoff_curve(noise_multiplier=3, sampling_rate=1, steps=1, false_positive_rates=RATES)
    np.testing.assert_allclose(best_test("gaussian", 3.0, RATES), curve, rtol=1e-9)


@pytest.mark.parametrize("mechanism", NOISE)
def test_densities_and_accused_areas_are_those_of_the_noise(mechanism):
    outcomes, _ = overlap_picture().scenes
    outcomes.update(mechanism, 1.4, 0.2, 0)
    noise = NOISE[mechanism](scale=1.4)
    for centre, share in ((0, 0.2), (1, best_test(mechanism, 1.4, 0.2))):
        x, density = outcomes.curves[centre].get_data()
        np.testing.assert_allclose(density, noise.pdf(x - centre) / noise.pdf(0), rtol=1e-9)
        area = outcomes.accused[centre].get_xy()
        assert area[:, 0].min() == pytest.approx(noise.isf(0.2))
        assert np.trapezoid(density[x >= noise.isf(0.2)], dx=x[1] - x[0]) * noise.pdf(0) == pytest.approx(
            share, rel=0.1
        )


@pytest.mark.parametrize("mechanism", NOISE)
def test_sampled_outcomes_follow_the_density_and_move_with_the_scale(mechanism):
    """Seeds are fixed: no false alarm. 4,000 outcomes catch a scale that is wrong by a fifth."""
    outcomes, _ = overlap_picture().scenes
    seen = {0: [], 1: []}
    for draw in range(100):
        outcomes.update(mechanism, 2.0, 0.1, draw)
        for centre in (0, 1):
            seen[centre] += [*outcomes.dots[centre].get_xdata()]
    for centre in (0, 1):
        assert len(seen[centre]) == 100 * OUTCOMES
        assert stats.kstest(seen[centre], NOISE[mechanism](centre, 2.0).cdf).pvalue > 0.01
        assert stats.kstest(seen[centre], NOISE[mechanism](centre, 2.4).cdf).pvalue < 0.01
    assert abs(np.corrcoef(seen[0], seen[1])[0, 1]) < 0.05
    before = outcomes.dots[1].get_xdata()
    outcomes.update(mechanism, 4.0, 0.5, 99)
    np.testing.assert_allclose(outcomes.dots[1].get_xdata() - 1, 2 * (before - 1))


@pytest.mark.parametrize("mechanism", NOISE)
def test_region_curve_and_point(mechanism):
    _, test = overlap_picture().scenes
    test.update(mechanism, 2.0, 0.3, 0)
    x, y = test.curve.get_data()
    np.testing.assert_allclose(y, best_test(mechanism, 2.0, x))
    ((px, py),) = test.point.get_xydata()
    assert (px, py) == (0.3, pytest.approx(float(best_test(mechanism, 2.0, 0.3))))
    corners = test.region.get_xy()
    most = guarantee(mechanism, 2.0).allows(x)
    np.testing.assert_allclose(corners[: len(x), 1], most)
    np.testing.assert_allclose(corners[len(x) : 2 * len(x), 1], x[::-1])


def test_the_words_have_the_same_figures_as_the_picture():
    _, axes = overlap(mechanism="gaussian", scale=3.0, false_positive_rate=0.3)
    words = describe(mechanism="gaussian", scale=3.0, false_positive_rate=0.3)
    assert axes[0].get_title(loc="left") == "Gaussian noise of scale 3: ε = 1.3, δ = 1e-5"
    assert axes[1].get_title(loc="left") == "found 42.4 %, allowed 80.4 %"
    assert words.startswith(
        "Gaussian noise of scale 3: ε = 1.3, δ = 1e-5; 30 % false alarms, 42.4 % found (allowed: 80.4 %)"
    )
    assert words.endswith("typical error 3 patients")


def test_a_typical_error_is_the_standard_deviation():
    """Seeded; the standard error of the standard deviation is 0.4 %."""
    noise = laplace_mechanism(np.zeros(100_000), sensitivity=1, epsilon=0.5, seed=0)
    assert describe(scale=2.0).endswith(f"typical error {noise.std():.2g} patients")


def test_the_privacy_loss_is_the_log_ratio_of_the_densities():
    _, axes = privacy_loss(epsilon=0.5)
    laplace, gaussian = axes.lines[:2]
    x, loss = laplace.get_data()
    np.testing.assert_allclose(loss, stats.laplace.logpdf(x, 1, 2) - stats.laplace.logpdf(x, 0, 2), atol=1e-9)
    assert np.abs(loss).max() == pytest.approx(0.5)
    sigma = float(gaussian.get_label().split()[-1])
    x, loss = gaussian.get_data()
    np.testing.assert_allclose(
        loss, stats.norm.logpdf(x, 1, sigma) - stats.norm.logpdf(x, 0, sigma), rtol=0.01, atol=1e-9
    )
    assert loss.max() > 0.5
    assert gaussian_epsilon(sigma, DELTA) == pytest.approx(0.5, rel=0.01)


def test_the_classic_formula_wastes_noise_at_one_and_breaks_its_promise_at_twenty():
    _, (left, right) = classic_formula()
    claimed, ratio = right.lines[0].get_data()
    classic = np.sqrt(2 * np.log(1.25 / DELTA)) / claimed
    np.testing.assert_allclose(lines(left)["classic formula"].get_ydata(), classic)
    exact = lines(left)["exact"].get_ydata()
    np.testing.assert_allclose([gaussian_epsilon(sigma, DELTA) for sigma in exact], claimed, rtol=1e-6)
    np.testing.assert_array_equal(ratio > 1, classic < exact)
    assert np.interp(1, claimed, ratio) < 0.8
    assert ratio[-1] > 1.2
    assert right.get_ylim()[1] > ratio[-1]
    assert classic_formula(delta=0.3)[1][1].get_ylim()[1] > 3.7, "a worse case fits too"


def test_measured_errors_lie_on_their_lines():
    """Seeded. 400 repeats: a root mean square has a standard error of 4 %."""
    truth = np.arange(1000) < 300
    answers = randomized_response(np.tile(truth, (400, 1)), epsilon=1.0, seed=0)
    p = 1 / (1 + math.exp(-1))
    local = ((answers.mean(1) - (1 - p)) / (2 * p - 1)).std()
    assert local == pytest.approx(share_error("local", 1000, 1.0), rel=0.12)
    central = laplace_mechanism(np.full(400, 300.0), sensitivity=1, epsilon=1, seed=0) / 1000
    assert np.sqrt(np.mean((central - 0.3) ** 2)) == pytest.approx(share_error("central", 1000, 1.0), rel=0.2)


def test_errors_are_drawn_where_they_were_measured():
    by_epsilon, by_size = {"local": [0.2, 0.1], "central": [0.02, 0.01]}, {"local": [0.3], "central": [0.03]}
    _, (left, right) = local_and_central([0.5, 1], by_epsilon, [100], by_size, n=1000, epsilon=2.0)
    for axes, places, errors in ((left, [0.5, 1], by_epsilon), (right, [100], by_size)):
        for kind in ("local", "central"):
            np.testing.assert_allclose(lines(axes)[kind].get_xydata(), np.column_stack([places, errors[kind]]))
    np.testing.assert_allclose(left.lines[0].get_ydata(), share_error("local", 1000, [0.5, 1]))
    np.testing.assert_allclose(right.lines[2].get_ydata(), share_error("central", [100], 2.0))
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("1,000 patients", "ε = 2")


def test_repeated_answers_and_what_they_allow():
    _, axes = repeated_question([1, 2, 8], [0.6, 0.7, 0.9], [0.6, 0.61, 0.6], epsilon=0.5)
    np.testing.assert_allclose(lines(axes)["ε = 0.5 for each answer"].get_xydata(), [[1, 60], [2, 70], [8, 90]])
    np.testing.assert_allclose(lines(axes)["ε = 0.5 for all answers together"].get_ydata(), [60, 61, 60])
    outline = axes.collections[0].get_paths()[0].vertices
    assert outline[:, 1].max() == pytest.approx(100 / (1 + math.exp(-8 * 0.5)))
    assert outline[:, 0].max() == 8


FIGURES = [overlap, privacy_loss, classic_formula]


@pytest.mark.parametrize("draw", FIGURES)
def test_same_input_same_bytes_and_no_figure_left_open(draw):
    assert png(draw()[0]) == png(draw()[0])
    assert plt.get_fignums() == []


def test_grey_keeps_the_two_answers_apart():
    outcomes, _ = overlap_picture().scenes
    assert len({curve.get_linestyle() for curve in outcomes.curves}) == 2
    assert len({dots.get_marker() for dots in outcomes.dots}) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mechanism": "uniform"}, "mechanism is 'uniform', but must be one of 'laplace', 'gaussian'"),
        ({"scale": 0.0}, "scale is 0.0"),
        ({"scale": math.nan}, "scale is nan"),
        ({"false_positive_rate": 1.0}, "false_positive_rate is 1.0"),
        ({"draw": -1}, "draw is -1"),
    ],
)
def test_a_wrong_setting_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        overlap(**change)


def test_wrong_results_are_named():
    with pytest.raises(ValueError, match="delta is 0"):
        classic_formula(delta=0)
    with pytest.raises(ValueError, match="epsilon is -1"):
        privacy_loss(epsilon=-1)
    pair = {"local": [0.1], "central": [0.1]}
    with pytest.raises(ValueError, match=r"by_size has \[1, 1\] errors, but must have 2 of each kind"):
        local_and_central([1], pair, [10, 20], pair, n=10, epsilon=1)
    with pytest.raises(ValueError, match="fresh and split have 1 and 2 shares, but must have 2 each"):
        repeated_question([1, 2], [0.5], [0.5, 0.6], epsilon=1)
    with pytest.raises(ValueError, match="kind is 'global'"):
        share_error("global", 10, 1.0)
