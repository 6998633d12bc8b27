import time
from statistics import median

import ipywidgets as widgets
import numpy as np
import pytest
from panels import assert_all_values_differ, descendants, parts, pixels, values

from privlab.plots import png
from privlab.plots.scaling import TASKS, WORKERS, Scale
from privlab.plots.scaling import scaling as still_scaling
from privlab.widgets.scaling import CLIENTS, scaling

START = {"noise": 16, "bandwidth": 1e10, "clients": 1_000, "tasks": TASKS[0]}


@pytest.fixture(scope="module")
def panel():
    return scaling()


def set_to(panel, **setting):
    for name, value in (START | setting).items():
        panel.controls[name].value = value


def test_the_start_is_the_still_and_its_words(panel):
    set_to(panel)
    found = parts(panel)
    assert found.picture.value == panel.still
    assert panel.alt.endswith(found.caption.value)
    assert found.caption.value == str(Scale())
    assert pixels(panel.still).shape[1] <= 840


@pytest.mark.parametrize(
    "setting", [{}, {"noise": 256, "bandwidth": 1e8, "clients": 100_000, "tasks": TASKS[1]}], ids=["start", "other"]
)
def test_the_picture_is_that_of_the_static_twin(panel, setting):
    set_to(panel, **setting)
    live = pixels(panel.picture.value)
    twin = pixels(png(still_scaling(Scale(*(START | setting).values()))[0]))
    assert twin.shape == live.shape
    assert np.abs(twin - live).mean() < 1
    assert np.abs(pixels(png(still_scaling(Scale(1, 1e7, 100))[0])) - live).mean() > 3


@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize("clients", CLIENTS)
@pytest.mark.parametrize("name", START)
def test_each_control_changes_picture_and_words_and_back(panel, name, clients, tasks):
    set_to(panel, clients=clients, tasks=tasks)
    assert_all_values_differ(panel.controls[name], panel.picture, panel.caption)


def test_a_redraw_takes_less_than_a_tenth_of_a_second(panel):
    set_to(panel)
    for name in ("noise", "clients"):
        spent = []
        for value in (*values(panel.controls[name]), *values(panel.controls[name])):
            begun = time.process_time()
            panel.controls[name].value = value
            spent.append(time.process_time() - begun)
        assert median(spent) < 0.1


def test_controls_speak(panel):
    labels = {widget.value for widget in descendants(panel.widget) if isinstance(widget, widgets.Label)}
    assert labels >= {"← few", "many →", "← home line", "data centre →", "the internet →"}
    assert all(control.description for control in panel.controls.values())
    assert values(panel.controls["noise"]) == [*WORKERS]
    assert not any(isinstance(widget, widgets.Output) for widget in descendants(panel.widget))
