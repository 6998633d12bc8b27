import io
import runpy
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from privlab.plots import png
from privlab.plots.membership import explorer as still_explorer
from privlab.widgets.membership import explorer, ranks

PLOTS = Path(__file__).parents[1] / "plots"
FRONTIER = runpy.run_path(str(PLOTS / "synthetic.py"))["gaussian_frontier"]()
SYNTHETIC = runpy.run_path(str(PLOTS / "synthetic_membership.py"))
WORLD = SYNTHETIC["dataset"](), SYNTHETIC["levels"](), FRONTIER


def descendants(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from descendants(child)


def controls(panel):
    found = {name.removeprefix("privlab-"): w for w in descendants(panel.widget) for name in w._dom_classes}
    return SimpleNamespace(**found)


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


@pytest.fixture
def panel():
    return explorer(*WORLD)


def test_the_start_is_the_still_and_its_words(panel):
    found = controls(panel)
    assert found.picture.value == panel.still
    assert type(panel._repr_mimebundle_()[0]["image/png"]) is bytes
    assert panel.alt.endswith(found.caption.value)
    assert (found.noise.value, found.attack.value, found.record.label) == (0.0, "LiRA online", "rank 1")


def test_the_picture_is_that_of_the_static_twin(panel):
    twin, live = pixels(png(still_explorer(*WORLD)[0])), pixels(panel.still)
    assert twin.shape == live.shape
    assert live.shape[1] <= 840
    assert np.abs(twin - live).mean() < 1
    other = pixels(png(still_explorer(*WORLD, noise_multiplier=5.6)[0]))
    assert np.abs(other - live).mean() > 2


@pytest.mark.parametrize("name", ["record", "noise", "attack"])
def test_each_control_changes_picture_and_words_and_back(panel, name):
    found = controls(panel)
    control = getattr(found, name)
    start, seen = control.value, []
    for option in control.options:
        control.value = option if name == "attack" else option[1]
        seen.append((found.picture.value, found.caption.value))
    assert len(set(seen)) == len({words for _, words in seen}) == len(control.options)
    assert len({picture for picture, _ in seen}) == len(control.options)
    control.value = start
    assert found.picture.value == panel.still
    assert panel.alt.endswith(found.caption.value)


def test_any_order_of_moves_gives_the_same_picture():
    first, second = controls(explorer(*WORLD)), controls(explorer(*WORLD))
    record = first.record.options[5][1]
    first.record.value, first.noise.value, first.attack.value = record, 1.0, "RMIA"
    second.attack.value, second.noise.value, second.record.value = "RMIA", 1.0, record
    assert first.picture.value == second.picture.value


@pytest.mark.parametrize("name", ["record", "noise", "attack"])
def test_a_redraw_takes_less_than_a_tenth_of_a_second(panel, name):
    control = getattr(controls(panel), name)
    values = control.options[:2] if name == "attack" else [value for _, value in control.options[:2]]
    spent = []
    for i in range(20):
        start = time.process_time()
        control.value = values[(i + 1) % 2]
        spent.append(time.process_time() - start)
    assert median(spent) < 0.1


def test_controls_speak(panel):
    found = controls(panel)
    labels = {widget.value for widget in descendants(panel.widget) if isinstance(widget, widgets.Label)}
    assert {"← more accurate", "more private →", "← most exposed", "least exposed →"} <= labels
    assert all(control.description for control in (found.record, found.noise, found.attack))
    assert [label for label, _ in found.noise.options] == ["0 (no privacy)", "1 (ε 11)", "5.6 (ε 1.2)"]
    assert len(found.caption.value) <= 130, "one line under the picture"
    assert not any(isinstance(widget, widgets.Output) for widget in descendants(panel.widget))
    assert plt.get_fignums() == []


@pytest.mark.parametrize("count", [2, 10, 60, 1348, 100_000])
def test_the_stops_rise_from_the_first_rank_to_the_last(count):
    stops = ranks(count)
    assert (stops[0], stops[-1]) == (1, count)
    assert (np.diff(stops) > 0).all()
    assert len(stops) <= 31


def test_what_the_figure_refuses_the_widget_refuses():
    dataset, levels, frontier = WORLD
    with pytest.raises(ValueError, match="not among"):
        explorer(dataset, {3.3: levels[0.0]}, frontier)
