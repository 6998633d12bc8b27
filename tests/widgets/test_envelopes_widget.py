import time
from statistics import median

import ipywidgets as widgets
import numpy as np
import pytest
from panels import descendants, parts, pixels, values

from privlab.plots import png
from privlab.plots.envelopes import SIZES, Price
from privlab.plots.envelopes import envelope as still_envelope
from privlab.widgets.envelopes import PEOPLE, envelope

PRICES = {
    "rsa": Price(6e-5, 9e-4, 539, tagged=True),
    "x25519": Price(8e-5, 4e-5, 98),
    "x-wing": Price(1e-4, 1e-4, 1557),
}
RATE = 1e9


@pytest.fixture
def panel():
    return envelope(PRICES, RATE)


@pytest.fixture
def found(panel):
    return parts(panel)


def test_the_start_is_the_still_and_its_words(panel, found):
    assert found.picture.value == panel.still
    assert panel.alt.endswith(found.caption.value)
    assert (found.people.value, found.size.value, found.kind.value) == (5, 10**7, "x25519")
    assert found.noise is found.people, "the browser test drags it"


@pytest.mark.parametrize("setting", [{}, {"kind": "rsa", "people": 40, "size": 1000}])
def test_the_picture_is_that_of_the_static_twin(found, setting):
    for name, value in setting.items():
        getattr(found, name).value = value
    live, twin = pixels(found.picture.value), pixels(png(still_envelope(PRICES, RATE, **setting)[0]))
    assert twin.shape == live.shape
    assert twin.shape[1] <= 840
    assert np.abs(twin - live).mean() < 1
    assert np.abs(pixels(png(still_envelope(PRICES, RATE, kind="x-wing", size=10**10)[0])) - live).mean() > 1


@pytest.mark.parametrize("name", ["people", "size", "kind"])
def test_each_control_changes_picture_and_words_and_back(panel, found, name):
    control = getattr(found, name)
    start, options, seen = control.value, values(control), set()
    for value in options:
        control.value = value
        seen.add((bytes(found.picture.value), found.caption.value))
    assert len({picture for picture, _ in seen}) == len({words for _, words in seen}) == len(options)
    control.value = start
    assert found.picture.value == panel.still


@pytest.mark.parametrize(("name", "pair"), [("people", (1, 64)), ("size", (1000, 10**11)), ("kind", ("rsa", "x-wing"))])
def test_a_redraw_takes_less_than_a_tenth_of_a_second(found, name, pair):
    spent = []
    for i in range(20):
        start = time.process_time()
        getattr(found, name).value = pair[i % 2]
        spent.append(time.process_time() - start)
    assert median(spent) < 0.1


def test_controls_speak(panel, found):
    labels = [widget.value for widget in descendants(panel.widget) if isinstance(widget, widgets.Label)]
    assert {"← one reader", "many readers →", "← a short note", "a large model →"} <= set(labels)
    assert all(control.description for control in (found.people, found.size, found.kind))
    assert values(found.people) == [*PEOPLE]
    assert values(found.size) == [*SIZES]
    assert not any(isinstance(widget, widgets.Output) for widget in descendants(panel.widget))
