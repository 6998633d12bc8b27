"""Noise masks in pictures: two neighbouring answers that overlap, what a guarantee allows, and what it costs.

Sensitivity is 1 throughout: a count of patients, with Ada (blue) and without her (vermillion).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from privlab.arguments import choice, real, whole
from privlab.masking import gaussian_epsilon, gaussian_noise_multiplier
from privlab.plots.live import Picture
from privlab.plots.noise_scenes import DELTA, MECHANISMS, OutcomeScene, TestScene, best_test, delta_text, guarantee
from privlab.plots.style import ALLOWED, BLACK, BLUE, GREY, SKY, VERMILLION, figure, legend_below, percent, styled

_LOCAL, _CENTRAL = (VERMILLION, "--", "s"), (BLUE, "-", "o")


def describe(*, mechanism: str = "laplace", scale: float = 1.0, false_positive_rate: float = 0.1) -> str:
    """One sentence with the figures of `overlap`: its caption and alternative text. Parameters are those of `overlap`.

    >>> describe(scale=2.0)
    'Laplace noise of scale 2: ε = 0.50; 10 % false alarms, 16.5 % found (allowed: 16.5 %); typical error 2.8 patients'
    """
    _check(mechanism, scale, false_positive_rate)
    promise = guarantee(mechanism, scale)
    found = percent(float(best_test(mechanism, scale, false_positive_rate)))
    most = percent(float(promise.allows(false_positive_rate)))
    typical = scale * (math.sqrt(2) if mechanism == "laplace" else 1)  # the standard deviation
    return (
        f"{mechanism.title()} noise of scale {scale:g}: {promise}; {percent(false_positive_rate)} false alarms, "
        f"{found} found (allowed: {most}); typical error {typical:.2g} patients"
    )


def overlap(
    *, mechanism: str = "laplace", scale: float = 1.0, false_positive_rate: float = 0.1, draw: int = 0
) -> tuple[Figure, tuple[Axes, Axes]]:
    """The noisy count with and without one patient, and the ROC of the best test between them.

    The still twin of `privlab.widgets.noise.overlap`.

    Parameters
    ----------
    mechanism : {"laplace", "gaussian"}
    scale : float
        Laplace's b or the Gaussian's standard deviation, in patients, above 0.
    false_positive_rate : float
        In (0, 1): how often the test may accuse wrongly. It sets the threshold above which an answer accuses.
    draw : int
        Which sampled outcomes, at least 0.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    _check(mechanism, scale, false_positive_rate, draw)
    return overlap_picture().still(mechanism, scale, false_positive_rate, draw)


@styled()
def overlap_picture() -> Picture:
    """The figure of `overlap` with nothing chosen yet; a setting is its four arguments."""
    picture = figure(8.4, 4.0)
    outcomes = OutcomeScene(picture.add_axes((0.065, 0.25, 0.475, 0.66)))
    test = TestScene(picture.add_axes((0.645, 0.25, 0.325, 0.66)))
    entries = {
        "without Ada": Line2D([], [], color=VERMILLION, ls="--", marker="s", mfc="white"),
        "with Ada": Line2D([], [], color=BLUE, marker="o", mec="white"),
        "threshold: accuse to its right": Line2D([], [], color=BLACK, lw=1),
        "allowed by the guarantee": Patch(color=ALLOWED),
    }
    legend_below(picture, entries, ncols=4, columnspacing=1.5, borderaxespad=0.2)
    return Picture(picture, outcomes, test)


