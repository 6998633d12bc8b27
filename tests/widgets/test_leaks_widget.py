import numpy as np
import pytest
from panels import parts, pixels, values

from privlab.leakage.map import ADVERSARIES, DEFENCES, describe
from privlab.plots import png
from privlab.plots.leaks import threat_map as still_map
from privlab.widgets.leaks import threat_map


@pytest.fixture(scope="module")
def panel():
    return threat_map()


@pytest.mark.parametrize(
    ("adversary", "defence"), [("server", "secret mask"), ("user", "all four"), ("another worker", "nothing")]
)
def test_a_setting_is_drawn_as_the_static_twin_and_said_in_words(panel, adversary, defence):
    panel.controls["adversary"].value = adversary
    panel.controls["defence"].value = defence
    live, twin = pixels(panel.picture.value), pixels(png(still_map(adversary, defence)[0]))
    assert np.abs(twin - live).mean() < 1
    assert np.abs(pixels(panel.still) - live).mean() > 1
    assert panel.caption.value == describe(adversary, defence)


def test_the_sliders_offer_the_whole_map(panel):
    assert values(panel.controls["adversary"]) == [*ADVERSARIES]
    assert values(panel.controls["defence"]) == [*DEFENCES]
    assert parts(panel).noise is panel.controls["adversary"]
