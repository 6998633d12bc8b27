import numpy as np
from panels import parts, pixels, values

from privlab.plots import png
from privlab.plots.noise import overlap as still_overlap
from privlab.widgets.noise import FALSE_POSITIVE_RATES, SCALES, overlap


def test_the_start_and_the_stops():
    found = parts(overlap())
    assert (found.noise.value, found.fpr.value, found.mechanism.value) == (1.0, 0.1, "laplace")
    assert (values(found.noise), values(found.fpr)) == ([*SCALES], [*FALSE_POSITIVE_RATES])


def test_another_setting_is_that_of_the_static_twin():
    found = parts(overlap())
    found.mechanism.value, found.noise.value, found.fpr.value = "gaussian", 3.0, 0.3
    found.button.click()
    twin = still_overlap(mechanism="gaussian", scale=3.0, false_positive_rate=0.3, draw=1)
    assert np.abs(pixels(png(twin[0])) - pixels(found.picture.value)).mean() < 1


def test_new_noise_moves_the_outcomes_and_nothing_else():
    panel = overlap()
    found = parts(panel)
    words = found.caption.value
    assert found.button.description
    found.button.click()
    assert found.picture.value != panel.still
    assert found.caption.value == words
    moved = np.abs(pixels(found.picture.value) - pixels(panel.still)) > 30  # not another palette
    rows = np.flatnonzero(moved.any((1, 2)))
    assert len(rows)
    assert np.ptp(rows) < 45, "only the two rows of dots"
