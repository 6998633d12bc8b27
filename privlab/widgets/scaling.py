"""A round under sliders: workers, bandwidth, clients, and what a message is for."""

from privlab.plots.scaling import TASKS, WORKERS, Scale, scaling_picture
from privlab.widgets.panel import Panel, choice, slider

BANDWIDTHS = {"10 Mbit/s": 1e7, "100 Mbit/s": 1e8, "1 Gbit/s": 1e9, "10 Gbit/s": 1e10, "100 Gbit/s": 1e11}
CLIENTS = (100, 1_000, 10_000, 100_000, 1_000_000)


def scaling() -> Panel:
    """Predicted seconds of a round and the efficiency of its workers under four controls, from fixed constants.

    The still picture is `privlab.plots.scaling.scaling` of the default `privlab.plots.scaling.Scale`.

    Examples
    --------
    >>> scaling().caption.value.split(":")[0]
    '16 workers, 10 Gbit/s, 1,000 clients, one message per worker'
    """
    picture = scaling_picture()

    def draw(noise: int, bandwidth: float, clients: int, tasks: str) -> tuple[bytes, str]:
        setting = Scale(noise, bandwidth, clients, tasks)
        return picture.png(setting), str(setting)

    return Panel(
        draw,
        "Left, seconds of a round over workers: work falls, transfer and overhead rise or stay. Right, shares of a worker's "
        "time, useful work at the bottom.",
        noise=slider("workers", [(f"{k:,}", k) for k in WORKERS], 16, ends=("few", "many")),
        bandwidth=slider("bandwidth", [*BANDWIDTHS.items()], 1e10, ends=("home line", "data centre")),
        clients=slider("clients", [(f"{n:,}", n) for n in CLIENTS], 1_000, ends=("few", "the internet")),
        tasks=choice("messages", TASKS),
    )
