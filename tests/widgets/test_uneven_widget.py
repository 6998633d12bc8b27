import itertools

import numpy as np
import pytest
from panels import parts, pixels, values

from privlab.plots import png
from privlab.plots.uneven import HOW, Race, race_picture
from privlab.plots.uneven import race as still_race
from privlab.widgets.uneven import SKEWS, SLOWNESS, WORKERS, race


@pytest.fixture(scope="module")
def panel():
    return race()


@pytest.mark.parametrize("setting", [Race(1.4, 7, 2.0, "dynamic"), Race(0.4, 2, 1.0, "split")], ids=str)
def test_a_setting_is_drawn_as_the_static_twin_and_said_in_words(panel, setting):
    for name in ("skew", "workers", "slowness", "policy"):
        panel.controls[name].value = getattr(setting, name)
    live, twin = pixels(panel.picture.value), pixels(png(still_race(setting)[0]))
    assert np.abs(twin - live).mean() < 1
    assert np.abs(pixels(panel.still) - live).mean() > 2
    assert panel.caption.value == str(setting)


def test_every_setting_lies_inside_the_axes():
    picture = race_picture()
    for setting in itertools.product(SKEWS, WORKERS, SLOWNESS, HOW):
        picture.update(Race(*setting))
        left, right = picture.scenes[0].axes
        ends = [line.get_xdata()[0] for line in left.lines]
        assert max(ends) < left.get_xlim()[1], setting
        assert max(max(line.get_ydata()) for line in right.lines) < right.get_ylim()[1], setting


def test_the_main_slider_is_found_by_its_class(panel):
    assert parts(panel).noise is panel.controls["skew"]
    assert values(panel.controls["skew"]) == [*SKEWS]
    assert values(panel.controls["policy"]) == [*HOW]
