import matplotlib.pyplot as plt
import numpy as np
import pytest

from privlab.plots.style import BLUE, GREEN, GREY, VERMILLION, png
from privlab.plots.training import Sweep, accountants, cost_of_privacy, describe_curves, learning_curves

STEPS = (10, 20, 30)
CLIPS, NOISES, EPSILONS = (0.1, 1.0, 10.0), (0.0, 1.0, 4.0), (np.inf, 5.0, 0.7)


def made(**changes):
    """A sweep of two seeds in which every share tells its place."""
    final = np.array([[0.80, 0.79, 0.75], [0.90, 0.88, 0.80], [0.94, 0.70, 0.40]])
    seeds = final[..., None, None] + np.array([-0.01, 0.01])[:, None] + np.array([-0.2, -0.1, 0.0])
    plain = 0.95 + np.array([-0.01, 0.01])[:, None] + np.array([-0.2, -0.1, 0.0])
    given = {"steps": STEPS, "clip_norms": CLIPS, "noise_multipliers": NOISES, "epsilons": EPSILONS}
    return Sweep(**{**given, "accuracy": seeds, "plain": plain, **changes})


@pytest.fixture
def sweep():
    return made()


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_three_curves_are_means_and_the_bands_the_extreme_seeds(sweep):
    _, axes = learning_curves(sweep, 1.0, 4.0)
    means = [line.get_ydata() for line in axes.lines]
    np.testing.assert_allclose(means, [[0.75, 0.85, 0.95], [0.7, 0.8, 0.9], [0.6, 0.7, 0.8]])
    np.testing.assert_allclose(axes.lines[0].get_xdata(), STEPS)
    for band, mean in zip(axes.patches, means, strict=True):
        np.testing.assert_allclose(band.get_xy()[:3, 1], mean - 0.01)
        np.testing.assert_allclose(band.get_xy()[3:6, 1], mean[::-1] + 0.01)
    assert [line.get_color() for line in axes.lines] == [VERMILLION, GREEN, BLUE]
    assert len({line.get_linestyle() for line in axes.lines}) == 3, "told apart in grey"
    assert legend(axes) == ["no privacy", "clip only", "clip and noise"]


def test_the_title_tells_the_two_costs_apart(sweep):
    titles = [learning_curves(sweep, *setting)[1].get_title(loc="left") for setting in [(1.0, 4.0), (10.0, 1.0)]]
    assert titles[0] == "clip norm 1, noise 4: clipping costs 5.0 points, noise 10.0 points more"
    assert titles[1] == "clip norm 10, noise 1: clipping costs 1.0 point, noise 24.0 points more"


def test_axes_do_not_move_and_no_noise_puts_two_curves_on_each_other(sweep):
    pictures = [learning_curves(sweep, clip, noise)[1] for clip in CLIPS for noise in NOISES]
    assert {(axes.get_xlim(), axes.get_ylim()) for axes in pictures} == {((0, 30), (0.3, 1))}
    np.testing.assert_allclose(pictures[0].lines[1].get_ydata(), pictures[0].lines[2].get_ydata())
    assert pictures[0].get_title(loc="left").endswith("noise 0.0 points more")


def test_the_words_of_a_setting(sweep):
    assert describe_curves(sweep, 10.0, 1.0) == (
        "clip norm 10, noise 1: ε = 5.0; accuracy 95 % without privacy, 94 % clipped only, 70 % clipped and noised"
    )
    assert describe_curves(sweep, 0.1, 0.0).startswith("clip norm 0.1, noise 0: no privacy; accuracy 95 %")


def test_a_setting_that_was_not_run_is_named(sweep):
    with pytest.raises(ValueError, match=r"clip_norm is 2\.0, but must be one of 0\.1, 1, 10"):
        learning_curves(sweep, 2.0, 1.0)
    with pytest.raises(ValueError, match="noise_multiplier is 3, but must be one of 0, 1, 4"):
        learning_curves(sweep, 1.0, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_multipliers": (0.5, 1.0, 4.0)}, "noise_multipliers is .* must begin with 0"),
        ({"epsilons": (5.0, 0.7)}, "epsilons has 2 values, but must have 3"),
        ({"clip_norms": (0.1, 1.0)}, r"accuracy has shape \(3, 3, 2, 3\).* must have \(2, 3, seeds, 3\)"),
        ({"steps": (10, 20)}, r"must have \(3, 3, seeds, 2\)"),
        ({"plain": np.full((2, 3), 95.0)}, r"plain has values outside \[0, 1\]"),
        ({"plain": np.full((2, 3), np.nan)}, "plain has 6 NaN"),
    ],
)
def test_a_sweep_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        made(**changes)


