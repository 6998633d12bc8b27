"""Gradient inversion in pictures: what an attacker recovers of a batch, and how much noise it takes to prevent it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from privlab.leakage.recoveries import CLEAR, LIKE_THE_ORIGINAL, MOST, Recoveries, decibels
from privlab.plots.live import Picture
from privlab.plots.style import BLACK, BLUE, GREY, SERIES, figure, outline, styled

Array = NDArray[np.float64]

_ROOM = 0.25  # for words under a picture, in its heights
_WORDS = 0.91  # where they stand
_CENTRED: dict[str, Any] = {"ha": "center", "va": "center", "size": 8.5}


@styled()
def recovered(recoveries: Recoveries, settings: Sequence[tuple[int, float]]) -> tuple[Figure, Axes]:
    """The original pictures over what was recovered of them, one row for each setting, with their PSNR.

    Parameters
    ----------
    recoveries : Recoveries
    settings : sequence of (int, float)
        Batch sizes and noises, from the top to the bottom.

    Raises
    ------
    ValueError
        If there is no setting, or one is not among the recoveries.
    """
    if not settings:
        raise ValueError("settings is empty, but must have a batch size and a noise at least")
    for setting in settings:
        recoveries.describe(*setting)
    columns, height, left = max(b for b, _ in settings), len(settings) + 1, 1.0
    picture = figure(left + 0.8 * columns, height)
    axes = picture.add_axes((left / picture.get_figwidth(), 0, 1 - left / picture.get_figwidth(), 0.98))
    rows = [recoveries.truth[:columns], *(recoveries.guesses[setting] for setting in settings)]
    _sheet(axes, rows, recoveries.image_shape, columns)
    for row, setting in enumerate(settings, start=1):
        _row_label(axes, row, f"batch of {setting[0]}\n" + (f"noise {setting[1]:g}" if setting[1] else "no noise"))
        for column, value in enumerate(recoveries.quality[setting]):
            axes.text(column + 0.5, row + _WORDS, decibels(value), **_CENTRED)
    return picture, axes


@styled()
def psnr_against_noise(recoveries: Recoveries) -> tuple[Figure, Axes]:
    """How well records are recovered over the noise on their gradient: median per batch size, band from worst to best record.

    Raises
    ------
    ValueError
        If there are more than five batch sizes.
    """
    if len(recoveries.batch_sizes) > len(SERIES):
        raise ValueError(
            f"recoveries has the batch sizes {recoveries.batch_sizes}, but must have at most {len(SERIES)}"
        )
    picture = figure(6.4, 3.6)
    axes = picture.add_axes((0.1, 0.15, 0.87, 0.81))
    x = _noise_axes(axes, recoveries)
    for b, (colour, dashes, marker) in zip(recoveries.batch_sizes, SERIES, strict=False):
        low, middle, high = _spread(recoveries, b)
        axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
        axes.plot(x, middle, color=colour, ls=dashes, marker=marker, mec="white", mew=0.8, label=f"batch of {b}")
    axes.legend(loc="upper right")
    return picture, axes


def recovery(
    recoveries: Recoveries, records: int | None = None, noise: float | None = None
) -> tuple[Figure, tuple[Axes, Axes]]:
    """A batch's originals, what was recovered of them, and the same for every noise: the twin of `privlab.widgets.inversion`.

    Parameters
    ----------
    recoveries : Recoveries
    records : int, optional
        Batch size; the smallest unless given.
    noise : float, optional
        Per coordinate; the least unless given.

    Raises
    ------
    ValueError
        If the setting is not among the recoveries.
    """
    b = recoveries.batch_sizes[0] if records is None else records
    return recovery_picture(recoveries).still(b, recoveries.noises[0] if noise is None else noise)


@styled()
def recovery_picture(recoveries: Recoveries) -> Picture:
    """The figure of `recovery` with nothing chosen yet; a setting is a batch size and a noise."""
    picture = figure(8.4, 4.6)
    sheet, curve = picture.add_axes((0.1, 0.495, 0.89, 0.5)), picture.add_axes((0.1, 0.1, 0.89, 0.365))
    return Picture(picture, RecoveryScene(sheet, curve, recoveries))


class RecoveryScene:
    """Originals over recovered pictures on one pair of axes, their PSNR over the noise on the other."""

    def __init__(self, sheet: Axes, curve: Axes, recoveries: Recoveries) -> None:
        self.axes, self.recoveries = (sheet, curve), recoveries
        self.image = _sheet(sheet, [recoveries.truth, recoveries.truth], recoveries.image_shape, MOST)
        _row_label(sheet, 1, "recovered")
        self.words = [sheet.text(i + 0.5, 1 + _WORDS, "", **_CENTRED) for i in range(MOST)]
        self.x = _noise_axes(curve, recoveries)
        (self.band,) = curve.fill([], [], facecolor=BLUE, alpha=0.2, lw=0, label="worst to best record")
        (self.line,) = curve.plot([], [], color=BLUE, label="median of the batch")
        (self.mark,) = curve.plot([], [], color=BLACK, marker="D", ms=7, mec="white", ls="", zorder=5, clip_on=False)
        curve.legend(loc="upper right")
        self.layers = [[self.image, *self.words, self.band, self.line, self.mark]]

    def update(self, records: int, noise: float) -> None:
        """Show one batch size and one noise."""
        shown = self.recoveries
        shown.describe(records, noise)  # refuses what is not there
        guesses = shown.guesses[records, noise]
        self.image.set_data(_tiles([shown.truth[:records], guesses], shown.image_shape, MOST))
        values = [decibels(value) for value in shown.quality[records, noise]]
        for word, value in zip(self.words, values + [""] * (MOST - records), strict=True):
            word.set_text(value)
        low, middle, high = _spread(shown, records)
        self.band.set_xy(outline(self.x, low, high))
        self.line.set_data(self.x, middle)
        place = shown.noises.index(noise)
        self.mark.set_data([self.x[place]], [min(middle[place], CLEAR)])


def _tiles(rows: Sequence[Array], shape: tuple[int, int], columns: int) -> Array:
    """Rows of pictures as one, each picture in a thin frame over room for a line of words; 0 is white."""
    height, width = shape
    sheet = np.zeros((len(rows), height + 2 + round(_ROOM * height), columns, width + 2))
    for row, pictures in enumerate(rows):
        for column, pixels in enumerate(pictures):
            sheet[row, : height + 2, column] = np.pad(pixels.reshape(shape), 1, constant_values=0.25)
    return sheet.reshape(sheet.shape[0] * sheet.shape[1], -1)


def _sheet(axes: Axes, rows: Sequence[Array], shape: tuple[int, int], columns: int) -> AxesImage:
    """Rows of pictures, the first of them the originals, in units of pictures."""
    axes.set_axis_off()
    place = (0, columns, len(rows), 0)
    image = axes.imshow(
        _tiles(rows, shape, columns), cmap="Greys", vmin=0, vmax=1, extent=place, aspect="auto", interpolation="nearest"
    )
    _row_label(axes, 0, "original")
    return image


def _row_label(axes: Axes, row: int, words: str) -> None:
    axes.text(-0.1, row + 0.4, words, ha="right", va="center", size=8.5)


def _noise_axes(axes: Axes, recoveries: Recoveries) -> Array:
    """Label axes of PSNR over noise, draw what to compare with, and return where the noises stand; 0 has a place of its own."""
    noises = np.array(recoveries.noises)
    least = noises[noises > 0].min(initial=1.0)
    x = np.where(noises > 0, noises, least / 10)
    axes.axhline(LIKE_THE_ORIGINAL, color=BLACK, ls="--", lw=1.2, label="looks like the original")
    axes.axhline(recoveries.blind, color=GREY, ls=":", lw=1.4, label="one grey, no gradient needed")
    axes.set(xscale="log", xlim=(x[0] / 1.3, x[-1] * 1.3), ylim=(0, CLEAR))
    axes.set(xlabel="noise on each coordinate of the mean gradient (logarithmic)", ylabel="PSNR in dB")
    axes.xaxis.set(major_locator=FixedLocator(x.tolist()), minor_locator=NullLocator())
    axes.set_xticklabels([f"{noise:g}" for noise in noises])
    return x


def _spread(recoveries: Recoveries, records: int) -> Array:
    """Lowest, median and highest PSNR of a batch at every noise, (3, noises), cut off just above the axes."""
    quality = [recoveries.quality[records, noise] for noise in recoveries.noises]
    return np.minimum([[f(values) for values in quality] for f in (np.min, np.median, np.max)], 1.1 * CLEAR)
