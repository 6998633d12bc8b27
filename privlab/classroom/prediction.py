"""Guess before you run: intervals that are said first and scored later. They stay in this process and are written nowhere."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from privlab import arguments

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONFIDENCE = 0.8  # how often an interval ought to hold


@dataclass(frozen=True)
class Prediction:
    """An interval, and the answer once it is known.

    Attributes
    ----------
    id : str
        The question, for example "04.q1".
    low, high : float
        Said to hold the answer 8 times of 10.
    answer : float or None
        None until it is revealed.
    """

    id: str
    low: float
    high: float
    answer: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the answer is known and inside."""
        return self.answer is not None and self.low <= self.answer <= self.high

    @property
    def loss(self) -> float:
        """Interval score (Gneiting & Raftery 2007, eq. 43), width plus ten times the miss, over the largest of the three."""
        if self.answer is None:
            return float("nan")
        miss = max(self.low - self.answer, 0, self.answer - self.high)
        largest = max(abs(self.low), abs(self.high), abs(self.answer)) or 1.0
        return (self.high - self.low + 2 / (1 - CONFIDENCE) * miss) / largest

    def __str__(self) -> str:
        said = f"{self.id}: you say {_plain(self.low)} to {_plain(self.high)}"
        return (
            said if self.answer is None else f"{said}; it is {_plain(self.answer)}, {'in' if self.holds else 'out'}side"
        )


_journal: dict[str, Prediction] = {}


def predict(id: str, low: float, high: float) -> None:
    """Say between which numbers the answer to a question lies, so that you would be right 8 times of 10.

    Raises
    ------
    ValueError
        If an end is not finite, or ``low`` exceeds ``high``.

    Examples
    --------
    >>> predict("04.q1", 2, 5)
    04.q1: you say 2 to 5
    >>> reveal("04.q1", 5.5)
    04.q1: you say 2 to 5; it is 5.5, outside
    >>> score()
    0 of 1 intervals held; 8 of 10 should. Mean score 1.45 (smaller is better).
    """
    low = arguments.real("low", low)
    _journal[id] = Prediction(id, low, arguments.real("high", high, at_least=low))
    print(_journal[id])


def reveal(id: str, answer: float, axes: "Axes | None" = None, *, along: str = "x") -> None:
    """Give the answer and say whether the guess holds it; on ``axes``, mark both.

    ``along`` names the axis, "x" or "y", on which the answer is read. Raises `ValueError` where nothing was predicted for ``id``,
    or ``answer`` is not finite.
    """
    guess = _journal[arguments.choice("id", id, _journal)]
    arguments.choice("along", along, ("x", "y"))
    guess = _journal[id] = Prediction(id, guess.low, guess.high, arguments.real("answer", answer))
    if axes is not None:
        _mark(axes, guess, along)
    print(guess)


def score() -> None:
    """Say how many of the intervals hold their answers, and the mean of their scores."""
    known = [guess for guess in _journal.values() if guess.answer is not None]
    held, count = sum(guess.holds for guess in known), len(known)
    if not known:
        print("No prediction has its answer yet.")
        return
    mean = sum(guess.loss for guess in known) / count
    print(
        f"{held} of {count} intervals held; {10 * CONFIDENCE:.0f} of 10 should. Mean score {mean:.2f} (smaller is better)."
    )


def _plain(number: float) -> str:
    """Write a number with three digits, whole ones in full."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e12 else f"{number:.3g}"


def _mark(axes: "Axes", guess: Prediction, along: str) -> None:
    """Draw the guess as a bar on the axis and the answer as a triangle: there they hide no data."""
    from matplotlib.patheffects import withStroke

    flat = along == "x"
    limits = sorted(axes.get_xlim() if flat else axes.get_ylim())
    shown = [min(max(end, limits[0]), limits[1]) for end in (guess.low, guess.high)]
    transform = axes.get_xaxis_transform() if flat else axes.get_yaxis_transform()
    bar = (shown, [0, 0]) if flat else ([0, 0], shown)
    axes.plot(*bar, color="0.35", lw=6, solid_capstyle="butt", clip_on=False, transform=transform)
    point = ([guess.answer], [0]) if flat else ([0], [guess.answer])
    axes.plot(*point, "^" if flat else ">", color="black", ms=9, clip_on=False, transform=transform)
    scale = (axes.xaxis if flat else axes.yaxis).get_transform()  # logarithmic, perhaps
    middle = float(scale.inverted().transform(scale.transform(np.array(shown)).mean(keepdims=True))[0])
    x, y = (middle, 0.03) if flat else (0.03, middle)
    aligned = {"ha": "center", "va": "bottom"} if flat else {"ha": "left", "va": "center", "rotation": 90}
    text = axes.text(x, y, "your guess", fontsize="small", transform=transform, **aligned)
    text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
