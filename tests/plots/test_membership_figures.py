from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from synthetic import gaussian_frontier
from synthetic_membership import NOISE, RECORDS, dataset, levels, shadows

from privlab.leakage import ATTACKS, bootstrap_band, lira, loss_threshold, roc, separation
from privlab.plots import png
from privlab.plots.membership import explorer, explorer_scene, gallery, loss_histogram, reference_models, roc_curves
from privlab.plots.membership_scenes import FALSE_POSITIVE_RATE, RecordScene
from privlab.plots.style import figure, styled


@pytest.fixture(scope="module")
def bare():
    return shadows()


@pytest.fixture(scope="module")
def frontier():
    return gaussian_frontier()


def test_the_losses_fill_for_members_and_are_outlined_for_others(bare):
    losses, inside = bare.losses[0], bare.members[0]
    _, axes = loss_histogram(losses, inside, marks={"Ada": 0.5})
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["members", "others", "Ada"]
    heights = [bar.get_height() for bar in axes.patches if hasattr(bar, "get_height")]
    assert sum(heights) == pytest.approx(1)
    assert axes.patches[-1].get_facecolor()[3] == 0 or not axes.patches[-1].get_fill()
    assert set(axes.lines[-1].get_xdata()) == {0.5}


@pytest.mark.parametrize(
    ("losses", "members", "message"),
    [([1.0, 2.0], [True, True], "both kinds"), ([1.0, 0.0], [True, False], "must be > 0"), ([1.0], [1], "members has")],
)
def test_losses_that_cannot_be_drawn_are_named(losses, members, message):
    with pytest.raises(ValueError, match=message):
        loss_histogram(losses, members)


def test_roc_curves_are_those_of_the_attacks_from_the_first_resolved_rate(bare):
    scores = {"LiRA": lira(bare.confidences, bare.members), "loss": loss_threshold(bare.losses)}
    _, axes = roc_curves(scores, bare.members)
    for line, values in zip(axes.lines, scores.values(), strict=False):
        rates, found = line.get_data()
        assert rates[0] * (~bare.members).sum() >= 10
        np.testing.assert_allclose(found, roc(values, bare.members).tprs_at(rates))
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert len({line.get_linestyle() for line in axes.lines}) == 3
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(bootstrap_band(scores["LiRA"], bare.members, axes.lines[0].get_xdata())[1].max())
    with pytest.raises(ValueError, match="scores has 0 attacks"):
        roc_curves({}, bare.members)


def test_reference_models_are_drawn_with_their_bands():
    rates = {"RMIA": np.array([[0.01, 0.02, 0.03], [0.02, 0.03, 0.05]]), "LiRA": np.full((2, 3), 0.01)}
    _, axes = reference_models([2, 8], rates, false_positive_rate=0.001)
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[2, 0.02], [8, 0.03]])
    assert axes.collections[0].get_paths()[0].vertices[:, 1].max() == pytest.approx(0.05)
    assert axes.lines[0].get_marker() != axes.lines[1].get_marker()
    assert set(axes.lines[2].get_ydata()) == {0.001}
    with pytest.raises(ValueError, match=r"rates of RMIA has shape \(2, 3\), but must be \(3, 3\)"):
        reference_models([2, 4, 8], rates, false_positive_rate=0.001)
    with pytest.raises(ValueError, match="false_positive_rate is 0"):
        reference_models([2, 8], rates, false_positive_rate=0)


def test_a_record_scene_shows_the_record_and_both_its_bells(bare):
    data = dataset()
    with styled():
        picture = figure(4, 4)
        scene = RecordScene(*picture.subplots(2), data, [bare])
    scene.update(7, bare)
    np.testing.assert_array_equal(scene.image.get_array(), data.x_train[7].reshape(8, 8))
    assert scene.title.get_text() == f"record 7, a {data.y_train[7]}"
    for chosen, bell, bars in zip((bare.members[:, 7], ~bare.members[:, 7]), scene.bells, scene.bars, strict=True):
        x, y = bell.get_data()
        assert x[np.argmax(y)] == pytest.approx(bare.confidences[chosen, 7].mean(), abs=0.05)
        assert max(y.max(), bars.get_xy()[:, 1].max()) == pytest.approx(1)
    assert scene.bells[0].get_linestyle() != scene.bells[1].get_linestyle()


