"""The main experiment under sliders: choose noise, attack and false alarms, and see what they cost and find."""

import math
from dataclasses import replace
from itertools import chain
from typing import Any

import ipywidgets as widgets

from privlab.arguments import real
from privlab.leakage.frontier import Frontier, FrontierPoint
from privlab.plots.leakage import dashboard_scenes, default_point, describe
from privlab.plots.leakage_scenes import attacks_of, epsilon_text, percent
from privlab.widgets.panel import Canvas, Panel, between_words

FALSE_POSITIVE_RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
NOISE_LIMIT = 100.0  # what a live run accepts; far beyond any use
_WIDE = {"description_width": "8em"}


def dashboard(frontier: Frontier, dataset: Any = None) -> Panel:
    """Leakage against accuracy, and the allowed region with the measured curve, under three controls.

    Parameters
    ----------
    frontier : Frontier
        The results to show.
    dataset : Dataset, optional
        The data of which the frontier was made. With it, a button computes a further point: the whole experiment at
        one noise multiplier, some seconds to minutes.

    Returns
    -------
    Panel
        Shows itself at the end of a cell; its still picture is `privlab.plots.dashboard` at the default settings.

    Raises
    ------
    ValueError
        If the frontier has no points or no attack common to all, or `dataset` is not the frontier's.
    """
    if not frontier.points or not attacks_of(frontier):
        raise ValueError(
            f"frontier has {len(frontier.points)} points, but must have some, with an attack common to all"
        )
    if dataset is not None and dataset.name != frontier.dataset:
        raise ValueError(f"dataset is {dataset.name!r}, but the frontier was made of {frontier.dataset!r}")
    view = _Dashboard(frontier, dataset)
    alt = f"Two charts, leakage against accuracy and ROC curves within what the guarantee allows. {view.caption.value}"
    return Panel(view.widget, bytes(view.picture.value), alt)  # the trait is a view of memory, no bytes


