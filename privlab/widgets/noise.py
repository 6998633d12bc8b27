"""Noise under sliders: two neighbouring answers overlap, and the attacker's best test weakens."""

from privlab.plots.noise import describe, overlap_picture
from privlab.plots.noise_scenes import MECHANISMS
from privlab.plots.style import percent
from privlab.widgets.panel import Panel, button, choice, slider

SCALES = (0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 7.0, 10.0)
FALSE_POSITIVE_RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)


def overlap() -> Panel:
    """A noisy count with and without one patient, and the ROC of the best test between them, under three controls.

    A button draws new sampled outcomes. The still picture is `privlab.plots.noise.overlap` at its defaults.

    Examples
    --------
    >>> overlap().alt.endswith("typical error 1.4 patients")
    True
    """
    picture = overlap_picture()

    def draw(noise: float, fpr: float, mechanism: str, button: int) -> tuple[bytes, str]:
        words = describe(mechanism=mechanism, scale=noise, false_positive_rate=fpr)
        return picture.png(mechanism, noise, fpr, button), words

    return Panel(
        draw,
        "Two overlapping densities of a noisy count, with and without Ada, sampled answers below them, and the "
        "attacker's ROC curve in the region that the guarantee allows.",
        noise=slider("noise scale", SCALES, 1.0, ends=("more accurate", "more private")),
        fpr=slider(
            "false alarms",
            [(percent(rate), rate) for rate in FALSE_POSITIVE_RATES],
            0.1,
            ends=("accuses rarely", "accuses often"),
        ),
        mechanism=choice("mechanism", MECHANISMS),
        button=button("new noise", "draw new answers of the same mechanism"),
    )
