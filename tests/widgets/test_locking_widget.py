import time
from statistics import median

import ipywidgets as widgets
import numpy as np
import pytest
from panels import descendants, parts, pixels, values

from privlab.plots.locking import flip as still_flip
from privlab.plots.style import png
from privlab.widgets.locking import flip

PARAMETERS = {"weight": np.linspace(-0.9, 0.9, 800, dtype=np.float32).reshape(20, 40), "bias": np.float32([0.3])}
START = 700


def positive(parameters):
    """A share that the sign of a weight moves."""
    return float(np.mean(parameters["weight"] > 0))


@pytest.fixture(scope="module")
def panel():
    return flip(PARAMETERS, positive, weight=START)


def test_it_starts_as_its_static_twin(panel):
    found = parts(panel)
    assert (found.noise.value, found.bit.value, found.who.value) == (START, 30, "disk error")
    assert found.picture.value == panel.still
    assert panel.alt.endswith(found.caption.value)
    live, twin = pixels(panel.still), pixels(png(still_flip(PARAMETERS, positive, weight=START)[0]))
    assert live.shape == twin.shape
    assert live.shape[1] <= 840
    assert np.abs(live - twin).mean() < 1, "axes under, not over, what moves; fewer colours"
    other = pixels(png(still_flip(PARAMETERS, positive, weight=START, bit=31, who="attacker")[0]))
    assert np.abs(other - live).mean() > 1


@pytest.mark.parametrize("name", ["noise", "bit", "who"])
def test_each_control_changes_picture_and_words_and_back(panel, name):
    found = parts(panel)
    control, seen = getattr(found, name), []
    start = control.value
    for value in values(control):
        control.value = value
        seen.append((bytes(found.picture.value), found.caption.value))
    assert len({picture for picture, _ in seen}) == len({words for _, words in seen}) == len(control.options)
    assert max(len(words) for _, words in seen) <= 130, "one line under the picture"
    control.value = start
    assert found.picture.value == panel.still


@pytest.mark.parametrize("name", ["noise", "bit", "who"])
def test_a_redraw_takes_less_than_a_tenth_of_a_second(panel, name):
    control, spent = getattr(parts(panel), name), []
    start = control.value
    for i in range(20):
        before = time.process_time()
        control.value = values(control)[(i + 1) % 2]
        spent.append(time.process_time() - before)
    control.value = start
    assert median(spent) < 0.1


def test_the_slider_reaches_both_ends_of_the_file_and_controls_speak(panel):
    found = parts(panel)
    assert (values(found.noise)[0], values(found.noise)[-1]) == (0, 800)
    assert (values(found.bit)[0], values(found.bit)[-1]) == (0, 31)
    labels = {widget.value for widget in descendants(panel.widget) if isinstance(widget, widgets.Label)}
    assert {"← first layer", "last layer →", "← fraction", "exponent, sign →"} <= labels
    assert all(control.description for control in (found.noise, found.bit, found.who))


def test_what_the_figure_refuses_the_widget_refuses():
    with pytest.raises(ValueError, match="weight is 801, but must be below 801"):
        flip(PARAMETERS, positive, weight=801)
