"""How costs grow with the work, each beside the limit that the machine sets, measured in the same run; and a figure of it.

Run ``python -m benchmarks.cost_curves``.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CTR
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from benchmarks.measure import cpu_seconds
from benchmarks.results import Comparison, Line, version
from benchmarks.secure_sum import client_seconds
from privlab.data import load_digits, load_mnist5k
from privlab.encryption import Identity, generate_key, save_checkpoint, seal
from privlab.learning import mlp, train
from privlab.masking import PrivacyPlan, secure_sum
from privlab.plots.style import GREY, SERIES, figure, png, styled
from privlab.sharding import partition, train_sharded

FIGURE = Path(__file__).with_name("cost_curves.png")
BATCH, NEIGHBOURS, CHUNK = 256, 8, 1 << 16
FAIR = (
    "Matrix products: at the speed of one large product, 1,024 numbers a side in single precision, on the same thread. Small "
    "products do not reach it, and nothing but products is counted, so no program can reach the limit.",
    "Ciphers: AES-256-GCM for boxes, ChaCha20-Poly1305 for checkpoints, AES-128 in counter mode for masks, over 64 KiB that stay "
    "in the processor's cache. A checkpoint's file is written and flushed in its limit too.",
    "Keys: two agreements of keys (X25519) and one check of a signature (Ed25519) with each of 8 neighbours.",
    "Memory: a client's vector, copied once from one place to another, 16 MiB at a time.",
    "Flat at first is what does not depend on the size: Python's own time in small steps, keys and signatures in a secure sum, "
    "opening a file.",
)


@dataclass(frozen=True)
class Panel:
    """CPU seconds of some work at several sizes, and of the least that it could cost.

    Attributes
    ----------
    title, axis : str
        What the work is, and what its size counts.
    sizes : sequence of float
        Where it was measured.
    costs : mapping of str to ndarray, shape (sizes, repeats)
        Seconds, by what took them.
    limits : mapping of str to ndarray, shape (sizes,)
        Seconds that no program can do without: the first one's are of the first cost, and so on.
    """

    title: str
    axis: str
    sizes: Sequence[float]
    costs: Mapping[str, NDArray]
    limits: Mapping[str, NDArray]

    def lines(self) -> list[Line]:
        """Each cost over its limit, at the largest size."""
        where = f"{self.sizes[-1]:,} {self.axis}"
        return [
            Line(f"{self.title}, {where}: {cost} over its limit, {name}", (seconds[-1] / limit[-1]).tolist())
            for (cost, seconds), (name, limit) in zip(self.costs.items(), self.limits.items(), strict=False)
        ]

    def growth(self) -> str:
        """Say as what power of the size costs grow between the two largest sizes."""
        by = np.log(self.sizes[-1] / self.sizes[-2])
        powers = {name: np.log(s[-1].min() / s[-2].min()) / by for name, s in self.costs.items()}
        return ", ".join(f"{self.title.lower()}, {name}, {power:.2f}" for name, power in powers.items())


def main(arguments: Sequence[str] | None = None) -> Comparison:
    """Measure, print, draw and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, default=7, help="how many sizes of each kind of work, from the smallest")
    parser.add_argument("--repeats", type=int, default=5, help="of which the fastest is drawn")
    parser.add_argument("--figure", type=Path, default=FIGURE)
    args = parser.parse_args(arguments)
    measure = Measure(args.sizes, args.repeats)
    panels = [
        dp_sgd(measure),
        shadow_models(measure),
        rounds(measure),
        boxes(measure),
        length(measure),
        clients(measure),
    ]
    args.figure.write_bytes(png(draw(panels), dpi=150))
    comparison = Comparison(
        "Cost as the work grows",
        "CPU time of one thread, over a limit that was measured in the same run.",
        [line for panel in panels for line in panel.lines()],
        version("privlab", "numpy", "cryptography"),
        [
            *FAIR,
            f"Growth at the largest sizes, as a power of the size: {'; '.join(panel.growth() for panel in panels)}.",
        ],
        figure=args.figure.name,
    )
    print(comparison.markdown())
    return comparison


