"""Uneven shards in pictures: who waits for whom, forecasts against real runs, what asynchronous updates make unequal."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.plots.live import Picture
from privlab.plots.sharding import TaskBars, bound
from privlab.plots.style import BLACK, BLUE, GREY, SERIES, SKY, VERMILLION, figure, legend_below, styled
from privlab.randomness import stream
from privlab.sharding import Trace, lower_bound, schedule, split_counts
from privlab.sharding.trace import POLICIES

SITES, MOST = 16, 8
HOW = (*POLICIES, "split")  # "split": longest-first over pieces of the large shards
_LOOKS = dict(zip(HOW, (SERIES[4], SERIES[3], SERIES[0], SERIES[2]), strict=True))


@dataclass(frozen=True)
class Race:
    """One round over 16 shards on a virtual clock; one worker of speed 1 would need the time 1 for all of them.

    Parameters
    ----------
    skew : float
        At least 0: the shard of rank r has a size in proportion to ``r ** -skew``; the shards come in a random order.
    workers : int
        From 1 to 8.
    slowness : float
        How many times slower the last worker is than the others, at least 1.
    policy : {"static", "dynamic", "longest-first", "split"}
        As for `privlab.sharding.schedule`; "split" cuts large shards into pieces first (`privlab.sharding.split_counts`).

    Raises
    ------
    ValueError
        If an argument is not allowed.

    >>> print(Race(skew=0, policy="dynamic"))
    skew 0, 4 workers of one speed, dynamic: 4.0 times as fast as one worker; no order of whole shards gets beyond 4.0
    """

    skew: float = 0.8
    workers: int = 4
    slowness: float = 1.0
    policy: str = "static"

    def __post_init__(self) -> None:
        arguments.real("skew", self.skew, at_least=0)
        arguments.real("workers", arguments.whole("workers", self.workers), at_most=MOST)
        arguments.real("slowness", self.slowness, at_least=1)
        arguments.choice("policy", self.policy, HOW)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Size of each shard as a share of all records, shape (16,)."""
        weights = np.arange(1.0, SITES + 1) ** -self.skew
        return np.asarray((weights / weights.sum())[stream(0, "sites").permutation(SITES)])

    @property
    def speeds(self) -> tuple[float, ...]:
        """Of the workers, the slow one last."""
        return (1.0,) * (self.workers - 1) + (1 / self.slowness,)

    @cached_property
    def trace(self) -> Trace:
        """Who does what, when."""
        if self.policy != "split":
            return schedule(self.shares, self.speeds, self.policy)
        counts = split_counts(self.shares, self.workers)
        return schedule(np.repeat(self.shares / counts, counts), self.speeds, "longest-first")

    @property
    def limit(self) -> float:
        """Speed-up over one worker of speed 1 that no order of whole shards beats."""
        return 1 / lower_bound(self.shares, self.speeds)

    def __str__(self) -> str:
        pace = "of one speed" if self.slowness == 1 else f"of which one {self.slowness:g} times slower"
        return (
            f"skew {self.skew:g}, {self.workers} workers {pace}, {self.policy}: {1 / self.trace.makespan:.1f} times as "
            f"fast as one worker; no order of whole shards gets beyond {self.limit:.1f}"
        )


@lru_cache(maxsize=256)
def speed_ups(skew: float, slowness: float) -> dict[str, list[float]]:
    """Speed-up of each policy, and the "limit", on 1 to 8 workers."""
    races = {how: [Race(skew, k, slowness, how) for k in range(1, MOST + 1)] for how in HOW}
    found = {how: [1 / race.trace.makespan for race in several] for how, several in races.items()}
    return found | {"limit": [race.limit for race in races["static"]]}


def race(setting: Race | None = None) -> tuple[Figure, tuple[Axes, Axes]]:
    """A round, and the speed-ups of all policies beside it; the still twin of `privlab.widgets.uneven.race`."""
    picture, axes = race_picture().still(setting or Race())
    return picture, axes


@styled()
def race_picture() -> Picture:
    """The figure of `race` with nothing chosen yet; a setting is a `Race`."""
    picture = figure(8.4, 4.0)
    scene = RaceScene(picture)
    lines = {how: Line2D([], [], color=colour, ls=dash) for how, (colour, dash, _) in _LOOKS.items()}
    legend_below(picture, scene.bars.words | lines, ncols=4, columnspacing=1.4, borderaxespad=0.2)
    return Picture(picture, scene)


