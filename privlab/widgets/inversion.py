"""Gradient inversion under two sliders: how many records share a gradient, and how much noise is on it."""

from privlab.leakage.recoveries import Recoveries
from privlab.plots.inversion import recovery_picture
from privlab.widgets.panel import Panel, slider


def recovery(recoveries: Recoveries) -> Panel:
    """A batch's originals over what was recovered of them, and how that falls with noise.

    The still picture is `privlab.plots.inversion.recovery` at the smallest batch and the least noise.

    Parameters
    ----------
    recoveries : Recoveries
        Attacks made by `privlab.leakage.recover`; moving a slider makes none.
    """
    picture = recovery_picture(recoveries)

    def draw(batch: int, noise: float) -> tuple[bytes, str]:
        return picture.png(batch, noise), recoveries.describe(batch, noise)

    noises = [(f"{noise:g}" if noise else "0 (none)", noise) for noise in recoveries.noises]
    return Panel(
        draw,
        "Pictures over what was recovered of them, and a curve of their quality over the noise.",
        batch=slider("batch size", recoveries.batch_sizes, ends=("one record", "a crowd")),
        noise=slider("noise per coordinate", noises, ends=("more accurate", "more private")),
    )
