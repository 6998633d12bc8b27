"""The map of leaks, recoloured by its defence, and the ledger of what was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from privlab import arguments
from privlab.leakage.map import ADVERSARIES, ASSETS, DEFENCES, EXPOSED, PROTECTED, STATES, fact
from privlab.plots.live import Picture
from privlab.plots.style import ALLOWED, BLACK, BLUE, GREY, VERMILLION, YELLOW, figure, in_percent, legend_below, styled

#: Fill, hatch and sign of each state: no two are alike in grey, and each is also a word.
LOOKS = dict(zip(STATES, ((ALLOWED, "", "○"), (YELLOW, "///", "◐"), (VERMILLION, "", "●")), strict=True))


class MapScene:
    """Adversaries by assets, each cell with its state, what is seen and the lesson; a frame around one adversary."""

    def __init__(self, picture: Figure) -> None:
        self.axes = picture.add_axes((0.24, 0.135, 0.745, 0.735))
        self.axes.set(xlim=(0, len(ASSETS)), ylim=(len(ADVERSARIES), 0), xticks=[], yticks=[])
        self.axes.grid(False)
        self.axes.spines[:].set_visible(False)
        for column, heading in enumerate(ASSETS.values()):
            self.axes.text(column + 0.5, -0.06, heading, ha="center", va="bottom")
        self.cells: dict[tuple[str, str], tuple[Rectangle, Any, Any]] = {}
        for row, (adversary, holds) in enumerate(ADVERSARIES.items()):
            self.axes.text(-0.03, row + 0.42, adversary, ha="right", va="center", weight="bold")
            self.axes.text(-0.03, row + 0.66, f"holds {holds}", ha="right", va="center", fontsize=8, color=GREY)
            for column, asset in enumerate(ASSETS):
                box = Rectangle((column + 0.02, row + 0.06), 0.96, 0.88, lw=0)
                self.axes.add_patch(box)
                middle: dict[str, Any] = {"ha": "center", "va": "center"}
                state = self.axes.text(column + 0.5, row + 0.36, "", weight="bold", fontsize=10, **middle)
                self.cells[adversary, asset] = box, state, self.axes.text(column + 0.5, row + 0.66, "", **middle)
        look: dict[str, Any] = {"fill": False, "ec": BLACK, "lw": 2.6, "zorder": 3, "clip_on": False}
        self.frame = Rectangle((0, 0), len(ASSETS), 1, **look)
        self.axes.add_patch(self.frame)
        self.title = picture.text(0.015, 0.955, "", fontsize=11)
        cells = [part for cell in self.cells.values() for part in cell]
        self.layers: list[list[Any]] = [[*cells, self.title], [self.frame]]

    def update(self, adversary: str, defence: str) -> None:
        """Recolour for a defence and frame an adversary."""
        self.frame.set_y([*ADVERSARIES].index(arguments.choice("adversary", adversary, ADVERSARIES)))
        title = f"What leaks to whom. Defence: {defence}"
        if self.title.get_text() == title:
            return
        for (who, asset), (box, state, sees) in self.cells.items():
            known = fact(who, asset, defence)
            fill, hatch, sign = LOOKS[known.state]
            box.set(facecolor=fill, hatch=hatch)
            state.set_text(f"{sign} {known.state}")
            sees.set_text(f"{known.sees} (lesson {known.lesson})")
        self.title.set_text(title)


def threat_map(adversary: str = "thief", defence: str = DEFENCES[0]) -> tuple[Figure, Axes]:
    """The map of `privlab.leakage.map` under one defence, with one adversary framed.

    The still twin of `privlab.widgets.leaks.threat_map`.

    Raises
    ------
    ValueError
        If the adversary or the defence is not on the map.
    """
    return map_picture().still(adversary, defence)


@styled()
def map_picture() -> Picture:
    """The figure of `threat_map` with nothing chosen yet."""
    picture = figure(8.4, 4.4)
    ranges = {"protected": f"up to {PROTECTED:.0%}", "partly": "between", "exposed": f"from {EXPOSED:.0%} on"}
    entries = {
        f"{LOOKS[state][2]} {state} ({words.replace('%', ' %')})": Patch(
            fc=LOOKS[state][0], hatch=LOOKS[state][1], ec=GREY, lw=0.5
        )
        for state, words in ranges.items()
    }
    legend_below(picture, entries, ncols=3, title="advantage over guessing")
    return Picture(picture, MapScene(picture))


@styled()
def ledger(rows: Sequence[Mapping[str, Any]]) -> tuple[Figure, Axes]:
    """A leakage ledger: for every row the advantage before (filled) and after (open) its defence.

    Parameters
    ----------
    rows : sequence of mapping
        Each with ``adversary``, ``asset`` and ``defence`` in words, and ``before`` and ``after``, advantages in [0, 1].

    Raises
    ------
    ValueError
        If there are no rows, or an advantage is not allowed.
    """
    if not rows:
        raise ValueError("rows has 0 rows, but must have at least 1")
    before, after = (
        [arguments.real(end, row[end], at_least=0, at_most=1) for row in rows] for end in ("before", "after")
    )
    picture = figure(8.4, 1.1 + 0.36 * len(rows))
    bottom = 0.72 / picture.get_figheight()
    axes = picture.add_axes((0.21, bottom, 0.55, 0.95 - bottom))
    places = range(len(rows))
    axes.axvspan(0, PROTECTED, color=ALLOWED, zorder=0)
    axes.axvline(EXPOSED, color=GREY, ls=":", lw=1.2)
    axes.hlines(places, after, before, color=GREY, lw=1.2, zorder=1)
    filled = axes.plot(before, places, ls="", marker="o", ms=8, color=VERMILLION, clip_on=False)[0]
    hollow = axes.plot(after, places, ls="", marker="D", ms=8, mec=BLUE, mfc="none", mew=1.8, clip_on=False)[0]
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel="advantage over guessing")
    axes.set_yticks(places, [f"{row['adversary']}: {row['asset']}" for row in rows])
    axes.tick_params(axis="y", length=0, pad=8)  # clear of the marks at 0
    for place, row in zip(places, rows, strict=True):
        axes.text(1.04, place, row["defence"], transform=axes.get_yaxis_transform(), va="center")
    in_percent(axes.xaxis)
    legend_below(picture, {"before": filled, "with the defence on the right": hollow}, ncols=2)
    return picture, axes
