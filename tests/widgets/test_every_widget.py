"""What holds for each panel of the kit."""

import runpy
import time
from pathlib import Path
from statistics import median

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
from panels import FRONTIER, PLOTS, SHARDED, SWEEP, WORLD, assert_all_values_differ, descendants, parts, pixels, values

from privlab.leakage.tour import Tour
from privlab.plots import dashboard as still_dashboard
from privlab.plots import png
from privlab.plots.audit import threshold as still_threshold
from privlab.plots.canaries import explorer as still_canaries
from privlab.plots.inversion import recovery as still_recovery
from privlab.plots.leaks import threat_map as still_map
from privlab.plots.membership import explorer as still_explorer
from privlab.plots.noise import overlap as still_overlap
from privlab.plots.training import learning_curves
from privlab.plots.uneven import Race
from privlab.plots.uneven import race as still_race
from privlab.widgets import dashboard
from privlab.widgets.audit import threshold
from privlab.widgets.canaries import explorer as canaries
from privlab.widgets.inversion import recovery
from privlab.widgets.leaks import threat_map
from privlab.widgets.membership import explorer
from privlab.widgets.noise import overlap
from privlab.widgets.training import clip_and_noise
from privlab.widgets.uneven import race

CANARIES = runpy.run_path(str(PLOTS / "synthetic_canaries.py"))["memorised"]()
RECOVERIES = runpy.run_path(str(PLOTS / "synthetic_inversion.py"))["recoveries"]()
TOUR = Tour.load(Path(__file__).parents[2] / "notebooks" / "results" / "museum.json")
PANELS = {
    "dashboard": lambda: dashboard(FRONTIER),
    "over shards": lambda: dashboard(SHARDED),
    "overlap": overlap,
    "curves": lambda: clip_and_noise(SWEEP),
    "explorer": lambda: explorer(*WORLD),
    "race": race,
    "canaries": lambda: canaries(CANARIES),
    "recovery": lambda: recovery(RECOVERIES),
    "threat map": threat_map,
    "threshold": lambda: threshold(TOUR),
}
CONTROLS = {
    "dashboard": ("noise", "attack", "fpr"),
    "over shards": ("noise", "shards", "trust", "attack", "fpr"),
    "overlap": ("noise", "fpr", "mechanism"),
    "curves": ("noise", "clip"),
    "explorer": ("record", "noise", "attack"),
    "race": ("skew", "workers", "slowness", "policy"),
    "canaries": ("copies", "noise"),
    "recovery": ("batch", "noise"),
    "threat map": ("adversary", "defence"),
    "threshold": ("noise", "trials", "bug", "without"),
}
TWINS = {  # the figure that a panel starts with, another figure, and how far apart they are
    "dashboard": (
        lambda: still_dashboard(FRONTIER),
        lambda: still_dashboard(FRONTIER, FRONTIER.points[0], false_positive_rate=0.1),
        3,
    ),
    "over shards": (
        lambda: still_dashboard(SHARDED),
        lambda: still_dashboard(SHARDED, SHARDED.points[-1], false_positive_rate=0.1),
        3,
    ),
    "overlap": (still_overlap, lambda: still_overlap(scale=7.0), 3),
    "curves": (lambda: learning_curves(SWEEP, 0.9, 1.2), lambda: learning_curves(SWEEP, 10.0, 4.0), 2),
    "explorer": (lambda: still_explorer(*WORLD), lambda: still_explorer(*WORLD, noise_multiplier=5.6), 2),
    "race": (still_race, lambda: still_race(Race(1.4, 8, 2.0, "split")), 2),
    "canaries": (
        lambda: still_canaries(CANARIES),
        lambda: still_canaries(CANARIES, repetitions=16, noise_multiplier=1.5),
        2,
    ),
    "recovery": (lambda: still_recovery(RECOVERIES), lambda: still_recovery(RECOVERIES, 8, 0.1), 3),
    "threat map": (still_map, lambda: still_map("server", "noise mask"), 3),
    "threshold": (
        lambda: still_threshold(TOUR),
        lambda: still_threshold(TOUR, "NaN kept", place=18, trials=800, without="audit"),
        2,
    ),
}
ENDS = {
    "dashboard": {"← more accurate", "more private →", "← fewer", "more →"},
    "over shards": {"← more accurate", "more private →", "← one place", "many places →", "← fewer", "more →"},
    "overlap": {"← more accurate", "more private →", "← accuses rarely", "accuses often →"},
    "curves": {"← less noise", "more private →", "← cuts more off", "lets more noise in →"},
    "explorer": {"← more accurate", "more private →", "← most exposed", "least exposed →"},
    "race": {"← all alike", "one giant →", "← few", "many →", "← as fast", "a straggler →"},
    "canaries": {"← more accurate", "more private →", "← rare", "repeated →"},
    "recovery": {"← more accurate", "more private →", "← one record", "a crowd →"},
    "threat map": {"← nothing", "everything →", "← outsider", "insider →"},
    "threshold": {"← accuses many", "accuses few →", "← quick", "sure →"},
}


