"""The map of leaks under two sliders: who looks, and which defence stands."""

from privlab.leakage.map import ADVERSARIES, DEFENCES, describe
from privlab.plots.leaks import map_picture
from privlab.widgets.panel import Panel, slider


def threat_map() -> Panel:
    """The map of `privlab.leakage.map`, recoloured by its defence, with one adversary framed.

    The still picture is `privlab.plots.leaks.threat_map` of the first adversary and no defence.

    Examples
    --------
    >>> threat_map().caption.value
    'thief, nothing: records exposed (every page is on one disk), model exposed (every weight is in the file)'
    """
    picture = map_picture()

    def draw(adversary: str, defence: str) -> tuple[bytes, str]:
        return picture.png(adversary, defence), describe(adversary, defence)

    panel = Panel(
        draw,
        "A map of four adversaries by two assets, records and model; each cell is protected, partly exposed or exposed.",
        adversary=slider("adversary", [(name, name) for name in ADVERSARIES], ends=("outsider", "insider")),
        defence=slider("defence", [*zip(DEFENCES, DEFENCES, strict=True)], ends=("nothing", "everything")),
    )
    panel.controls["adversary"].add_class("privlab-noise")  # one slider of each lesson has this class
    return panel
