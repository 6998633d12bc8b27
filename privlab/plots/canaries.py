"""Memorised secrets in pictures: exposure against repetitions, its estimates, what a search finds, and a model that learns one.

Exposure is in bits, from 0 to log2 of the number of secrets, where the model holds the secret the likeliest of all.
"""

from collections.abc import Sequence
from math import exp, log2

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from privlab import arguments
from privlab.leakage.memorisation import Memorisation, Memorised
from privlab.leakage.text_recipe import Moment
from privlab.plots.canaries_scenes import LearningScene, MemorisedScene, exposure_axes
from privlab.plots.live import Picture
from privlab.plots.style import (
    ALLOWED,
    BLACK,
    BLUE,
    GREY,
    SERIES,
    VERMILLION,
    epsilon_text,
    figure,
    in_percent,
    legend_below,
    styled,
)


@styled()
def exposures(result: Memorisation) -> tuple[Figure, Axes]:
    """Exposure against repetitions, a line per model through the medians, a dot per secret.

    Parameters
    ----------
    result : Memorisation
        Of up to five models.

    Raises
    ------
    ValueError
        If it has no models, or more.
    """
    if not 1 <= len(result.runs) <= len(SERIES):
        raise ValueError(f"result has {len(result.runs)} runs, but must have 1 to {len(SERIES)}")
    picture = figure(7.2, 4.2)
    axes = picture.add_axes((0.085, 0.13, 0.6, 0.83))
    exposure_axes(axes, result)
    places, looks = np.arange(len(result.repetitions)), [SERIES[1], SERIES[0], *SERIES[2:]]  # vermillion: no privacy
    for i, (run, (colour, dashes, marker)) in enumerate(zip(result.runs, looks, strict=False)):
        values = np.array(run.exposures)
        aside = 0.08 * (i - (len(result.runs) - 1) / 2)
        axes.plot(
            places + aside, values, ls="", marker=marker, ms=3.5, color=colour, alpha=0.45, mec="none", clip_on=False
        )
        axes.plot(places, np.median(values, 1), color=colour, ls=dashes, label=_name(run), zorder=4)
        if not np.isinf(run.epsilon):
            axes.plot(places, run.ceilings, color=colour, lw=1, ls=dashes, alpha=0.7, drawstyle="steps-mid")
    handles, names = axes.get_legend_handles_labels()
    handles.append(Line2D([], [], color=GREY, lw=1, ls="--"))
    picture.legend(
        handles, [*names, "thin: median that its\nguarantee allows"], loc="upper left", bbox_to_anchor=(0.7, 0.97)
    )
    return picture, axes


@styled()
def estimates(result: Memorisation) -> tuple[Figure, Axes]:
    """Exposure as estimated from a sample of secrets against exact exposure, of all models together.

    Parameters
    ----------
    result : Memorisation
        What `privlab.leakage.memorisation` has measured.

    Raises
    ------
    ValueError
        If it has no models.
    """
    if not result.runs:
        raise ValueError("result has 0 runs, but must have at least 1")
    exact = np.concatenate([np.ravel(run.exposures) for run in result.runs])
    most, cap = log2(result.secrets), log2(result.sample + 1)
    picture = figure(4.6, 4.3)
    axes = picture.add_axes((0.13, 0.12, 0.83, 0.84))
    axes.plot([0, most], [0, most], color=BLACK, lw=1, label="exact")
    axes.axhline(cap, color=GREY, ls=":", lw=1.4, label=f"most that {result.sample:,} samples can show")
    for name, (colour, _, marker) in zip(("sampled", "skew_normal"), SERIES, strict=False):
        values = np.concatenate([np.ravel(getattr(run, name)) for run in result.runs])
        label = "rank in the sample" if name == "sampled" else "skew-normal fit"
        axes.plot(
            exact,
            np.minimum(values, 1.2 * most),
            ls="",
            marker=marker,
            ms=5,
            color=colour,
            alpha=0.6,
            label=label,
            clip_on=False,
        )
    axes.set(xlim=(0, most), ylim=(0, 1.2 * most), xlabel="exact exposure (bits)", ylabel="estimated exposure (bits)")
    axes.legend(loc="upper left")
    return picture, axes