@pytest.fixture(scope="module", params=PANELS)
def made(request):
    """A panel's name, the panel, and the values that its controls start with."""
    panel = PANELS[request.param]()
    return request.param, panel, {name: control.value for name, control in panel.controls.items()}


@pytest.fixture
def panel(made):
    yield made[1]
    for name, value in made[2].items():
        made[1].controls[name].value = value


@pytest.fixture
def name(made):
    return made[0]


def test_a_panel_starts_with_its_still_and_its_words(panel):
    found = parts(panel)
    assert found.picture.value == panel.still
    assert found.picture.layout.width == f"{pixels(panel.still).shape[1]}px"
    assert pixels(panel.still).shape[1] <= 840
    assert panel.alt.endswith(found.caption.value)
    assert type(panel._repr_mimebundle_()[0]["image/png"]) is bytes, "what a kernel can send"


def test_the_picture_is_that_of_the_static_twin(name, panel):
    live, (twin, other, apart) = pixels(panel.still), TWINS[name]
    same = pixels(png(twin()[0]))
    assert same.shape == live.shape
    assert np.abs(same - live).mean() < 1, "axes under, not over, what moves; fewer colours"
    assert np.abs(pixels(png(other()[0])) - live).mean() > apart


def test_each_control_changes_picture_and_words_and_back(name, panel):
    found = parts(panel)
    for control in (getattr(found, control) for control in CONTROLS[name]):
        assert_all_values_differ(control, found.picture, found.caption)
        assert found.picture.value == panel.still
        assert panel.alt.endswith(found.caption.value)


def test_any_order_of_moves_gives_the_same_picture(name, panel):
    first, second = parts(panel), parts(PANELS[name]())
    for found, names in ((first, CONTROLS[name]), (second, CONTROLS[name][::-1])):
        for control in names:
            getattr(found, control).value = values(getattr(found, control))[-1]
    assert first.picture.value == second.picture.value
    assert first.picture.value != panel.still


def test_a_redraw_takes_less_than_a_tenth_of_a_second(name, panel):
    for control in (getattr(parts(panel), control) for control in CONTROLS[name]):
        spent = []
        for i in range(12):
            start = time.process_time()
            control.value = values(control)[(i + 1) % 2]
            spent.append(time.process_time() - start)
        assert median(spent) < 0.1


def test_controls_speak(name, panel):
    found = parts(panel)
    assert {widget.value for widget in descendants(panel.widget) if isinstance(widget, widgets.Label)} >= ENDS[name]
    assert all(getattr(found, control).description for control in CONTROLS[name])
    assert not any(isinstance(widget, widgets.Output) for widget in descendants(panel.widget))
    assert plt.get_fignums() == []
