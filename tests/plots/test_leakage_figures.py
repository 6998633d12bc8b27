import math
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from synthetic import ACCURACY, GRID, TRIALS, gaussian_frontier

from privlab.plots import allowed_and_achieved, dashboard, default_point, describe, png
from privlab.plots import frontier as frontier_figure
from privlab.plots.leakage_scenes import CURVE_RATES, FRONTIER_RATES, CurveScene, FrontierScene
from privlab.plots.style import ALLOWED, BLUE, VERMILLION, figure, styled


@pytest.fixture(scope="module")
def frontier():
    return gaussian_frontier()


@pytest.fixture
def scene(frontier):
    with styled():
        return FrontierScene(figure(5, 4).subplots(), frontier)


@pytest.fixture
def curves(frontier):
    with styled():
        return CurveScene(figure(5, 4).subplots(), frontier)


def at(curve, rate):
    return np.interp(rate, GRID, curve)


def test_the_points_lie_where_the_results_say(frontier, scene):
    scene.update("RMIA", 0.02, None)
    (private, line), (bare, square) = scene.lines
    assert private.sum() == 9
    assert bare.sum() == 1
    found = [at(point.attacks["RMIA"].true_positive_rates, 0.02) for point in frontier.points]
    np.testing.assert_allclose(line.get_xydata(), np.column_stack([100 * np.array(ACCURACY[1:]), found[1:]]))
    np.testing.assert_allclose(square.get_xydata(), [[100 * ACCURACY[0], found[0]]])
    assert (line.get_color(), square.get_color()) == (BLUE, VERMILLION)
    assert line.get_marker() != square.get_marker()


def test_the_bars_are_the_band_and_two_standard_errors(frontier, scene):
    scene.update("LiRA online", 0.01, None)
    for point, upright, level in zip(
        frontier.points, scene.upright.get_segments(), scene.level.get_segments(), strict=True
    ):
        result = point.attacks["LiRA online"]
        np.testing.assert_allclose(upright[:, 1], [at(result.low, 0.01), at(result.high, 0.01)])
        np.testing.assert_allclose(np.ptp(level[:, 0]), 2 * 2 * 100 * point.accuracy_sd / math.sqrt(64))


def test_coin_flip_allowed_and_ring(frontier, scene):
    scene.update("LiRA online", 0.05, frontier.points[4])
    assert set(scene.coin.get_ydata()) == {0.05}
    assert scene.coin_text.get_text() == "coin flip: 5 %"
    np.testing.assert_allclose(scene.allowed.get_ydata(), [at(point.allowed, 0.05) for point in frontier.points])
    np.testing.assert_allclose(scene.ring.get_xdata(), [100 * ACCURACY[4]])
    scene.update("LiRA online", 0.05, None)
    assert len(scene.ring.get_xdata()) == 0


def test_axes_are_logarithmic_and_never_move(frontier):
    for attack, rate in [("LiRA online", 0.001), ("loss threshold", 0.1)]:
        _, (left, right) = dashboard(frontier, frontier.points[0], attack=attack, false_positive_rate=rate)
        assert left.get_xscale() == "linear"
        assert {left.get_yscale(), right.get_xscale(), right.get_yscale()} == {"log"}
        assert left.get_ylim() == FRONTIER_RATES
        assert right.get_xlim() == right.get_ylim() == CURVE_RATES


@pytest.mark.parametrize("attack", ["LiRA online", "loss threshold"])
@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1])
def test_labels_name_every_epsilon_and_do_not_collide(scene, attack, rate):
    scene.update(attack, rate, None)
    assert [label.get_text() for label in scene.labels[:3]] == ["no privacy", "ε = 37", "ε = 21"]
    boxes = [label.get_window_extent() for label in scene.labels]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    frame = scene.axes.bbox
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 for box in boxes)


def test_the_curve_its_band_and_its_region(frontier, curves):
    point = frontier.points[3]
    curves.update("LiRA online", 0.01, point)
    result = point.attacks["LiRA online"]
    few = np.array(GRID) < 20 / TRIALS
    np.testing.assert_allclose(curves.measured.get_xydata(), np.column_stack([GRID, result.true_positive_rates])[~few])
    assert len(curves.unresolved.get_xdata()) == few.sum() + 1
    assert curves.unresolved.get_alpha() < 0.5
    n = len(GRID)
    np.testing.assert_allclose(curves.band.get_xy()[:n, 1], np.maximum(result.low, 1e-6))
    np.testing.assert_allclose(curves.band.get_xy()[n : 2 * n, 1][::-1], result.high)
    np.testing.assert_allclose(curves.region.get_xy()[n : 2 * n, 1][::-1], point.allowed)
    assert set(curves.line.get_xdata()) == {0.01}
    np.testing.assert_allclose(curves.ceiling.get_ydata(), [at(point.allowed, 0.01)])


