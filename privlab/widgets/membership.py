"""Who was in the training set, under sliders: a record, the noise, the attack."""

from collections.abc import Mapping

import numpy as np

from privlab.data import Dataset
from privlab.leakage.frontier import Frontier
from privlab.leakage.shadows import Shadows
from privlab.plots.live import Picture
from privlab.plots.membership import explorer_scene
from privlab.widgets.panel import Panel, choice, noise_label, slider

_STOPS = 31


def explorer(dataset: Dataset, shadows: Mapping[float, Shadows], frontier: Frontier) -> Panel:
    """One record's two bells and what an attack finds of it, from the most to the least exposed record.

    Parameters and errors are those of `privlab.plots.membership.explorer`, whose default is the still picture.
    """
    figure, scene = explorer_scene(dataset, shadows, frontier)
    picture = Picture(figure, scene)

    def draw(record: int, noise: float, attack: str) -> tuple[bytes, str]:
        return picture.png(record, noise, attack), scene.words

    noises = [(noise_label(noise, scene.points[noise].epsilon), noise) for noise in sorted(shadows)]
    records = [(f"rank {rank:,}", scene.order[rank - 1]) for rank in ranks(len(scene.order))]
    return Panel(
        draw,
        "A record over the answers of the models with and without it, beside a ROC curve.",
        record=slider("record", records, ends=("most exposed", "least exposed")),
        noise=slider("noise multiplier", noises, ends=("more accurate", "more private")),
        attack=choice("attack", scene.attacks),
    )


def ranks(count: int) -> list[int]:
    """Stops of the slider among ``count`` ranks: dense among the first, sparse towards the last.

    >>> ranks(1348)[:6], ranks(1348)[-2:]
    ([1, 2, 3, 4, 5, 7], [1060, 1348])
    """
    return np.unique(np.geomspace(1, count, _STOPS).round().astype(int)).tolist()
