"""Locks in pictures: who notices a flipped bit, what a nonce used twice shows, and what each lock costs."""

import base64
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from privlab import arguments, encryption
from privlab.encryption.stream import CHUNK, NONCE, TAG
from privlab.plots.live import Picture
from privlab.plots.style import BLACK, BLUE, GREY, SERIES, VERMILLION, figure, in_percent, percent, styled

WHO = ("disk error", "attacker")
BITS = 32  # of a weight
CRC = "AES-CTR + CRC-32"
Parameters = Mapping[str, NDArray]


class SixFiles:
    """The same float32 weights in six files, and what the loader of each does once a bit was flipped. No key is shown."""

    def __init__(self, parameters: Parameters) -> None:
        self.weights = np.concatenate([np.ravel(array) for array in parameters.values()]).astype("<f4")
        plain, key, nonce = self.weights.tobytes(), encryption.generate_key(), os.urandom(16)
        fernet, identity, self._folder = (
            Fernet(Fernet.generate_key()),
            encryption.Identity.generate(),
            TemporaryDirectory(),
        )
        path = Path(self._folder.name) / "weights.age"
        encryption.save_checkpoint(path, {"weights": self.weights}, identity.recipient)
        before_chunks = encryption.inspect(path).header_bytes + NONCE

        def counter_mode(data: bytes) -> bytes:
            return Cipher(AES256(key), CTR(nonce)).encryptor().update(data)

        def checked(data: bytes) -> bytes:
            if _checksum(data[:-4]) != data[-4:]:
                raise ValueError
            return data[:-4]

        def read_age(file: bytes) -> bytes:
            path.write_bytes(file)
            return encryption.load_checkpoint(path, identity)["weights"].tobytes()

        # Per name the file, its loader, and where in the file a byte of the weights lies.
        self.files: dict[str, tuple[bytes, Callable[[bytes], Any], Callable[[int], int]]] = {
            "plain": (plain, bytes, lambda at: at),
            "AES-CTR": (counter_mode(plain), counter_mode, lambda at: at),
            CRC: (counter_mode(plain + _checksum(plain)), lambda file: checked(counter_mode(file)), lambda at: at),
            "Fernet": (
                base64.urlsafe_b64decode(fernet.encrypt(plain)),
                lambda token: fernet.decrypt(base64.urlsafe_b64encode(token)),
                lambda at: 1 + 8 + 16 + at,  # after version, time and initialisation vector
            ),
            "AES-GCM (seal)": (
                encryption.seal(plain, key),
                lambda box: encryption.unseal(box, key),
                lambda at: 1 + 12 + at,
            ),
            "age checkpoint": (
                path.read_bytes(),
                read_age,
                lambda at: before_chunks + CHUNK + at + (CHUNK + at) // CHUNK * TAG,
            ),
        }

    def after_flip(self, weight: int, bit: int, who: str) -> tuple[NDArray, dict[str, str]]:
        """The weights with one bit flipped, and per file "" where its loader returns them, else the name of its error.

        The attacker also mends an encrypted CRC-32, without the key: the checksum of a XOR is the XOR of the checksums and
        that of zeros (Borisov, Goldberg and Wagner, "Intercepting mobile communications", 2001).
        """
        at, flipped = 4 * weight + bit // 8, 1 << bit % 8
        damaged = self.weights.copy()
        damaged.view(np.uint8)[at] ^= flipped
        verdicts = {}
        for name, (original, load, place) in self.files.items():
            file = np.frombuffer(original, np.uint8).copy()
            file[place(at)] ^= flipped
            if name == CRC and who == "attacker":
                change = bytearray(self.weights.nbytes)
                zeros, change[at] = bytes(change), flipped
                file[-4:] ^= np.frombuffer(_checksum(change), np.uint8) ^ np.frombuffer(_checksum(zeros), np.uint8)
            try:
                assert load(file.tobytes()) == damaged.tobytes()
                verdicts[name] = ""
            except (encryption.TamperError, InvalidToken, ValueError) as error:
                verdicts[name] = "checksum" if name == CRC else type(error).__name__
        return damaged, verdicts


