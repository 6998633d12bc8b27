"""One record's two bells, and that record beside all the others, as scenes (see `privlab.plots.live`)."""

from collections.abc import Collection, Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from privlab import arguments
from privlab.data import Dataset
from privlab.leakage.frontier import ATTACKS, Frontier
from privlab.leakage.membership import separation
from privlab.leakage.shadows import Shadows
from privlab.plots.leakage_scenes import CURVE_RATES, CurveScene, attacks_of
from privlab.plots.style import BLACK, BLUE, VERMILLION, epsilon_text

Array = NDArray[np.float64]

BINS = 60
FALSE_POSITIVE_RATE = 0.01  # at which the explorer accuses


class RecordScene:
    """A record's picture over the confidences of the models trained with it and without it.

    Parameters
    ----------
    page, axes : Axes
        Empty axes for the picture and for the bells.
    dataset : Dataset
        Of pictures.
    levels : collection of Shadows
        All that will be shown: they fix the axis of confidences.
    """

    def __init__(self, page: Axes, axes: Axes, dataset: Dataset, levels: Collection[Shadows]) -> None:
        if dataset.image_shape is None:
            raise ValueError(f"dataset is {dataset.name!r}, but must be one of pictures")
        self.page, self.axes, self.dataset = page, axes, dataset
        self.image = page.imshow(np.zeros(dataset.image_shape), cmap="Greys", vmin=0, vmax=1)
        page.set_axis_off()
        most = np.array([np.quantile(level.confidences, (0.0002, 0.9998)) for level in levels])
        self.edges = np.linspace(np.floor(most.min()), np.ceil(most.max()), BINS + 1)
        self.fine = np.linspace(self.edges[0], self.edges[-1], 400)
        axes.set(
            xlim=self.edges[[0, -1]], ylim=(0, 1.06), yticks=[], xlabel="log-odds of the true class, one per model"
        )
        axes.spines["left"].set_visible(False)
        axes.axvline(0, color=BLACK, lw=0.6)
        self.bars, self.bells = [], []
        for face, edge, alpha, dashes in ((BLUE, "none", 0.35, "-"), ("none", VERMILLION, 0.8, "--")):
            self.bars += axes.fill([], [], facecolor=face, edgecolor=edge, alpha=alpha, zorder=3)
            self.bells += axes.plot([], [], color=edge if face == "none" else face, ls=dashes, lw=1.6, zorder=4)
        self.title = page.set_title("", fontsize=9, loc="center")
        self.layers = [[self.image, self.title, *self.bars, *self.bells]]

    def update(self, record: int, shadows: Shadows) -> None:
        """Show one training record under one set of shadow models; each group is scaled to its own height."""
        shape = self.dataset.image_shape
        assert shape is not None
        self.image.set_data(self.dataset.x_train[record].reshape(shape))
        self.title.set_text(f"record {record}, a {self.dataset.y_train[record]}")
        values, inside = shadows.confidences[:, record], shadows.members[:, record]
        for chosen, bars, bell in zip((inside, ~inside), self.bars, self.bells, strict=True):
            group = np.clip(values[chosen], *self.edges[[0, -1]])
            counts = np.histogram(group, self.edges)[0] / (len(group) * np.diff(self.edges))
            mean, deviation = values[chosen].mean(), max(values[chosen].std(ddof=1), 1e-6)
            normal = np.exp(-0.5 * ((self.fine - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
            top = max(counts.max(), normal.max())
            outline = np.column_stack([np.repeat(self.edges, 2)[1:-1], np.repeat(counts / top, 2)])
            bars.set_xy(np.vstack([[self.edges[0], 0], outline, [self.edges[-1], 0]]))
            bell.set_data(self.fine, normal / top)


class ExplorerScene:
    """A record's bells beside the ROC curve over all records, on which that record's own rate is marked.

    Parameters
    ----------
    page, bells, curve : Axes
        Empty axes to draw on.
    dataset, shadows, frontier
        As for `privlab.plots.membership.explorer`.

    Attributes
    ----------
    order : list of int
        The records, from the widest separation at the least noise to the narrowest.
    words : str
        The caption of what is shown.
    """

    def __init__(
        self,
        page: Axes,
        bells: Axes,
        curve: Axes,
        dataset: Dataset,
        shadows: Mapping[float, Shadows],
        frontier: Frontier,
    ) -> None:
        if frontier.dataset != dataset.name:
            raise ValueError(f"dataset is {dataset.name!r}, but the frontier was made of {frontier.dataset!r}")
        self.points = {point.noise_multiplier: point for point in frontier.points}
        if not shadows or not set(shadows) <= set(self.points):
            raise ValueError(f"shadows has the noise multipliers {sorted(shadows)}, not among {sorted(self.points)}")
        self.axes, self.shadows, self.attacks = (page, bells, curve), shadows, attacks_of(frontier)
        self.record, self.curve = RecordScene(page, bells, dataset, shadows.values()), CurveScene(curve, frontier)
        self.gaps = {noise: separation(level.confidences, level.members) for noise, level in shadows.items()}
        self.order = np.argsort(-self.gaps[min(shadows)], kind="stable").tolist()
        self.accused = {(n, a): _accused(ATTACKS[a](s), s.members) for n, s in shadows.items() for a in self.attacks}
        (self.mark,) = curve.plot([], [], ls="", marker="D", ms=7, color=BLACK, mec="white", zorder=7, clip_on=False)
        self.layers = [self.curve.layers[1], [*self.record.layers[0], self.mark]]  # the record alone leaves the curve
        self.shown: tuple[float, str] | None = None

    def update(self, record: int, noise_multiplier: float, attack: str) -> None:
        """Show one record at one noise multiplier under one attack."""
        if not 0 <= arguments.whole("record", record, at_least=0) < len(self.order):
            raise ValueError(f"record is {record}, but must be below {len(self.order)}")
        if noise_multiplier not in self.shadows:
            raise ValueError(f"noise_multiplier is {noise_multiplier!r}, but must be one of {sorted(self.shadows)}")
        arguments.choice("attack", attack, self.attacks)
        self.record.update(record, self.shadows[noise_multiplier])
        point = self.points[noise_multiplier]
        if self.shown != (noise_multiplier, attack):
            self.shown = (noise_multiplier, attack)
            self.curve.update(attack, FALSE_POSITIVE_RATE, point)
        found, innocent, with_it, without = self.counts(record, noise_multiplier, attack)
        self.mark.set_data([FALSE_POSITIVE_RATE], [max(found / with_it, CURVE_RATES[0])])
        self.words = (
            f"record {record}, noise {noise_multiplier:g} ({epsilon_text(point.epsilon)}): {attack} accuses it in "
            f"{found} of {with_it} models with it, {innocent} of {without} without; "
            f"bells {self.gaps[noise_multiplier][record]:.1f} sd apart"
        )

    def counts(self, record: int, noise_multiplier: float, attack: str) -> tuple[int, int, int, int]:
        """In how many models the record is accused rightly and wrongly, of how many trained with it and without it."""
        inside = self.shadows[noise_multiplier].members[:, record]
        accused = self.accused[noise_multiplier, attack][:, record]
        return int(accused[inside].sum()), int(accused[~inside].sum()), int(inside.sum()), int((~inside).sum())


def _accused(scores: Array, members: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Who is accused at the threshold that `FALSE_POSITIVE_RATE` of all non-members together exceed."""
    innocent = np.sort(scores[~members])[::-1]
    return scores > innocent[int(FALSE_POSITIVE_RATE * len(innocent))]
