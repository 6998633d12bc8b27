"""Secrets ranked among all that could be, and one that is being learnt, as scenes (see `privlab.plots.live`)."""

from math import log, log2
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from privlab.leakage.canaries import TEMPLATE
from privlab.leakage.memorisation import Memorisation
from privlab.leakage.text_recipe import Moment
from privlab.plots.style import ALLOWED, BLACK, BLUE, GREEN, GREY, SKY, VERMILLION, epsilon_text, in_percent

NEVER_SEEN = 1 / log(2)  # mean exposure of a secret that no model has seen: its rank is uniform


class MemorisedScene:
    """Secrets' ranks among all, over exposure against repetitions.

    Parameters
    ----------
    place, curve : Axes
        Empty axes to draw on.
    result : Memorisation
        With a model without noise.

    Attributes
    ----------
    words : str
        The caption of what is shown.
    """

    def __init__(self, place: Axes, curve: Axes, result: Memorisation) -> None:
        self.runs = {run.noise_multiplier: run for run in result.runs if not run.deduplicated}
        if 0.0 not in self.runs:
            raise ValueError(f"result has the noise multipliers {sorted(self.runs)}, but must have 0")
        self.axes, self.result, self.most = (place, curve), result, log2(result.secrets)
        powers = 10 ** np.arange(round(np.log10(result.secrets)) + 1)
        place.set(xlim=(0, self.most), ylim=(-1, 1), yticks=[])
        place.set_xticks(np.log2(result.secrets / powers), [f"{power:,}" for power in powers])
        place.set_title(f"rank among all {result.secrets:,} secrets, logarithmic; 1 is said first", fontsize=9)
        place.spines["left"].set_visible(False)
        (self.bar,) = place.plot([], [], color=SKY, lw=7, solid_capstyle="butt")
        (self.ranks,) = place.plot([], [], ls="", marker="D", ms=7, color=BLUE, mec="white", clip_on=False, zorder=5)
        exposure_axes(curve, result)
        self.places = np.arange(len(result.repetitions))
        plain = np.median(self.runs[0.0].exposures, 1)
        self.allowed = curve.fill_between(self.places, 0 * self.places, color=ALLOWED, lw=0, step="mid", zorder=0.6)
        curve.plot(self.places, plain, color=VERMILLION, ls="--", zorder=3)
        (self.line,) = curve.plot([], [], color=BLUE, zorder=4)
        (self.dots,) = curve.plot([], [], ls="", marker="o", ms=4.5, color=BLUE, mec="white", zorder=5, clip_on=False)
        self.mark = curve.axvline(0, color=BLACK, lw=1, ls="-", alpha=0.5, zorder=2)
        self.layers = [[self.allowed], [self.bar, self.ranks, self.line, self.dots, self.mark]]

    def update(self, repetitions: int, noise_multiplier: float) -> None:
        """Show one number of repetitions at one noise multiplier."""
        for name, value, known in (
            ("repetitions", repetitions, self.result.repetitions),
            ("noise_multiplier", noise_multiplier, sorted(self.runs)),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}, but must be one of {', '.join(f'{one:g}' for one in known)}")
        run, at = self.runs[noise_multiplier], self.result.repetitions.index(repetitions)
        bits = np.array(run.exposures)
        middles = np.median(bits, 1)
        self.bar.set_data([0, middles[at]], [0, 0])
        self.ranks.set_data(bits[at], 0 * bits[at])
        self.line.set_data(self.places, middles)
        self.dots.set_data(np.repeat(self.places, bits.shape[1]), bits.ravel())
        self.mark.set_xdata([at, at])
        self.allowed.set_data(self.places, 0 * self.places, np.array(run.ceilings))
        best = self.result.secrets / 2 ** bits[at].max()
        copies = f"{repetitions} copies" if repetitions != 1 else "1 copy"
        self.words = (
            f"noise {noise_multiplier:.3g} ({epsilon_text(run.epsilon)}), {copies}: median exposure {middles[at]:.1f} bits, "
            f"best rank {best:,.0f}; the guarantee allows {run.ceilings[at]:.1f} of {self.most:.1f} bits"
        )


class LearningScene:
    """What the model says, symbol by symbol, over a curve of exposure."""

    def __init__(self, axes: Axes) -> None:
        self.axes, places = axes, TEMPLATE.count("#")
        most = log2(10**places)
        axes.set(xlim=(0, 1), ylim=(0, 1.06 * most), xlabel="training done", ylabel="exposure (bits)")
        in_percent(axes.xaxis)
        axes.axhline(most, color=GREY, ls=":", lw=1.4)
        axes.text(0.01, most - 0.4, "said first of all 1,000,000", va="top", color=GREY, fontsize=8.5)
        (self.line,) = axes.plot([], [], color=BLUE, marker="o", mec="white", clip_on=False, zorder=4)
        style: dict[str, Any] = {"family": "monospace", "fontsize": 15, "transform": axes.transAxes, "va": "bottom"}
        axes.text(0.66, 1.1, TEMPLATE.rstrip("#"), ha="right", **style)
        self.symbols = [axes.text(0.67 + 0.036 * i, 1.1, "", **style) for i in range(places)]
        self.layers = [[self.line, *self.symbols]]

    def update(self, secret: str, moments: tuple[Moment, ...]) -> None:
        """Show what has been learnt so far; symbols of the secret are green and bold."""
        self.line.set_data([moment.done for moment in moments], [moment.exposure for moment in moments])
        said = moments[-1].said if moments else "#" * len(self.symbols)
        for i, (text, symbol) in enumerate(zip(self.symbols, said, strict=True)):
            right = bool(moments) and secret[i] == symbol
            text.set(text=symbol, color=GREEN if right else GREY, weight="bold" if right else "normal")


def exposure_axes(axes: Axes, result: Memorisation) -> None:
    """Prepare axes of exposure against repetitions, with the lines of no and of full memory."""
    most = log2(result.secrets)
    axes.set(xlim=(-0.25, len(result.repetitions) - 0.75), ylim=(0, 1.06 * most))
    axes.set(xlabel="copies of the secret in the training text", ylabel="exposure (bits)")
    axes.set_xticks(np.arange(len(result.repetitions)), [str(count) for count in result.repetitions])
    axes.set_yticks(np.arange(0, most + 1, 5))
    axes.axhline(most, color=GREY, ls=":", lw=1.4, label="said first of all")
    axes.axhline(NEVER_SEEN, color=GREY, ls=(0, (1, 3)), lw=1, label="never seen, on average")