class FlipScene:
    """The weights as a picture with the damage ringed, and what each of six loaders does about it."""

    def __init__(self, page: Axes, bars: Axes, parameters: Parameters, accuracy: Callable[[Any], float]) -> None:
        self.axes, self.parameters, self.accuracy, self.files = (page, bars), parameters, accuracy, SixFiles(parameters)
        self.columns = int(np.ceil(np.sqrt(1.2 * len(self.files.weights))))
        self.most = float(np.abs(self.files.weights).max())
        colours = LinearSegmentedColormap.from_list("signed", (VERMILLION, "white", BLUE))
        self.image = page.imshow(self._rows(self.files.weights), cmap=colours, vmin=-self.most, vmax=self.most)
        page.set_axis_off()
        (self.ring,) = page.plot([], [], "o", ms=15, mfc="none", mec=BLACK, mew=2, clip_on=False)
        names = list(self.files.files)
        bars.set(xlim=(0, 1), ylim=(len(names) - 0.4, -0.6), xlabel="test accuracy of what the loader returns")
        bars.set_yticks(range(len(names)), names)
        bars.grid(axis="y", visible=False)
        in_percent(bars.xaxis)
        bars.axvline(accuracy(parameters), color=GREY, ls=":", lw=1.4)
        self.bars = bars.barh(names, 0, height=0.5, color=VERMILLION, hatch="//", edgecolor="white", zorder=3).patches
        self.words = [bars.text(1.03, row, "", va="center") for row in range(len(names))]
        self.titles = [axes.set_title("") for axes in self.axes]
        self.layers = [self.words, [self.image, self.ring, *self.bars, *self.titles]]

    def update(self, weight: int, bit: int, who: str) -> None:
        """Flip one bit of one weight in all six files, and let all six loaders read."""
        for name, value, limit in (("weight", weight, len(self.files.weights)), ("bit", bit, BITS)):
            if arguments.whole(name, value, at_least=0) >= limit:
                raise ValueError(f"{name} is {value}, but must be below {limit}")
        damaged, verdicts = self.files.after_flip(weight, bit, arguments.choice("who", who, WHO))
        with np.errstate(all="ignore"):  # a weight of 1e38 overflows, as it would in earnest
            accuracy = float(self.accuracy(self._named(damaged)))
        self.image.set_data(self._rows(damaged))
        self.ring.set_data([weight % self.columns], [weight // self.columns])
        for bar, word, error in zip(self.bars, self.words, verdicts.values(), strict=True):
            bar.set_width(0 if error else accuracy)
            if word.get_text() != (verdict := f"refused: {error}" if error else "returned, no warning"):
                word.set(text=verdict, color=BLUE if error else VERMILLION)
        change = f"{self.files.weights[weight]:.4g} became {damaged[weight]:.4g}"
        kind = "sign" if bit == BITS - 1 else "exponent" if bit >= 23 else "fraction"
        self.titles[0].set_text(f"weight {weight:,}: {change}")
        self.titles[1].set_text(f"{who}, bit {bit} ({kind}): accuracy {percent(accuracy)}")
        self.words_below = (
            f"{who} at weight {weight:,}, bit {bit} ({kind}): {change}; "
            f"{list(verdicts.values()).count('')} of {len(verdicts)} loaders return it, accuracy {percent(accuracy)}"
        )

    def _rows(self, weights: NDArray) -> NDArray:
        rows = np.zeros((-(-len(weights) // self.columns), self.columns))
        rows.flat[: len(weights)] = np.clip(np.nan_to_num(weights), -self.most, self.most)
        return rows

    def _named(self, weights: NDArray) -> dict[str, NDArray]:
        parts = np.split(weights, np.cumsum([array.size for array in self.parameters.values()])[:-1])
        return {name: part.reshape(a.shape) for (name, a), part in zip(self.parameters.items(), parts, strict=True)}


def flip(
    parameters: Parameters, accuracy: Callable[[Any], float], *, weight: int = 0, bit: int = 30, who: str = "disk error"
) -> tuple[Figure, tuple[Axes, Axes]]:
    """One bit of the weights flipped in six kinds of file, and what the loader of each does about it.

    Parameters
    ----------
    parameters : mapping of str to ndarray of float32
    accuracy : callable
        From parameters to the share, in [0, 1], that they get right.
    weight : int
        Which, counted over all arrays in order, from 0.
    bit : int
        0, the lowest of the fraction, to 31, the sign.
    who : {"disk error", "attacker"}
        The attacker also mends a checksum that takes no key.

    Raises
    ------
    ValueError
        If there is no such weight, bit or culprit.
    """
    return flip_picture(parameters, accuracy).still(weight, bit, who)


@styled()
def flip_picture(parameters: Parameters, accuracy: Callable[[Any], float]) -> Picture:
    """The figure of `flip` with nothing flipped yet."""
    blank = figure(8.4, 3.2)
    page, bars = blank.add_axes((0.01, 0.17, 0.30, 0.70)), blank.add_axes((0.475, 0.17, 0.325, 0.70))
    page.set_anchor("NW")
    return Picture(blank, FlipScene(page, bars, parameters, accuracy))


@styled()
def equal_bits(rows: Mapping[str, Mapping[str, NDArray]]) -> tuple[Figure, NDArray]:
    """How many leading bits two ciphertexts share, weight by weight: first the sign, then the exponent, then the fraction.

    Parameters
    ----------
    rows : mapping of str to mapping of str to ndarray of uint32, two-dimensional
        For each row of pictures, for each layer, the XOR of two ciphertexts of its weights.
    """
    layers = next(iter(rows.values()))
    picture = figure(7, 1.7 * len(rows) + 0.4)
    widths = {"width_ratios": [array.shape[1] for array in layers.values()]}
    axes = picture.subplots(len(rows), len(layers), gridspec_kw=widths, squeeze=False)
    for (i, j), panel in np.ndenumerate(axes):
        title, (name, xor) = list(rows)[i], list(list(rows.values())[i].items())[j]
        zeros = BITS - np.frexp(xor.astype(np.float64))[1]  # before the first one
        shown = panel.imshow(zeros, cmap="Blues", vmin=0, vmax=BITS, aspect="auto")
        panel.grid(visible=False)
        panel.set(xticks=[], yticks=[], title=name if i == 0 else "", ylabel=title if j == 0 else "")
    picture.subplots_adjust(left=0.05, right=0.83, top=0.92, bottom=0.02, wspace=0.06, hspace=0.10)
    bar = picture.colorbar(shown, cax=picture.add_axes((0.86, 0.08, 0.02, 0.74)), ticks=[1, 9, BITS])
    bar.ax.set_yticklabels(["sign", "exponent", "all 32"])
    bar.ax.set_title("equal bits", fontsize=9)
    return picture, axes


@styled()
def prices(
    sizes: Sequence[int], seconds: Mapping[str, Sequence[float]], added: Mapping[str, Sequence[int]]
) -> tuple[Figure, tuple[Axes, Axes]]:
    """What locks cost over the size of the data: seconds, and bytes more than the plaintext.

    Parameters
    ----------
    sizes : sequence of int
        Bytes of plaintext.
    seconds, added : mapping of str to sequence
        Per lock, the cost at each size. One to five locks, the same in both.

    Raises
    ------
    ValueError
        If ``seconds`` and ``added`` name other locks, or too many.
    """
    if list(seconds) != list(added) or not 1 <= len(seconds) <= len(SERIES):
        raise ValueError(
            f"seconds names {list(seconds)}, added {list(added)}, but both must name the same 1 to 5 locks"
        )
    picture = figure(8.4, 3.4)
    both = picture.add_axes((0.08, 0.27, 0.39, 0.62)), picture.add_axes((0.59, 0.27, 0.39, 0.62))
    words = [f"{size >> 20} MiB" if size >= 1 << 20 else f"{size / 1024:g} KiB" for size in sizes]
    labels = (("seconds of CPU", "time to lock"), ("bytes more than the data", "growth"))
    for axes, costs, (unit, title) in zip(both, (seconds, added), labels, strict=True):
        for (name, cost), (colour, dashes, marker) in zip(costs.items(), SERIES, strict=False):
            axes.loglog(sizes, cost, color=colour, ls=dashes, marker=marker, mec="white", label=name)
        axes.set(xlabel="size of the data", ylabel=unit, title=title)
        axes.set_xticks(sizes, words)
        axes.minorticks_off()
    picture.legend(*both[0].get_legend_handles_labels(), loc="lower center", ncols=len(seconds))
    return picture, both


def _checksum(data: bytes | bytearray) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
