"""Scaling out in pictures: what a round costs on more workers, and what its bytes cost with more clients."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from privlab import arguments
from privlab.plots.live import Picture
from privlab.plots.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    SERIES,
    SKY,
    figure,
    in_percent,
    legend_below,
    outline,
    styled,
)
from privlab.sharding.costs import Calibration, RoundCost, round_cost

WORKERS = tuple(2**i for i in range(11))
RECORDS, PARAMETERS = 600, 101_770  # of a client; of a network of 784, 128 and 10 units
FLOPS, OVERHEAD = 5e10, 7e-3  # typical of one core, and of a task on Dask
TASKS = ("one per worker", "one per client")
_PARTS = ("useful work", "idle", "transfer", "overhead")
_LOOKS = dict(zip(_PARTS, ((BLUE, ""), ("white", "...."), (ORANGE, "///"), (SKY, "\\\\\\")), strict=True))
_DASHES = {"work": (BLUE, "-"), "transfer": (ORANGE, "--"), "overhead": (SKY, "-."), "whole round": (BLACK, "-")}


@dataclass(frozen=True)
class Scale:
    """A round of clients with 600 records each, for a model of 101,770 parameters, on workers of 50 Gflop/s.

    The driver needs 7 ms for a message. These constants are typical, not measured.

    Parameters
    ----------
    workers : int
        At least 1. Whole clients are shared out, so a worker may be idle.
    bandwidth : float
        Of the driver in bit per second, above 0.
    clients : int
        At least 1.
    tasks : {"one per worker", "one per client"}
        What a message is for: all clients of a worker, added up there, or each client.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    >>> print(Scale())
    16 workers, 10 Gbit/s, 1,000 clients, one message per worker: 0.58 s a round, efficiency 78 %; fastest with 32 workers
    """

    workers: int = 16
    bandwidth: float = 1e10
    clients: int = 1_000
    tasks: str = TASKS[0]

    def __post_init__(self) -> None:
        for name in ("workers", "clients"):
            arguments.whole(name, getattr(self, name))
        arguments.real("bandwidth", self.bandwidth, above=0)
        arguments.choice("tasks", self.tasks, TASKS)

    def cost(self, workers: int) -> RoundCost:
        """Of a round on this many workers."""
        return round_cost(
            Calibration(FLOPS, self.bandwidth / 8, OVERHEAD),
            records=RECORDS * self.clients,
            parameters=PARAMETERS,
            messages=min(workers, self.clients) if self.tasks == TASKS[0] else self.clients,
            workers=workers,
            imbalance=math.ceil(self.clients / workers) * workers / self.clients,
        )

    @cached_property
    def costs(self) -> dict[int, RoundCost]:
        """On 1, 2, 4, ... 1,024 workers."""
        return {workers: self.cost(workers) for workers in WORKERS}

    def shares(self, workers: int) -> tuple[float, ...]:
        """Of a worker's time: useful work (the efficiency), idle, transfer, overhead."""
        cost, useful = self.cost(workers), self.cost(1).compute / workers
        return tuple(part / cost.total for part in (useful, cost.compute - useful, cost.transfer, cost.overhead))

    def __str__(self) -> str:
        fastest = min(self.costs, key=lambda workers: self.costs[workers].total)
        return (
            f"{self.workers:,} workers, {self.bandwidth / 1e9:g} Gbit/s, {self.clients:,} clients, one message "
            f"{self.tasks.removeprefix('one ')}: {_clock(self.cost(self.workers).total)} a round, efficiency "
            f"{100 * self.shares(self.workers)[0]:.2g} %; fastest with {fastest:,} workers"
        )


def scaling(setting: Scale | None = None) -> tuple[Figure, tuple[Axes, Axes]]:
    """Seconds of a round, and where a worker's time goes, over workers; the twin of `privlab.widgets.scaling.scaling`."""
    picture, axes = scaling_picture().still(setting or Scale())
    return picture, axes


@styled()
def scaling_picture() -> Picture:
    """The figure of `scaling` with nothing chosen yet; a setting is a `Scale`."""
    picture = figure(8.4, 4.0)
    words: dict[str, Any] = {name: Line2D([], [], color=c, ls=dash) for name, (c, dash) in _DASHES.items()}
    words |= {f"share: {name}": Patch(facecolor=c, hatch=hatch, edgecolor=GREY) for name, (c, hatch) in _LOOKS.items()}
    legend_below(picture, words, ncols=4, columnspacing=1.4, borderaxespad=0.2)
    return Picture(picture, ScalingScene(picture))


