import time
from statistics import median

import ipywidgets as widgets
import numpy as np
import pytest
from panels import assert_all_values_differ, descendants, parts, pixels, values

from privlab.data import load_digits
from privlab.plots import png
from privlab.plots.sharding import HOW, Simulation
from privlab.plots.sharding import what_if as still_what_if
from privlab.sharding.trace import POLICIES
from privlab.widgets.sharding import SHARDS, SKEWS, what_if

LABELS = load_digits().y_train


@pytest.fixture(scope="module")
def panel():
    return what_if(LABELS)


def set_to(panel, **setting):
    for name, value in ({"noise": 12, "skew": 1.0, "how": HOW[0], "policy": POLICIES[0]} | setting).items():
        panel.controls[name].value = value


def test_the_start_is_the_still_and_its_words(panel):
    set_to(panel)
    found = parts(panel)
    assert found.picture.value == panel.still
    assert panel.alt.endswith(found.caption.value)
    assert found.caption.value == str(Simulation(LABELS))


@pytest.mark.parametrize(
    "setting", [{}, {"shards": 24, "skew": 2.0, "how": "power-law", "policy": "longest-first"}], ids=["start", "other"]
)
def test_the_picture_is_that_of_the_static_twin(panel, setting):
    set_to(panel, **{"noise" if name == "shards" else name: value for name, value in setting.items()})
    live, twin = pixels(panel.picture.value), pixels(png(still_what_if(Simulation(LABELS, **setting))[0]))
    assert twin.shape == live.shape
    assert twin.shape[1] <= 840
    assert np.abs(twin - live).mean() < 1
    assert np.abs(pixels(png(still_what_if(Simulation(LABELS, shards=4, skew=3.0))[0])) - live).mean() > 3


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", ["noise", "skew", "how", "policy"])
def test_each_control_changes_picture_and_words_and_back(panel, name, how):
    set_to(panel, how=how)
    assert_all_values_differ(panel.controls[name], panel.picture, panel.caption)


def test_a_redraw_takes_less_than_a_tenth_of_a_second(panel):
    set_to(panel)
    spent = []
    for shards in (*SHARDS, *SHARDS):
        begun = time.process_time()
        panel.controls["noise"].value = shards
        spent.append(time.process_time() - begun)
    assert median(spent) < 0.1


def test_controls_speak(panel):
    labels = {widget.value for widget in descendants(panel.widget) if isinstance(widget, widgets.Label)}
    assert labels >= {"← few, large", "many, small →", "← all alike", "each its own →"}
    assert all(control.description for control in panel.controls.values())
    assert values(panel.controls["noise"]) == [*SHARDS]
    assert values(panel.controls["skew"]) == [*SKEWS]
    assert not any(isinstance(widget, widgets.Output) for widget in descendants(panel.widget))
