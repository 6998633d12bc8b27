"""Noise under sliders: two neighbouring answers overlap, and the attacker's best test weakens."""

from itertools import chain
from typing import Any

import ipywidgets as widgets

from privlab.plots.leakage_scenes import percent
from privlab.plots.noise import describe, overlap_scenes
from privlab.plots.noise_scenes import MECHANISMS
from privlab.widgets.panel import Canvas, Panel, between_words

SCALES = (0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 7.0, 10.0)
FALSE_POSITIVE_RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
_WIDE = {"description_width": "8em"}
_SLIDER = {"width": "420px"}


def overlap() -> Panel:
    """A noisy count with and without one patient, and the ROC of the best test between them, under three controls.

    A button draws new sampled outcomes.

    Returns
    -------
    Panel
        Shows itself at the end of a cell; its still picture is `privlab.plots.noise.overlap` at its defaults.

    Examples
    --------
    >>> overlap().alt.endswith("typical error 1.4 patients")
    True
    """
    view = _Overlap()
    alt = (
        "Two overlapping densities of a noisy count, with and without Ada, sampled answers below them, and the "
        f"attacker's ROC curve in the region that the guarantee allows. {view.caption.value}"
    )
    return Panel(view.widget, bytes(view.picture.value), alt)


class _Overlap:
    """The controls and the picture; each change of a control redraws the picture and rewrites the caption."""

    def __init__(self) -> None:
        figure, self.scenes = overlap_scenes()
        self.canvas = Canvas(figure, [list(chain(*(scene.layer for scene in self.scenes)))])
        self.draw = 0
        self.noise = widgets.SelectionSlider(
            options=[(f"{scale:g}", scale) for scale in SCALES],
            value=1.0,
            description="noise scale",
            style=_WIDE,
            layout=widgets.Layout(**_SLIDER),
        )
        self.rate = widgets.SelectionSlider(
            options=[(percent(rate), rate) for rate in FALSE_POSITIVE_RATES],
            value=0.1,
            description="false alarms",
            style=_WIDE,
            layout=widgets.Layout(**_SLIDER),
        )
        self.mechanism = widgets.Dropdown(options=MECHANISMS, description="mechanism", style=_WIDE)
        self.button = widgets.Button(description="new noise", tooltip="draw new answers of the same mechanism")
        self.picture = widgets.Image(format="png", layout=widgets.Layout(width="840px", max_width="100%"))
        self.caption = widgets.Label()
        for name in ("noise", "mechanism", "button", "picture", "caption"):
            getattr(self, name).add_class(f"privlab-{name}")
        self.rate.add_class("privlab-fpr")
        for control in (self.noise, self.rate, self.mechanism):
            control.observe(self._redraw, "value")
        self.button.on_click(self._draw_again)
        self._redraw()
        choices = widgets.HBox([self.mechanism, self.button], layout=widgets.Layout(margin="0 0 0 9.6em"))
        noise = between_words("more accurate", self.noise, "more private")
        rate = between_words("accuses rarely", self.rate, "accuses often")
        self.widget = widgets.VBox([noise, rate, choices, self.picture, self.caption])

    def _draw_again(self, _: object) -> None:
        self.draw += 1
        self._redraw()

    def _redraw(self, _: Any = None) -> None:
        for scene in self.scenes:
            scene.update(self.mechanism.value, self.noise.value, self.rate.value, self.draw)
        self.picture.value = self.canvas.png()
        self.caption.value = describe(
            mechanism=self.mechanism.value, scale=self.noise.value, false_positive_rate=self.rate.value
        )