class RaceScene:
    """Left who works when, right the speed-up over the number of workers."""

    def __init__(self, picture: Figure) -> None:
        self.axes = picture.add_axes((0.085, 0.29, 0.44, 0.62)), picture.add_axes((0.59, 0.29, 0.38, 0.62))
        left, right = self.axes
        self.bars = TaskBars(left, MOST)
        self.bars.words = {name.replace("this work", "these tasks"): word for name, word in self.bars.words.items()}
        left.set(xlim=(0, 1.03), xlabel="time (one worker alone needs 1)")
        right.set(xlim=(0.7, MOST + 0.3), ylim=(0, MOST + 0.3), xlabel="workers", ylabel="times as fast as one worker")
        x = np.arange(1, MOST + 1)
        (self.limit,) = right.plot(x, x, color=VERMILLION, ls="--", zorder=1.9)
        looks = _LOOKS.items()
        self.lines = {how: right.plot(x, x, color=colour, ls=dash)[0] for how, (colour, dash, _) in looks}
        (self.here,) = right.plot([], [], color=BLACK, marker="o", ms=9, mec="white", ls="", zorder=4)
        self.titles = [axes.set_title("") for axes in self.axes]
        bars = [self.bars.used, self.bars.end, self.bars.bound]
        self.layers = [[*bars, self.limit, *self.lines.values(), self.here, *self.titles]]

    def update(self, setting: Race) -> None:
        """Show one race."""
        self.bars.show(setting.trace)
        found = speed_ups(setting.skew, setting.slowness)
        self.limit.set_ydata(found["limit"])
        for how, line in self.lines.items():
            line.set_ydata(found[how])
            line.set_linewidth(3.2 if how == setting.policy else 1.3)
        self.here.set_data([setting.workers], [1 / setting.trace.makespan])
        over = setting.trace.makespan / bound(setting.trace)
        self.titles[0].set_text(
            f"{setting.policy}: ends at {setting.trace.makespan:.2f}, {over:.2f} times the least time"
        )
        self.titles[1].set_text(f"the largest shard is {100 * setting.shares.max():.0f} % of all")


@styled()
def overlay(simulated: Mapping[str, Trace], measured: Mapping[str, Trace]) -> tuple[Figure, NDArray[Any]]:
    """Real runs, filled, under the frames of what a simulation foretold; the busiest worker comes first.

    Parameters
    ----------
    simulated, measured : mapping from str to Trace
        By policy, in seconds, with events. `ValueError` where they have not the same policies.
    """
    if list(simulated) != list(measured):
        raise ValueError(f"measured has {list(measured)}, but must have {list(simulated)}, like simulated")
    longest = max(trace.makespan for trace in [*simulated.values(), *measured.values()])
    height = 1.0 + sum(0.45 + 0.24 * len(trace.speeds) for trace in simulated.values())
    picture = figure(8.0, height)
    room = {"left": 0.05, "right": 0.98, "top": 1 - 0.3 / height, "bottom": 0.8 / height, "hspace": 0.8}
    rows: NDArray[Any] = picture.subplots(len(simulated), sharex=True, squeeze=False, gridspec_kw=room)[:, 0]
    for axes, policy in zip(rows, simulated, strict=True):
        real, frames = (TaskBars(axes, len(simulated[policy].speeds)) for _ in range(2))
        real.show(_busiest_first(measured[policy]))
        real.used.set_facecolor(SKY)
        frames.show(_busiest_first(simulated[policy]))
        frames.used.set(facecolor="none", edgecolor=BLACK, linewidth=1.2, zorder=3)
        real.bound.set_visible(False)
        frames.end.set_visible(False)
        frames.bound.set_visible(False)
        ends = simulated[policy].makespan, measured[policy].makespan
        axes.set_title(f"{policy}: foretold {ends[0]:.2f} s, took {ends[1]:.2f} s")
        axes.set(yticks=[], ylabel="workers")
    rows[-1].set(xlim=(0, 1.02 * longest), xlabel="seconds")
    words = {"measured": Patch(color=SKY), "foretold": Patch(facecolor="none", edgecolor=BLACK)}
    legend_below(picture, words | {"end": real.words["end"]}, ncols=3, borderaxespad=0.1)
    return picture, rows


def _busiest_first(trace: Trace) -> Trace:
    """The trace with its workers in another order: which of them took what is chance where two become free together."""
    place = np.argsort(np.argsort(-trace.busy, kind="stable"))
    return replace(trace, events=tuple(replace(event, worker=int(place[event.worker])) for event in trace.events))


