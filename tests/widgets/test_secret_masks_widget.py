import time
from statistics import median

import ipywidgets as widgets
import numpy as np
import pytest
from panels import descendants, parts, pixels, values

from privlab.plots import png
from privlab.plots.secret_masks import lab as still_lab
from privlab.randomness import stream
from privlab.widgets.secret_masks import BITS, DROPOUTS, NOISES, lab

VECTORS = stream(0, "clients").normal(scale=0.2, size=(8, 1202)).clip(-0.9, 0.9)
START = {"noise": 0.0, "parties": 8, "dropouts": 2, "bits": 10}
CONTROLS = (*START,)


@pytest.fixture(scope="module")
def made():
    panel = lab(VECTORS, 1.0)
    return panel, {name: control.value for name, control in panel.controls.items()}


@pytest.fixture
def panel(made):
    yield made[0]
    for name, value in made[1].items():
        made[0].controls[name].value = value


def test_the_start_is_the_still_the_twin_and_its_words(panel):
    found = parts(panel)
    assert {name: getattr(found, name).value for name in CONTROLS} == START
    assert (values(found.noise), values(found.bits)) == ([*NOISES], [*BITS])
    assert (values(found.dropouts), values(found.parties)) == ([*DROPOUTS], [*range(3, 9)])
    assert found.picture.value == panel.still
    assert panel.alt.endswith(found.caption.value)
    twin = pixels(png(still_lab(VECTORS, 1.0)[0]))
    assert twin.shape == pixels(panel.still).shape
    assert twin.shape[1] <= 840
    assert np.abs(twin - pixels(panel.still)).mean() < 1


def test_another_setting_is_that_of_the_twin(panel):
    setting = {"noise": 0.1, "parties": 7, "dropouts": 1, "bits": 6}
    for name, value in setting.items():
        panel.controls[name].value = value
    live = pixels(parts(panel).picture.value)
    assert np.abs(pixels(png(still_lab(VECTORS, 1.0, **setting)[0])) - live).mean() < 1
    assert np.abs(pixels(panel.still) - live).mean() > 1


@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_changes_picture_and_words_and_back(panel, name):
    found, seen = parts(panel), []
    control = getattr(found, name)
    start = control.value
    for value in values(control):
        control.value = value
        seen.append((bytes(found.picture.value), found.caption.value))
    assert len({picture for picture, _ in seen}) == len({words for _, words in seen}) == len(control.options)
    control.value = start
    assert found.picture.value == panel.still


def test_below_the_threshold_it_fails_closed(panel):
    panel.controls["dropouts"].value = 3
    assert "5 of 8 left, 5 needed; the mean has an error" in panel.caption.value
    panel.controls["dropouts"].value = 4
    assert "4 of 8 left, 5 needed; no sum" in panel.caption.value


@pytest.mark.parametrize("name", CONTROLS)
def test_a_redraw_takes_less_than_a_tenth_of_a_second(panel, name):
    control, spent = getattr(parts(panel), name), []
    for i in range(12):
        start = time.process_time()
        control.value = values(control)[-1 - i % 2]
        spent.append(time.process_time() - start)
    assert median(spent) < 0.1


def test_controls_speak(panel):
    labels = {widget.value for widget in descendants(panel.widget) if isinstance(widget, widgets.Label)}
    assert {"← more accurate", "more private →", "← few", "many →", "← all stay", "too many go →"} <= labels
    assert all(panel.controls[name].description for name in CONTROLS)
    assert not any(isinstance(widget, widgets.Output) for widget in descendants(panel.widget))
