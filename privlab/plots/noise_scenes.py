"""Two neighbouring answers and the test between them as scenes (see `privlab.plots.live`)."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from privlab.masking import gaussian_epsilon
from privlab.plots.style import ALLOWED, BLACK, BLUE, GREY, VERMILLION, epsilon_text, in_percent, outline, percent
from privlab.randomness import stream

Array = NDArray[np.float64]

MECHANISMS = ("laplace", "gaussian")
DELTA = 1e-5  # at which Gaussian noise is described
ANSWERS = (-10.0, 11.0)  # the x axis, the same for every scale: patients
OUTCOMES = 40  # sampled answers of each kind
_GRID = np.linspace(*ANSWERS, 701)
_RATES = np.concatenate([[0], np.geomspace(1e-4, 0.5, 60), 1 - np.geomspace(0.5, 1e-4, 60)[1:], [1]])


def delta_text(delta: float) -> str:
    """A delta in words.

    >>> delta_text(1e-5)
    'δ = 1e-5'
    """
    return f"δ = {delta:g}".replace("e-0", "e-")


@dataclass(frozen=True)
class Promise:
    """(epsilon, delta)-differential privacy.

    >>> str(Promise(0.5, 0.0)), str(Promise(0.5, 1e-5))
    ('ε = 0.50', 'ε = 0.50, δ = 1e-5')
    """

    epsilon: float
    delta: float

    def allows(self, false_positive_rates: ArrayLike) -> Array:
        """Largest true-positive rate of any test (Kairouz, Oh and Viswanath 2015, theorem 2.1).

        >>> Promise(math.log(2), 0.0).allows([0.1, 0.4]).round(3)
        array([0.2, 0.7])
        """
        rates = np.asarray(false_positive_rates, float)
        steep = rates * math.exp(min(self.epsilon, 700)) + self.delta
        flat = 1 - math.exp(-self.epsilon) * (1 - self.delta - rates)
        return np.asarray(np.minimum(1, np.minimum(steep, flat)))

    def __str__(self) -> str:
        return epsilon_text(self.epsilon) + (f", {delta_text(self.delta)}" if self.delta else "")


def guarantee(mechanism: str, scale: float) -> Promise:
    """What noise of this scale promises at sensitivity 1; Gaussian noise at delta 1e-5.

    >>> guarantee("laplace", 2.0).epsilon
    0.5
    """
    return Promise(1 / scale, 0.0) if mechanism == "laplace" else Promise(gaussian_epsilon(scale, DELTA), DELTA)


def best_test(mechanism: str, scale: float, false_positive_rates: ArrayLike) -> Array:
    """True-positive rates of the likelihood-ratio test between noise around 0 and the same noise around 1.

    For both mechanisms the ratio rises with the answer, so the test accuses above a threshold (Neyman and Pearson 1933).

    >>> best_test("laplace", 1 / math.log(2), [0.1, 0.4]).round(3)
    array([0.2  , 0.688])
    """
    return _survival(mechanism, _quantile(mechanism, false_positive_rates) - 1 / scale)


def _survival(mechanism: str, z: ArrayLike) -> Array:
    """Probability that noise of scale 1 exceeds z."""
    z = np.asarray(z, float)
    if mechanism == "gaussian":
        return np.asarray(ndtr(-z))
    tail = np.exp(-np.abs(z)) / 2
    return np.where(z > 0, tail, 1 - tail)


def _quantile(mechanism: str, rates: ArrayLike) -> Array:
    """The z that noise of scale 1 exceeds with the given probability."""
    rates = np.asarray(rates, float)
    if mechanism == "gaussian":
        return np.asarray(-ndtri(rates))
    with np.errstate(divide="ignore"):
        return np.where(rates < 0.5, -np.log(2 * rates), np.log(2 * (1 - rates)))


class OutcomeScene:
    """The two densities, sampled answers below them, and the threshold above which an answer accuses."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        axes.set(xlim=ANSWERS, ylim=(-0.33, 1.12), xticks=range(-10, 11, 5), yticks=[0, 0.5, 1])
        axes.set(xlabel="published answer minus the true count without Ada (patients)", ylabel="density (peak = 1)")
        self.accused, self.curves, self.dots = [], [], []
        looks = ((VERMILLION, "--", "....", "s", "white", -0.11), (BLUE, "-", "", "o", BLUE, -0.23))
        for colour, dashes, hatch, marker, face, height in looks:
            self.accused += axes.fill([], [], fc=colour, ec=colour, alpha=0.22, lw=0, hatch=hatch, zorder=2)
            self.curves += axes.plot([], [], color=colour, ls=dashes, zorder=3)
            self.dots += axes.plot([], [], ls="", marker=marker, ms=4.5, mfc=face, mec=colour, alpha=0.55, zorder=3)
            self.dots[-1].set_ydata([height] * OUTCOMES)
        axes.axhline(0, color="#888888", lw=0.8)
        (self.threshold,) = axes.plot([], [], color=BLACK, lw=1, zorder=4)
        self.title = axes.set_title("")
        self.layers = [[*self.accused, *self.curves, *self.dots, self.threshold, self.title]]

    def update(self, mechanism: str, scale: float, false_positive_rate: float, draw: int) -> None:
        """Show noise of a mechanism and scale, a threshold, and one draw of outcomes."""
        threshold = scale * float(_quantile(mechanism, false_positive_rate))
        uniform = stream(draw, "sampled outcomes").random((2, OUTCOMES))
        power = 1 if mechanism == "laplace" else 2
        for centre in (0, 1):
            z = np.abs(_GRID - centre) / scale
            density = np.exp(-(z**power) / power)
            self.curves[centre].set_data(_GRID, density)
            right = threshold <= _GRID
            outline = np.column_stack([_GRID[right], density[right]])
            ends = np.array([[ANSWERS[1], 0], [threshold, 0]])
            self.accused[centre].set_xy(np.concatenate([outline, ends]))
            # One draw of uniforms moved through the quantiles: the same patients' luck at every scale.
            self.dots[centre].set_xdata(centre + scale * _quantile(mechanism, uniform[centre]))
        self.threshold.set_data([threshold] * 2, [-0.3, 1.05])
        self.title.set_text(f"{mechanism.title()} noise of scale {scale:g}: {guarantee(mechanism, scale)}")


