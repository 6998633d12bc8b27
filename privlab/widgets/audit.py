"""A bug of the museum under sliders: where to draw the line, how often to run, which check to do without."""

from privlab.leakage.museum import CHECKS
from privlab.leakage.tour import THRESHOLDS, TRIALS, Tour
from privlab.plots.audit import threshold_picture
from privlab.plots.audit_scenes import FIRST
from privlab.widgets.panel import Panel, choice, slider


def threshold(tour: Tour) -> Panel:
    """What a threshold on an auditor's scores proves of one bug, and what escapes when a check is left out.

    The still picture is `privlab.plots.audit.threshold` with its defaults.

    Parameters
    ----------
    tour : Tour
        The museum's tour. The last choice of the list of bugs is none at all.
    """
    picture = threshold_picture(tour)
    bugs = sorted((counts.bug for counts in tour.counts if counts.bug), key=lambda bug: bug != FIRST)

    def draw(noise: int, trials: int, bug: str, without: str) -> tuple[bytes, str]:
        return picture.png(bug, noise, trials, without), picture.scenes[0].words

    return Panel(
        draw,
        "Left, the share of runs whose score reaches each threshold, with and without a record. Right, the epsilon that this "
        "proves on these and on fresh runs beside the claim, and the checks that see the bug.",
        noise=slider("threshold", range(THRESHOLDS), 12, ends=("accuses many", "accuses few")),
        trials=slider("runs a side", TRIALS, 200, ends=("quick", "sure")),
        bug=choice("bug", [*((bug, bug) for bug in bugs), ("no bug", "")]),
        without=choice("leave out", [("no check", ""), *((check, check) for check in CHECKS)]),
    )
