"""Who sees what in the main experiment: the strip above the charts of a frontier over several shards or trusts."""

import math
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from privlab.leakage.frontier import Frontier, FrontierPoint
from privlab.plots.style import ALLOWED, BLUE, GREEN, VERMILLION, epsilon_text

LOW, MIDDLE, HIGH = 0.34, 0.53, 0.72  # of the boxes
SHARDS, SERVER, MODEL = (0.0, 0.42), (0.52, 0.73), (0.83, 1.0)  # their ends
NOISY, MASKED, CLEAR = (BLUE, ALLOWED, "-", None), (GREEN, "white", ":", "..."), (VERMILLION, "white", "--", None)


class TrustScene:
    """Shards, server and released model: solid and tinted where noise protects, dotted where masks hide, dashed where clear."""

    def __init__(self, axes: Axes, frontier: Frontier) -> None:
        self.axes, self.frontier = axes, frontier
        axes.set(xlim=(-0.005, 1.005), ylim=(0, 1))
        axes.set_axis_off()
        self.boxes = [
            axes.add_patch(Rectangle((start, LOW), end - start, HIGH - LOW, lw=1.6))
            for start, end in (SHARDS, SERVER, MODEL)
        ]
        self.walls = axes.vlines([], LOW, HIGH, lw=1.2)
        self.arrows = [self._arrow(SHARDS[1], SERVER[0]), self._arrow(SERVER[1], MODEL[0])]
        style: dict[str, Any] = {"fontsize": 8.5, "ha": "center", "va": "center"}
        places = [(start + end) / 2 for start, end in (SHARDS, SERVER, MODEL)]
        self.words = [[axes.text(x, y, "", **style) for y in (0.88, MIDDLE, 0.14)] for x in places]
        parts = [*self.boxes, self.walls, *self.arrows, *(text for column in self.words for text in column)]
        self.layers: list[list[Artist]] = [[], parts]

    def _arrow(self, start: float, end: float) -> Line2D:
        (arrow,) = self.axes.plot([start + 0.01, end - 0.015], [MIDDLE] * 2, lw=1.6, marker=">", markevery=[1])
        return arrow

    def update(self, attack: str, false_positive_rate: float, point: FrontierPoint) -> None:
        """Show a point; the attack, which sees the released model only, changes nothing here."""
        ends = np.linspace(*SHARDS, point.shards + 1)[1:-1]
        self.walls.set_segments([np.array([(x, LOW), (x, HIGH)]) for x in ends])
        server, model = (
            NOISY if math.isfinite(epsilon) else CLEAR for epsilon in (point.server_epsilon, point.model_epsilon)
        )
        for box, look in zip(self.boxes, (MASKED if _masked(point) else server, server, model), strict=True):
            colour, tint, dashes, hatch = look
            box.set(edgecolor=colour, facecolor=tint, linestyle=dashes, hatch=hatch)
        for line, box in zip((self.walls, *self.arrows), (self.boxes[0], *self.boxes[::2]), strict=True):
            line.set(color=box.get_edgecolor(), linestyle=box.get_linestyle())
        for column, words in zip(self.words, self._words(point), strict=True):
            for text, word in zip(column, words, strict=True):
                text.set_text(word)

    def _words(self, point: FrontierPoint) -> list[tuple[str, str, str]]:
        """Above, in and below each box."""
        shards, noise = point.shards, f"noise {point.noise_multiplier:g}"
        each, s = ("each ", "s") if shards > 1 else ("", "")
        recipe, records = self.frontier.recipe, self.frontier.trials / self.frontier.shadow_models / 2
        batch = recipe.sampling_rate * records if point.noise_multiplier else recipe.batch_size
        held, drawn = (max(1, round(count / shards)) for count in (records, batch))
        noisy, served, masked = math.isfinite(point.server_epsilon), math.isfinite(point.model_epsilon), _masked(point)
        masks = " + masks" if masked else ", unmasked"
        added = {"central": "", "secure-sum": masks, "local": f" + {noise}"}[point.trust]
        seen = "the total only" if masked else f"{shards} {'noisy' if noisy else 'clear'} sum{s}"
        trusted = "must be trusted" + " with it" * masked
        whole = f"{noise}·√{shards} = {point.model_noise_multiplier:.3g}" if noisy and shards > 1 else noise
        return [
            (
                f"{shards} shard{s}, {each}with about {held} records",
                "",
                f"{each}sends the sum of about {drawn} gradients{added}",
            ),
            (
                "the server adds up" + (f" + {noise}" if point.trust != "local" else ""),
                f"sees {seen}",
                epsilon_text(point.server_epsilon) if noisy else trusted,
            ),
            (
                "the released model",
                whole if served else "no noise",
                epsilon_text(point.model_epsilon),
            ),
        ]


def _masked(point: FrontierPoint) -> bool:
    """Whether masks hide each shard's sum: that of one shard is the total."""
    return point.trust == "secure-sum" and point.shards > 1