def test_a_gallery_says_how_far_apart_the_bells_lie(bare):
    _, panels = gallery(dataset(), bare, [0, 59])
    gaps = separation(bare.confidences, bare.members)
    assert [panel.get_title(loc="center") for panel in panels] == [f"{gaps[i]:.1f} sd apart" for i in (0, 59)]
    with pytest.raises(ValueError, match="records has 0 elements"):
        gallery(dataset(), bare, [])
    with pytest.raises(ValueError, match="dataset is 'digits', but must be one of pictures"):
        gallery(replace(dataset(), image_shape=None), bare, [0])


def test_the_explorer_marks_the_records_own_rate_at_the_common_threshold(frontier, bare):
    _, scene = explorer_scene(dataset(), levels(), frontier)
    assert scene.order[:3] == np.argsort(-separation(bare.confidences, bare.members))[:3].tolist()
    scene.update(3, 0.0, "LiRA online")
    scores = lira(bare.confidences, bare.members)
    innocent = np.sort(scores[~bare.members])[::-1]
    accused = scores[:, 3] > innocent[int(FALSE_POSITIVE_RATE * len(innocent))]
    inside = bare.members[:, 3]
    np.testing.assert_allclose(scene.mark.get_xydata(), [[FALSE_POSITIVE_RATE, accused[inside].mean()]])
    assert f"in {accused[inside].sum()} of 12 models with it, {accused[~inside].sum()} of 12 without" in scene.words
    assert scene.words.startswith("record 3, noise 0 (no privacy): LiRA online accuses it")


def test_a_record_never_found_is_marked_at_the_bottom(frontier):
    _, scene = explorer_scene(dataset(), levels(), frontier)
    least = next(i for i in scene.order[::-1] if scene.counts(i, 5.6, "loss threshold")[0] == 0)
    scene.update(least, 5.6, "loss threshold")
    assert scene.mark.get_ydata() == [1e-4]


def test_attacks_score_as_the_package_does(bare):
    np.testing.assert_allclose(ATTACKS["LiRA offline"](bare), lira(bare.confidences, bare.members, online=False))
    np.testing.assert_allclose(ATTACKS["loss threshold"](bare), -bare.losses)
    assert roc(ATTACKS["RMIA"](bare), bare.members).auc > 0.7


def test_the_explorer_starts_at_the_most_exposed_record_without_noise(frontier):
    first = separation(shadows().confidences, shadows().members).argmax()
    chosen = png(explorer(dataset(), levels(), frontier, record=int(first), noise_multiplier=0.0)[0])
    assert png(explorer(dataset(), levels(), frontier)[0]) == chosen
    assert png(explorer(dataset(), levels(), frontier, noise_multiplier=NOISE[-1])[0]) != chosen
    assert plt.get_fignums() == []


def test_what_the_explorer_cannot_show_is_named(frontier):
    data, shown = dataset(), levels()
    with pytest.raises(ValueError, match="dataset is 'survey', but the frontier was made of 'digits'"):
        explorer(replace(data, name="survey"), shown, frontier)
    with pytest.raises(ValueError, match=r"shadows has the noise multipliers \[3.3\], not among"):
        explorer(data, {3.3: shown[0.0]}, frontier)
    with pytest.raises(ValueError, match="record is 60, but must be below 60"):
        explorer(data, shown, frontier, record=RECORDS)
    with pytest.raises(ValueError, match="record is -1"):
        explorer(data, shown, frontier, record=-1)
    with pytest.raises(ValueError, match=r"noise_multiplier is 2\.0, but must be one of"):
        explorer(data, shown, frontier, noise_multiplier=2.0)
    with pytest.raises(ValueError, match="attack is 'magic'"):
        explorer(data, shown, frontier, attack="magic")
