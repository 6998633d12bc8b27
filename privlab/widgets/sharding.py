"""Shards under sliders: who holds which labels, who works when, and how much sooner it is done."""

from numpy.typing import ArrayLike

from privlab.plots.sharding import HOW, Simulation, what_if_picture
from privlab.sharding.trace import POLICIES
from privlab.widgets.panel import Panel, choice, slider

SHARDS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
SKEWS = (0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0)


def what_if(labels: ArrayLike) -> Panel:
    """Simulated shards of these records and their round on four workers, under four controls.

    The still picture is `privlab.plots.sharding.what_if` of the default `privlab.plots.sharding.Simulation`.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Class of each record.

    Raises
    ------
    ValueError
        If the labels are not whole numbers.

    Examples
    --------
    >>> what_if([0, 1] * 50).caption.value.split(",")[0]
    '12 shards (dirichlet 1)'
    """
    picture = what_if_picture(labels)

    def draw(noise: int, skew: float, how: str, policy: str) -> tuple[bytes, str]:
        simulation = Simulation(labels, noise, skew, how, policy)
        return picture.png(simulation), str(simulation)

    return Panel(
        draw,
        "Left, shards as columns as wide as they are large, coloured by their labels. Right, who works when, with the end "
        "of the round and the bound that no schedule beats.",
        noise=slider("shards", SHARDS, 12, ends=("few, large", "many, small")),
        skew=slider("skew", SKEWS, 1.0, ends=("all alike", "each its own")),
        how=choice("skewed are", [("the labels (Dirichlet)", HOW[0]), ("the sizes (power law)", HOW[1])]),
        policy=choice("tasks go out", POLICIES),
    )