CURVES = {"exact": 1.0, "renyi": 1.3, "clt": 0.6, "shuffled_at_least": 3.0, "shuffled_at_most": 3.5}
SIGMAS = np.linspace(0.6, 3, 7)


def test_every_accountant_is_drawn_where_it_says_and_named():
    _, axes = accountants(SIGMAS, **{name: value / SIGMAS for name, value in CURVES.items()})
    drawn = {line.get_label(): line for line in axes.lines}
    expected = {"Poisson, privacy loss": 1.0, "Poisson, Rényi": 1.3, "Poisson, central": 0.6, "shuffled, as": 3.5}
    for start, value in expected.items():
        (line,) = (line for label, line in drawn.items() if label.startswith(start))
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([SIGMAS, value / SIGMAS]))
    low, high = (axes.collections[0].get_datalim(axes.transData).intervaly[i] for i in (0, 1))
    assert (low, high) == pytest.approx((3.0 / 3, 3.5 / 0.6))
    assert axes.get_yscale() == "log"
    assert len({line.get_linestyle() for line in axes.lines}) == 4
    assert "Poisson, central limit: no bound" in legend(axes)
    assert drawn["Poisson, central limit: no bound"].get_color() == GREY


def test_accountants_of_other_lengths_are_refused():
    curves = {name: value / SIGMAS for name, value in CURVES.items()}
    with pytest.raises(ValueError, match="clt has 6 values, but must have 7, as noise_multipliers"):
        accountants(SIGMAS, **{**curves, "clt": curves["clt"][:-1]})
    with pytest.raises(ValueError, match="exact has 1 NaN or infinite"):
        accountants(SIGMAS, **{**curves, "exact": [np.inf, *curves["exact"][1:]]})


PRIVATE = {"pixels": [[0.7, 0.8], [0.88, 0.9]], "edges": [[0.8, 0.82], [0.93, 0.95]]}
FREE = {"pixels": 0.96, "edges": 0.98}


def test_accuracy_against_epsilon_with_band_and_lines_without_privacy():
    _, axes = cost_of_privacy([0.5, 5.0], PRIVATE, FREE)
    curves, lines = axes.lines[::2], axes.lines[1::2]
    np.testing.assert_allclose([line.get_ydata() for line in curves], [[0.75, 0.89], [0.81, 0.94]])
    assert [set(line.get_ydata()) for line in lines] == [{0.96}, {0.98}]
    assert [band.get_datalim(axes.transData).intervaly.tolist() for band in axes.collections] == [
        [0.7, 0.9],
        [0.8, 0.95],
    ]
    assert axes.get_xscale() == "log"
    assert legend(axes)[:2] == ["pixels, private", "pixels, no privacy"]
    assert len({(line.get_linestyle(), line.get_marker()) for line in curves}) == 2
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "5"]


def test_a_kind_may_lack_its_line_without_privacy():
    _, axes = cost_of_privacy([0.5, 5.0], PRIVATE, {"edges": 0.98})
    assert legend(axes) == ["pixels, private", "edges, private", "edges, no privacy"]


@pytest.mark.parametrize(
    ("epsilons", "accuracies", "without", "message"),
    [
        ([0.5, 5], PRIVATE, {"voice": 0.9}, r"without names \['voice'\], but must be among \['edges', 'pixels'\]"),
        ([0.5, 5], {}, {}, "accuracies names 0 kinds of model, but must name 1 to 5"),
        ([0.5], PRIVATE, FREE, "has 2 rows, but must have 1, one per epsilon"),
        ([0.5, np.inf], PRIVATE, FREE, "epsilons has 1 NaN or infinite"),
        ([0.5, 5], {"pixels": [0.7, 0.8]}, {"pixels": 0.9}, "must have 2 dimension"),
    ],
)
def test_a_cost_that_does_not_fit_is_refused(epsilons, accuracies, without, message):
    with pytest.raises(ValueError, match=message):
        cost_of_privacy(epsilons, accuracies, without)


def test_same_input_same_bytes_and_no_figure_left_open(sweep):
    assert png(learning_curves(sweep, 1.0, 1.0)[0]) == png(learning_curves(sweep, 1.0, 1.0)[0])
    assert plt.get_fignums() == []
