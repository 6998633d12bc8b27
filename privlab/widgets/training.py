"""DP-SGD under two sliders: choose clip norm and noise multiplier, and see which of the two costs what."""

import math

from privlab.plots.training import Sweep, curves_picture, describe_curves
from privlab.widgets.panel import Panel, noise_label, slider


def clip_and_noise(sweep: Sweep, *, clip_norm: float | None = None, noise_multiplier: float | None = None) -> Panel:
    """Three learning curves, without privacy, clipped, clipped and noised, under a slider for each of the two knobs.

    Parameters
    ----------
    sweep : Sweep
        Precomputed runs; moving a slider trains nothing.
    clip_norm, noise_multiplier : float, optional
        What to show first, each one of the sweep's; `default_setting(sweep)` unless given. The still picture is
        `privlab.plots.training.learning_curves` at that setting.

    Raises
    ------
    ValueError
        If the sweep has no such clip norm or noise multiplier.
    """
    first_clip, first_noise = default_setting(sweep)
    first_clip = first_clip if clip_norm is None else clip_norm
    first_noise = first_noise if noise_multiplier is None else noise_multiplier
    sweep.curves(first_clip, first_noise)  # refuses what was not run
    picture = curves_picture(sweep)

    def draw(noise: float, clip: float) -> tuple[bytes, str]:
        return picture.png(clip, noise), describe_curves(sweep, clip, noise)

    noises = [(noise_label(*pair), pair[0]) for pair in zip(sweep.noise_multipliers, sweep.epsilons, strict=True)]
    return Panel(
        draw,
        "Test accuracy over steps in three curves.",
        noise=slider("noise multiplier", noises, first_noise, ends=("less noise", "more private")),
        clip=slider("clip norm", sweep.clip_norms, first_clip, ends=("cuts more off", "lets more noise in")),
    )


def default_setting(sweep: Sweep) -> tuple[float, float]:
    """The clip norm and the noise multiplier to show first: those nearest to 1, noise if there is any."""
    noises = [sigma for sigma in sweep.noise_multipliers if sigma > 0] or [0.0]
    return min(sweep.clip_norms, key=_from_one), min(noises, key=_from_one)


def _from_one(value: float) -> float:
    return abs(math.log(value)) if value > 0 else math.inf
