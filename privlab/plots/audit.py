"""Audits in pictures: the museum's table, what is allowed, provable and achieved, and how much an audit can show."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from privlab import arguments
from privlab.leakage.audit import Audit
from privlab.leakage.museum import CHECKS, Row
from privlab.leakage.results import AttackResult
from privlab.leakage.roc import Roc
from privlab.leakage.tour import Tour
from privlab.masking import gaussian_noise_multiplier
from privlab.plots.audit_scenes import FIRST, ThresholdScene
from privlab.plots.leakage_scenes import RESOLVED
from privlab.plots.live import Picture
from privlab.plots.style import (
    ALLOWED,
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    SERIES,
    SKY,
    VERMILLION,
    figure,
    in_percent,
    legend_below,
    outline,
    styled,
)

RATES = (1e-4, 1.0)  # of both axes of `allowed_provable_achieved`


@styled()
def museum_table(rows: Sequence[Row]) -> tuple[Figure, tuple[Axes, Axes]]:
    """One line for each bug: the claim, the ledger's epsilon, the audited lower bound, and which checks saw it.

    Parameters
    ----------
    rows : sequence of Row
        As `privlab.leakage.museum` returns them; they are put in the order of the checks that name them. `ValueError` if empty.
    """
    if not rows:
        raise ValueError("rows is empty, but must have at least one bug")
    rows = sorted(rows, key=lambda row: CHECKS.index(row.label))
    y, height = np.arange(len(rows)), 0.225 * len(rows) + 1.3
    picture = figure(8.4, height)
    room = (0.75 / height, 1 - 1.25 / height)
    bars = picture.add_axes((0.265, room[0], 0.38, room[1]))
    dots = picture.add_axes((0.665, room[0], 0.305, room[1]), sharey=bars)
    audited, claimed, ledger = (
        np.array([getattr(row, f"{name}_epsilon") for row in rows]) for name in ("audited", "claimed", "ledger")
    )
    bars.barh(y, np.nan_to_num(audited), color=SKY, ec=BLUE, height=0.62, zorder=2)
    bars.plot(claimed, y, ls="", marker="|", ms=13, mew=2.6, color=BLACK, zorder=4)
    bars.plot(ledger, y, ls="", marker="D", ms=5.5, mfc="white", mec=VERMILLION, mew=1.5, zorder=3)
    bars.set(yticks=y, yticklabels=[row.bug for row in rows], ylim=(len(rows) - 0.4, -0.6), xlabel="ε at δ = 1e-5")
    bars.set_xlim(left=0)
    for label, row in zip(bars.get_yticklabels(), rows, strict=True):
        label.set(color=GREY if row.harm == "utility" else BLACK, style="italic" if row.harm == "utility" else "normal")
    caught = np.array([[check in row.caught_by for check in CHECKS] for row in rows])
    sole = caught & (caught.sum(1, keepdims=True) == 1)
    looks: tuple[tuple[Any, dict[str, Any]], ...] = (
        (~caught, {"ms": 3, "color": "#BBBBBB"}),
        (caught, {"ms": 7.5, "color": BLUE}),
        (sole, {"ms": 14, "mfc": "none", "mec": BLACK, "mew": 1.6}),
    )
    for chosen, look in looks:
        places, columns = np.nonzero(chosen)
        dots.plot(columns, places, ls="", marker="o", **look)
    dots.set(xticks=range(len(CHECKS)), xlim=(-0.6, len(CHECKS) - 0.4))
    dots.xaxis.tick_top()
    dots.set_xticklabels(CHECKS, fontsize=8, rotation=20, ha="left")
    dots.tick_params(length=0, labelleft=False)
    dots.spines[["left", "bottom"]].set_visible(False)
    escaped = sum(not row.caught_by for row in rows)
    bars.set_title(f"{len(rows)} bug{'s' * (len(rows) > 1)}, {escaped or 'none'} escaped")
    _table_legend(picture, rows[0].confidence)
    return picture, (bars, dots)


def _table_legend(picture: Figure, confidence: float) -> None:
    entries: dict[str, Any] = {
        "claimed": Line2D([], [], ls="", marker="|", ms=11, mew=2.6, color=BLACK),
        "ledger": Line2D([], [], ls="", marker="D", mfc="white", mec=VERMILLION, mew=1.5),
        f"audited: at least ({100 * confidence:g} %)": Patch(fc=SKY, ec=BLUE),
        "seen by this check": Line2D([], [], ls="", marker="o", ms=7, color=BLUE),
        "by no other": Line2D([], [], ls="", marker="o", ms=12, mfc="none", mec=BLACK, mew=1.6),
    }
    legend_below(picture, entries, ncols=5, fontsize=8.5, columnspacing=1.3, borderaxespad=0.1)


@styled()
def allowed_provable_achieved(
    false_positive_rates: ArrayLike,
    allowed: ArrayLike,
    achieved: Mapping[str, Roc | AttackResult],
    *,
    proven: Audit | None = None,
    gaussian: bool = False,
) -> tuple[Figure, Axes]:
    """What the accountant allows, what an audit proves and what attacks achieved, on logarithmic axes.

    Parameters
    ----------
    false_positive_rates : array_like, shape (k,)
        Increasing, in (0, 1]; a frontier's grid, or any other.
    allowed : array_like, shape (k,)
        Highest true-positive rates there: of `privlab.masking.tradeoff_curve`, or `FrontierPoint.allowed`.
    achieved : mapping of str to Roc or AttackResult
        Up to five attacks by name, each with its 95 % band. An AttackResult is on the same grid.
    proven : Audit, optional
        Its (epsilon, delta) says: somewhere the best attack gets above ``e^epsilon fpr + delta``. The line is drawn where it lies
        below ``allowed``; elsewhere it says nothing.
    gaussian : bool
        The mechanism's curve is Gaussian: then the bound holds at each rate, for the Gaussian curve with this (epsilon, delta).

    Raises
    ------
    ValueError
        If the shapes differ or there are more than five attacks.
    """
    grid, ceiling = (
        arguments.finite_array(name, values, dimensions=1)
        for name, values in (("false_positive_rates", false_positive_rates), ("allowed", allowed))
    )
    if grid.shape != ceiling.shape or len(achieved) > len(SERIES):
        raise ValueError(f"allowed has shape {ceiling.shape} and achieved {len(achieved)} attacks, not {grid.shape}, 5")
    picture = figure(6.2, 5.0)
    axes = picture.add_axes((0.13, 0.3, 0.825, 0.68))
    axes.set(xscale="log", yscale="log", xlim=RATES, ylim=RATES)
    axes.set(xlabel="false alarms (false-positive rate)", ylabel="members found (true-positive rate)")
    in_percent(axes.xaxis, axes.yaxis)
    floor = RATES[0] / 100  # what is zero is put far below the logarithmic axis
    axes.fill(*np.maximum(outline(grid, grid, ceiling), floor).T, color=ALLOWED, lw=0, zorder=0.6)
    axes.plot(grid, ceiling, color=SKY, lw=1.2, zorder=1)
    entries: dict[str, Any] = {"allowed by the accountant; above is impossible": Patch(fc=ALLOWED, ec=SKY)}
    if proven is not None:
        least = _proven(grid, ceiling, proven, gaussian)
        axes.fill_between(grid, grid, least, fc="none", ec=ORANGE, hatch="\\\\\\\\", lw=0, zorder=0.8)
        axes.plot(grid, least, color=ORANGE, lw=2.2, zorder=2.5)
        words = f"proven: the best attack gets here {'' if gaussian else 'somewhere '}(ε ≥ {proven.epsilon:.2f}"
        entries[f"{words}, {100 * proven.confidence:g} %)"] = Patch(fc="white", ec=ORANGE, hatch="\\\\\\\\", lw=2)
    for (name, result), (colour, dashes, _) in zip(achieved.items(), SERIES, strict=False):
        (line,) = _draw_achieved(axes, grid, result, colour, dashes)
        entries[f"achieved: {name} (95 % band)"] = line
    axes.plot(RATES, RATES, color=GREY, ls=":", lw=1.4)
    entries["coin flip"] = Line2D([], [], color=GREY, ls=":", lw=1.4)
    few = max((RESOLVED / roc.non_members for roc in achieved.values() if isinstance(roc, Roc)), default=0.0)
    if few > RATES[0]:
        axes.axvspan(RATES[0], few, fc="white", alpha=0.55, lw=0, zorder=6)
        axes.text(few, 1.4 * RATES[0], "too few to resolve ", ha="right", fontsize=8, color=GREY, zorder=7)
    legend_below(picture, entries, ncols=1, fontsize=8.5, labelspacing=0.25, borderaxespad=0.1)
    return picture, axes


def _proven(grid: Any, ceiling: Any, proven: Audit, gaussian: bool) -> Any:
    """The curve that an audit proves, not below the coin flip; NaN where it says nothing."""
    if proven.epsilon == 0:
        return grid
    if gaussian:
        return ndtr(ndtri(grid) + 1 / gaussian_noise_multiplier(proven.epsilon, proven.delta))
    growth = np.exp(proven.epsilon)
    line = np.minimum(growth * grid + proven.delta, 1 - (1 - proven.delta - grid) / growth)
    return np.where(line <= ceiling, line, np.nan)


def _draw_achieved(axes: Axes, grid: Any, result: Roc | AttackResult, colour: str, dashes: Any) -> list[Line2D]:
    if isinstance(result, Roc):
        rates, (low, high) = result.tprs_at(grid), result.band(grid)
    else:
        rates, low, high = (np.array(values) for values in (result.true_positive_rates, result.low, result.high))
    tiny = RATES[0] / 100
    axes.fill_between(grid, np.maximum(low, tiny), np.maximum(high, tiny), color=colour, alpha=0.22, lw=0, zorder=3)
    return axes.plot(grid, np.maximum(rates, tiny), color=colour, ls=dashes, zorder=4)


@styled()
def efficiency(
    numbers: Sequence[int], bounds: Mapping[str, ArrayLike], *, true: float, what: str
) -> tuple[Figure, Axes]:
    """Lower bounds on a known epsilon over trials or canaries: the median of repeats, and the range of the middle 90 %.

    Parameters
    ----------
    numbers : sequence of int, length k
        Of trials or canaries.
    bounds : mapping of str to array_like, shape (k, repeats)
        Up to five kinds of audit by name.
    true : float
        The mechanism's epsilon.
    what : str
        Of what there are ``numbers``.
    """
    picture = figure(5.6, 3.3)
    axes = picture.add_axes((0.1, 0.16, 0.87, 0.81))
    for (name, values), (colour, dashes, marker) in zip(bounds.items(), SERIES, strict=False):
        low, middle, high = np.percentile(np.asarray(values), [5, 50, 95], axis=1)
        axes.fill_between(numbers, low, high, color=colour, alpha=0.2, lw=0)
        axes.plot(numbers, middle, color=colour, ls=dashes, marker=marker, mec="white", label=name)
    axes.axhline(true, color=BLACK, lw=1.4, ls="--", label=f"true: ε = {true:g}")
    axes.set(xscale="log", ylim=(0, 1.12 * true), xlabel=what, ylabel="proven: ε at least")
    axes.legend(loc="lower right")
    return picture, axes


def threshold(
    tour: Tour, bug: str = FIRST, *, place: int = 12, trials: int = 200, without: str = ""
) -> tuple[Figure, Any]:
    """One bug's scores under a threshold, the bound that it gives, and who sees the bug: the twin of `privlab.widgets.audit`.

    Parameters
    ----------
    tour : Tour
    bug : str
        One of the tour's; "" for the correct specimen.
    place : int
        Which threshold, from 0, which all reach, to 20.
    trials : int
        One of `privlab.leakage.tour.TRIALS`.
    without : str
        A check to leave out, or "".

    Raises
    ------
    ValueError
        If a choice is not the tour's.
    """
    return threshold_picture(tour).still(bug, place, trials, without)


@styled()
def threshold_picture(tour: Tour) -> Picture:
    """The figure of `threshold` with nothing chosen yet."""
    picture = figure(8.4, 3.9)
    scene = ThresholdScene(picture, tour)
    legend_below(picture, scene.words_of_lines, ncols=4, columnspacing=1.4, borderaxespad=0.1)
    return Picture(picture, scene)