@styled()
def privacy_loss(*, epsilon: float = 1.0, delta: float = DELTA) -> tuple[Figure, Axes]:
    """How strongly each answer speaks for Ada, under Laplace and under Gaussian noise of the same epsilon.

    Laplace's loss never leaves [-epsilon, epsilon]; the Gaussian's does, with a probability for which delta pays.

    Parameters
    ----------
    epsilon : float
        Above 0, in nats.
    delta : float
        In (0, 1).

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    sigma = gaussian_noise_multiplier(epsilon, delta)
    x = np.linspace(-6, 6, 601) * sigma + 0.5
    picture = figure(6.0, 3.4)
    axes = picture.add_axes((0.11, 0.15, 0.85, 0.73))
    axes.axhspan(-epsilon, epsilon, color=ALLOWED, lw=0, zorder=0.6)
    axes.plot(x, epsilon * (np.abs(x) - np.abs(x - 1)), color=BLUE, label=f"Laplace, scale {1 / epsilon:.3g}")
    axes.plot(x, (2 * x - 1) / (2 * sigma**2), color=VERMILLION, ls="--", label=f"Gaussian, scale {sigma:.3g}")
    for level, word, side in ((epsilon, "+ε", "bottom"), (-epsilon, "-ε", "top")):
        axes.text(x[0] + 0.2 * sigma, level, word, color=GREY, va=side)
    axes.set(xlim=(x[0], x[-1]), ylim=(-2 * epsilon, 2 * epsilon))
    axes.set(xlabel="answer minus the true count without Ada (patients)", ylabel="privacy loss (nats)")
    axes.set_title(f"both promise ε = {epsilon:g}; the Gaussian with {delta_text(delta)}")
    axes.legend(loc="lower right")
    return picture, axes


@styled()
def classic_formula(*, delta: float = DELTA) -> tuple[Figure, tuple[Axes, Axes]]:
    """The noise of ``sqrt(2 ln(1.25 / delta)) / epsilon`` beside the exact one, and the epsilon that it really gives.

    Parameters
    ----------
    delta : float
        In (0, 1).

    Raises
    ------
    ValueError
        If ``delta`` is outside its range.
    """
    real("delta", delta, above=0, below=1)
    claimed = np.geomspace(0.1, 20, 60)
    classic = math.sqrt(2 * math.log(1.25 / delta)) / claimed
    exact = [gaussian_noise_multiplier(epsilon, delta) for epsilon in claimed]
    truth = np.array([gaussian_epsilon(sigma, delta) for sigma in classic])
    picture = figure(8.4, 3.5)
    left, right = picture.add_axes((0.08, 0.15, 0.39, 0.73)), picture.add_axes((0.575, 0.15, 0.39, 0.73))
    left.loglog(claimed, classic, color=VERMILLION, ls="--", label="classic formula")
    left.loglog(claimed, exact, color=BLUE, label="exact")
    left.set(ylabel="noise (standard deviation / sensitivity)", title=f"noise, {delta_text(delta)}")
    left.legend()
    right.semilogx(claimed, truth / claimed, color=VERMILLION, ls="--")
    right.axhspan(0, 1, color=ALLOWED, lw=0, zorder=0.6)
    right.text(0.11, 0.45, "promise kept, noise wasted", color=GREY, va="bottom")
    right.text(0.11, 1.03, "promise broken", color=GREY, va="bottom")
    right.set(ylabel="true ε / claimed ε", title="what the classic formula gives")
    right.set(ylim=(0, max(1.5, 1.1 * (truth / claimed).max())))
    for axes in (left, right):
        axes.set(xlim=(0.1, 20), xticks=[0.1, 1, 10], xticklabels=["0.1", "1", "10"], xlabel="ε that is claimed")
        axes.axvline(1, color=GREY, lw=0.8)
    right.text(1.08, 0.03, "the proof ends here", color=GREY, va="bottom")
    return picture, (left, right)


@styled()
def local_and_central(
    epsilons: Sequence[float],
    by_epsilon: Mapping[str, Sequence[float]],
    sizes: Sequence[int],
    by_size: Mapping[str, Sequence[float]],
    *,
    n: int,
    epsilon: float,
) -> tuple[Figure, tuple[Axes, Axes]]:
    """Error of an estimated share where each patient lies a little, and where one curator adds noise once.

    Marks are measured errors, lines their formulas: ``sqrt(p (1 - p) / n) / (2 p - 1)`` for randomised response with the
    probability p of the truth, ``sqrt(2) / (epsilon n)`` for Laplace noise on the count.

    Parameters
    ----------
    epsilons, sizes : sequence
        Where the errors were measured.
    by_epsilon, by_size : mapping from "local" and "central" to sequence of float
        Root mean square errors of the share at each epsilon, and at each size.
    n : int
        Number of patients at which epsilon was varied.
    epsilon : float
        At which the number of patients was varied.

    Raises
    ------
    ValueError
        If a sequence has not as many errors as settings.
    """
    for errors, places, name in ((by_epsilon, epsilons, "by_epsilon"), (by_size, sizes, "by_size")):
        if {len(errors[kind]) for kind in ("local", "central")} != {len(places)}:
            found = [*map(len, errors.values())]
            raise ValueError(f"{name} has {found} errors, but must have {len(places)} of each kind")
    picture = figure(8.4, 3.6)
    left, right = picture.add_axes((0.09, 0.15, 0.39, 0.74)), picture.add_axes((0.575, 0.15, 0.39, 0.74))
    panels = ((left, epsilons, by_epsilon, n, epsilons), (right, sizes, by_size, sizes, epsilon))
    for axes, places, errors, people, level in panels:
        for kind, (colour, dashes, marker) in (("local", _LOCAL), ("central", _CENTRAL)):
            axes.loglog(places, share_error(kind, people, level), color=colour, ls=dashes)
            axes.loglog(places, errors[kind], color=colour, ls="", marker=marker, mec="white", label=kind)
        axes.set_xticks(places, [f"{place:,}" for place in places])
        axes.xaxis.set_minor_locator(NullLocator())
    left.set(xlabel="ε", ylabel="error of the share", title=f"{n:,} patients")
    right.set(xlabel="patients", ylabel="error of the share", title=f"ε = {epsilon:g}")
    left.legend(title="who adds noise")
    return picture, (left, right)


def share_error(kind: str, n: Any, epsilon: Any) -> NDArray[np.float64]:
    """Root mean square error of a share estimated by randomised response ("local") or a noisy count ("central").

    >>> share_error("local", 10_000, 1.0).round(4), share_error("central", 10_000, 1.0).round(5)
    (np.float64(0.0096), np.float64(0.00014))
    """
    n, epsilon = np.asarray(n, float), np.asarray(epsilon, float)
    if choice("kind", kind, ("local", "central")) == "central":
        return np.asarray(math.sqrt(2) / (epsilon * n))
    truth = 1 / (1 + np.exp(-epsilon))
    return np.asarray(np.sqrt(truth * (1 - truth) / n) / (2 * truth - 1))


@styled()
def repeated_question(
    times: Sequence[int], fresh: Sequence[float], split: Sequence[float], *, epsilon: float
) -> tuple[Figure, Axes]:
    """How often an attacker is right about Ada who sees the same question answered k times.

    Parameters
    ----------
    times : sequence of int
        The numbers k of answers.
    fresh, split : sequence of float
        Share of right guesses where each answer spends epsilon, and where all answers together spend it.
    epsilon : float
        Above 0. The most that k epsilon allow is ``e^(k epsilon) / (1 + e^(k epsilon))``.

    Raises
    ------
    ValueError
        If ``epsilon`` is outside its range or the sequences differ in length.
    """
    real("epsilon", epsilon, above=0)
    if not len(times) == len(fresh) == len(split):
        raise ValueError(f"fresh and split have {len(fresh)} and {len(split)} shares, but must have {len(times)} each")
    k = np.geomspace(times[0], times[-1], 200)
    picture = figure(6.0, 3.4)
    axes = picture.add_axes((0.11, 0.15, 0.85, 0.75))
    axes.fill_between(k, 50, 100 / (1 + np.exp(-k * epsilon)), color=ALLOWED, lw=0, zorder=0.6)
    axes.semilogx(times, 100 * np.array(fresh), "--s", color=VERMILLION, label=f"ε = {epsilon:g} for each answer")
    axes.semilogx(times, 100 * np.array(split), "-o", color=BLUE, label=f"ε = {epsilon:g} for all answers together")
    axes.axhline(100 / (1 + math.exp(-epsilon)), color=SKY, lw=1)
    axes.text(k[-1], 100 / (1 + math.exp(-epsilon)), f"most that ε = {epsilon:g} allows", va="bottom", ha="right")
    axes.axhline(50, color=GREY, ls=":", lw=1.4)
    axes.text(k[-1], 49.5, "coin flip", color=GREY, va="top", ha="right")
    axes.set_xticks(times, [str(time) for time in times])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(ylim=(44, 104), xlabel="answers k to the same question", ylabel="right guesses about Ada (%)")
    axes.set_title("shaded: what k answers of ε each allow")
    axes.legend(loc="upper left")
    return picture, axes


def _check(mechanism: str, scale: float, false_positive_rate: float, draw: int = 0) -> None:
    choice("mechanism", mechanism, MECHANISMS)
    real("scale", scale, above=0)
    real("false_positive_rate", false_positive_rate, above=0, below=1)
    whole("draw", draw, at_least=0)
