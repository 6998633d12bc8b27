"""One bug under a threshold, as a scene (see `privlab.plots.live`)."""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from privlab import arguments
from privlab.leakage.audit import clopper_pearson
from privlab.leakage.museum import CHECKS
from privlab.leakage.tour import THRESHOLDS, TRIALS, Tour, escaped
from privlab.plots.style import BLACK, BLUE, GREY, ORANGE, SKY, VERMILLION, in_percent, percent

FIRST = "a share of noise per worker"  # the bug that is shown first
MOST = 6.0  # of the axis of epsilon


class ThresholdScene:
    """Left, how many runs reach each threshold; right, what that proves; below, which checks see the bug."""

    def __init__(self, picture: Figure, tour: Tour) -> None:
        self.tour = tour
        self.counts = {counts.bug: counts for counts in tour.counts}
        self.rows = {row.bug: row for row in tour.rows}
        left, right, strip = (
            picture.add_axes(place)
            for place in ((0.09, 0.25, 0.42, 0.61), (0.62, 0.52, 0.36, 0.34), (0.55, 0.15, 0.44, 0.2))
        )
        self.axes = left, right, strip
        left.set(
            xlim=(-0.5, THRESHOLDS - 0.5), ylim=(-0.02, 1.02), xticks=[0, 5, 10, 15, 20], ylabel="runs that reach it"
        )
        left.set_xlabel("threshold (place in the order of scores)")
        in_percent(left.yaxis)
        look: dict[str, Any] = {"drawstyle": "default", "markersize": 4, "zorder": 3}
        (self.present,) = left.plot([], [], color=BLUE, marker="o", **look)
        (self.absent,) = left.plot([], [], color=VERMILLION, ls="--", marker="s", **look)
        (self.here,) = left.plot([], [], color=BLACK, lw=1.1, zorder=2)
        self.intervals = [left.plot([], [], color=c, lw=5, alpha=0.5, zorder=4)[0] for c in (BLUE, VERMILLION)]
        right.set(xlim=(0, MOST), ylim=(-0.6, 1.6), yticks=[0, 1], yticklabels=["fresh runs", "these runs"])
        right.set_xlabel("ε proven, at least")
        self.bars = right.barh([1, 0], [0, 0], color=[SKY, ORANGE], ec=BLACK, lw=0.6, height=0.55, hatch=None)
        self.bars[0].set_hatch("//")
        (self.claim,) = right.plot([], [], color=BLACK, lw=2.4, zorder=5)
        strip.set(xlim=(-0.6, len(CHECKS) - 0.4), ylim=(-1, 1))
        strip.set_axis_off()
        for i, check in enumerate(CHECKS):
            strip.text(i, -0.75, check, ha="center", va="center", fontsize=8)
        (self.idle,) = strip.plot([], [], ls="", marker="o", ms=4, color="#AAAAAA")
        (self.saw,) = strip.plot([], [], ls="", marker="o", ms=11, color=BLUE)
        (self.gone,) = strip.plot([], [], ls="", marker="x", ms=13, mew=2.2, color=VERMILLION, zorder=5)
        self.titles = [left.set_title(""), right.set_title(""), strip.text(-0.55, 0.95, "", va="center", fontsize=9)]
        self.words_of_lines = {
            "with the record": Line2D([], [], color=BLUE, marker="o"),
            "without": Line2D([], [], color=VERMILLION, ls="--", marker="s"),
            "95 % interval": Line2D([], [], color=GREY, lw=5, alpha=0.5),
            "claimed ε": Line2D([], [], color=BLACK, lw=2.4),
        }
        self.layers: list[list[Artist]] = [
            [self.idle, self.saw, self.gone, self.titles[2], self.present, self.absent],
            [self.here, *self.intervals, *self.bars, self.claim, *self.titles[:2]],
        ]
        self.words = ""

    def update(self, bug: str, place: int, trials: int, without: str) -> None:
        """Show a bug at a threshold and a number of trials, with one check left out or none ("")."""
        counts = self.counts[arguments.choice("bug", bug, self.counts)]
        arguments.real("place", arguments.whole("place", place, at_least=0), at_most=THRESHOLDS - 1)
        arguments.choice("trials", str(trials), [str(number) for number in TRIALS])
        arguments.choice("without", without, ("", *CHECKS))
        seen = np.array(counts.seen[TRIALS.index(trials)])
        for line, side in ((self.absent, 0), (self.present, 1)):
            line.set_data(np.arange(THRESHOLDS), seen[side] / trials)
        self.here.set_data([place, place], [0, 1])
        low, high = clopper_pearson(trials, 0.95)
        for line, count, shift in zip(self.intervals, seen[::-1, place], (-0.18, 0.18), strict=True):
            line.set_data([place + shift] * 2, [low[count], high[count]])
        bounds = [counts.bound(trials, place, fresh=fresh) for fresh in (False, True)]
        for bar, bound in zip(self.bars, bounds, strict=True):
            bar.set_width(bound)
        self.claim.set_data([counts.claimed_epsilon] * 2, [-0.5, 1.5])
        with_it, without_it = (percent(share) for share in seen[::-1, place] / trials)
        self.titles[0].set_text(f"{bug or 'no bug'}\n{with_it} with the record, {without_it} without")
        proof = (
            "a proof that the claim is false" if bounds[1] > counts.claimed_epsilon else "no proof against the claim"
        )
        self.titles[1].set_text(proof)
        caught = self._show_checks(bug, without)
        self.words = (
            f"{bug or 'no bug'}, threshold {place} of {THRESHOLDS - 1}, {trials} runs a side: ε at least {bounds[0]:.2f} on "
            f"these, {bounds[1]:.2f} on fresh ones, claimed {counts.claimed_epsilon:.2f}; {caught}"
        )

    def _show_checks(self, bug: str, without: str) -> str:
        saw = [check for check in self.rows[bug].caught_by if check != without] if bug else []
        places = {check: i for i, check in enumerate(CHECKS)}
        self.idle.set_data(range(len(CHECKS)), [0] * len(CHECKS))
        self.saw.set_data([places[check] for check in saw], [0] * len(saw))
        self.gone.set_data([places[without]] if without else [], [0] if without else [])
        missed = escaped(self.tour.rows, without) if without else []
        verdict = f"seen by {' and '.join(saw)}" if saw else "seen by nobody" if bug else "nothing to see"
        escapes = f"; without {without} {len(missed)} of {len(self.rows)} escape" if without else ""
        self.titles[2].set_text(verdict + escapes)
        return verdict + escapes
