"""Shards and tasks in pictures: who holds which labels, who worked when, how many bytes went where, and what would be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.plots.live import Picture
from privlab.plots.style import BLACK, BLUE, GREY, SKY, VERMILLION, figure, in_percent, legend_below, styled
from privlab.randomness import stream
from privlab.sharding import Event, Trace, imbalance, lower_bound, partition, schedule

HOW = ("dirichlet", "power-law")
WORKERS, COST = 4, 10  # of the simulation; a task costs as much as this many records, besides its own
_PIXELS = 1200  # in which a row of shards is drawn


@styled()
def label_mix(shards: Sequence[ArrayLike], labels: ArrayLike) -> tuple[Figure, Axes]:
    """Shards side by side: a column as wide as the shard is large, and the darker at a label, the more records have it.

    Parameters
    ----------
    shards : sequence of int arrays
        Rows of each shard: a partition of the n records, else `ValueError`.
    labels : array_like of int, shape (n,)
    """
    sizes = imbalance(shards, labels).sizes  # refuses what is no partition
    picture = figure(6.0, 3.4)
    axes = picture.add_axes((0.08, 0.15, 0.78, 0.7))
    mix = LabelMix(axes, labels)
    mix.show(shards)
    wide = np.flatnonzero(sizes > 0.025 * sizes.sum())
    axes.secondary_xaxis("top").set_xticks((np.cumsum(sizes) - sizes / 2)[wide], [str(shard) for shard in wide])
    in_percent(picture.colorbar(mix.image, cax=picture.add_axes((0.88, 0.15, 0.02, 0.7))).ax.yaxis)
    axes.set_title("shards, and how much of each is of a label", pad=20)
    return picture, axes


class LabelMix:
    """The columns of `label_mix` on axes."""

    def __init__(self, axes: Axes, labels: ArrayLike) -> None:
        self.kinds, self.codes = np.unique(np.asarray(labels), return_inverse=True)
        shape, height = (len(self.kinds), _PIXELS), len(self.kinds) - 0.5
        look: dict[str, Any] = {"cmap": "Blues", "norm": PowerNorm(0.6, 0, 1), "aspect": "auto", "origin": "lower"}
        extent = (0, len(self.codes), -0.5, height)
        self.image = axes.imshow(np.zeros(shape), extent=extent, interpolation="none", **look)
        self.borders = LineCollection([], colors=BLACK, linewidths=0.6)
        axes.add_collection(self.borders, autolim=False)
        axes.grid(False)
        axes.set(xlabel="records, shard after shard", ylabel="label", yticks=range(shape[0]), yticklabels=self.kinds)

    def show(self, shards: Sequence[ArrayLike]) -> None:
        """Show these shards."""
        classes = len(self.kinds)
        counts = np.array([np.bincount(self.codes[np.asarray(rows, int)], minlength=classes) for rows in shards])
        ends = np.cumsum(counts.sum(1))
        column = np.searchsorted(ends, (np.arange(_PIXELS) + 0.5) / _PIXELS * ends[-1], side="right")
        self.image.set_data((counts / np.maximum(counts.sum(1, keepdims=True), 1))[column].T)
        self.borders.set_segments([[(end, -0.5), (end, classes - 0.5)] for end in ends[:-1]])


@styled()
def gantt(traces: Trace | Mapping[str, Trace], *, unit: str = "seconds") -> tuple[Figure, NDArray[Any]]:
    """Who worked when, the end of the run, and the bound that no schedule of the same work beats.

    Rounds alternate in shade; tasks whose result was not used are hatched; wide bars bear the number of their shard.

    Parameters
    ----------
    traces : Trace, or mapping from str to Trace
        One, or several below each other by their titles and on one clock. `ValueError` where one has no events.
    unit : str
        Of their times.

    Returns
    -------
    (Figure, ndarray of Axes)
        An axes for each trace.
    """
    named = {"": traces} if isinstance(traces, Trace) else dict(traces)
    if not named or not all(trace.events for trace in named.values()):
        raise ValueError(f"traces is {traces!r}, but must be one or more traces, each with events")
    inches = [0.5 + 0.24 * len(trace.speeds) for trace in named.values()]
    height = sum(inches) + 1.0
    picture = figure(8.0, height)
    layout = {"left": 0.095, "right": 0.98, "bottom": 0.8 / height, "top": 1 - 0.3 / height, "hspace": 0.6}
    grid = {"height_ratios": inches, **layout}
    rows: NDArray[Any] = picture.subplots(len(named), sharex=True, squeeze=False, gridspec_kw=grid)[:, 0]
    longest = max(max(trace.makespan, bound(trace)) for trace in named.values())
    for axes, (name, trace) in zip(rows, named.items(), strict=True):
        bars = TaskBars(axes, len(trace.speeds))
        bars.show(trace)
        begin = min(event.start for event in trace.events)
        for event in trace.events:
            if event.end - event.start > 0.03 * longest:
                middle, colour = (event.start + event.end) / 2 - begin, ("white", BLACK)[event.round % 2]
                axes.text(middle, event.worker, str(event.task), color=colour, ha="center", va="center")
        ratio = f"{trace.makespan / bound(trace):.2f} times the bound" if bound(trace) else "no work was of use"
        axes.set_title(f"{name}{': ' if name else ''}{ratio}; workers busy {100 * trace.utilisation:.0f} %")
    rows[-1].set(xlim=(0, 1.02 * longest), xlabel=unit)
    legend_below(picture, bars.words, ncols=4, borderaxespad=0.1)
    return picture, rows


class TaskBars:
    """The bars of `gantt` on axes, and the words of their legend."""

    def __init__(self, axes: Axes, workers: int) -> None:
        self.used = PolyCollection([], edgecolors="white", linewidths=0.7, zorder=2)
        self.unused = PolyCollection([], facecolors=GREY, edgecolors="white", hatch="////", zorder=2)
        for bars in (self.used, self.unused):
            axes.add_collection(bars, autolim=False)
        self.end = axes.axvline(0, color=BLACK, lw=1.2, zorder=3)
        self.bound = axes.axvline(0, color=VERMILLION, ls="--", zorder=3)
        axes.set(ylim=(workers - 0.4, -0.6), yticks=range(workers), yticklabels=[f"worker {i}" for i in range(workers)])
        axes.grid(False, axis="y")
        self.words = {"task": Patch(color=BLUE), "end": Line2D([], [], color=BLACK, lw=1.2)}
        self.words["no schedule of this work ends before"] = Line2D([], [], color=VERMILLION, ls="--")

    def show(self, trace: Trace) -> None:
        """Show this trace, from its first start."""
        begin = min(event.start for event in trace.events)

        def corners(event: Event) -> list[tuple[float, float]]:
            start, end, row = event.start - begin, event.end - begin, event.worker
            return [(start, row - 0.4), (end, row - 0.4), (end, row + 0.4), (start, row + 0.4)]

        used = [event for event in trace.events if event.status == "ok"]
        unused = [event for event in trace.events if event.status != "ok"]
        self.used.set_verts([corners(event) for event in used])
        self.used.set_facecolor([(BLUE, SKY)[event.round % 2] for event in used])
        self.unused.set_verts([corners(event) for event in unused])
        if unused:
            self.words["result not used"] = Patch(facecolor=GREY, edgecolor="white", hatch="////")
        self.end.set_xdata([trace.makespan] * 2)
        self.bound.set_xdata([bound(trace)] * 2)


def bound(trace: Trace) -> float:
    """Least time for the trace's own work: round by round, or all at once where a task did not wait for the others.

    >>> bound(schedule([1, 1, 2, 4], 2, "static"))
    4.0
    """
    used = [event for event in trace.events if event.status == "ok"]
    rounds = np.array([event.round for event in used])
    work = np.array([(event.end - event.start) * trace.speeds[event.worker] for event in used])
    if any(event.staleness for event in used):
        return float(work.sum() / sum(trace.speeds))
    return sum(lower_bound(work[rounds == number], trace.speeds) for number in np.unique(rounds))


@styled()
def traffic(trace: Trace, *, party: str = "task", record_bytes: int = 0) -> tuple[Figure, Axes]:
    """Megabytes that each party received and sent in a run; the server's are in the title.

    Parameters
    ----------
    trace : Trace
    party : {"task", "worker"}
        A pair of bars for each shard, or for each worker.
    record_bytes : int
        Above 0, hollow bars show what it would have received besides, had its records been sent in every round.

    Raises
    ------
    ValueError
        If an argument is not allowed.
    """
    arguments.whole("record_bytes", record_bytes, at_least=0)
    totals = trace.traffic(party)
    server = totals.pop("server")
    names = sorted(totals, key=int)
    received, sent = np.array([totals[name] for name in names]).reshape(-1, 2).T / 1e6
    places, look = np.arange(len(names)), dict[str, Any](width=0.4, edgecolor="white")
    picture = figure(6.0, 3.4)
    axes = picture.add_axes((0.11, 0.15, 0.87, 0.74))
    axes.bar(places - 0.2, received, color=BLUE, label="received", **look)
    axes.bar(places + 0.2, sent, color=SKY, hatch="///", label="sent", **look)
    if record_bytes:
        sizes = [sum(event.size for event in trace.events if getattr(event, party) == name) for name in names]
        look |= {"edgecolor": VERMILLION, "ls": "--", "lw": 1.4, "label": "its records, if they were sent"}
        axes.bar(places - 0.2, np.array(sizes) * record_bytes / 1e6, bottom=received, color="none", **look)
    axes.set(xlabel="shard" if party == "task" else "worker", ylabel="megabytes", xticks=places, xticklabels=names)
    axes.set_title(f"the server received {server[0] / 1e6:.2g} MB and sent {server[1] / 1e6:.2g} MB")
    axes.grid(False, axis="x")
    axes.legend()
    return picture, axes


@dataclass(frozen=True, eq=False)
class Simulation:
    """Shards of these records, in a random order, and one round over them on a virtual clock that counts records.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
    shards : int
        At least 1.
    skew : float
        Above 0: exponent of the power law; Dirichlet's alpha is ``skew**-2``.
    how : {"dirichlet", "power-law"}
    policy : {"static", "dynamic", "longest-first"}

    Raises
    ------
    ValueError
        If an argument is not allowed.

    >>> print(Simulation([0, 1] * 50, shards=4, skew=0.1, how="power-law"))
    4 shards (power-law 0.1), static: largest 1.08 times the mean; 1.00 times the bound, 3.0 times as fast as one worker
    """

    labels: ArrayLike
    shards: int = 12
    skew: float = 1.0
    how: str = HOW[0]
    policy: str = "static"
    rows: list[NDArray[np.intp]] = field(init=False)
    trace: Trace = field(init=False)

    def __post_init__(self) -> None:
        arguments.choice("how", self.how, HOW)
        arguments.real("skew", self.skew, above=0)
        rows = partition(self.labels, self.shards, how=self.how, alpha=self.alpha)
        rows = [rows[shard] for shard in stream(0, "order of shards").permutation(self.shards)]
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "trace", schedule([len(part) + COST for part in rows], WORKERS, self.policy))

    @property
    def alpha(self) -> float:
        """As `partition` takes it."""
        return self.skew**-2 if self.how == "dirichlet" else self.skew

    @property
    def speed_up(self) -> float:
        """Over one worker that has all records in one task."""
        return (np.size(self.labels) + COST) / self.trace.makespan

    def __str__(self) -> str:
        over = imbalance(self.rows, self.labels).largest_over_mean
        return (
            f"{self.shards} shards ({self.how} {float(f'{self.alpha:.2g}'):g}), {self.policy}: largest {over:.2f} times "
            f"the mean; {self.trace.makespan / bound(self.trace):.2f} times the bound, {self.speed_up:.1f} times as fast "
            "as one worker"
        )


def what_if(simulation: Simulation) -> tuple[Figure, tuple[Axes, Axes]]:
    """`label_mix` and `gantt` of a simulation; the still twin of `privlab.widgets.sharding.what_if`."""
    picture, axes = what_if_picture(simulation.labels).still(simulation)
    return picture, axes


@styled()
def what_if_picture(labels: ArrayLike) -> Picture:
    """The figure of `what_if` with nothing chosen yet; a setting is a `Simulation`."""
    picture = figure(8.4, 3.6)
    scene = WhatIfScene(picture, labels)
    legend_below(picture, scene.bars.words, ncols=4, borderaxespad=0.2)
    return Picture(picture, scene)


class WhatIfScene:
    """Left the shards; right their round, over the time that one worker would need."""

    def __init__(self, picture: Figure, labels: ArrayLike) -> None:
        self.axes = picture.add_axes((0.06, 0.27, 0.36, 0.63)), picture.add_axes((0.52, 0.27, 0.46, 0.63))
        left, right = self.axes
        self.mix, self.bars = LabelMix(left, labels), TaskBars(right, WORKERS)
        alone = np.size(labels) + COST
        right.set(xlim=(0, alone + 12 * COST), xlabel="time (in records)")  # room for the last of many small tasks
        right.axvline(alone, color=GREY, ls=":")
        right.text(alone, WORKERS - 0.5, "one worker ", color=GREY, ha="right")
        self.titles = [axes.set_title("") for axes in self.axes]
        moving = [self.mix.image, self.mix.borders, self.bars.used, self.bars.end, self.bars.bound]
        self.layers = [[*moving, *self.titles]]

    def update(self, simulation: Simulation) -> None:
        """Show a simulation of these labels."""
        self.mix.show(simulation.rows)
        self.bars.show(simulation.trace)
        uneven = imbalance(simulation.rows, simulation.labels)
        self.titles[0].set_text(f"{simulation.shards} shards; {100 * uneven.divergence:.0f} % would need another label")
        self.titles[1].set_text(f"{simulation.policy}: {simulation.speed_up:.1f} times as fast as one worker")