class ScalingScene:
    """Left seconds, both axes logarithmic; right shares of a worker's time."""

    def __init__(self, picture: Figure) -> None:
        self.axes = picture.add_axes((0.085, 0.29, 0.4, 0.62)), picture.add_axes((0.575, 0.29, 0.4, 0.62))
        left, right = self.axes
        for axes in self.axes:
            axes.set_xscale("log", base=2)
            axes.set(xlim=(1, WORKERS[-1]), xlabel="workers")
            axes.set_xticks(WORKERS[::2], [f"{workers:,}" for workers in WORKERS[::2]])
        left.set(yscale="log", ylim=(1e-3, 1e6), ylabel="seconds of a round")
        right.set(ylim=(0, 1), ylabel="share of a worker's time")
        in_percent(right.yaxis)
        self.lines = {name: left.plot([], [], color=c, ls=dash)[0] for name, (c, dash) in _DASHES.items()}
        self.bands = [
            PolyCollection([], facecolors=c, hatch=hatch, edgecolors=GREY, lw=0.4) for c, hatch in _LOOKS.values()
        ]
        for band in self.bands:
            right.add_collection(band, autolim=False)
        self.here = [axes.axvline(1, color=BLACK, ls=":", zorder=4) for axes in self.axes]
        (self.dot,) = left.plot([], [], color=BLACK, marker="o", ms=9, mec="white", ls="", zorder=5, clip_on=False)
        self.titles = [axes.set_title("") for axes in self.axes]
        self.layers = [[*self.lines.values(), *self.bands], [*self.here, self.dot, *self.titles]]
        self._drawn: tuple[Any, ...] = ()

    def update(self, setting: Scale) -> None:
        """Show one setting."""
        if self._drawn != (drawn := (setting.bandwidth, setting.clients, setting.tasks)):
            self._drawn = drawn
            costs = [*setting.costs.values()]
            for line, part in zip(self.lines.values(), ("compute", "transfer", "overhead", "total"), strict=True):
                line.set_data(WORKERS, [getattr(cost, part) for cost in costs])
            tops = np.cumsum([[0.0] * len(WORKERS), *np.transpose([setting.shares(k) for k in WORKERS])], axis=0)
            for band, low, high in zip(self.bands, tops, tops[1:], strict=False):
                band.set_verts([outline(WORKERS, low, high)])
        total = setting.cost(setting.workers).total
        self.dot.set_data([setting.workers], [total])
        for mark in self.here:
            mark.set_xdata([setting.workers] * 2)
        self.titles[0].set_text(f"{setting.workers:,} workers: {_clock(total)} a round")
        self.titles[1].set_text(f"efficiency {100 * setting.shares(setting.workers)[0]:.2g} %")


@styled()
def bill(models: Mapping[str, int], *, price: float, rounds: int = 1) -> tuple[Figure, Axes]:
    """Bytes that a server sends to its clients, each the whole model in four bytes per parameter, and what they cost.

    Parameters
    ----------
    models : mapping from str to int
        Number of parameters by name, five models at most.
    price : float
        Euros per 10**9 bytes sent, above 0: an assumption, and shown as one.
    rounds : int
        At least 1.

    Raises
    ------
    ValueError
        If an argument is not allowed.
    """
    arguments.real("price", price, above=0)
    clients, rounds = np.geomspace(1e2, 1e6, 5), arguments.whole("rounds", rounds)
    picture = figure(6.6, 3.6)
    axes = picture.add_axes((0.12, 0.14, 0.73, 0.77))
    for (name, parameters), (colour, dash, marker) in zip(models.items(), SERIES, strict=False):
        size = rounds * clients * 4e-9 * arguments.whole("parameters", parameters)
        axes.plot(clients, size, color=colour, ls=dash, marker=marker, mec="white", label=name)
    axes.set(xscale="log", yscale="log", xlabel="clients in a round", ylabel="gigabytes sent")
    euros = axes.secondary_yaxis(
        "right", functions=(lambda size: np.multiply(size, price), lambda cost: np.divide(cost, price))
    )
    euros.set_ylabel(f"euros, if a gigabyte costs € {price:g}")
    for axis in (axes.xaxis, axes.yaxis, euros.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.set_title(f"{rounds:,} round{'s' if rounds > 1 else ''}")
    axes.legend()
    return picture, axes


def _clock(seconds: float) -> str:
    """Seconds for reading.

    >>> _clock(0.726), _clock(73_000)
    ('0.73 s', '20 h')
    """
    amount, unit = (seconds / 3600, "h") if seconds >= 5400 else (seconds, "s")
    return f"{float(f'{amount:.2g}'):,g} {unit}"
