"""The main experiment under sliders: choose noise, shards, trust, attack and false alarms; see what they cost and find."""

import itertools
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import ipywidgets as widgets

from privlab.arguments import real
from privlab.leakage.frontier import Frontier, FrontierPoint
from privlab.plots.leakage import dashboard_picture, default_point, describe
from privlab.plots.leakage_scenes import attacks_of
from privlab.plots.style import percent
from privlab.widgets.panel import WIDE, Panel, choice, noise_label, slider

TRUSTS = {
    "central": "central: the server adds noise",
    "secure-sum": "secure sum: server sees the total",
    "local": "local: each shard adds noise",
}
FALSE_POSITIVE_RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
NOISE_LIMIT = 100.0  # what a live run accepts; far beyond any use


def dashboard(frontier: Frontier, dataset: Any = None) -> Panel:
    """Leakage against accuracy, and the allowed region with the measured curve, under three to five controls.

    A frontier of several shard counts has a slider for them, one of several trusts a list of them.

    Parameters
    ----------
    frontier : Frontier
        The results to show. The still picture is `privlab.plots.dashboard` at the default settings.
    dataset : Dataset, optional
        The data of which the frontier was made. With it, a button computes the whole experiment at a further noise
        multiplier, for each shard count and trust: some seconds to minutes.

    Raises
    ------
    ValueError
        If the frontier has no points or no attack common to all, not every noise multiplier for each shard count and trust,
        or if `dataset` is not the frontier's.
    """
    if not frontier.points or not attacks_of(frontier):
        raise ValueError(
            f"frontier has {len(frontier.points)} points, but must have some, with an attack common to all"
        )
    settings = {_setting(point) for point in frontier.points}
    if missing := sorted({*itertools.product(*map(set, zip(*settings, strict=True)))} - settings):
        raise ValueError(f"frontier has no point at trust, shards, noise {missing[0]}, but must have all combinations")
    if dataset is not None and dataset.name != frontier.dataset:
        raise ValueError(f"dataset is {dataset.name!r}, but the frontier was made of {frontier.dataset!r}")
    view = _Dashboard(frontier)
    if dataset is not None:
        view.panel.widget.children += (_LiveRun(view, dataset).row,)
    return view.panel


class _Dashboard:
    """The panel, whose frontier may grow."""

    def __init__(self, frontier: Frontier) -> None:
        self._set_frontier(frontier)
        self.first = default_point(frontier)
        self.trusts = [trust for trust in TRUSTS if trust in {point.trust for point in frontier.points}]
        self.shards = sorted({point.shards for point in frontier.points})
        start, end = frontier.false_positive_rates[0], frontier.false_positive_rates[-1]
        rates = [rate for rate in FALSE_POSITIVE_RATES if start <= rate <= end]
        usual = min(rates, key=lambda rate: abs(math.log(rate / 0.01)))
        ends = ("more accurate", "more private")
        controls = {"noise": slider("noise multiplier", self._noise_options(), self.first.noise_multiplier, ends=ends)}
        if len(self.shards) > 1:
            controls["shards"] = slider("shards", self.shards, self.first.shards, ends=("one place", "many places"))
        if len(self.trusts) > 1:
            controls["trust"] = choice("trust", [(TRUSTS[trust], trust) for trust in self.trusts])
        self.panel = Panel(
            self._draw,
            "Two charts, leakage against accuracy and ROC curves within what the guarantee allows.",
            **controls,
            attack=choice("attack", attacks_of(frontier)),
            fpr=slider("false alarms", [(percent(rate), rate) for rate in rates], usual, ends=("fewer", "more")),
        )

    def _set_frontier(self, frontier: Frontier) -> None:
        self.frontier, self.picture = frontier, dashboard_picture(frontier)
        self.points = {_setting(point): point for point in frontier.points}

    def _draw(
        self, noise: float, attack: str, fpr: float, shards: int | None = None, trust: str | None = None
    ) -> tuple[bytes, str]:
        point = self.points[trust or self.first.trust, shards or self.first.shards, noise]
        words = describe(self.frontier, point, attack=attack, false_positive_rate=fpr)
        return self.picture.png(attack, fpr, point), words

    def _noise_options(self) -> list[tuple[str, float]]:
        epsilons = {point.noise_multiplier: point.epsilon for point in self.frontier.points}
        return [(noise_label(noise, epsilons[noise]), noise) for noise in sorted(epsilons)]

    def add(self, points: Iterable[FrontierPoint]) -> None:
        """Show the frontier with more points, or with points replaced, and choose their noise."""
        new = {_setting(point): point for point in points}
        merged = self.points | new
        self._set_frontier(replace(self.frontier, points=tuple(merged[setting] for setting in sorted(merged))))
        # New options would for a moment choose the first: one picture, not three.
        noise = self.panel.controls["noise"]
        noise.unobserve(self.panel.redraw, "value")
        noise.options = self._noise_options()
        noise.value = next(iter(new.values())).noise_multiplier
        noise.observe(self.panel.redraw, "value")
        self.panel.redraw()


class _LiveRun:
    """A row that computes the experiment at a further noise multiplier, all else as in the frontier."""

    def __init__(self, view: _Dashboard, dataset: Any) -> None:
        self.view, self.dataset = view, dataset
        self.wish = widgets.FloatText(
            value=1.5, step=0.1, description="another noise", style=WIDE, layout=widgets.Layout(width="220px")
        )
        self.button = widgets.Button(description="run live", tooltip="train the shadow models and attack them, now")
        self.message = widgets.Label()
        self.busy = widgets.IntProgress(min=0, layout=widgets.Layout(display="none", width="160px"))
        for name in ("wish", "button", "message"):
            getattr(self, name).add_class(f"privlab-live-{name}")
        self.button.on_click(self._run)
        self.row = widgets.HBox([self.wish, self.button, self.busy, self.message])

    def _run(self, _: object) -> None:
        try:
            wish = real("noise multiplier", self.wish.value, at_least=0, at_most=NOISE_LIMIT)
        except ValueError as error:
            self.message.value = str(error)
            return
        self.message.value = f"training {self.view.frontier.shadow_models} models at noise {wish:g} ..."
        self.button.disabled, self.busy.value, self.busy.layout.display = True, 0, ""
        try:
            self.view.add(self._compute(wish).points)
            self.message.value = f"added noise {wish:g}"
        except Exception as error:  # whatever goes wrong is told to the reader, who sees no traceback here
            self.message.value = ""
            self.view.panel.caption.value = f"noise {wish:g} was not computed: {error}"
        finally:
            self.button.disabled, self.busy.layout.display = False, "none"

    def _compute(self, wish: float) -> Frontier:
        import privlab.leakage

        frontier = self.view.frontier
        result: Frontier = privlab.leakage.leakage_vs_accuracy(
            self.dataset,
            noise_multipliers=(wish,),
            shards=self.view.shards,
            trust=self.view.trusts,
            shadow_models=frontier.shadow_models,
            delta=self.view.first.delta,
            seed=frontier.seed,
            recipe=frontier.recipe,
            progress=self._show_progress,
        )
        if result.false_positive_rates != frontier.false_positive_rates:
            raise ValueError("the new result has other false-positive rates than the frontier")
        return result

    def _show_progress(self, done: int, total: int) -> None:
        self.busy.max, self.busy.value = total, done


def _setting(point: FrontierPoint) -> tuple[str, int, float]:
    return point.trust, point.shards, point.noise_multiplier
