"""Stolen models in pictures: weights against the true ones, students against queries, and guessed attributes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.leakage.attributes import AttributeInference
from privlab.plots.style import BLACK, BLUE, GREY, SERIES, VERMILLION, figure, in_percent, legend_below, percent, styled


@styled()
def stolen_weights(true: ArrayLike, stolen: Mapping[str, ArrayLike]) -> tuple[Figure, NDArray]:
    """Each stolen weight over the true one, a panel for each theft; on the diagonal they are equal.

    Parameters
    ----------
    true : array_like
        Weights of the victim, of any shape.
    stolen : mapping of str to array_like
        One to four thefts by their titles, each shaped like ``true``; what lies beyond the axes is drawn on their edge.

    Returns
    -------
    (Figure, ndarray of Axes)

    Raises
    ------
    ValueError
        If there are no thefts or more than four, or shapes differ.
    """
    weights = arguments.finite_array("true", true)
    if not 1 <= len(stolen) <= 4:
        raise ValueError(f"stolen has {len(stolen)} thefts, but must have 1 to 4")
    edge = 1.15 * float(np.abs(weights).max())
    picture = figure(0.9 + 2.3 * len(stolen), 2.9)
    panels = np.atleast_1d(picture.subplots(1, len(stolen), sharex=True, sharey=True))
    for axes, (title, values) in zip(panels, stolen.items(), strict=True):
        found = arguments.finite_array(f"stolen {title}", values)
        if found.shape != weights.shape:
            raise ValueError(f"stolen {title} has shape {found.shape}, but must be {weights.shape}")
        axes.plot([-edge, edge], [-edge, edge], color=GREY, lw=1, zorder=1)
        axes.plot(
            weights.ravel(), np.clip(found, -edge, edge).ravel(), ls="", marker=".", ms=3, color=BLUE, clip_on=False
        )
        axes.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal", xlabel="true weight", title=title)
    panels[0].set_ylabel("stolen weight")
    picture.tight_layout()
    return picture, panels


@styled()
def agreement(queries: Sequence[int], shares: Mapping[str, ArrayLike]) -> tuple[Figure, Axes]:
    """How often stolen models answer as the victim does, against the queries that they cost.

    Parameters
    ----------
    queries : sequence of int
        Numbers of queries, increasing.
    shares : mapping of str to array_like, shape (len(queries), 3)
        For up to five defences, by name and number of queries, the lower end of the band, the share of fresh records on which
        the models agree, and the upper end.

    Raises
    ------
    ValueError
        If there are no defences or more than five, or a shape is wrong.
    """
    if not 1 <= len(shares) <= len(SERIES):
        raise ValueError(f"shares has {len(shares)} defences, but must have 1 to {len(SERIES)}")
    picture = figure(5.2, 3.4)
    axes = picture.add_axes((0.13, 0.16, 0.83, 0.8))
    for (name, values), (colour, dashes, marker) in zip(shares.items(), SERIES, strict=False):
        band = arguments.finite_array(f"shares of {name}", values)
        if band.shape != (len(queries), 3):
            raise ValueError(f"shares of {name} has shape {band.shape}, but must be {(len(queries), 3)}")
        axes.fill_between(queries, band[:, 0], band[:, 2], color=colour, alpha=0.18, lw=0)
        axes.plot(queries, band[:, 1], color=colour, ls=dashes, marker=marker, ms=5, label=name)
    axes.axhline(1, color=GREY, ls=":", lw=1.2)
    lowest = min(np.min(band) for band in shares.values())
    axes.set(
        xscale="log",
        ylim=(max(0, lowest - 0.05), 1.01),
        xlabel="queries (logarithmic)",
        ylabel="same answer as the victim",
    )
    axes.xaxis.set_major_locator(FixedLocator([float(count) for count in queries]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    in_percent(axes.yaxis)
    axes.legend(loc="lower right")
    return picture, axes


@styled()
def guessed_attributes(results: Mapping[str, AttributeInference]) -> tuple[Figure, Axes]:
    """How often an attribute was guessed rightly, with 95 % intervals: of members, of others, and without a model.

    Parameters
    ----------
    results : mapping of str to AttributeInference
        One to five ways of training, by name.

    Raises
    ------
    ValueError
        If there are none or more than five.
    """
    if not 1 <= len(results) <= 5:
        raise ValueError(f"results has {len(results)} ways of training, but must have 1 to 5")
    picture = figure(1.6 + 1.9 * max(2, len(results)), 3.4)
    axes = picture.add_axes((0.13, 0.26, 0.84, 0.7))
    places = np.arange(len(results))
    drawn: dict[str, Any] = {}
    bars = (("members", BLUE, ""), ("non_members", "white", "////"))
    for offset, (kind, face, hatch) in zip((-0.18, 0.18), bars, strict=True):
        guesses = [getattr(result, kind) for result in results.values()]
        share, low, high = (np.array([getattr(g, end) for g in guesses]) for end in ("share", "low", "high"))
        look: dict[str, Any] = {"facecolor": face, "edgecolor": BLUE, "hatch": hatch, "zorder": 2}
        drawn[kind.replace("_", "-")] = axes.bar(places + offset, share, 0.34, **look)
        axes.errorbar(
            places + offset, share, [share - low, high - share], fmt="none", ecolor=BLACK, capsize=4, zorder=3
        )
        for place, value, top in zip(places + offset, share, high, strict=True):
            axes.text(place, top + 0.008, percent(value), ha="center", fontsize=8)
    for kind, colour, dashes in (("imputation", VERMILLION, "--"), ("majority", BLACK, ":")):
        heights = [getattr(result, kind).share for result in results.values()]
        drawn[kind] = axes.hlines(heights, places - 0.42, places + 0.42, colors=colour, ls=dashes, lw=1.6, zorder=4)
    tops = [getattr(result, kind).high for result in results.values() for kind in ("members", "non_members")]
    axes.set(ylim=(0, max(tops) + 0.08), ylabel="attribute guessed rightly")
    axes.set_xticks(places, list(results))
    axes.grid(False, axis="x")
    in_percent(axes.yaxis)
    legend_below(picture, drawn, ncols=4, columnspacing=1.2, handlelength=1.8)
    return picture, axes
