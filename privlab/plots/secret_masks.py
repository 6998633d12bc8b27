"""Secret masks in pictures: what is sent is flat, the sum comes out right, and what that costs."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from math import ceil
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chisquare

from privlab import arguments
from privlab.masking.messages import Round
from privlab.masking.parties import Client, Server
from privlab.masking.ring import BITS, FixedPoint
from privlab.masking.skellam import NoisyFixedPoint
from privlab.plots.live import Picture
from privlab.plots.style import BLUE, GREEN, GREY, SERIES, VERMILLION, epsilon_text, figure, legend_below, styled
from privlab.randomness import keystream

BINS = 16  # of each histogram
DELTA = 1e-5  # at which noise is described
SHOWN = 1200  # coordinates of the sum that are drawn


class Experiment:
    """One round of a secure sum by real clients and a real server; its keys have a seed, so it is **not private**.

    Parameters and errors are those of `lab`.

    Attributes
    ----------
    sent, hidden : ndarray of float64, shape (d,)
        Client 0's masked numbers and its rounded ones, as a share of the ring and of the clip.
    total, exact : ndarray of float64, shape (d,)
        Mean of the survivors' vectors, as recovered and as it is; ``total`` is empty where too few are left.
    survivors, threshold : int
    epsilon : float
        At delta 1e-5, of adding or removing one client, none of them corrupt; infinite without noise.
    """

    def __init__(self, vectors: NDArray, clip: float, *, parties: int, dropouts: int, bits: int, noise: float) -> None:
        n, d = arguments.whole("parties", parties, at_least=3), np.shape(vectors)[1]
        if n > len(vectors):
            raise ValueError(f"parties is {n}, but must be <= {len(vectors)}, the number of vectors")
        self.survivors = max(0, n - arguments.whole("dropouts", dropouts, at_least=0))
        rounded = FixedPoint.for_clients(n, clip, bits=bits)
        encoding = rounded
        if arguments.real("noise", noise, at_least=0):
            longest = float(np.linalg.norm(vectors[:n], axis=1).max())
            variance = ceil((noise * longest * rounded.scale) ** 2 / n)
            encoding = NoisyFixedPoint(rounded.clip, rounded.scale, longest, max(1, variance))
        self.epsilon = encoding.epsilon(self.survivors, d, DELTA) if isinstance(encoding, NoisyFixedPoint) else np.inf
        self.threshold = n // 2 + 1
        id = sha256(repr((parties, dropouts, bits, noise)).encode()).digest()
        round = Round(id, n, d, n - 1, self.threshold, encoding)
        masked, ring_sum = _played(round, vectors[:n], self.survivors)
        self.sent = masked / 2.0**BITS
        self.hidden = np.round(np.clip(vectors[0], -clip, clip) * rounded.scale) / (rounded.scale * clip)
        self.exact = np.mean(vectors[n - self.survivors : n], axis=0) if self.survivors else np.zeros(d)
        self.total = encoding.decode(ring_sum) / max(self.survivors, 1)


def _played(round: Round, vectors: NDArray, left: int) -> tuple[NDArray, NDArray[np.uint32]]:
    """What client 0 sends, and the sum over the last ``left`` clients modulo 2^32, empty where the server refuses."""
    sources = [keystream(sha256(round.id + bytes([client])).digest()) for client in range(round.clients)]
    signing = [source(32) for source in sources]
    public = [Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw() for key in signing]
    directory = dict(enumerate(public))
    clients = [Client(i, signing[i], directory, random=source) for i, source in enumerate(sources)]
    server = Server(round, directory)
    adverts = server.introduce([client.advertise(round) for client in clients])
    boxes = server.route([client.share(adverts[client.number]) for client in clients])
    masked = [client.mask(boxes[client.number], vectors[client.number]) for client in clients]
    alive = clients[round.clients - left :]
    try:
        survivors = server.collect([masked[client.number] for client in alive])
    except ValueError:  # too few are left
        return masked[0].words, np.empty(0, np.uint32)
    signed = server.forward([client.confirm(survivors) for client in alive])
    return masked[0].words, server.unmask([client.unmask(signed[client.number]) for client in alive])


class Histogram:
    """How numbers in [low, 1] are spread, as shares."""

    def __init__(self, axes: Axes, low: float, colour: str) -> None:
        self.axes, self.range = axes, (low, 1.0)
        axes.set(xlim=self.range, ylim=(0, 0.45), xticks=np.linspace(low, 1, 5), ylabel="share")
        axes.grid(axis="x", visible=False)
        self.bars = axes.stairs(np.zeros(BINS), np.linspace(low, 1, BINS + 1), fill=True, color=colour, alpha=0.75)
        self.title = axes.set_title("")

    def show(self, values: NDArray, title: str) -> None:
        """Draw these numbers."""
        counts, _ = np.histogram(values, BINS, self.range)
        self.bars.set_data(counts / max(len(values), 1))
        self.title.set_text(title)


class LabScene:
    """Left, what client 0 hides and what it sends; right, the mean that the server recovers over the true one."""

    def __init__(self, picture: Figure, vectors: NDArray, clip: float) -> None:
        self.vectors, self.clip = np.asarray(vectors, np.float64), arguments.real("clip", clip, above=0)
        places = (0.075, 0.625, 0.40, 0.27), (0.075, 0.14, 0.40, 0.27), (0.60, 0.14, 0.37, 0.755)
        self.axes = tuple(picture.add_axes(place) for place in places)
        self.hidden = Histogram(self.axes[0], -1.0, BLUE)
        self.sent = Histogram(self.axes[1], 0.0, VERMILLION)
        self.axes[0].set_xlabel("weight / clip")
        self.axes[1].set_xlabel("number sent / $2^{32}$")
        flat = self.axes[1].axhline(1 / BINS, color=GREY, ls=":", lw=1.4)
        right = self.axes[2]
        ticks = np.linspace(-clip, clip, 5)
        right.set(xlim=(-clip, clip), ylim=(-clip, clip), xticks=ticks, yticks=ticks)
        right.set(xlabel="true mean", ylabel="mean that the server recovers")
        (line,) = right.plot([-clip, clip], [-clip, clip], color=GREY, ls=":", lw=1.4)
        (self.dots,) = right.plot([], [], ls="", marker=".", ms=4, color=GREEN, rasterized=True)
        self.word = right.text(0, 0, "", color=VERMILLION, ha="center", va="center", fontsize=12)
        self.word.set_bbox({"color": "white"})
        self.title = right.set_title("")
        parts = [part for each in (self.hidden, self.sent) for part in (each.bars, each.title)]
        self.layers: list[list[Any]] = [[*parts, flat, line, self.dots, self.word, self.title]]

    def update(self, parties: int, dropouts: int, bits: int, noise: float) -> None:
        """Play a round."""
        found = Experiment(self.vectors, self.clip, parties=parties, dropouts=dropouts, bits=bits, noise=noise)
        every = slice(None, None, ceil(found.exact.size / SHOWN))
        self.hidden.show(found.hidden, f"clinic 0 hides: weights in {bits} bits")
        p = chisquare(np.histogram(found.sent, BINS, (0.0, 1.0))[0]).pvalue
        self.sent.show(found.sent, f"clinic 0 sends: if flat, p = {p:.2g}")
        met, left = found.total.size > 0, f"{found.survivors} of {parties} left, {found.threshold} needed"
        self.dots.set_data(found.exact[every] if met else [], found.total[every])
        self.word.set_text("" if met else "no sum at all")
        error = float(np.sqrt(np.mean((found.total - found.exact) ** 2))) if met else np.inf
        self.title.set_text(f"{left}: error {error:.2g}" if met else f"{left}: refused")
        told = epsilon_text(found.epsilon, decimals=1) if noise else "no noise"
        outcome = f"the mean has an error of {error:.2g}" if met else "no sum"
        self.words = (
            f"{parties} clinics, {dropouts} lost, {bits} bits, noise {noise:g} ({told}): {left}; {outcome}; p = {p:.2g}"
        )


def lab(
    vectors: ArrayLike, clip: float, *, parties: int = 8, dropouts: int = 2, bits: int = 10, noise: float = 0.0
) -> tuple[Figure, tuple[Axes, ...]]:
    """A secure sum: what one client hides and sends, and what the server recovers. Clients are lost from number 0 on.

    The still twin of `privlab.widgets.secret_masks.lab`.

    Parameters
    ----------
    vectors : array_like of float, shape (clients, d)
    clip : float
        Bound on each coordinate, above 0.
    parties : int
        How many clients take part, at least 3.
    dropouts : int
        How many are lost after masking.
    bits : int
        Per coordinate, at least 3.
    noise : float
        Standard deviation of the noise in a sum without losses, in units of the longest vector's norm.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    return lab_picture(vectors, clip).still(parties, dropouts, bits, noise)


