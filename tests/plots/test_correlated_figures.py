import matplotlib.pyplot as plt
import numpy as np
import pytest

from privlab.masking import Correlation, PrivacyPlan, running_sum_errors
from privlab.masking.correlated import NAMES
from privlab.plots import png
from privlab.plots.correlated import INDEPENDENT, crossings, crossover, noise_matrices


def lines(axes):
    """The curves of a figure by their labels."""
    return {line.get_label(): line for line in axes.lines}


def legend(picture):
    return [text.get_text() for text in picture.legends[0].get_texts()]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_has_the_correlations_of_streamed_noise(name):
    """Seeded. 20,000 coordinates: a correlation has a standard error of at most 0.007, and the largest drawn one is above 0.4."""
    _, (_, axes, _) = noise_matrices(16, 4, [name])
    fresh = np.random.default_rng(0).standard_normal((16, 20_000))
    streamed = [row.copy() for row in Correlation.suited(name, 16, 4).stream(fresh, 16)]
    drawn = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(drawn, np.corrcoef(streamed), atol=0.035)
    assert drawn.min() < -0.4
    assert axes.get_title(loc="left") == name


def test_independent_noise_comes_first_and_is_a_diagonal():
    picture, axes = noise_matrices(8, 4)
    assert [each.get_title(loc="left") for each in axes[:-1]] == [INDEPENDENT, *NAMES] == legend(picture)
    np.testing.assert_array_equal(axes[0].images[0].get_array(), np.eye(8))


def test_curves_are_the_running_sums_noise_of_runs_that_spend_the_same():
    """Root mean square over the steps: the plan's error at equal epsilon, up to one factor for all kinds."""
    curves = lines(noise_matrices(64, 16)[1][-1])
    run = {"clip_norm": 1.0, "sampling_rate": 1 / 16, "steps": 64, "sampling": "cyclic"}
    errors = [
        PrivacyPlan.for_epsilon(2.0, 1e-5, correlation=name, **run).running_sum_error() for name in (None, *NAMES)
    ]
    drawn = [np.sqrt(np.mean(curves[name].get_ydata() ** 2)) for name in (INDEPENDENT, *NAMES)]
    np.testing.assert_allclose(np.divide(drawn, errors), drawn[0] / errors[0], rtol=1e-9)
    np.testing.assert_allclose(curves[INDEPENDENT].get_ydata(), 2 * np.sqrt(np.arange(1, 65)))  # four passes
    assert curves["tree"].get_ydata()[-1] < curves["tree"].get_ydata()[-2] / 2, "64 steps are one node, 63 are six"


def test_noise_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="steps is 1"):
        noise_matrices(1, 1)
    with pytest.raises(ValueError, match="name is 'blt'"):
        noise_matrices(8, 4, ["blt"])


def made(best):
    """Errors at three epsilons whose least ratio is ``best``."""
    return [
        {"independent": 9.0, "amplified": 2.0} | {name: 2 * value * (1 + i) for i, name in enumerate(NAMES)}
        for value in best
    ]


def test_each_panel_has_its_ratios_and_its_crossing():
    picture, panels = crossover([1, 4, 16], {"long": made([2.0, 0.5, 0.4]), "short": made([3.0, 2.0, 1.5])})
    assert [axes.get_title(loc="left") for axes in panels] == ["long", "short"]
    for i, name in enumerate(NAMES):
        ratios = np.multiply(1 + i, [2.0, 0.5, 0.4])
        np.testing.assert_allclose(lines(panels[0])[name].get_xydata(), np.column_stack([[1, 4, 16], ratios]))
    words = [[text.get_text() for text in axes.texts if text.get_text().startswith("ε")] for axes in panels]
    assert words == [["ε = 2"], []]
    assert legend(picture) == [*NAMES]
    assert len({(line.get_linestyle(), line.get_marker()) for line in panels[0].lines[: len(NAMES)]}) == len(NAMES), (
        "in grey"
    )


def test_the_package_s_runs_cross_near_three():
    levels = (2, 4)
    _, (axes,) = crossover(levels, {"": [running_sum_errors(e, 1e-5, steps=512, batches=64) for e in levels]})
    ((at, one),) = axes.lines[len(NAMES)].get_xydata()
    assert one == 1
    assert 2.5 < at < 3.2


def test_crossings_are_passed_downwards_only():
    assert crossings([1, 4, 16, 64], [2.0, 0.5, 2.0, 0.5]) == [2.0, 32.0]
    assert crossings([1, 4], [0.5, 2.0]) == crossings([1, 4], [0.5, 0.25]) == []
    assert crossings([1, 4, 16], [2.0, 1.0, 0.5]) == [4.0]


@pytest.mark.parametrize(
    ("epsilons", "message"),
    [
        ([1, 4], r"runs\['long'\] has 3 mappings, but must have 2, one per epsilon"),
        ([1, 4, np.nan], "epsilons has 1 NaN"),
    ],
)
def test_runs_that_do_not_fit_are_refused(epsilons, message):
    with pytest.raises(ValueError, match=message):
        crossover(epsilons, {"long": made([2.0, 0.5, 0.4])})


def test_same_input_same_bytes_and_no_figure_left_open():
    for draw in (lambda: noise_matrices(8, 4), lambda: crossover([1, 4], {"": made([2.0, 0.5])})):
        assert png(draw()[0]) == png(draw()[0])
    assert plt.get_fignums() == []
