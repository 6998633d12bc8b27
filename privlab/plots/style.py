"""The look of every figure: colours, fonts, how numbers are written, and how a figure becomes a picture with words."""

import io
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import ArrayLike, NDArray
from PIL import Image

# Okabe and Ito, "Color Universal Design" (2008).
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, ALLOWED = "#595959", "#D3E9F8"

#: Colour, line style and marker of the first, second, ... series. Two colours may share a grey, no two share a dash.
SERIES = (
    (BLUE, "-", "o"),
    (VERMILLION, "--", "s"),
    (GREEN, "-.", "^"),
    (ORANGE, (0, (1, 1)), "D"),
    (PURPLE, (0, (5, 1, 1, 1, 1, 1)), "v"),
)

RC: dict[str, Any] = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelcolor": "#222222",
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#EBEBEB",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "xtick.color": "#888888",
    "ytick.color": "#888888",
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "hatch.color": "#CCCCCC",
    "hatch.linewidth": 0.8,
    "svg.hashsalt": "privlab",
}


@contextmanager
def styled() -> Iterator[None]:
    """The kit's style as a context manager or decorator; the user's own settings hold again afterwards.

    >>> import matplotlib
    >>> before = matplotlib.rcParams["font.size"]
    >>> with styled():
    ...     matplotlib.rcParams["font.size"]
    9.0
    >>> matplotlib.rcParams["font.size"] == before
    True
    """
    with matplotlib.style.context(RC, after_reset=True):
        yield


def figure(width: float, height: float) -> Figure:
    """An empty figure in the kit's style, `width` by `height` inches; unknown to pyplot, so nothing stays open.

    >>> figure(4, 3).get_size_inches().tolist()
    [4.0, 3.0]
    """
    with styled():
        blank = Figure(figsize=(width, height))
        FigureCanvasAgg(blank)
        return blank


def percent(share: float) -> str:
    """A share in [0, 1] in percent, rounded for reading.

    >>> percent(0.9214), percent(0.00142), percent(1)
    ('92.1 %', '0.14 %', '100 %')
    """
    value = 100 * share
    return f"{value:.2g} %" if value < 1 else f"{value:.1f} %".replace(".0 %", " %")


def epsilon_text(epsilon: float, *, decimals: int = 0) -> str:
    """An epsilon in words, with at least `decimals` decimals and two figures.

    >>> epsilon_text(11.23), epsilon_text(11.23, decimals=1), epsilon_text(math.inf)
    ('ε = 11', 'ε = 11.2', 'no privacy')
    """
    needed = 0 if epsilon >= 9.95 else 1 if epsilon >= 0.995 else 2
    return f"ε = {epsilon:.{max(decimals, needed)}f}" if math.isfinite(epsilon) else "no privacy"


def in_percent(*axes: Axis) -> None:
    """Write the shares along these axes in percent, at major ticks only."""
    for axis in axes:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        axis.set_minor_formatter(NullFormatter())


def outline(x: ArrayLike, low: ArrayLike, high: ArrayLike) -> NDArray[np.float64]:
    """Corners, (2 n, 2), of the band between two curves of n points each.

    >>> outline([0, 1], [0, 0], [2, 3]).tolist()
    [[0.0, 0.0], [1.0, 0.0], [1.0, 3.0], [0.0, 2.0]]
    """
    return np.column_stack([np.append(x, np.flip(x)), np.append(low, np.flip(high))]).astype(np.float64)


def legend_below(figure: Figure, entries: Mapping[str, Any], **layout: Any) -> None:
    """One legend for all axes of a figure, below them, where it covers nothing; `entries` are handles by their words."""
    figure.legend(entries.values(), entries.keys(), loc="lower center", **layout)


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """PNG of an (height, width, 4) uint8 picture without transparency: exact, and quick rather than small.

    >>> encode(np.full((2, 3, 4), 255, np.uint8))[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def png(figure: Figure, *, dpi: float = 100) -> bytes:
    """PNG of a figure in at most 256 colours: small, the same bytes for the same figure, no date and no name of software.

    >>> png(figure(1, 1)) == png(figure(1, 1))
    True
    """
    drawn, buffer = io.BytesIO(), io.BytesIO()
    with styled():
        figure.savefig(drawn, format="rgba", dpi=dpi)
    pixels = np.frombuffer(drawn.getvalue(), np.uint8).reshape(round(figure.get_figheight() * dpi), -1, 4)
    # Median cut keeps pale bands apart; its averages leave white at 254, a grey that would show against the page.
    picture = Image.fromarray(pixels).convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT)
    picture.putpalette([255 if value >= 253 else value for value in picture.getpalette() or []])
    picture.save(buffer, "png", compress_level=9)
    return buffer.getvalue()


def in_words(alt: str) -> str:
    """Return an alternative text, or raise ``ValueError`` where it has no words."""
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt is {alt!r}, but must say in words what the picture shows")
    return alt


class Still:
    """A figure with its alternative text, to be the last line of a notebook cell.

    Parameters
    ----------
    figure : Figure
        Drawn once, now.
    alt : str
        What the picture shows, in words, for readers who do not see it.

    Raises
    ------
    ValueError
        If `alt` has no words.

    >>> Still(figure(1, 1), alt="an empty square")._repr_mimebundle_()[1]
    {'image/png': {'alt': 'an empty square', 'width': 100}}
    """

    def __init__(self, figure: Figure, alt: str) -> None:
        self.alt = in_words(alt)
        self.width = round(figure.get_figwidth() * 100)
        self.png = png(figure, dpi=200)

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict[str, Any], dict[str, Any]]:
        return (
            {"image/png": self.png, "text/plain": self.alt},
            {"image/png": {"alt": self.alt, "width": self.width}},
        )
