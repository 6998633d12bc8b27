"""The four panels on made-up results, and what a browser test sees of a panel."""

import io
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from privlab.plots.training import Sweep

PLOTS = Path(__file__).parents[1] / "plots"
SYNTHETIC = runpy.run_path(str(PLOTS / "synthetic.py"))
MEMBERSHIP = runpy.run_path(str(PLOTS / "synthetic_membership.py"))
FRONTIER = SYNTHETIC["gaussian_frontier"]()
SHARDED = SYNTHETIC["sharded_frontier"]()
WORLD = MEMBERSHIP["dataset"](), MEMBERSHIP["levels"](), FRONTIER


def sweep():
    steps = np.arange(10, 301, 10)
    rise = 1 - np.exp(-steps / 50)
    final = 0.9 - 0.1 * np.arange(3)[:, None] - 0.05 * np.arange(4)
    seeds = np.linspace(-0.02, 0.02, 5)[:, None] * rise
    clips, noises, epsilons = (0.1, 0.9, 10.0), (0.0, 0.5, 1.2, 4.0), (np.inf, 25.0, 3.2, 0.7)
    return Sweep(steps, clips, noises, epsilons, final[..., None, None] * rise + seeds, 0.95 * rise + seeds)


SWEEP = sweep()


def descendants(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from descendants(child)


def parts(panel):
    """The parts of a panel by their class, as a browser test finds them."""
    named = {name: widget for widget in descendants(panel.widget) for name in widget._dom_classes}
    return SimpleNamespace(**{name.removeprefix("privlab-").replace("-", "_"): part for name, part in named.items()})


def values(control):
    """What a slider or a list can be set to."""
    return [option[1] if isinstance(option, tuple) else option for option in control.options]


def assert_all_values_differ(control, picture, caption):
    """Each value of a control has a picture and words of its own, and the first one's picture comes back with it."""
    start, first, seen = control.value, bytes(picture.value), []
    for value in values(control):
        control.value = value
        seen.append((bytes(picture.value), caption.value))
    assert len({image for image, _ in seen}) == len({words for _, words in seen}) == len(control.options)
    control.value = start
    assert picture.value == first


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
