"""What DP-SGD does and costs: clipping told apart from noise, accountants compared, accuracy against epsilon.

Blue is a private run, vermillion and dashed a run without privacy, green and dash-dotted a run that clips but adds no noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.plots.live import Picture
from privlab.plots.style import BLUE, GREEN, GREY, SERIES, VERMILLION, epsilon_text, figure, outline, styled

Array = NDArray[np.float64]
LEGEND_BELOW: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.17), "fontsize": 8.5}


@dataclass(frozen=True, eq=False)
class Sweep:
    """Test accuracy during training, for every pair of a clip norm and a noise multiplier, over several seeds.

    Parameters
    ----------
    steps : array_like, shape (S,)
        After how many updates accuracy was measured.
    clip_norms : tuple of float, length C
        Rising.
    noise_multipliers : tuple of float, length N
        Rising; the first is 0, which clips only.
    epsilons : tuple of float, length N
        What the whole run spends at each noise multiplier; the clip norm does not enter.
    accuracy : array_like, shape (C, N, seeds, S)
        Shares in [0, 1].
    plain : array_like, shape (seeds, S)
        The same without privacy.

    Raises
    ------
    ValueError
        If a shape does not fit, a share is outside [0, 1], or the first noise multiplier is not 0.

    >>> Sweep([10, 20], (1.0,), (0.0, 1.0), (np.inf, 5.0), np.full((1, 2, 3, 2), 0.9), np.full((3, 2), 0.95)).seeds
    3
    """

    steps: ArrayLike
    clip_norms: tuple[float, ...]
    noise_multipliers: tuple[float, ...]
    epsilons: tuple[float, ...]
    accuracy: ArrayLike
    plain: ArrayLike

    def __post_init__(self) -> None:
        for name in ("steps", "accuracy", "plain"):
            object.__setattr__(self, name, arguments.finite_array(name, getattr(self, name)).astype(np.float64))
        clips, noises, steps = len(self.clip_norms), len(self.noise_multipliers), np.size(self.steps)
        if not noises or self.noise_multipliers[0] != 0:
            raise ValueError(f"noise_multipliers is {self.noise_multipliers!r}, but must begin with 0, clipping alone")
        if len(self.epsilons) != noises:
            raise ValueError(f"epsilons has {len(self.epsilons)} values, but must have {noises}, as noise_multipliers")
        accuracy, plain = np.shape(self.accuracy), np.shape(self.plain)
        if accuracy != (clips, noises, *plain) or plain[1:] != (steps,):
            raise ValueError(
                f"accuracy has shape {accuracy} and plain {plain}, "
                f"but must have ({clips}, {noises}, seeds, {steps}) and (seeds, {steps})"
            )
        for name in ("accuracy", "plain"):
            if np.min(getattr(self, name)) < 0 or np.max(getattr(self, name)) > 1:
                raise ValueError(f"{name} has values outside [0, 1], but must hold shares")

    @property
    def seeds(self) -> int:
        """Number of runs behind each curve."""
        return len(np.asarray(self.plain))

    def curves(self, clip_norm: float, noise_multiplier: float) -> tuple[Array, Array, Array]:
        """Without privacy, clipped only, clipped and noised: three arrays of shape (seeds, S).

        Raises
        ------
        ValueError
            If the sweep has no such clip norm or noise multiplier.
        """
        for name, value in (("clip_norm", clip_norm), ("noise_multiplier", noise_multiplier)):
            known: tuple[float, ...] = getattr(self, name + "s")
            if value not in known:
                raise ValueError(
                    f"{name} is {value!r}, but must be one of {', '.join(f'{other:g}' for other in known)}"
                )
        runs = np.asarray(self.accuracy)[self.clip_norms.index(clip_norm)]
        return np.asarray(self.plain), runs[0], runs[self.noise_multipliers.index(noise_multiplier)]


def describe_curves(sweep: Sweep, clip_norm: float, noise_multiplier: float) -> str:
    """One sentence with the accuracies at the last step: the caption of the picture, and its alternative text.

    >>> sweep = Sweep([9], (1.0,), (0.0, 1.0), (np.inf, 5.0), [[[[0.9]], [[0.85]]]], [[0.95]])
    >>> describe_curves(sweep, 1.0, 1.0)
    'clip norm 1, noise 1: ε = 5.0; accuracy 95 % without privacy, 90 % clipped only, 85 % clipped and noised'
    """
    curves = sweep.curves(clip_norm, noise_multiplier)
    plain, clipped, private = (f"{100 * curve[:, -1].mean():.0f} %" for curve in curves)  # seeds differ by more
    spent = epsilon_text(sweep.epsilons[sweep.noise_multipliers.index(noise_multiplier)], decimals=1)
    return (
        f"clip norm {clip_norm:g}, noise {noise_multiplier:g}: {spent}; "
        f"accuracy {plain} without privacy, {clipped} clipped only, {private} clipped and noised"
    )


class CurvesScene:
    """Three learning curves with bands from the lowest seed to the highest."""

    def __init__(self, axes: Axes, sweep: Sweep) -> None:
        self.axes, self.sweep = axes, sweep
        steps = np.asarray(sweep.steps)
        # From the worst setting's end: the first steps, where all curves rise from chance, may begin below.
        lowest = np.floor(10 * np.asarray(sweep.accuracy)[..., -1].min() + 1e-9) / 10
        axes.set(xlim=(0, steps[-1]), ylim=(min(lowest, 0.8), 1), xlabel="steps", ylabel="test accuracy")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        looks = {"no privacy": (VERMILLION, "--"), "clip only": (GREEN, "-."), "clip and noise": (BLUE, "-")}
        self.lines, self.bands = [], []
        for label, (colour, dashes) in looks.items():
            self.lines += axes.plot(steps, 0 * steps, color=colour, ls=dashes, label=label)
            self.bands += axes.fill([], [], facecolor=colour, alpha=0.2, lw=0)
        self.title = axes.set_title("")
        self.layers = [[*self.bands, *self.lines, self.title]]
        axes.legend(title=f"mean of {sweep.seeds} seeds; band: lowest to highest", ncols=3, **LEGEND_BELOW)

    def update(self, clip_norm: float, noise_multiplier: float) -> None:
        """Show the runs with this clip norm and this noise multiplier."""
        curves = self.sweep.curves(clip_norm, noise_multiplier)
        for line, band, curve in zip(self.lines, self.bands, curves, strict=True):
            line.set_ydata(curve.mean(0))
            band.set_xy(outline(self.sweep.steps, curve.min(0), curve.max(0)))
        plain, clipped, private = (100 * curve[:, -1].mean() for curve in curves)
        self.title.set_text(
            f"clip norm {clip_norm:g}, noise {noise_multiplier:g}: clipping costs {_points(plain - clipped)}, "
            f"noise {_points(clipped - private)} more"
        )


def learning_curves(sweep: Sweep, clip_norm: float, noise_multiplier: float) -> tuple[Figure, Axes]:
    """Accuracy over steps without privacy, with clipping alone, and with clipping and noise.

    The first gap is the bias of clipping, the second what the noise does: two costs that one accuracy would mix up.

    Parameters
    ----------
    sweep : Sweep
        The results.
    clip_norm, noise_multiplier : float
        One of each of the sweep's.

    Raises
    ------
    ValueError
        If the sweep has no such clip norm or noise multiplier.
    """
    return curves_picture(sweep).still(clip_norm, noise_multiplier)


@styled()
def curves_picture(sweep: Sweep) -> Picture:
    """The figure of `learning_curves` with nothing chosen yet."""
    picture = figure(7, 4.2)
    return Picture(picture, CurvesScene(picture.add_axes((0.095, 0.27, 0.88, 0.65)), sweep))


@styled()
def accountants(
    noise_multipliers: ArrayLike,
    *,
    exact: ArrayLike,
    renyi: ArrayLike,
    clt: ArrayLike,
    shuffled_at_least: ArrayLike,
    shuffled_at_most: ArrayLike,
) -> tuple[Figure, Axes]:
    """Epsilon against noise by several accountants: solid lines may be reported, the dotted one may not.

    Parameters
    ----------
    noise_multipliers : array_like, shape (k,)
        Rising.
    exact, renyi : array_like, shape (k,)
        Poisson sampling by privacy loss distribution and by Renyi divergences.
    clt : array_like, shape (k,)
        Poisson sampling by the central limit approximation (Bu et al. 2020): no bound.
    shuffled_at_least, shuffled_at_most : array_like, shape (k,)
        Between which the same run with shuffled batches lies.

    Raises
    ------
    ValueError
        If the arrays do not have the same length.
    """
    sigma, pld, rdp, limit, low, high = _equally_long(
        noise_multipliers=noise_multipliers,
        exact=exact,
        renyi=renyi,
        clt=clt,
        shuffled_at_least=shuffled_at_least,
        shuffled_at_most=shuffled_at_most,
    )
    picture = figure(7, 4.6)
    axes = picture.add_axes((0.1, 0.33, 0.87, 0.59))
    axes.fill_between(sigma, low, high, color=VERMILLION, alpha=0.25, lw=0, label="shuffled batches: ε lies in here")
    axes.plot(sigma, high, color=VERMILLION, ls="--", lw=1.2, label="shuffled, as the ledger charges")
    axes.plot(sigma, rdp, color=GREEN, ls="-.", label="Poisson, Rényi: a bound, looser")
    axes.plot(sigma, pld, color=BLUE, label="Poisson, privacy loss distribution")
    axes.plot(sigma, limit, color=GREY, ls=":", lw=2.2, label="Poisson, central limit: no bound")
    axes.set(yscale="log", xlim=(sigma[0], sigma[-1]), xlabel="noise multiplier", ylabel="ε of one pass")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_title("the same noise: what may be reported, and what may not")
    axes.legend(ncols=2, **LEGEND_BELOW)
    return picture, axes


@styled()
def cost_of_privacy(
    epsilons: ArrayLike, accuracies: Mapping[str, ArrayLike], without: Mapping[str, float]
) -> tuple[Figure, Axes]:
    """Test accuracy against the epsilon of the whole run, with a band over seeds and a line for no privacy.

    Parameters
    ----------
    epsilons : array_like, shape (k,)
        Total epsilon of each setting, above 0.
    accuracies : mapping of str to array_like, shape (k, seeds)
        Per kind of model, at most five, the shares that the private runs get right.
    without : mapping of str to float
        The share without privacy, for some or all of these kinds.

    Raises
    ------
    ValueError
        If ``without`` names a kind that ``accuracies`` does not, or a shape does not fit.
    """
    spent = arguments.finite_array("epsilons", epsilons, dimensions=1)
    if not 1 <= len(accuracies) <= len(SERIES):
        raise ValueError(f"accuracies names {len(accuracies)} kinds of model, but must name 1 to {len(SERIES)}")
    if not set(without) <= set(accuracies):
        raise ValueError(f"without names {sorted(without)}, but must be among {sorted(accuracies)}, as accuracies")
    picture = figure(7, 4.2)
    axes = picture.add_axes((0.095, 0.27, 0.88, 0.65))
    for (name, shares), (colour, dashes, marker) in zip(accuracies.items(), SERIES, strict=False):
        runs = arguments.finite_array(f"accuracies[{name!r}]", shares, dimensions=2)
        if len(runs) != len(spent):
            raise ValueError(f"accuracies[{name!r}] has {len(runs)} rows, but must have {len(spent)}, one per epsilon")
        axes.fill_between(spent, runs.min(1), runs.max(1), color=colour, alpha=0.2, lw=0)
        axes.plot(spent, runs.mean(1), color=colour, ls=dashes, marker=marker, mec="white", label=f"{name}, private")
        if name in without:
            axes.axhline(without[name], color=colour, ls=(0, (1, 3)), lw=1.6, label=f"{name}, no privacy")
    axes.set(xscale="log", xlabel="ε of the whole run (smaller is more private)", ylabel="test accuracy")
    axes.set_xticks(spent)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_title("mean of the seeds; band: lowest to highest")
    axes.legend(ncols=2, **LEGEND_BELOW)
    return picture, axes


def _points(difference: float) -> str:
    shown = round(difference, 1) + 0.0  # plus zero: no "-0.0"
    return f"{shown:.1f} point{'' if abs(shown) == 1 else 's'}"


def _equally_long(**named: ArrayLike) -> list[Array]:
    arrays = {name: arguments.finite_array(name, value, dimensions=1) for name, value in named.items()}
    first, length = next((name, len(array)) for name, array in arrays.items())
    for name, array in arrays.items():
        if len(array) != length:
            raise ValueError(f"{name} has {len(array)} values, but must have {length}, as {first}")
    return list(arrays.values())