@styled()
def guesses(true: ArrayLike, guessed: ArrayLike, what: str) -> tuple[Figure, Axes]:
    """What an attacker guessed over the truth, both above 0 and on logarithmic axes; right guesses lie on the line."""
    picture = figure(4.6, 3.6)
    axes = picture.add_axes((0.16, 0.15, 0.8, 0.81))
    both = np.concatenate([np.ravel(true), np.ravel(guessed)])
    ends = both.min() / 1.3, both.max() * 1.3
    axes.plot(ends, ends, color=GREY, ls=":", label="right")
    axes.plot(true, guessed, color=SERIES[1][0], marker=SERIES[1][2], mec="white", ls="", label="guessed")
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel=f"true {what}", ylabel=f"guessed {what}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper left")
    return picture, axes


@styled()
def staleness(traces: Mapping[str, Trace]) -> tuple[Figure, NDArray[Any]]:
    """How stale the updates of asynchronous runs were, and their mean, as a dashed line; one row for each run, on one scale.

    Parameters
    ----------
    traces : mapping from str to Trace
        By what the runs are called; `ValueError` where there is none, or one without events.
    """
    if not traces or not all(trace.events for trace in traces.values()):
        raise ValueError(f"traces is {traces!r}, but must be one or more traces, each with events")
    height = 0.6 + 0.95 * len(traces)
    picture = figure(6.4, height)
    room = {"left": 0.1, "right": 0.97, "top": 1 - 0.3 / height, "bottom": 0.5 / height, "hspace": 0.65}
    rows: NDArray[Any] = picture.subplots(len(traces), sharex=True, squeeze=False, gridspec_kw=room)[:, 0]
    for axes, (name, trace) in zip(rows, traces.items(), strict=True):
        stale = [event.staleness for event in trace.events]
        axes.bar(range(max(stale) + 1), np.bincount(stale), color=BLUE, edgecolor="white", width=1.0)
        axes.axvline(np.mean(stale), color=VERMILLION, ls="--")
        axes.set(yscale="log", ylim=(0.5, 2 * len(stale)), ylabel="answers")
        axes.set_title(f"{name}: mean {np.mean(stale):.1f} (dashed)")
    rows[-1].set_xlabel("steps of the server between a task and its answer")
    return picture, rows


@styled()
def spending(trace: Trace, epsilons: ArrayLike, reported: float) -> tuple[Figure, tuple[Axes, Axes]]:
    """Who was asked when, and what that spent of each shard's records; hatched where more than a report says.

    Parameters
    ----------
    trace : Trace
        Of an asynchronous run, in which no shard has two tasks at a time.
    epsilons : array_like, shape (shards,)
        What was spent of each shard, finite. `ValueError` where a task is of a shard without.
    reported : float
        The one number to compare with.
    """
    spent = arguments.finite_array("epsilons", epsilons, dimensions=1)
    if (last := max((event.task for event in trace.events), default=0)) >= len(spent):
        raise ValueError(f"epsilons has {len(spent)} value(s), but must have one for each of {last + 1} shards")
    rows, height = range(len(spent)), 1.15 + 0.27 * len(spent)
    picture = figure(8.2, height)
    room = {"left": 0.14, "right": 0.97, "top": 1 - 0.32 / height, "bottom": 0.78 / height, "wspace": 0.06}
    left, right = picture.subplots(1, 2, gridspec_kw={"width_ratios": (1.6, 1), **room})
    events = tuple(replace(event, worker=event.task) for event in trace.events)
    bars = TaskBars(left, len(spent))
    bars.show(Trace(events, (1.0,) * len(spent), trace.policy))
    bars.bound.set_visible(False)
    sizes = {event.task: event.size for event in trace.events}
    left.set(xlim=(0, 1.02 * trace.makespan), xlabel="time", title="tasks")
    left.set_yticks(rows, [f"{shard}: {sizes.get(shard, 0)} records" for shard in rows])
    over = spent > reported
    right.barh(rows, np.where(over, 0, spent), color=BLUE)
    right.barh(rows, np.where(over, spent, 0), color=SKY, edgecolor=BLACK, hatch="///")
    right.axvline(reported, color=VERMILLION, ls="--", zorder=3)
    most = 1.2 * max(reported, spent.max())
    for row, value in zip(rows, spent, strict=True):
        right.text(most, row, f"{value:.1f}", ha="right", va="center")
    right.set(ylim=left.get_ylim(), yticks=[], xlim=(0, most), xlabel="ε", title="spent")
    words = {"task": bars.words["task"], f"reported: ε = {reported:.1f}": Line2D([], [], color=VERMILLION, ls="--")}
    more = {"more than that": Patch(facecolor=SKY, edgecolor=BLACK, hatch="///")}
    legend_below(picture, words | more, ncols=3, borderaxespad=0.1)
    return picture, (left, right)
