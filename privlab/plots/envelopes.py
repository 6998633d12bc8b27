"""The price of an envelope: bytes and time that a lock for one reader or many adds to a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from privlab.arguments import choice, real, whole
from privlab.encryption.stream import CHUNK, NONCE, TAG
from privlab.plots.live import Picture
from privlab.plots.style import BLACK, GREY, SERIES, SKY, figure, in_percent, legend_below, percent, styled

SIZES = tuple(10**power for power in range(3, 12))  # bytes: a short note to a large model
FRAME = 70  # bytes of an age header apart from its envelopes: the version, and the authentication code
_METHODS = (*SERIES, (SKY, (0, (8, 2)), "P"), (BLACK, (0, (3, 1, 1, 1)), "X"))
_GRID = np.geomspace(SIZES[0], SIZES[-1], 121)


@dataclass(frozen=True)
class Price:
    """What one more reader costs.

    Attributes
    ----------
    wrap, unwrap : float
        Processor time to put the file's key into an envelope and to take it out, in seconds.
    stanza : int
        Bytes of an envelope in the header.
    tagged : bool
        Whether the envelope names its reader, who then tries no other.
    """

    wrap: float
    unwrap: float
    stanza: int
    tagged: bool = False

    def added(self, people: int, size: ArrayLike) -> NDArray[np.int64]:
        """Bytes by which an age file for so many people is longer than its content of `size` bytes: exact.

        >>> int(Price(0, 0, 100).added(5, 70_000))
        618
        """
        chunks = np.maximum(1, -(-np.asarray(size, np.int64) // CHUNK))
        return np.asarray(FRAME + people * self.stanza + NONCE + chunks * TAG)

    def seconds(self, people: int, size: ArrayLike, rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Processor time to lock for all, and to open for the last in the header, at `rate` bytes a second.

        >>> [float(t) for t in Price(0.1, 0.2, 100).seconds(5, 1000, 1000)]
        [1.5, 2.0]
        """
        cipher = np.asarray(size, float) / rate
        return cipher + people * self.wrap, cipher + (1 if self.tagged else people) * self.unwrap


def describe(
    prices: Mapping[str, Price], rate: float, *, kind: str = "x25519", people: int = 5, size: int = 10**7
) -> str:
    """One sentence with the figures of `envelope`: its caption and alternative text. Parameters are those of `envelope`.

    >>> describe({"x25519": Price(1e-4, 5e-5, 97)}, 1e9)
    '10 MB for 5 x25519: header 555 bytes, overhead 0.03 %; locked in 10.5 ms, opened by the last in 10.2 ms'
    """
    _check(prices, rate, kind, people, size)
    lock, unlock = map(time_text, prices[kind].seconds(people, size, rate))
    header, share = FRAME + people * prices[kind].stanza, percent(float(prices[kind].added(people, size) / size))
    return (
        f"{size_text(size)} for {people} {kind}: header {header:,} bytes, overhead {share}; "
        f"locked in {lock}, opened by the last in {unlock}"
    )


