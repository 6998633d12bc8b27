"""DP-SGD under two sliders: choose clip norm and noise multiplier, and see which of the two costs what."""

import math
from typing import Any

import ipywidgets as widgets

from privlab.plots.leakage_scenes import epsilon_text
from privlab.plots.training import Sweep, curves_scene, describe_curves
from privlab.widgets.panel import Canvas, Panel, between_words

_WIDE = {"description_width": "8em"}
_SLIDER = {"width": "400px"}


def clip_and_noise(sweep: Sweep, *, clip_norm: float | None = None, noise_multiplier: float | None = None) -> Panel:
    """Three learning curves, without privacy, clipped, clipped and noised, under a slider for each of the two knobs.

    Parameters
    ----------
    sweep : Sweep
        Precomputed runs; moving a slider trains nothing.
    clip_norm, noise_multiplier : float, optional
        What to show first, each one of the sweep's; `default_setting(sweep)` unless given.

    Returns
    -------
    Panel
        Shows itself at the end of a cell; its still picture is `privlab.plots.training.learning_curves` at that setting.

    Raises
    ------
    ValueError
        If the sweep has no such clip norm or noise multiplier.
    """
    clip, noise = default_setting(sweep)
    clip = clip if clip_norm is None else clip_norm
    noise = noise if noise_multiplier is None else noise_multiplier
    sweep.curves(clip, noise)  # refuses what was not run
    view = _Curves(sweep, clip, noise)
    alt = f"Test accuracy over steps in three curves. {view.caption.value}"
    return Panel(view.widget, bytes(view.picture.value), alt)  # the trait is a view of memory, no bytes


def default_setting(sweep: Sweep) -> tuple[float, float]:
    """The clip norm and the noise multiplier to show first: those nearest to 1, noise if there is any."""
    noises = [sigma for sigma in sweep.noise_multipliers if sigma > 0] or [0.0]
    return min(sweep.clip_norms, key=_from_one), min(noises, key=_from_one)


class _Curves:
    """The two sliders and the picture; each change redraws the picture and rewrites the caption."""

    def __init__(self, sweep: Sweep, clip: float, noise: float) -> None:
        self.sweep = sweep
        figure, self.scene = curves_scene(sweep)
        self.canvas = Canvas(figure, [self.scene.layer])
        spent = zip(sweep.noise_multipliers, sweep.epsilons, strict=True)
        noises = [(f"{sigma:g} ({epsilon_text(epsilon).replace('= ', '')})", sigma) for sigma, epsilon in spent]
        clips = [(f"{norm:g}", norm) for norm in sweep.clip_norms]
        self.noise = self._slider("noise multiplier", noises, noise)
        self.clip = self._slider("clip norm", clips, clip)
        self.picture = widgets.Image(format="png", layout=widgets.Layout(width="700px", max_width="100%"))
        self.caption = widgets.Label()
        for name in ("noise", "clip", "picture", "caption"):
            getattr(self, name).add_class(f"privlab-{name}")
        self._redraw()
        rows = [
            between_words("less noise", self.noise, "more private"),
            between_words("cuts more off", self.clip, "lets more noise in"),
        ]
        self.widget = widgets.VBox([*rows, self.picture, self.caption])

    def _slider(self, name: str, options: list[tuple[str, float]], start: float) -> widgets.SelectionSlider:
        slider = widgets.SelectionSlider(
            options=options, value=start, description=name, style=_WIDE, layout=widgets.Layout(**_SLIDER)
        )
        slider.observe(self._redraw, "value")
        return slider

    def _redraw(self, change: Any = None) -> None:
        setting = self.clip.value, self.noise.value
        self.scene.update(*setting)
        self.picture.value = self.canvas.png()
        self.caption.value = describe_curves(self.sweep, *setting)


def _from_one(value: float) -> float:
    return abs(math.log(value)) if value > 0 else math.inf