class TestScene:
    """The ROC of the best test inside the region of the guarantee."""

    __test__ = False  # no test of pytest's

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set(xlabel="false alarms (without Ada)", ylabel="right accusations (with Ada)")
        in_percent(axes.xaxis, axes.yaxis)
        (self.region,) = axes.fill([], [], color=ALLOWED, lw=0, zorder=0.6)
        (coin,) = axes.plot([0, 1], [0, 1], color=GREY, ls=":", lw=1.4, zorder=2)
        word = axes.text(0.70, 0.665, "coin flip", color=GREY, fontsize=8, va="top", ha="left")
        (self.curve,) = axes.plot([], [], color=BLUE, zorder=3)
        (self.point,) = axes.plot([], [], ls="", marker="o", ms=8, color=BLACK, mec="white", zorder=5, clip_on=False)
        self.title = axes.set_title("")
        self.layers = [[self.region, coin, word, self.curve, self.point, self.title]]

    def update(self, mechanism: str, scale: float, false_positive_rate: float, draw: int) -> None:
        """Show what noise of a mechanism and scale allows and what the best test achieves, and mark one threshold."""
        promise = guarantee(mechanism, scale)
        found = float(best_test(mechanism, scale, false_positive_rate))
        self.region.set_xy(outline(_RATES, promise.allows(_RATES), _RATES))
        self.curve.set_data(_RATES, best_test(mechanism, scale, _RATES))
        self.point.set_data([false_positive_rate], [found])
        self.title.set_text(f"found {percent(found)}, allowed {percent(float(promise.allows(false_positive_rate)))}")