def envelope(
    prices: Mapping[str, Price], rate: float, *, kind: str = "x25519", people: int = 5, size: int = 10**7
) -> tuple[Figure, tuple[Axes, Axes]]:
    """What an age file for many people costs in bytes and in time, over the size of its content.

    The still twin of `privlab.widgets.envelopes.envelope`.

    Parameters
    ----------
    prices : mapping from str to Price
        By kind of recipient, as measured; at most five kinds.
    rate : float
        Bytes that the cipher takes in a second of processor time, above 0.
    kind : str
        One of the kinds.
    people, size : int
        Recipients, and bytes of content, at least 1.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    _check(prices, rate, kind, people, size)
    picture, axes = envelope_picture(prices, rate).still(kind, people, size)
    return picture, axes


@styled()
def envelope_picture(prices: Mapping[str, Price], rate: float) -> Picture:
    """The figure of `envelope` with nothing chosen yet; a setting is kind, people and size."""
    picture = figure(8.4, 3.8)
    looks = zip(prices, SERIES, strict=False)
    entries = {f"for {kind}": Line2D([], [], color=colour, ls=dash) for kind, (colour, dash, _) in looks}
    entries["lock for all"] = Line2D([], [], color=BLACK, marker="o", mec="white")
    entries["open, last of all"] = Line2D([], [], color=BLACK, ls="--", marker="s", mfc="white")
    entries["cipher alone"] = Line2D([], [], color=GREY, ls=":")
    legend_below(picture, entries, ncols=6, columnspacing=1.1, handletextpad=0.5, borderaxespad=0.2)
    return Picture(picture, EnvelopeScene(picture, prices, rate))


class EnvelopeScene:
    """Left the overhead for each kind of recipient, right the times for the chosen kind, both over the file's size."""

    def __init__(self, picture: Figure, prices: Mapping[str, Price], rate: float) -> None:
        self.prices, self.rate = prices, rate
        self.axes = picture.add_axes((0.12, 0.25, 0.36, 0.66)), picture.add_axes((0.6, 0.25, 0.36, 0.66))
        left, right = self.axes
        left.set(xscale="log", yscale="log", ylim=(1e-4, 300), ylabel="overhead (share of the content)")
        right.set(xscale="log", yscale="log", ylim=(1e-6, 1e3), ylabel="processor time (seconds)")
        in_percent(left.yaxis)
        for axes in self.axes:
            axes.set(xlim=(SIZES[0], SIZES[-1]), xlabel="size of the content", xticks=SIZES[::2])
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: size_text(value)))
            axes.yaxis.set_minor_locator(NullLocator())
        right.plot(_GRID, _GRID / rate, color=GREY, ls=":", zorder=1.5)
        looks = zip(prices, SERIES, strict=False)
        self.overheads = {kind: left.plot([], [], color=colour, ls=dash)[0] for kind, (colour, dash, _) in looks}
        self.times = [right.plot([], [], color=BLACK, ls=dash)[0] for dash in ("-", "--")]
        mark: dict[str, Any] = {"color": BLACK, "ls": "", "zorder": 4, "clip_on": False}
        self.marks = [axes.plot([], [], marker="o", ms=9, mec="white", **mark)[0] for axes in self.axes]
        self.marks += right.plot([], [], marker="s", mfc="white", **mark)
        self.titles = [axes.set_title("") for axes in self.axes]
        self.layers = [[*self.overheads.values(), *self.times, *self.marks, *self.titles]]

    def update(self, kind: str, people: int, size: int) -> None:
        """Show files for so many people of a kind, and mark one size."""
        for name, curve in self.overheads.items():
            curve.set_data(_GRID, self.prices[name].added(people, _GRID) / _GRID)
            curve.set_linewidth(3 if name == kind else 1.2)
        price = self.prices[kind]
        for curve, seconds in zip(self.times, price.seconds(people, _GRID, self.rate), strict=True):
            curve.set_data(_GRID, seconds)
        added, (lock, unlock) = price.added(people, size), price.seconds(people, size, self.rate)
        for mark, value in zip(self.marks, (added / size, lock, unlock), strict=True):
            mark.set_data([size], [value])
        self.titles[0].set_text(f"{people} {kind}: +{size_text(float(added))} on {size_text(size)}")
        self.titles[1].set_text(f"lock {time_text(lock)}, open {time_text(unlock)}")


@styled()
def price_list(
    sizes: Sequence[int], seconds: Mapping[str, Sequence[float]], added: Mapping[str, Sequence[int]]
) -> tuple[Figure, tuple[Axes, Axes]]:
    """Time and added bytes of each method over the size of what is locked, all axes logarithmic.

    Parameters
    ----------
    sizes : sequence of int
        Bytes.
    seconds, added : mapping from str to sequence
        Time to lock and open once, and bytes added, by method, seven at most; a slow method may end early.

    Raises
    ------
    ValueError
        If the mappings are not of the same methods and lengths, or a method has more values than there are sizes.
    """
    lengths, others = ({name: len(values) for name, values in each.items()} for each in (seconds, added))
    if lengths != others or max(lengths.values(), default=0) > len(sizes):
        raise ValueError(f"added has lengths {others}, but must have those of seconds, {lengths}, at most {len(sizes)}")
    picture, handles = figure(8.4, 4.4), {}
    left, right = picture.add_axes((0.09, 0.26, 0.38, 0.66)), picture.add_axes((0.59, 0.26, 0.38, 0.66))
    for name, (colour, dash, marker) in zip(seconds, _METHODS, strict=False):
        look: dict[str, Any] = {"color": colour, "ls": dash, "marker": marker, "mec": "white", "lw": 1.4}
        (handles[name],) = left.plot(sizes[: lengths[name]], seconds[name], **look)
        right.plot(sizes[: lengths[name]], added[name], **look)
    left.set(ylabel="processor time (seconds)", title="to lock and to open once")
    right.set(ylabel="added bytes", title="what the lock adds")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="size of the content")
    for axis in (left.xaxis, right.xaxis, right.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: size_text(value)))
    legend_below(picture, handles, ncols=4, columnspacing=1.5, borderaxespad=0.2)
    return picture, (left, right)


def size_text(size: float) -> str:
    """Bytes in decimal units.

    >>> size_text(555), size_text(1_594), size_text(10**7)
    ('555 B', '1.6 kB', '10 MB')
    """
    power = min(int(np.log10(max(size, 1)) / 3 + 1e-9), 4)
    value = size / 1000**power
    number = f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:.0f}"
    return f"{number} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def time_text(seconds: ArrayLike) -> str:
    """A duration with three figures.

    >>> time_text(0.0000123), time_text(0.5), time_text(120)
    ('12.3 µs', '500 ms', '120 s')
    """
    value = float(np.asarray(seconds))
    scale, unit = (1e6, "µs") if value < 1e-3 else (1e3, "ms") if value < 1 else (1, "s")
    return f"{value * scale:.3g} {unit}"


def _check(prices: Mapping[str, Price], rate: float, kind: str, people: int, size: int) -> None:
    choice("kind", kind, prices)
    real("rate", rate, above=0)
    whole("people", people)
    whole("size", size)