def test_the_unprotected_model_is_dashed_beside_a_private_one_and_alone_when_chosen(frontier, curves):
    bare = frontier.points[0].attacks["RMIA"].true_positive_rates
    curves.update("RMIA", 0.01, frontier.points[5])
    np.testing.assert_allclose(curves.unprotected.get_ydata(), bare)
    assert (curves.unprotected.get_linestyle(), curves.measured.get_linestyle()) == ("--", "-")
    curves.update("RMIA", 0.01, frontier.points[0])
    assert np.isnan(curves.unprotected.get_ydata()).all()
    assert (curves.measured.get_color(), curves.measured.get_linestyle()) == (VERMILLION, "--")


def test_a_frontier_without_unprotected_point_and_with_many_trials(frontier):
    bare = replace(frontier, points=frontier.points[1:], trials=10_000_000)
    _, axes = allowed_and_achieved(bare, bare.points[0])
    assert "too few to resolve" not in [text.get_text() for text in axes.texts]
    _, axes = allowed_and_achieved(frontier, frontier.points[1])
    assert "too few to resolve" in [text.get_text() for text in axes.texts]


def test_zero_true_positives_are_drawn_without_complaint(frontier):
    nothing = replace(
        frontier.points[9].attacks["RMIA"], true_positive_rates=(*[0.0] * 80, 1.0), low=(*[0.0] * 80, 1.0)
    )
    point = replace(frontier.points[9], attacks={**frontier.points[9].attacks, "RMIA": nothing})
    zeros = replace(frontier, points=(*frontier.points[:9], point))
    assert png(dashboard(zeros, point, attack="RMIA")[0])
    assert "finds 0 % of members" in describe(zeros, point, attack="RMIA")


def test_every_figure_says_in_words_what_its_colours_mean(frontier):
    for picture, _ in (frontier_figure(frontier), dashboard(frontier)):
        legend = picture.legends[0]
        words = [text.get_text() for text in legend.get_texts()]
        assert words[0] == "attack on the private model (95 % interval)"
        assert words[1:] == ["without privacy", "allowed by the guarantee; above is impossible"]
        assert legend.get_patches()[0].get_facecolor()[:3] == pytest.approx(to_rgb(ALLOWED))


def test_same_input_same_bytes_and_no_figure_left_open(frontier):
    first, second = (dashboard(frontier)[0] for _ in range(2))
    assert isinstance(first, Figure)
    assert png(first) == png(second)
    assert png(first) == png(first)
    assert plt.get_fignums() == []


def test_grey_keeps_private_unprotected_and_allowed_apart(frontier):
    _, axes = allowed_and_achieved(frontier, frontier.points[5])
    styles = {(line.get_linestyle(), line.get_marker()) for line in axes.lines if len(line.get_xdata()) > 2}
    assert len(styles) >= 2


def test_the_words_of_a_point(frontier):
    assert describe(frontier, frontier.points[0]).startswith("noise 0: no privacy, accuracy 96.2 %, LiRA online finds ")
    assert describe(frontier, frontier.points[0]).endswith(" of members at 1 % false alarms (nothing is ruled out)")
    assert describe(frontier, frontier.points[3]).startswith("noise 1: ε = 11.2, accuracy 93.5 %, LiRA online finds 1.")
    assert default_point(frontier).noise_multiplier == 1
    assert default_point(replace(frontier, points=frontier.points[:1])).noise_multiplier == 0


@pytest.mark.parametrize("rate", [0.0, 1e-5, 1.5, math.nan, "1 %"])
def test_a_wrong_rate_is_named(frontier, rate):
    for call in (dashboard, frontier_figure):
        with pytest.raises(ValueError, match="false_positive_rate is"):
            call(frontier, false_positive_rate=rate)


def test_a_wrong_attack_and_a_strange_point_are_named(frontier):
    with pytest.raises(ValueError, match="attack is 'magic', but must be one of 'LiRA online', "):
        dashboard(frontier, attack="magic")
    stranger = replace(frontier.points[0], noise_multiplier=3.3)
    with pytest.raises(ValueError, match=r"point has noise multiplier 3\.3"):
        allowed_and_achieved(frontier, stranger)
    with pytest.raises(ValueError, match="point has noise multiplier 7"):
        frontier_figure(frontier, highlight=7)


def test_only_attacks_common_to_all_points_are_offered(frontier):
    poorer = replace(frontier.points[2], attacks={"RMIA": frontier.points[2].attacks["RMIA"]})
    mixed = replace(frontier, points=(poorer, *frontier.points[3:]))
    with pytest.raises(ValueError, match="must be one of 'RMIA'"):
        dashboard(mixed)
    assert dashboard(mixed, attack="RMIA")