class Measure:
    """How long work takes, and how fast this machine is."""

    def __init__(self, sizes: int, repeats: int) -> None:
        self.count, self.repeats = sizes, repeats
        square, source, target = (
            np.ones((1024, 1024), np.float32),
            np.ones(1 << 24, np.uint8),
            np.empty(1 << 24, np.uint8),
        )
        plain, box = bytes(CHUNK), bytearray(CHUNK + 16)
        gcm, chacha = AESGCM(bytes(32)), ChaCha20Poly1305(bytes(32))
        ctr = Cipher(AES128(bytes(16)), CTR(bytes(16))).encryptor()
        self.per_flop = self.seconds(lambda: square @ square).min() / (2 * 1024**3)
        self.per_byte_copied = self.seconds(lambda: np.copyto(target, source)).min() / len(source)
        self.per_byte_boxed = self.seconds(lambda: gcm.encrypt_into(bytes(12), plain, None, box)).min() / CHUNK
        self.per_byte_masked = self.seconds(lambda: ctr.update_into(plain, box)).min() / CHUNK
        self.per_byte_saved = self.seconds(lambda: chacha.encrypt_into(bytes(12), plain, None, box)).min() / CHUNK
        ours, theirs, author = X25519PrivateKey.generate(), X25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        public, signature = author.public_key(), author.sign(b"keys")
        self.per_neighbour = (
            2 * self.seconds(lambda: ours.exchange(theirs.public_key())).min()
            + self.seconds(lambda: public.verify(signature, b"keys")).min()
        )

    def seconds(self, work: Callable[[], object]) -> NDArray:
        """CPU seconds of each repeat, once everything is loaded."""
        work()
        return np.array([cpu_seconds(work) for _ in range(self.repeats)])

    def masking(self, vectors: NDArray, clients: NDArray | int = 1) -> dict[str, NDArray]:
        """Least CPU seconds of masking so many bytes of vectors: keys are agreed on and checked, and masks made."""
        return {
            "keys and the cipher": NEIGHBOURS * (clients * self.per_neighbour + vectors * self.per_byte_masked),
            "memory": vectors * self.per_byte_copied,
        }

    def at(self, sizes: Sequence[int], work: Callable[[int], Callable[[], object]]) -> NDArray:
        """CPU seconds of each repeat at each size."""
        return np.array([self.seconds(work(size)) for size in sizes])


def dp_sgd(measure: Measure) -> Panel:
    """A step of DP-SGD against the parameters of a network with one hidden layer."""
    data, steps = load_mnist5k(), 10
    widths = [8 * 2**i for i in range(measure.count)]
    plan = PrivacyPlan(1.0, 1.0, BATCH / len(data.x_train), steps)

    def run(width: int) -> Callable[[], object]:
        setting = {"steps": steps, "batch_size": BATCH, "learning_rate": 0.5, "privacy": plan}
        return lambda: train(mlp([784, width, 10]), data.x_train, data.y_train, **setting)

    seconds = measure.at(widths, run) / steps
    products = np.array([flops(784, width, BATCH) for width in widths]) * measure.per_flop
    sizes = [795 * width + 10 for width in widths]
    return Panel("DP-SGD", "parameters", sizes, {"a step": seconds}, {"matrix products": products})


def flops(inputs: int, width: int, examples: int) -> int:
    """Additions and multiplications of a step's products: two of each layer, and one more of the second."""
    return 2 * examples * (2 * inputs * width + 3 * width * 10)


def shadow_models(measure: Measure) -> Panel:
    """Training against the number of replicas."""
    digits, steps, replicas = load_digits(), 30, [2**i for i in range(measure.count)]

    def run(count: int) -> Callable[[], object]:
        setting = {"steps": steps, "batch_size": 64, "learning_rate": 0.1, "replicas": count}
        return lambda: train(mlp([64, 64, 10]), digits.x_train, digits.y_train, **setting)

    seconds = measure.at(replicas, run) / steps
    products = np.array([count * flops(64, 64, 64) for count in replicas]) * measure.per_flop
    return Panel("Shadow models", "replicas", replicas, {"a step of all": seconds}, {"matrix products": products})


