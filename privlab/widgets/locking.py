"""A flipped bit under sliders: which loaders notice, and what the model does where none does."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privlab.plots.locking import WHO, flip_picture
from privlab.widgets.panel import Panel, choice, slider

_BITS = (0, 8, 16, 20, 21, 22, *range(23, 32))
_STOPS = 60


def flip(parameters: Mapping[str, NDArray], accuracy: Callable[[Any], float], *, weight: int = 0) -> Panel:
    """One bit flipped in six files of the same weights: where, which bit, and by whom.

    Parameters and errors are those of `privlab.plots.locking.flip`, which at the same weight is the still picture.
    """
    picture = flip_picture(parameters, accuracy)
    picture.update(weight, 30, WHO[0])  # refuses what is not there
    (scene,) = picture.scenes
    last = len(scene.files.weights) - 1
    stops = np.unique([*np.linspace(0, last, _STOPS).astype(int), weight]).tolist()

    # A lesson's main slider has the class ``privlab-noise``, hence the name.
    def draw(noise: int, bit: int, who: str) -> tuple[bytes, str]:
        return picture.png(noise, bit, who), scene.words_below

    return Panel(
        draw,
        "The weights as a picture with one of them ringed, and the verdicts of six loaders with the accuracy left.",
        noise=slider("weight", [(f"{stop:,}", stop) for stop in stops], weight, ends=("first layer", "last layer")),
        bit=slider("bit", _BITS, 30, ends=("fraction", "exponent, sign")),
        who=choice("flipped by", WHO),
    )
