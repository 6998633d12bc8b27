"""Membership inference in pictures: losses, ROC curves, and each record's own two bells.

Blue is what was in the training set, vermillion what was not; a bell is the normal distribution that fits the models' answers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import ArrayLike

from privlab import arguments
from privlab.data import Dataset
from privlab.leakage.frontier import FALSE_POSITIVE_RATES, Frontier
from privlab.leakage.membership import separation
from privlab.leakage.roc import bootstrap_band, roc
from privlab.leakage.shadows import Shadows
from privlab.plots.leakage import allowed_handle
from privlab.plots.leakage_scenes import RESOLVED
from privlab.plots.live import Picture
from privlab.plots.membership_scenes import ExplorerScene, RecordScene
from privlab.plots.style import BLACK, BLUE, GREY, SERIES, VERMILLION, figure, in_percent, legend_below, percent, styled


@styled()
def loss_histogram(
    losses: ArrayLike, members: ArrayLike, *, marks: Mapping[str, float] | None = None
) -> tuple[Figure, Axes]:
    """How large one model's losses are on records it was trained on, and on others.

    Parameters
    ----------
    losses : array_like, shape (n,)
        Above 0.
    members : array_like of bool, shape (n,)
        At least one of each kind.
    marks : mapping of str to float, optional
        Losses to point at, by name; up to three.

    Raises
    ------
    ValueError
        If shapes differ, a loss is not above 0, or one kind is missing.
    """
    values = arguments.finite_array("losses", losses, dimensions=1)
    inside = np.asarray(members)
    if inside.dtype != bool or inside.shape != values.shape or inside.all() or not inside.any():
        raise ValueError(f"members has shape {inside.shape}, but must be bool {values.shape} with both kinds")
    if values.min() <= 0:
        raise ValueError(f"losses has {values.min()!r}, but all must be > 0")
    picture = figure(6.4, 2.9)
    axes = picture.add_axes((0.1, 0.18, 0.86, 0.72))
    bins = np.geomspace(values.min(), values.max() * 1.001, 41).tolist()
    filled, outlined = {"color": BLUE, "alpha": 0.35}, {"color": VERMILLION, "histtype": "step"}
    for name, chosen, style in (("members", inside, filled), ("others", ~inside, outlined)):
        weights = np.full(chosen.sum(), 1 / chosen.sum())
        axes.hist(values[chosen], bins=bins, weights=weights, lw=1.6, label=name, **style)
    for (name, loss), dashes in zip((marks or {}).items(), ("-.", ":", "-"), strict=False):
        axes.axvline(loss, color=BLACK, lw=1.2, ls=dashes, label=name)
    axes.set(xscale="log", xlabel="loss of one model (logarithmic)", ylabel="share of records")
    in_percent(axes.yaxis)
    axes.legend(loc="upper left")
    return picture, axes


@styled()
def roc_curves(scores: Mapping[str, ArrayLike], members: ArrayLike) -> tuple[Figure, Axes]:
    """ROC curves of several attacks on the same models, on logarithmic axes, with 95 % bands over models.

    Parameters
    ----------
    scores : mapping of str to array_like, shape (K, n)
        Up to five attacks' scores, by name.
    members : array_like of bool, shape (K, n)
        The truth.

    Raises
    ------
    ValueError
        If there are no scores or more than five, or `privlab.leakage.roc` refuses them.
    """
    if not 1 <= len(scores) <= len(SERIES):
        raise ValueError(f"scores has {len(scores)} attacks, but must have 1 to {len(SERIES)}")
    picture = figure(5.2, 3.9)
    axes = picture.add_axes((0.145, 0.13, 0.815, 0.83))
    rates = np.array(FALSE_POSITIVE_RATES)
    rates = rates[rates * (~np.asarray(members)).sum() >= RESOLVED]
    for (name, values), (colour, dashes, _) in zip(scores.items(), SERIES, strict=False):
        low, high = bootstrap_band(values, members, rates)
        axes.fill_between(rates, np.maximum(low, 1e-9), high, color=colour, alpha=0.18, lw=0)
        axes.plot(rates, roc(values, members).tprs_at(rates), color=colour, ls=dashes, label=name)
    axes.plot([1e-4, 1], [1e-4, 1], color=GREY, ls=":", lw=1.4, label="coin flip")
    axes.set(xscale="log", yscale="log", xlim=(rates[0], 1), ylim=(rates[0], 1))
    axes.set(xlabel="false alarms (false-positive rate)", ylabel="members found (true-positive rate)")
    in_percent(axes.xaxis, axes.yaxis)
    axes.legend(loc="lower right")
    return picture, axes


@styled()
def reference_models(
    counts: Sequence[int], rates: Mapping[str, ArrayLike], *, false_positive_rate: float
) -> tuple[Figure, Axes]:
    """What attacks find against how many reference models they have.

    Parameters
    ----------
    counts : sequence of int
        Numbers of reference models, increasing.
    rates : mapping of str to array_like, shape (len(counts), 3)
        Per attack and count, the lower end of the band, the true-positive rate, and the upper end.
    false_positive_rate : float
        At which they were measured, in (0, 1).

    Raises
    ------
    ValueError
        If an argument is not allowed.
    """
    arguments.real("false_positive_rate", false_positive_rate, above=0, below=1)
    picture = figure(5.4, 3.1)
    axes = picture.add_axes((0.12, 0.16, 0.85, 0.74))
    for (name, band), (colour, dashes, marker) in zip(rates.items(), SERIES, strict=False):
        array = arguments.finite_array(f"rates of {name}", band, dimensions=2)
        if array.shape != (len(counts), 3):
            raise ValueError(f"rates of {name} has shape {array.shape}, but must be {(len(counts), 3)}")
        low, middle, high = array.T
        axes.fill_between(counts, low, high, color=colour, alpha=0.18, lw=0)
        axes.plot(counts, middle, color=colour, ls=dashes, marker=marker, mec="white", mew=0.8, label=name)
    axes.axhline(false_positive_rate, color=GREY, ls=":", lw=1.4, label="coin flip")
    axes.set(xscale="log", xlabel="reference models (logarithmic)", ylabel="members found", ylim=(0, None))
    axes.xaxis.set(major_locator=FixedLocator([*counts]), minor_locator=NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    in_percent(axes.yaxis)
    axes.set_title(f"at {percent(false_positive_rate)} false alarms")
    axes.legend(loc="upper left")
    return picture, axes


@styled()
def gallery(dataset: Dataset, shadows: Shadows, records: Sequence[int]) -> tuple[Figure, list[Axes]]:
    """Records as pictures, each over the confidences of the models trained with it and without it.

    Parameters
    ----------
    dataset : Dataset
        Of pictures.
    shadows : Shadows
        What models trained on halves of it say.
    records : sequence of int
        Training records, 1 to 6.

    Returns
    -------
    figure, list of Axes
        The axes with the bells, in the order of the records.

    Raises
    ------
    ValueError
        If the records are no pictures, too many or not there.
    """
    if not 1 <= len(records) <= 6:
        raise ValueError(f"records has {len(records)} elements, but must have 1 to 6")
    width, apart = 0.94 / len(records), separation(shadows.confidences, shadows.members)
    picture = figure(1.6 * len(records) + 0.4, 3.1)
    panels = []
    for i, record in enumerate(records):
        left = 0.03 + i * width
        page = picture.add_axes((left + 0.2 * width, 0.53, 0.6 * width, 0.36))
        bells = picture.add_axes((left + 0.04 * width, 0.24, 0.92 * width, 0.26))
        RecordScene(page, bells, dataset, [shadows]).update(record, shadows)
        bells.set(xlabel="")
        bells.set_title(f"{apart[record]:.1f} sd apart", fontsize=8, loc="center", y=-0.48)
        panels.append(bells)
    _legend(picture)
    return picture, panels


def explorer(
    dataset: Dataset,
    shadows: Mapping[float, Shadows],
    frontier: Frontier,
    *,
    record: int | None = None,
    noise_multiplier: float | None = None,
    attack: str = "LiRA online",
) -> tuple[Figure, tuple[Axes, Axes, Axes]]:
    """One record's two bells beside the ROC curve over all records: the still twin of `privlab.widgets.membership.explorer`.

    Parameters
    ----------
    dataset : Dataset
        Of pictures.
    shadows : mapping of float to Shadows
        What shadow models say, by noise multiplier.
    frontier : Frontier
        The same experiment's results, with a point at each of these noise multipliers.
    record : int, optional
        A training record; the one whose bells lie farthest apart at the least noise, unless given.
    noise_multiplier : float, optional
        One of those of ``shadows``; the least unless given.
    attack : str
        One of the frontier's attacks.

    Raises
    ------
    ValueError
        If an argument is not allowed, or the frontier is of other data or lacks a point.
    """
    picture, scene = explorer_scene(dataset, shadows, frontier)
    noise = min(shadows) if noise_multiplier is None else noise_multiplier
    return Picture(picture, scene).still(scene.order[0] if record is None else record, noise, attack)


@styled()
def explorer_scene(
    dataset: Dataset, shadows: Mapping[float, Shadows], frontier: Frontier
) -> tuple[Figure, ExplorerScene]:
    """The explorer with nothing chosen yet."""
    picture = figure(8.4, 4.3)
    places = ((0.14, 0.6, 0.2, 0.32), (0.03, 0.285, 0.41, 0.29), (0.565, 0.225, 0.405, 0.7))
    page, bells, curve = (picture.add_axes(place) for place in places)
    scene = ExplorerScene(page, bells, curve, dataset, shadows, frontier)
    _legend(picture, curve=True)
    return picture, scene


def _legend(picture: Figure, *, curve: bool = False) -> None:
    entries: dict[str, Any] = {
        "models trained with the record": Patch(fc=BLUE, alpha=0.35),
        "models trained without it": Patch(fc="none", ec=VERMILLION, lw=1.4),
    }
    if curve:
        entries |= {
            "attack on all records (95 % band)": Line2D([], [], color=BLUE),
            "the same without privacy": Line2D([], [], color=VERMILLION, ls="--"),
            "allowed by the guarantee": allowed_handle(),
            "this record, same threshold": Line2D([], [], ls="", marker="D", color=BLACK, mec="white"),
        }
    legend_below(picture, entries, ncols=3 if curve else 2, fontsize=8.5, borderaxespad=0.1)