@styled()
def lab_picture(vectors: ArrayLike, clip: float) -> Picture:
    """The figure of `lab` with nothing chosen yet."""
    picture = figure(8.4, 4.4)
    return Picture(picture, LabScene(picture, arguments.finite_array("vectors", vectors, dimensions=2), clip))


@styled()
def spreads(values: Mapping[str, NDArray], low: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """Histograms side by side, of numbers between each ``low`` and 1, on one scale of shares."""
    picture = figure(8.4, 2.4)
    axes = list(picture.subplots(1, len(values), sharey=True))
    for panel, (title, numbers), start in zip(axes, values.items(), low, strict=True):
        Histogram(panel, start, VERMILLION if start == 0 else BLUE).show(numbers, title)
        panel.set_xticks(np.linspace(start, 1, 3))
        panel.label_outer()
    picture.subplots_adjust(left=0.07, right=0.98, bottom=0.13, top=0.87, wspace=0.2)
    return picture, axes


@styled()
def averaged(times: Sequence[int], correlations: Mapping[float, Sequence[float]]) -> tuple[Figure, Axes]:
    """Correlation of the mean of k noisy copies with what they hide; lines: ``1 / sqrt(1 + s^2 / k)``.

    Parameters
    ----------
    times : sequence of int
        The numbers k of copies.
    correlations : mapping from float to sequence of float
        Per size s of the noise, relative to the weights' standard deviation, the correlation at each k.
    """
    picture, entries = figure(6.0, 3.5), {}
    axes = picture.add_axes((0.11, 0.26, 0.86, 0.69))
    k = np.geomspace(times[0], times[-1], 100)
    for (size, found), (colour, dashes, marker) in zip(correlations.items(), SERIES, strict=False):
        axes.semilogx(k, 1 / np.sqrt(1 + size**2 / k), color=colour, ls=dashes)
        axes.plot(times, found, color=colour, ls="", marker=marker, mec="white")
        entries[f"mask {size:g} times weights"] = Line2D([], [], color=colour, ls=dashes, marker=marker, mec="white")
    axes.set_xticks(times, [f"{time:,}" for time in times])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(ylim=(-0.05, 1.05), xlabel="rounds k, each with a fresh mask", ylabel="correlation with the weights")
    legend_below(picture, entries, ncols=3)
    return picture, axes


@styled()
def costs(
    clients: Sequence[int], neighbours: Sequence[int], sizes: Sequence[int], seconds: Sequence[float]
) -> tuple[Figure, tuple[Axes, Axes]]:
    """Left, how many others each client must share masks with; right, time to mask over the number of weights."""
    picture = figure(8.4, 3.2)
    left, right = picture.add_axes((0.08, 0.17, 0.39, 0.73)), picture.add_axes((0.585, 0.17, 0.39, 0.73))
    left.loglog(clients, np.array(clients) - 1, color=VERMILLION, ls="--", label="everyone: n - 1")
    left.loglog(clients, neighbours, "-o", color=BLUE, mec="white", label="enough: about log n")
    left.set(xlabel="clients n", ylabel="neighbours of each", title="with whom a client masks")
    left.legend(loc="upper left")
    right.loglog(sizes, np.array(sizes) * seconds[-1] / sizes[-1], color=GREY, ls=":", label="in proportion")
    right.loglog(sizes, seconds, ls="", marker="o", color=BLUE, mec="white", label="measured")
    right.set(xlabel="weights d", ylabel="seconds of CPU", title="time to mask, one client")
    right.legend(loc="upper left")
    return picture, (left, right)
