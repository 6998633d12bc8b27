import math
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from synthetic_canaries import MOST, memorised

from privlab.leakage.text_recipe import Moment
from privlab.plots import png
from privlab.plots.canaries import estimates, explorer, explorer_picture, exposures, extracted, learning, middle

RESULT = memorised()
MOMENTS = (Moment(0.0, 0.4, "622732", 13_000, math.inf), Moment(0.5, 9.0, "225265", 200, math.inf))


def labels(axes):
    return [text.get_text() for text in axes.get_figure().legends[0].get_texts()]


def test_exposures_draws_medians_secrets_and_what_is_allowed():
    _, axes = exposures(RESULT)
    lines = {line.get_label(): line for line in axes.lines}
    for name, run in zip(("no privacy", "ε = 8.0", "ε = 1.0"), RESULT.runs, strict=False):
        np.testing.assert_allclose(lines[name].get_ydata(), np.median(run.exposures, 1))
    assert len({lines[name].get_linestyle() for name in ("no privacy", "ε = 8.0", "ε = 1.0")}) == 3
    dots = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert len(dots) == len(RESULT.runs) * 3, "three secrets for each number of copies"
    steps = [line.get_ydata() for line in axes.lines if line.get_drawstyle() == "steps-mid"]
    assert [tuple(step) for step in steps] == [run.ceilings for run in RESULT.runs[1:3]], "of private runs only"
    assert lines["said first of all"].get_ydata()[0] == MOST
    assert lines["never seen, on average"].get_ydata()[0] == pytest.approx(1.4427, abs=1e-4)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "1", "4", "16"]
    assert "no privacy,\nrepeats removed" in labels(axes)


def test_estimates_are_against_the_exact():
    _, axes = estimates(RESULT)
    lines = {line.get_label(): line for line in axes.lines}
    exact = np.concatenate([np.ravel(run.exposures) for run in RESULT.runs])
    for label, name in (("rank in the sample", "sampled"), ("skew-normal fit", "skew_normal")):
        estimated = np.concatenate([np.ravel(getattr(run, name)) for run in RESULT.runs])
        np.testing.assert_allclose(lines[label].get_xydata(), np.column_stack([exact, estimated]))
    assert lines["rank in the sample"].get_marker() != lines["skew-normal fit"].get_marker()
    np.testing.assert_allclose(lines["exact"].get_xdata(), lines["exact"].get_ydata())
    assert max(lines["rank in the sample"].get_ydata()) == pytest.approx(math.log2(4001))


def test_what_was_extracted_is_listed_from_the_likeliest():
    _, axes = extracted(RESULT.runs[0], count=4)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["281265", "141421", "000000", "314159"]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], np.exp([-0.7, -1.6, -2.3, -3.0]))
    words = ["planted 16 times", "planted 4 times", "never planted", "planted once"]
    assert [text.get_text() for text in axes.texts] == words
    assert axes.patches[2].get_facecolor() != axes.patches[1].get_facecolor() == axes.patches[0].get_facecolor()
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first at the top"


def test_the_explorer_shows_one_number_of_copies_at_one_noise():
    scene = explorer_picture(RESULT).scenes[0]
    scene.update(4, 0.5)
    bits = np.array(RESULT.runs[1].exposures)
    np.testing.assert_allclose(scene.ranks.get_xdata(), bits[2])
    assert scene.bar.get_xdata()[1] == np.median(bits[2])
    np.testing.assert_allclose(scene.line.get_ydata(), np.median(bits, 1))
    assert scene.dots.get_ydata().size == bits.size
    assert scene.mark.get_xdata()[0] == 2
    shaded = scene.allowed.get_paths()[0].vertices[:, 1]
    assert {*shaded.round(6)} == {0, 1, 5, round(MOST, 6)}
    assert scene.words.startswith("noise 0.5 (ε = 8.0), 4 copies: median exposure 5.3 bits, best rank ")
    assert scene.words.endswith("allows 19.9 of 19.9 bits")
    scene.update(1, 0.0)
    assert ", 1 copy: " in scene.words
    assert "(no privacy)" in scene.words
    place = scene.axes[0]
    for tick, text in zip(place.get_xticks(), place.get_xticklabels(), strict=True):
        assert 10**6 / 2**tick == pytest.approx(int(text.get_text().replace(",", "")))


def test_the_explorer_starts_in_the_middle_without_noise():
    assert middle(RESULT) == 4
    assert png(explorer(RESULT)[0]) == png(explorer(RESULT, repetitions=4, noise_multiplier=0.0)[0])
    assert png(explorer(RESULT)[0]) != png(explorer(RESULT, noise_multiplier=1.5)[0])
    assert plt.get_fignums() == []


def test_learning_shows_what_is_said_and_which_symbols_are_right():
    _, axes = learning("281265", MOMENTS)
    np.testing.assert_allclose(axes.lines[-1].get_xydata(), [[0, 0.4], [0.5, 9.0]])
    symbols = [text for text in axes.texts if len(text.get_text()) == 1]
    assert "".join(text.get_text() for text in symbols) == "225265"
    assert [text.get_weight() == "bold" for text in symbols] == [True, False, False, True, True, True]
    _, empty = learning("", ())
    assert "".join(text.get_text() for text in empty.texts if len(text.get_text()) == 1) == "######"
    assert len(empty.lines[-1].get_xdata()) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exposures(replace(RESULT, runs=())), "result has 0 runs"),
        (lambda: exposures(replace(RESULT, runs=RESULT.runs * 2)), "result has 8 runs"),
        (lambda: estimates(replace(RESULT, runs=())), "result has 0 runs"),
        (lambda: extracted(RESULT.runs[0], count=5), "count is 5, but must be at most 4"),
        (lambda: explorer(RESULT, repetitions=3), "repetitions is 3, but must be one of 0, 1, 4, 16"),
        (lambda: explorer(RESULT, noise_multiplier=2.0), r"noise_multiplier is 2\.0, but must be one of 0, 0\.5, 1\.5"),
        (lambda: explorer(replace(RESULT, runs=RESULT.runs[1:3])), "must have 0"),
    ],
)
def test_what_cannot_be_drawn_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
