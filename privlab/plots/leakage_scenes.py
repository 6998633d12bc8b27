"""The two pictures of the main experiment as scenes (see `privlab.plots.live`)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from privlab.leakage.frontier import ATTACKS, Frontier, FrontierPoint
from privlab.plots.labels import place
from privlab.plots.style import (
    ALLOWED,
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    epsilon_text,
    in_percent,
    outline,
    percent,
)

Array = NDArray[np.float64]

FRONTIER_RATES = (5e-4, 1.5)  # the y axis, the same for every frontier, attack and rate
CURVE_RATES = (1e-4, 1.0)
RESOLVED = 10  # false positives below which a measured rate says little


def attacks_of(frontier: Frontier) -> tuple[str, ...]:
    """The attacks that every point of the frontier has been through."""
    return tuple(name for name in ATTACKS if all(name in point.attacks for point in frontier.points))


def rate_at(frontier: Frontier, rates: Sequence[float], false_positive_rate: float) -> float:
    """Read a curve between its grid points, as an attacker does who tosses a coin between two thresholds."""
    return float(np.interp(false_positive_rate, frontier.false_positive_rates, rates))


def spread(frontier: Frontier) -> bool:
    """Whether the frontier has several shard counts or trusts: then the server is drawn as a second adversary."""
    return len({(point.shards, point.trust) for point in frontier.points}) > 1


def server_allowed(point: FrontierPoint) -> Sequence[float]:
    """Highest true-positive rates of the server: 1 where it sees sums without noise."""
    return point.allowed if math.isfinite(point.server_epsilon) else (1.0,) * len(point.allowed)


class FrontierScene:
    """Leakage against accuracy; its second layer moves with the point, its first with the attack or the rate.

    Settings with the same noise in the sum of their shards have the same models: they share a place.
    """

    def __init__(self, axes: Axes, frontier: Frontier) -> None:
        self.axes, self.frontier = axes, frontier
        noises = {point.model_noise_multiplier: point for point in reversed(frontier.points)}
        self.points = points = [noises[noise] for noise in sorted(noises)]
        self.places = {noise: i for i, noise in enumerate(sorted(noises))}
        models = frontier.shadow_models
        self.accuracy = 100 * np.array([point.accuracy for point in points])
        # Twice the standard error of the mean: 95 %, as the attacks' bands.
        self.error = 200 * np.array([point.accuracy_sd for point in points]) / math.sqrt(models)
        low, high = (self.accuracy - self.error).min(), (self.accuracy + self.error).max()
        margin = max(1.0, 0.08 * (high - low))
        axes.set(xlim=(low - margin, high + margin), ylim=FRONTIER_RATES, yscale="log")
        axes.set(xlabel=f"test accuracy (%), mean of {models} models", ylabel="members found (true-positive rate)")
        in_percent(axes.yaxis)
        self.lines = self._lines()
        colours = [BLUE if math.isfinite(point.model_epsilon) else VERMILLION for point in points]
        self.upright = axes.vlines(self.accuracy, 1, 1, colors=colours, lw=1.4, zorder=3)
        self.level = axes.hlines(np.ones(len(points)), 0, 1, colors=colours, lw=1.4, zorder=3)
        (self.allowed,) = axes.plot([], [], ls="", marker="v", mfc=ALLOWED, mec=SKY, mew=0.8, zorder=2)
        self.coin = axes.axhline(1, color=GREY, ls=":", lw=1.4, zorder=1)
        stops = np.sort([*axes.get_xlim(), *self.accuracy])
        widest = np.diff(stops).argmax()
        small: dict[str, Any] = {"fontsize": 8, "ha": "center"}
        self.coin_text = axes.text(stops[widest : widest + 2].mean(), 1, "", color=GREY, va="top", **small)
        (self.ring,) = axes.plot([], [], ls="", marker="o", ms=13, mfc="none", mec=BLACK, mew=1.6, zorder=5)
        way: dict[str, Any] = {"color": ORANGE, "lw": 6, "alpha": 0.55, "solid_capstyle": "round", "zorder": 2.5}
        (self.way,) = axes.plot([], [], **way)
        (self.server,) = axes.plot(
            [], [], color=PURPLE, ls=":", lw=1, marker="D", ms=7, mfc="white", mew=1.6, markevery=[1], zorder=5
        )
        self.spread = spread(frontier)
        (self.leaders,) = axes.plot([], [], color="#AAAAAA", lw=0.7, transform=axes.transAxes, zorder=2)
        small |= {"va": "center", "transform": axes.transAxes, "zorder": 6}
        texts = [epsilon_text(point.model_epsilon) for point in points]
        self.named = [i for i, text in enumerate(texts) if text not in texts[:i]]  # each epsilon is written once
        self.labels = [axes.text(0, 0, texts[i], **small) for i in self.named]
        room = [label.get_window_extent().padded(4).size for label in self.labels]
        self.sizes = np.array(room) - (0, 7)
        self.title = axes.set_title("")
        settled = [self.coin, self.coin_text, self.allowed, self.leaders, self.upright, self.level]
        settled += [*(line for _, line in self.lines), *self.labels, self.title]
        self.layers: list[list[Artist]] = [settled, [self.way, self.ring, self.server]]
        self.shown: tuple[str, float] | None = None

    def _lines(self) -> list[tuple[NDArray[np.bool_], Line2D]]:
        """The line of the private points, and the mark of those without privacy: (which points, line)."""
        private = np.array([math.isfinite(point.model_epsilon) for point in self.points])
        (line,) = self.axes.plot([], [], color=BLUE, lw=1, marker="o", mec="white", mew=0.8, ms=7, zorder=4)
        (bare,) = self.axes.plot([], [], color=VERMILLION, ls="", marker="s", mfc="white", mew=1.8, zorder=4)
        return [(private, line), (~private, bare)]

    def update(self, attack: str, false_positive_rate: float, point: FrontierPoint | None) -> None:
        """Show an attack at a false-positive rate, and ring one point (or none)."""
        if self.shown != (attack, false_positive_rate):
            self.shown = (attack, false_positive_rate)
            self._move(attack, false_positive_rate)
        ringed, way = [], slice(0)
        if point is not None:
            ringed = [self.places[point.model_noise_multiplier]]
            way = slice(
                self.places.get(point.noise_multiplier, ringed[0]), ringed[0] + 1
            )  # from where one shard would be
        self.ring.set_data(self.accuracy[ringed], self.found[ringed])
        self.way.set_data(self.accuracy[way], self.found[way])
        if point is not None and self.spread:
            rate = rate_at(self.frontier, server_allowed(point), false_positive_rate)
            self.server.set_data(self.accuracy[ringed * 2], [*self.found[ringed], rate])

    def _move(self, attack: str, rate: float) -> None:
        points = self.points
        results = [point.attacks[attack] for point in points]
        curves = ("true_positive_rates", "low", "high")
        self.found, low, high = (
            np.array([rate_at(self.frontier, getattr(result, name), rate) for result in results]) for name in curves
        )
        allowed = np.array([rate_at(self.frontier, point.model_allowed, rate) for point in points])
        for chosen, line in self.lines:
            line.set_data(self.accuracy[chosen], self.found[chosen])
        low = np.maximum(low, FRONTIER_RATES[0] / 2)  # zero has no place on a logarithmic axis: the bar leaves it
        x, error = self.accuracy, self.error
        self.upright.set_segments([*np.stack([x, low, x, high], 1).reshape(-1, 2, 2)])
        self.level.set_segments([*np.stack([x - error, self.found, x + error, self.found], 1).reshape(-1, 2, 2)])
        self.allowed.set_data(x, allowed)
        self.coin.set_ydata([rate, rate])
        self.coin_text.set(y=rate * (0.75 if self.spread else 0.95), text=f"coin flip: {percent(rate)}")
        self.title.set_text(f"{attack} at {percent(rate)} false positives")
        self._place_labels(low, high, allowed, rate)

    def _place_labels(self, low: Array, high: Array, allowed: Array, rate: float) -> None:
        """Write each epsilon next to its point, clear of points, bars and lines."""
        here = self._pixels(self.accuracy, self.found)
        trails = [self._pixels(*line.get_data()) for chosen, line in self.lines if chosen.sum() > 1]
        steps = np.linspace(0, 1, 7)[:, None, None]
        between = [(trail[:-1] + steps * np.diff(trail, axis=0)).reshape(-1, 2) for trail in trails]
        left, right = self.axes.get_xlim()
        words = self.coin_text.get_window_extent().get_points()
        x, error = self.accuracy, self.error
        spans: Any = [  # lower left and upper right corners, and by how many pixels to grow them
            (here, here, 9),
            (self._pixels(x, low), self._pixels(x, high), 2),
            (self._pixels(x - error, self.found), self._pixels(x + error, self.found), 2),
            (self._pixels(x, allowed), self._pixels(x, allowed), 5),
            *((trail, trail, 2) for trail in between),
            (self._pixels([left], rate), self._pixels([right], rate), 2),
            (words[:1], words[1:], 5),
        ]
        obstacles = np.concatenate([np.hstack([corner - grow, other + grow]) for corner, other, grow in spans])
        here = here[self.named]
        # At whole pixels, where a live picture prints again what it has drawn once.
        centres = place(here, self.sizes, obstacles, self.axes.bbox.extents).round()
        # Fractions of the axes, not pixels: the picture may be saved at another resolution.
        inverse = self.axes.transAxes.inverted()
        for label, centre in zip(self.labels, inverse.transform(centres), strict=True):
            label.set_position(centre)
        edge = np.clip(here, centres - self.sizes / 2, centres + self.sizes / 2)
        far = np.hypot(*(here - edge).T) > 13
        leaders = np.stack([inverse.transform(edge), inverse.transform(here), np.full_like(here, np.nan)], 1)
        self.leaders.set_data(leaders[far].reshape(-1, 2).T)

    def _pixels(self, x: ArrayLike, y: ArrayLike) -> Array:
        pairs = np.column_stack(np.broadcast_arrays(x, np.clip(y, *FRONTIER_RATES)))
        return np.asarray(self.axes.transData.transform(pairs))


class CurveScene:
    """A measured ROC curve inside the region that the guarantee allows, and how far the server may get."""

    def __init__(self, axes: Axes, frontier: Frontier) -> None:
        self.axes, self.frontier = axes, frontier
        self.grid = np.array(frontier.false_positive_rates)
        axes.set(xscale="log", yscale="log", xlim=CURVE_RATES, ylim=CURVE_RATES)
        axes.set(xlabel="false alarms (false-positive rate)", ylabel="members found (true-positive rate)")
        in_percent(axes.xaxis, axes.yaxis)
        (self.region,) = axes.fill([], [], color=ALLOWED, lw=0, zorder=0.6)
        (self.band,) = axes.fill([], [], alpha=0.3, lw=0, zorder=3)
        (self.coin,) = axes.plot(CURVE_RATES, CURVE_RATES, color=GREY, ls=":", lw=1.4, zorder=2)
        axes.text(0.04, 0.034, "coin flip", color=GREY, fontsize=8, va="top", ha="left", rotation=40)
        (self.server,) = axes.plot([], [], color=PURPLE, ls="-.", lw=1.6, zorder=3.5, clip_on=False)
        self.spread = spread(frontier)
        self.bare = next((point for point in frontier.points if math.isinf(point.epsilon)), None)
        (self.unprotected,) = axes.plot([], [], color=VERMILLION, ls="--", lw=1.6, zorder=4)
        (self.unresolved,) = axes.plot([], [], lw=0.9, alpha=0.45, zorder=5)
        (self.measured,) = axes.plot([], [], zorder=5)
        self.line = axes.axvline(1, color=GREY, lw=0.8, zorder=2)
        (self.ceiling,) = axes.plot([], [], ls="", marker="v", mfc=ALLOWED, mec=SKY, mew=0.8, zorder=3, clip_on=False)
        (self.dot,) = axes.plot([], [], ls="", marker="o", ms=7, mec="white", mew=0.8, zorder=6)
        (self.ring,) = axes.plot([], [], ls="", marker="o", ms=13, mfc="none", mec=BLACK, mew=1.6, zorder=6)
        self.title = axes.set_title("")
        self.limit = 2 * RESOLVED / frontier.trials  # half of the trials are non-members
        above: list[Artist] = [self.coin]  # these do not move, but stand on what does
        if self.limit > CURVE_RATES[0]:
            strip = axes.axvspan(CURVE_RATES[0], self.limit, fc="none", ec="#CFCFCF", hatch="////", lw=0, zorder=0.7)
            middle = math.sqrt(CURVE_RATES[0] * self.limit)
            white = {"fc": "white", "ec": "none", "pad": 1.5, "alpha": 0.85}
            words: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "top", "fontsize": 8, "color": GREY}
            above += [strip, axes.text(middle, 0.5, "too few to resolve", bbox=white, **words)]
        lines = [self.unprotected, self.unresolved, self.measured]
        marks = [self.line, self.server, self.ceiling, self.dot, self.ring, self.title]
        self.layers: list[list[Artist]] = [[], [self.region, self.band, *above, *lines, *marks]]

    def update(self, attack: str, false_positive_rate: float, point: FrontierPoint) -> None:
        """Show a point's curve under an attack, and mark a false-positive rate on it."""
        grid, result = self.grid, point.attacks[attack]
        private = math.isfinite(point.model_epsilon)
        colour, dashes = (BLUE, "-") if private else (VERMILLION, "--")
        rates = np.array(result.true_positive_rates)
        few = grid < self.limit
        self.measured.set(data=(grid[~few], rates[~few]), color=colour, linestyle=dashes)
        joined = few.copy()
        joined[: few.sum() + 1] = True  # the faint part meets the firm one
        self.unresolved.set(data=(grid[joined], rates[joined]), color=colour)
        floor = CURVE_RATES[0] / 100  # what is zero is put far below the logarithmic axis
        self.band.set(xy=np.maximum(outline(grid, result.low, result.high), floor), facecolor=colour)
        self.region.set_xy(np.maximum(outline(grid, grid, point.model_allowed), floor))
        bare = self.bare if private else None
        self.unprotected.set_data(
            grid, bare.attacks[attack].true_positive_rates if bare else np.full(len(grid), np.nan)
        )
        found = rate_at(self.frontier, result.true_positive_rates, false_positive_rate)
        allowed = rate_at(self.frontier, point.model_allowed, false_positive_rate)
        self.line.set_xdata([false_positive_rate] * 2)
        self.ceiling.set_data([false_positive_rate], [allowed])
        self.dot.set(data=([false_positive_rate], [found]), markerfacecolor=colour)
        self.ring.set_data([false_positive_rate], [found])
        words = f"found {percent(found)}, allowed {percent(allowed)}"
        if self.spread:
            self.server.set_data(grid, server_allowed(point))
            words += f", the server {percent(rate_at(self.frontier, server_allowed(point), false_positive_rate))}"
            self.title.set_text(words)
        else:
            self.title.set_text(f"noise {point.noise_multiplier:g}, {epsilon_text(point.epsilon)}: {words}")
