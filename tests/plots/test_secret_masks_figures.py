import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import chisquare

from privlab.masking.aggregation import secure_sum
from privlab.masking.skellam import NoisyFixedPoint
from privlab.plots import png
from privlab.plots.secret_masks import BINS, Experiment, averaged, costs, lab, lab_picture, spreads
from privlab.randomness import stream

VECTORS = stream(0, "clients").normal(scale=0.2, size=(8, 2000)).clip(-0.9, 0.9)
CLIP = 1.0
DEFAULT = {"parties": 8, "dropouts": 2, "bits": 10, "noise": 0.0}


def played(**setting):
    return Experiment(VECTORS, CLIP, **{**DEFAULT, **setting})


@pytest.mark.parametrize("parties", [3, 4, 7, 8])
def test_the_sum_is_that_of_the_survivors_and_there_is_none_below_the_threshold(parties):
    for dropouts in range(parties + 2):
        found = played(parties=parties, dropouts=dropouts)
        assert found.survivors == max(0, parties - dropouts)
        assert found.threshold == parties // 2 + 1 == secure_sum(VECTORS[:parties], clip=CLIP).round.threshold
        if found.survivors < found.threshold:
            assert found.total.size == 0
            continue
        np.testing.assert_allclose(found.exact, VECTORS[dropouts:parties].mean(0))
        assert np.abs(found.total - found.exact).max() < 1 / 510, "one step of 10 bits"


def test_a_bit_less_doubles_the_error():
    """Seeds are fixed: no false alarm. 2,000 coordinates give the error within 5 %."""
    errors = [np.std(found.total - found.exact) for found in (played(bits=bits) for bits in (10, 9, 8, 7, 6))]
    np.testing.assert_allclose(np.divide(errors[1:], errors[:-1]), 2, rtol=0.12)


@pytest.mark.parametrize("setting", [{}, {"bits": 4}, {"noise": 0.3}, {"dropouts": 0}, {"parties": 3}])
def test_what_is_sent_is_flat_and_says_nothing_and_what_is_hidden_is_not(setting):
    """Seeds are fixed: no false alarm. A row whose two halves differ by a tenth would fail."""
    found = played(**setting)
    assert found.sent.shape == found.hidden.shape == (2000,)
    assert 0 <= found.sent.min() < 0.01
    assert 0.99 < found.sent.max() < 1
    assert chisquare(np.histogram(found.sent, BINS, (0, 1))[0]).pvalue > 1e-3
    assert abs(np.corrcoef(found.sent, VECTORS[0])[0, 1]) < 4 / np.sqrt(2000)
    assert chisquare(np.histogram(found.hidden, BINS, (-1, 1))[0]).pvalue < 1e-9
    assert np.abs(found.hidden - VECTORS[0]).max() < (0.1 if setting.get("bits") else 1e-2)


def test_noise_has_the_size_and_the_epsilon_that_it_says():
    """Seeds are fixed: no false alarm. 2,000 coordinates catch noise that is wrong by 10 %."""
    found = played(noise=1.0, dropouts=0)
    longest = np.linalg.norm(VECTORS, axis=1).max()
    assert 8 * np.std(found.total - found.exact) == pytest.approx(longest, rel=0.07)
    steps = 510.0
    encoding = NoisyFixedPoint(CLIP, steps, longest, int(np.ceil((longest * steps) ** 2 / 8)))
    assert found.epsilon == encoding.epsilon(8, 2000, 1e-5)
    assert played(noise=1.0, dropouts=3).epsilon > found.epsilon, "the lost take their noise with them"
    assert played().epsilon == np.inf


def test_the_scene_shows_the_experiment():
    picture = lab_picture(VECTORS, CLIP)
    (scene,) = picture.scenes
    picture.update(*DEFAULT.values())
    found = played()
    counts, _, _ = scene.sent.bars.get_data()
    np.testing.assert_allclose(counts, np.histogram(found.sent, BINS, (0, 1))[0] / 2000)
    counts, _, _ = scene.hidden.bars.get_data()
    np.testing.assert_allclose(counts, np.histogram(found.hidden, BINS, (-1, 1))[0] / 2000)
    np.testing.assert_allclose(scene.dots.get_data(), [found.exact[::2], found.total[::2]])
    assert scene.title.get_text().startswith("6 of 8 left, 5 needed: error 0.0003")
    assert scene.word.get_text() == ""
    picture.update(8, 4, 10, 0.0)
    assert len(scene.dots.get_xdata()) == 0
    assert scene.title.get_text() == "4 of 8 left, 5 needed: refused"
    assert scene.word.get_text() == "no sum at all"
    assert "no sum" in scene.words


def test_the_same_setting_gives_the_same_picture():
    first, axes = lab(VECTORS, CLIP)
    assert len(axes) == 3
    assert png(first) == png(lab(VECTORS, CLIP)[0]) != png(lab(VECTORS, CLIP, noise=0.1)[0])
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"parties": 9}, "parties is 9, but must be <= 8"),
        ({"parties": 2}, "parties is 2, but must be"),
        ({"dropouts": -1}, "dropouts is -1"),
        ({"bits": 2}, "bits is 2"),
        ({"noise": -0.1}, "noise is -0.1"),
        ({"clip": 0.0}, "clip is 0.0"),
        ({"vectors": VECTORS[0]}, "vectors has shape"),
        ({"vectors": VECTORS * np.nan}, "vectors has 16000 NaN"),
    ],
)
def test_wrong_arguments_are_named(setting, message):
    with pytest.raises(ValueError, match=message):
        lab(**{"vectors": VECTORS, "clip": CLIP, **setting})


def test_spreads_and_averages_and_costs_show_what_they_are_given():
    _, axes = spreads({"bell": VECTORS[0], "flat": np.linspace(0, 0.999, 1600)}, [-1, 0])
    assert [panel.get_title(loc="left") for panel in axes] == ["bell", "flat"]
    np.testing.assert_allclose(axes[1].patches[0].get_data()[0], 1 / BINS, atol=1e-3)
    _, axes = averaged([1, 4, 16], {1: [0.7, 0.9, 0.97], 10: [0.1, 0.2, 0.37]})
    line, marks, other, _ = axes.lines
    np.testing.assert_allclose(marks.get_data(), [[1, 4, 16], [0.7, 0.9, 0.97]])
    assert line.get_ydata()[0] == pytest.approx(np.sqrt(0.5))
    assert other.get_ydata()[-1] == pytest.approx(1 / np.sqrt(1 + 100 / 16))
    _, (left, right) = costs([100, 1000], [12, 30], [10, 100], [1e-3, 1e-2])
    assert [line.get_ydata().tolist() for line in left.lines] == [[99, 999], [12, 30]]
    np.testing.assert_allclose(right.lines[0].get_ydata(), right.lines[1].get_ydata())
