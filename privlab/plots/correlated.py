"""Correlated noise in pictures: what each step takes back, what is left in the running sums, and when that pays."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.masking.correlated import NAMES, Correlation
from privlab.plots.style import ALLOWED, BLACK, GREY, SERIES, VERMILLION, figure, legend_below, styled

INDEPENDENT = "independent"
LOOKS = dict(zip((INDEPENDENT, *NAMES), [(GREY, "-", ""), *SERIES], strict=False))
SIGNS = LinearSegmentedColormap.from_list("signs", [VERMILLION, "white", BLACK])  # below 0, at 0, above


@styled()
def noise_matrices(steps: int, batches: int, names: Sequence[str] = NAMES) -> tuple[Figure, list[Axes]]:
    """Above, how the noise of each step is correlated with that of every other; below, what running sums keep of it.

    Each run's noise multiplier is its sensitivity: all spend the same.

    Parameters
    ----------
    steps, batches : int
        Length of the run, and steps in a pass over the data.
    names : sequence of str
        Kinds of correlation, with parameters as `Correlation.suited` has them; independent noise comes first unasked.

    Raises
    ------
    ValueError
        If an argument is not allowed.
    """
    steps = arguments.whole("steps", steps, at_least=2)
    kinds = {INDEPENDENT: Correlation("banded-square-root", bands=1)}
    kinds |= {name: Correlation.suited(name, steps, batches) for name in names}
    picture, width, lines = figure(8.4, 4.8), 0.9 / len(kinds), {}
    below = picture.add_axes((0.085, 0.175, 0.885, 0.305))
    above = [picture.add_axes((0.085 + i * width, 0.565, 0.87 * width, 0.32)) for i in range(len(kinds))]
    for axes, (name, kind) in zip(above, kinds.items(), strict=True):
        inverse = np.linalg.inv(kind.matrix(steps))
        extent = (0.5, steps + 0.5, steps + 0.5, 0.5)
        axes.imshow(_correlations(inverse), cmap=SIGNS, vmin=-0.6, vmax=0.6, extent=extent)
        axes.set(title=name, xticks=[1, steps], yticks=[])
        axes.grid(visible=False)
        left = kind.sensitivity(steps, batches) * np.linalg.norm(np.cumsum(inverse, axis=0), axis=1)
        colour, dashes, _ = LOOKS[name]
        (lines[name],) = below.plot(np.arange(1, steps + 1), left, color=colour, ls=dashes, label=name)
    lines[INDEPENDENT].set_linewidth(1)
    above[0].set(ylabel="step", yticks=[1, steps])
    picture.text(0.085, 0.95, "noise of one step with that of another; orange: it is taken back", fontsize=10)
    below.set(xlim=(1, steps), ylim=(0, None), xlabel="step", ylabel="noise / clip norm")
    below.set_title("noise in the running sums of gradients, all at the same ε")
    legend_below(picture, lines, ncols=len(kinds), columnspacing=1.5)
    return picture, [*above, below]


def _correlations(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """Correlation matrix of ``rows @ Z``, where Z is white noise."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return units @ units.T


@styled()
def crossover(epsilons: ArrayLike, runs: Mapping[str, Sequence[Mapping[str, float]]]) -> tuple[Figure, list[Axes]]:
    """Noise in the running sums under each correlation, over that of DP-SGD with amplification, against epsilon.

    Parameters
    ----------
    epsilons : array_like, shape (k,)
        Rising, above 0.
    runs : mapping of str to sequence of mapping
        For each panel, by its title, `privlab.masking.running_sum_errors` at each epsilon.

    Raises
    ------
    ValueError
        If a panel has not one mapping per epsilon.
    """
    spent = arguments.finite_array("epsilons", epsilons, dimensions=1)
    picture, panels, lines = figure(8.4, 3.9), [], {}
    for place, (title, errors) in enumerate(runs.items()):
        if len(errors) != len(spent):
            raise ValueError(f"runs[{title!r}] has {len(errors)} mappings, but must have {len(spent)}, one per epsilon")
        axes = picture.add_axes((0.075 + place * 0.905 / len(runs), 0.235, 0.905 / len(runs) - 0.06, 0.68))
        axes.axhspan(0.01, 1, color=ALLOWED, lw=0, zorder=0.6)
        for name in NAMES:
            ratios = [each[name] / each["amplified"] for each in errors]
            colour, dashes, marker = LOOKS[name]
            (lines[name],) = axes.loglog(spent, ratios, color=colour, ls=dashes, marker=marker, label=name)
            lines[name].set(mec="white", clip_on=False)
        best = [min(each[name] for name in NAMES) / each["amplified"] for each in errors]
        for epsilon in crossings(spent, best):
            axes.plot(epsilon, 1, marker="o", ms=9, mfc="none", mec=BLACK, ls="")
            axes.annotate(f"ε = {epsilon:.2g}", (epsilon, 1), (-8, -16), textcoords="offset points", ha="right")
        axes.text(spent[-1] * 0.93, 0.33, "correlated noise wins", color=GREY, ha="right", va="bottom")
        axes.text(spent[-1] * 0.93, 5.7, "amplification wins", color=GREY, ha="right", va="top")
        axes.set(xlim=(spent[0], spent[-1]), ylim=(0.3, 6), title=title, xlabel="ε of the whole run")
        axes.set_xticks(spent, [f"{epsilon:g}" for epsilon in spent])
        axes.set_yticks(ticks := (0.5, 1, 2, 4), [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        panels.append(axes)
    panels[0].set_ylabel("noise in the running sums / that of DP-SGD")
    legend_below(picture, lines, ncols=len(NAMES))
    return picture, panels


def crossings(epsilons: ArrayLike, ratios: ArrayLike) -> list[float]:
    """Where a curve passes 1 downwards, by straight lines between its points on logarithmic axes.

    >>> crossings([1, 4, 16], [2.0, 0.5, 0.25])
    [2.0]
    """
    x, y = np.log(epsilons), np.log(ratios)
    (above,) = np.nonzero((y[:-1] > 0) & (y[1:] <= 0))
    return np.exp(x[above] + y[above] / (y[above] - y[above + 1]) * (x[above + 1] - x[above])).round(12).tolist()