class _Dashboard:
    """The controls and the picture; each change of a control redraws the picture and rewrites the caption."""

    def __init__(self, frontier: Frontier, dataset: Any) -> None:
        self.dataset = dataset
        self._set_frontier(frontier)
        attacks = attacks_of(frontier)
        start, end = frontier.false_positive_rates[0], frontier.false_positive_rates[-1]
        rates = [rate for rate in FALSE_POSITIVE_RATES if start <= rate <= end]
        self.noise = widgets.SelectionSlider(
            options=self._noise_options(),
            value=default_point(frontier),
            description="noise multiplier",
            style=_WIDE,
            layout=widgets.Layout(width="460px"),
        )
        self.attack = widgets.Dropdown(
            options=attacks, description="attack", style=_WIDE, layout=widgets.Layout(margin="2px 2px 2px 9.8em")
        )
        self.rate = widgets.SelectionSlider(
            options=[(percent(rate), rate) for rate in rates],
            value=min(rates, key=lambda rate: abs(math.log(rate / 0.01))),
            description="false alarms",
            style=_WIDE,
            layout=widgets.Layout(width="460px"),
        )
        self.picture = widgets.Image(format="png", layout=widgets.Layout(width="840px", max_width="100%"))
        self.caption = widgets.Label()
        for name in ("noise", "attack", "rate", "picture", "caption"):
            getattr(self, name).add_class(f"privlab-{'fpr' if name == 'rate' else name}")
        for control in (self.noise, self.attack, self.rate):
            control.observe(self._redraw, "value")
        self._redraw()
        noise = between_words("more accurate", self.noise, "more private")
        rate = between_words("fewer", self.rate, "more")
        live = [] if dataset is None else [self._live_row()]
        self.widget = widgets.VBox([noise, self.attack, rate, self.picture, self.caption, *live])

    def _set_frontier(self, frontier: Frontier) -> None:
        self.frontier = frontier
        figure, self.scenes = dashboard_scenes(frontier)
        layers = zip(*(scene.layers for scene in self.scenes), strict=True)
        self.canvas = Canvas(figure, [list(chain(*parts)) for parts in layers])

    def _noise_options(self) -> list[tuple[str, FrontierPoint]]:
        several = len({(point.shards, point.trust) for point in self.frontier.points}) > 1
        options = []
        for point in self.frontier.points:
            split = f", {point.shards} shards, {point.trust}" if several else ""
            guarantee = epsilon_text(point.epsilon).replace("= ", "")
            options.append((f"{point.noise_multiplier:g}{split} ({guarantee})", point))
        return options

    def _redraw(self, change: Any = None) -> None:
        attack, rate, point = self.attack.value, self.rate.value, self.noise.value
        for scene in self.scenes:
            scene.update(attack, rate, point)
        self.picture.value = self.canvas.png(changed=1 if change and change["owner"] is self.noise else 0)
        self.caption.value = describe(self.frontier, point, attack=attack, false_positive_rate=rate)

    def _live_row(self) -> widgets.HBox:
        self.wish = widgets.FloatText(
            value=1.5, step=0.1, description="noise multiplier", style=_WIDE, layout=widgets.Layout(width="220px")
        )
        self.button = widgets.Button(description="run live", tooltip="train the shadow models and attack them, now")
        self.message = widgets.Label()
        self.busy = widgets.IntProgress(min=0, layout=widgets.Layout(display="none", width="160px"))
        for name in ("wish", "button", "message"):
            getattr(self, name).add_class(f"privlab-live-{name}")
        self.button.on_click(self._run_live)
        return widgets.HBox([self.wish, self.button, self.busy, self.message])

    def _run_live(self, _: object) -> None:
        try:
            wish = real("noise multiplier", self.wish.value, at_least=0, at_most=NOISE_LIMIT)
        except ValueError as error:
            self.message.value = str(error)
            return
        self.message.value = f"training {self.frontier.shadow_models} models at noise {wish:g} ..."
        self.button.disabled, self.busy.value, self.busy.layout.display = True, 0, ""
        try:
            self._add(self._compute(wish))
            self.message.value = f"added noise {wish:g}"
        except Exception as error:  # whatever goes wrong is told to the reader, who sees no traceback here
            self.message.value = ""
            self.caption.value = f"noise {wish:g} was not computed: {error}"
        finally:
            self.button.disabled, self.busy.layout.display = False, "none"

    def _compute(self, wish: float) -> FrontierPoint:
        """The experiment at one noise multiplier, all else as at the chosen point."""
        import privlab.leakage

        chosen = self.noise.value
        result: Frontier = privlab.leakage.leakage_vs_accuracy(
            self.dataset,
            noise_multipliers=(wish,),
            shards=(chosen.shards,),
            trust=chosen.trust,
            shadow_models=self.frontier.shadow_models,
            delta=chosen.delta,
            seed=self.frontier.seed,
            recipe=self.frontier.recipe,
            progress=self._show_progress,
        )
        if result.false_positive_rates != self.frontier.false_positive_rates:
            raise ValueError("the new result has other false-positive rates than the frontier")
        return result.points[0]

    def _show_progress(self, done: int, total: int) -> None:
        self.busy.max, self.busy.value = total, done

    def _add(self, point: FrontierPoint) -> None:
        """Show the frontier with one point more, or with a point replaced, and choose it."""
        key = _setting(point)
        points = [other for other in self.frontier.points if _setting(other) != key] + [point]
        self._set_frontier(replace(self.frontier, points=tuple(sorted(points, key=_setting))))
        # New options would for a moment choose the first: one picture, not three.
        self.noise.unobserve(self._redraw, "value")
        self.noise.options = self._noise_options()
        self.noise.value = point
        self.noise.observe(self._redraw, "value")
        self._redraw()


def _setting(point: FrontierPoint) -> tuple[float, int, str]:
    return point.noise_multiplier, point.shards, point.trust
