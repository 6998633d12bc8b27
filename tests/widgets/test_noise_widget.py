import io
import time
from statistics import median
from types import SimpleNamespace

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from privlab.plots import png
from privlab.plots.noise import overlap as still_overlap
from privlab.widgets.noise import FALSE_POSITIVE_RATES, SCALES, overlap


def descendants(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from descendants(child)


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


@pytest.fixture
def panel():
    return overlap()


@pytest.fixture
def found(panel):
    """The parts of the panel by their class, as a browser test finds them."""
    parts = {name: widget for widget in descendants(panel.widget) for name in widget._dom_classes}
    return SimpleNamespace(**{name.removeprefix("privlab-"): widget for name, widget in parts.items()})


def test_the_start_is_the_still_and_its_words(panel, found):
    assert found.picture.value == panel.still
    assert type(panel._repr_mimebundle_()[0]["image/png"]) is bytes
    assert panel.alt.endswith(found.caption.value)
    assert (found.noise.value, found.fpr.value, found.mechanism.value) == (1.0, 0.1, "laplace")


@pytest.mark.parametrize(
    "settings", [{}, {"mechanism": "gaussian", "scale": 3.0, "false_positive_rate": 0.3, "draw": 1}]
)
def test_the_picture_is_that_of_the_static_twin(found, settings):
    found.mechanism.value = settings.get("mechanism", "laplace")
    found.noise.value = settings.get("scale", 1.0)
    found.fpr.value = settings.get("false_positive_rate", 0.1)
    for _ in range(settings.get("draw", 0)):
        found.button.click()
    live, twin = pixels(found.picture.value), pixels(png(still_overlap(**settings)[0]))
    assert twin.shape == live.shape
    assert np.abs(twin - live).mean() < 1, "axes under, not over, what moves; fewer colours"
    assert np.abs(pixels(png(still_overlap(scale=7.0)[0])) - live).mean() > 3


@pytest.mark.parametrize("name", ["noise", "fpr", "mechanism"])
def test_each_control_changes_picture_and_words_and_back(panel, found, name):
    control = getattr(found, name)
    start, options = control.value, control.options if name == "mechanism" else [value for _, value in control.options]
    seen = set()
    for value in options:
        control.value = value
        seen.add((bytes(found.picture.value), found.caption.value))
    assert len({picture for picture, _ in seen}) == len({words for _, words in seen}) == len(options)
    control.value = start
    assert found.picture.value == panel.still
    assert panel.alt.endswith(found.caption.value)


def test_new_noise_moves_the_outcomes_and_nothing_else(panel, found):
    words = found.caption.value
    found.button.click()
    assert found.picture.value != panel.still
    assert found.caption.value == words
    moved = np.abs(pixels(found.picture.value) - pixels(panel.still)) > 30  # not another palette
    rows = np.flatnonzero(moved.any((1, 2)))
    assert len(rows)
    assert np.ptp(rows) < 45, "only the two rows of dots"


@pytest.mark.parametrize("name", ["noise", "fpr", "mechanism"])
def test_a_redraw_takes_less_than_a_tenth_of_a_second(found, name):
    control = getattr(found, name)
    values = {"noise": (0.5, 2.0), "fpr": (0.05, 0.2), "mechanism": ("gaussian", "laplace")}[name]
    spent = []
    for i in range(20):
        start = time.process_time()
        control.value = values[i % 2]
        spent.append(time.process_time() - start)
    assert median(spent) < 0.1


def test_controls_speak(panel, found):
    labels = [widget.value for widget in descendants(panel.widget) if isinstance(widget, widgets.Label)]
    assert {"← more accurate", "more private →", "← accuses rarely", "accuses often →"} <= set(labels)
    assert all(control.description for control in (found.noise, found.fpr, found.mechanism, found.button))
    assert [value for _, value in found.noise.options] == [*SCALES]
    assert [value for _, value in found.fpr.options] == [*FALSE_POSITIVE_RATES]
    assert found.picture.layout.width == f"{pixels(panel.still).shape[1]}px"
    assert not any(isinstance(widget, widgets.Output) for widget in descendants(panel.widget))
    assert plt.get_fignums() == []
