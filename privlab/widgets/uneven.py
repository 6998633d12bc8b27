"""A round over uneven shards under sliders: skew, workers, a straggler, and who takes what."""

from privlab.plots.uneven import HOW, Race, race_picture
from privlab.widgets.panel import Panel, choice, slider

SKEWS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4)
WORKERS = (2, 3, 4, 5, 6, 7, 8)
SLOWNESS = (1.0, 1.25, 1.5, 2.0)


def race() -> Panel:
    """A simulated round over 16 shards, and what more workers would bring, under four controls.

    The still picture is `privlab.plots.uneven.race` of the default `privlab.plots.uneven.Race`.

    Examples
    --------
    >>> race().caption.value.split(":")[0]
    'skew 0.8, 4 workers of one speed, static'
    """
    picture = race_picture()

    def draw(skew: float, workers: int, slowness: float, policy: str) -> tuple[bytes, str]:
        setting = Race(skew, workers, slowness, policy)
        return picture.png(setting), str(setting)

    panel = Panel(
        draw,
        "Left, who works when, with the end of the round and the least time that these tasks can take. Right, how much "
        "faster each policy is with more workers, and the limit for whole shards.",
        skew=slider("skew of sizes", SKEWS, 0.8, ends=("all alike", "one giant")),
        workers=slider("workers", WORKERS, 4, ends=("few", "many")),
        slowness=slider("one is slower", [(f"{s:g} times", s) for s in SLOWNESS], 1.0, ends=("as fast", "a straggler")),
        policy=choice("tasks go out", [*zip(("static blocks", "dynamic queue", *HOW[2:]), HOW, strict=True)]),
    )
    panel.controls["skew"].add_class("privlab-noise")  # the main slider of each lesson has this class
    return panel