@styled()
def extracted(run: Memorised, *, count: int = 12) -> tuple[Figure, Axes]:
    """The secrets that a model holds likeliest, found by best-first search, and how often each was planted.

    Parameters
    ----------
    run : Memorised
        One model of a `Memorisation`.
    count : int
        How many to list, at least 1 and at most as many as were searched for.

    Raises
    ------
    ValueError
        If ``count`` is not allowed.
    """
    if arguments.whole("count", count) > len(run.extracted):
        raise ValueError(
            f"count is {count}, but must be at most {len(run.extracted)}, the secrets that were searched for"
        )
    listed = run.extracted[:count]
    picture = figure(5.6, 0.9 + 0.26 * count)
    low = 0.62 / (0.9 + 0.26 * count)
    axes = picture.add_axes((0.16, low, 0.62, 0.93 - low))
    shares = [exp(-loss) for _, loss, _ in listed]
    colours = [BLUE if copies else "#BBBBBB" for _, _, copies in listed]
    axes.barh(np.arange(count), shares, color=colours, height=0.7)
    for place, (share, (_, _, copies)) in enumerate(zip(shares, listed, strict=True)):
        words = f"planted {copies} times" if copies > 1 else "planted once" if copies else "never planted"
        axes.annotate(words, (share, place), (5, 0), textcoords="offset points", va="center", fontsize=8.5, color=GREY)
    axes.set_yticks(np.arange(count), [secret for secret, _, _ in listed], family="monospace")
    axes.set(ylim=(count - 0.4, -0.6), xlim=(0, None), xlabel="probability in the model's eyes, after the prefix")
    axes.grid(visible=False, axis="y")
    axes.locator_params(axis="x", nbins=5)
    in_percent(axes.xaxis)
    return picture, axes


def explorer(
    result: Memorisation, *, repetitions: int | None = None, noise_multiplier: float = 0.0
) -> tuple[Figure, tuple[Axes, Axes]]:
    """One number of repetitions at one noise: place among all secrets; the still twin of `privlab.widgets.canaries.explorer`.

    Parameters
    ----------
    result : Memorisation
        With a model without noise.
    repetitions : int, optional
        One of the result's; the middle one unless given.
    noise_multiplier : float
        One of the result's.

    Raises
    ------
    ValueError
        If an argument is not allowed, or there is no model without noise.
    """
    chosen = middle(result) if repetitions is None else repetitions
    picture, axes = explorer_picture(result).still(chosen, noise_multiplier)
    return picture, axes


def middle(result: Memorisation) -> int:
    """The number of repetitions that is shown first."""
    return result.repetitions[len(result.repetitions) // 2]


@styled()
def explorer_picture(result: Memorisation) -> Picture:
    """The explorer with nothing chosen yet; a setting is repetitions and noise multiplier."""
    picture = figure(7.6, 4.9)
    place, curve = picture.add_axes((0.085, 0.82, 0.89, 0.1)), picture.add_axes((0.085, 0.235, 0.89, 0.41))
    scene = MemorisedScene(place, curve, result)
    entries = {
        "this model: median, each secret": Line2D([], [], color=BLUE, marker="o", mec="white"),
        "median without privacy": Line2D([], [], color=VERMILLION, ls="--"),
        "median that the guarantee allows": Patch(fc=ALLOWED),
        **{str(line.get_label()): line for line in curve.lines[:2]},
    }
    legend_below(picture, entries, ncols=3, fontsize=8.5)
    return Picture(picture, scene)


def learning(secret: str, moments: Sequence[Moment]) -> tuple[Figure, Axes]:
    """How a model learns one secret: what it says, and exposure during training.

    Parameters
    ----------
    secret : str
        What was planted, six digits; empty for none yet.
    moments : sequence of Moment
        From `privlab.leakage.learn_secret`; may be empty.
    """
    picture, axes = learning_picture().still(secret, tuple(moments))
    return picture, axes


@styled()
def learning_picture() -> Picture:
    """The figure of `learning` before anything is learnt; a setting is the secret and the moments so far."""
    picture = figure(6.4, 3.6)
    return Picture(picture, LearningScene(picture.add_axes((0.09, 0.14, 0.87, 0.62))))


def _name(run: Memorised) -> str:
    return "no privacy,\nrepeats removed" if run.deduplicated else epsilon_text(run.epsilon)
