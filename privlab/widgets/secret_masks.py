"""A secure sum under sliders: what one clinic sends stays flat, and the sum comes out right, or not at all."""

from numpy.typing import ArrayLike

from privlab.plots.secret_masks import lab_picture
from privlab.widgets.panel import Panel, slider

DROPOUTS = (0, 1, 2, 3, 4, 5)
BITS = (4, 5, 6, 7, 8, 10)
NOISES = (0.0, 0.03, 0.1, 0.3, 1.0)


def lab(vectors: ArrayLike, clip: float) -> Panel:
    """A whole round of a secure sum at each setting of four sliders: parties, dropouts, bits, noise.

    Parameters and errors are those of `privlab.plots.secret_masks.lab`, which at its defaults is the still picture.

    Examples
    --------
    >>> import numpy as np
    >>> lab(np.linspace(-0.5, 0.5, 4000).reshape(10, 400), 1.0).controls["parties"].options[-1]
    ('10', 10)
    """
    picture = lab_picture(vectors, clip)
    (scene,) = picture.scenes

    def draw(noise: float, parties: int, dropouts: int, bits: int) -> tuple[bytes, str]:
        return picture.png(parties, dropouts, bits, noise), scene.words

    most = len(scene.vectors)
    return Panel(
        draw,
        "Histograms of one clinic's weights, a bell, and of what it sends, flat; the recovered mean over the true one.",
        noise=slider("noise", NOISES, 0.0, ends=("more accurate", "more private")),
        parties=slider("clinics", range(3, most + 1), most, ends=("few", "many")),
        dropouts=slider("lost", DROPOUTS, 2, ends=("all stay", "too many go")),
        bits=slider("bits", BITS, 10, ends=("coarse", "fine")),
    )