def rounds(measure: Measure) -> Panel:
    """A round of two local steps of 8 records against the number of shards, all in this process."""
    digits, number, shards = load_digits(), 2, [2 ** (i + 1) for i in range(measure.count)]

    def run(count: int) -> Callable[[], object]:
        parts = partition(digits.y_train, count)
        setting = {"rounds": number, "local_steps": 2, "batch_size": 8, "learning_rate": 0.1}
        return lambda: train_sharded(mlp([64, 64, 10]), digits.x_train, digits.y_train, parts, **setting)

    seconds = measure.at(shards, run) / number
    products = np.array([count * 2 * flops(64, 64, 8) for count in shards]) * measure.per_flop
    return Panel("Sharded training", "shards", shards, {"a round": seconds}, {"matrix products": products})


def boxes(measure: Measure) -> Panel:
    """Sealing in memory, and saving a checkpoint, against their bytes."""
    sizes, key, ada = [4**i << 12 for i in range(measure.count)], generate_key(), Identity.generate()

    def sealing(size: int) -> Callable[[], object]:
        data = bytes(size)
        return lambda: seal(data, key)

    def saving(size: int) -> Callable[[], object]:
        weights = {"w": np.zeros(size, np.uint8)}
        return lambda: save_checkpoint(path, weights, ada.recipient)

    def writing(size: int) -> Callable[[], object]:
        data = bytes(size)

        def write() -> None:
            with open(path, "wb", buffering=0) as file:
                file.write(data)
                os.fsync(file.fileno())

        return write

    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        path = Path(folder) / "checkpoint"
        costs = {"seal": measure.at(sizes, sealing), "save_checkpoint": measure.at(sizes, saving)}
        written = measure.at(sizes, writing).min(axis=1)
    counts = np.array(sizes)
    limits = {"AES": counts * measure.per_byte_boxed, "ChaCha20 and a file": counts * measure.per_byte_saved + written}
    return Panel("Encryption", "bytes", sizes, costs, limits)


def length(measure: Measure) -> Panel:
    """A client of a secure sum against the length of its vector."""
    sizes = [4**i << 8 for i in range(measure.count)]
    # It times itself: what the other clients do is not this client's cost.
    seconds = np.array([[client_seconds(d, NEIGHBOURS, 5) for _ in range(measure.repeats)] for d in sizes])
    costs = {f"{NEIGHBOURS} neighbours": seconds}
    return Panel("Secure sum, one client", "parameters", sizes, costs, measure.masking(4 * np.array(sizes)))


def clients(measure: Measure) -> Panel:
    """A whole secure sum against the number of clients, each with the same number of neighbours."""
    sizes, dimension = [2**i * 2 * NEIGHBOURS for i in range(measure.count - 1)], 4096

    def run(count: int) -> Callable[[], object]:
        vectors = np.zeros((count, dimension), np.float32)
        return lambda: secure_sum(vectors, clip=1.0, neighbours=NEIGHBOURS)

    costs = {f"{dimension:,} parameters": measure.at(sizes, run)}
    return Panel(
        "Secure sum, all clients",
        "clients",
        sizes,
        costs,
        measure.masking(4 * dimension * np.array(sizes), np.array(sizes)),
    )


@styled()
def draw(panels: Sequence[Panel]) -> Figure:
    """One small picture for each kind of work, seconds over size, both on logarithmic scales."""
    picture = figure(9.6, 5.6)
    for axes, panel in zip(picture.subplots(2, 3).flat, panels, strict=True):
        for (name, seconds), (colour, dash, marker) in zip(panel.costs.items(), SERIES, strict=False):
            axes.loglog(panel.sizes, seconds.min(axis=1), color=colour, ls=dash, marker=marker, ms=4, label=name)
        for (name, seconds), dash in zip(panel.limits.items(), ((0, (2, 2)), (0, (6, 2, 1, 2))), strict=False):
            axes.loglog(panel.sizes, seconds, color=GREY, ls=dash, lw=1.2, label=f"limit: {name}")
        axes.set(title=panel.title, xlabel=panel.axis, ylabel="CPU seconds")
        axes.set_xticks(panel.sizes[::3], [EngFormatter(places=0, sep="")(size) for size in panel.sizes[::3]])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * (high / low) ** 0.5)  # room for the legend
        axes.legend(fontsize=7.5, handlelength=3, loc="upper left")
    picture.tight_layout()
    return picture


if __name__ == "__main__":
    main()
