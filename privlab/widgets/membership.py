"""Who was in the training set, under sliders: a record, the noise, the attack."""

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np

from privlab.data import Dataset
from privlab.leakage.frontier import Frontier
from privlab.leakage.shadows import Shadows
from privlab.plots.leakage_scenes import epsilon_text
from privlab.plots.membership import explorer_scene
from privlab.widgets.panel import Canvas, Panel, between_words

_STYLE = {"description_width": "8em"}
_STOPS = 31


def explorer(dataset: Dataset, shadows: Mapping[float, Shadows], frontier: Frontier) -> Panel:
    """One record's two bells and what an attack finds of it, from the most to the least exposed record.

    Parameters
    ----------
    dataset : Dataset
        Of pictures.
    shadows : mapping of float to Shadows
        What shadow models say, by noise multiplier.
    frontier : Frontier
        The same experiment's results, with a point at each of these noise multipliers.

    Returns
    -------
    Panel
        Shows itself at the end of a cell; its still picture is `privlab.plots.membership.explorer` at the default settings.

    Raises
    ------
    ValueError
        As `privlab.plots.membership.explorer`.
    """
    view = _Explorer(dataset, shadows, frontier)
    alt = f"A record over the answers of the models with and without it, beside a ROC curve. {view.caption.value}"
    return Panel(view.widget, bytes(view.picture.value), alt)


class _Explorer:
    """The controls and the picture; each change of a control redraws the picture and rewrites the caption."""

    def __init__(self, dataset: Dataset, shadows: Mapping[float, Shadows], frontier: Frontier) -> None:
        figure, self.scene = explorer_scene(dataset, shadows, frontier)
        self.canvas = Canvas(figure, self.scene.layers)
        self.record = widgets.SelectionSlider(
            options=[(f"rank {rank:,}", self.scene.order[rank - 1]) for rank in ranks(len(self.scene.order))],
            description="record",
            style=_STYLE,
            layout=widgets.Layout(width="460px"),
        )
        names = {noise: epsilon_text(self.scene.points[noise].epsilon).replace("= ", "") for noise in sorted(shadows)}
        self.noise = widgets.SelectionSlider(
            options=[(f"{noise:g} ({name})", noise) for noise, name in names.items()],
            description="noise multiplier",
            style=_STYLE,
            layout=widgets.Layout(width="460px"),
        )
        self.attack = widgets.Dropdown(
            options=self.scene.attacks,
            description="attack",
            style=_STYLE,
            layout=widgets.Layout(margin="2px 2px 2px 9.8em"),
        )
        self.picture = widgets.Image(format="png", layout=widgets.Layout(width="840px", max_width="100%"))
        self.caption = widgets.Label()
        for name in ("record", "noise", "attack", "picture", "caption"):
            getattr(self, name).add_class(f"privlab-{name}")
        for control in (self.record, self.noise, self.attack):
            control.observe(self._redraw, "value")
        self._redraw()
        record = between_words("most exposed", self.record, "least exposed")
        noise = between_words("more accurate", self.noise, "more private")
        self.widget = widgets.VBox([record, noise, self.attack, self.picture, self.caption])

    def _redraw(self, change: Any = None) -> None:
        self.scene.update(self.record.value, self.noise.value, self.attack.value)
        self.picture.value = self.canvas.png(changed=1 if change and change["owner"] is self.record else 0)
        self.caption.value = self.scene.words


def ranks(count: int) -> list[int]:
    """Stops of the slider among ``count`` ranks: dense among the first, sparse towards the last.

    >>> ranks(1348)[:6], ranks(1348)[-2:]
    ([1, 2, 3, 4, 5, 7], [1060, 1348])
    """
    return np.unique(np.geomspace(1, count, _STOPS).round().astype(int)).tolist()
