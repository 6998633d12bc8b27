from pathlib import Path

import numpy as np
import pytest
from panels import parts, pixels, values

from privlab.leakage.museum import CHECKS
from privlab.leakage.tour import THRESHOLDS, TRIALS, Tour
from privlab.plots import png
from privlab.plots.audit import threshold as still_threshold
from privlab.widgets.audit import threshold

TOUR = Tour.load(Path(__file__).parents[2] / "notebooks" / "results" / "museum.json")


@pytest.fixture(scope="module")
def panel():
    return threshold(TOUR)


@pytest.mark.parametrize(
    "setting", [("NaN kept", 17, 800, ""), ("", 4, 50, "noise"), ("loss in the log", 19, 100, "audit")]
)
def test_a_setting_is_drawn_as_the_static_twin(panel, setting):
    bug, place, trials, without = setting
    for name, value in zip(("bug", "noise", "trials", "without"), setting, strict=True):
        panel.controls[name].value = value
    twin, _ = still_threshold(TOUR, bug, place=place, trials=trials, without=without)
    live = pixels(panel.picture.value)
    assert np.abs(pixels(png(twin)) - live).mean() < 1
    assert np.abs(pixels(panel.still) - live).mean() > 1
    assert panel.caption.value.startswith(f"{bug or 'no bug'}, threshold {place} of 20, {trials} runs a side")


def test_the_controls_offer_all_that_the_tour_holds(panel):
    found = parts(panel)
    assert values(found.noise) == [*range(THRESHOLDS)]
    assert values(found.trials) == [*TRIALS]
    assert values(found.without) == ["", *CHECKS]
    assert {*values(found.bug)} == {counts.bug for counts in TOUR.counts}
