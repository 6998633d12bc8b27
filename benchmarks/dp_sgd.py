"""DP-SGD and plain SGD of a small network: against PyTorch and Opacus, and against the matrix products that it cannot do without.

Run ``python -m benchmarks.dp_sgd``.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.measure import cpu_seconds, profiled
from benchmarks.peers import Peer, beside
from benchmarks.records import save
from benchmarks.results import Comparison, Line, version
from privlab.data import Dataset, load_mnist5k
from privlab.learning import TrainingRun, mlp, train
from privlab.masking import PrivacyPlan

SIZES, BATCH, LEARNING_RATE = [784, 128, 10], 256, 0.5
NOISE, CLIP = 1.0, 1.0
SETTING = {"batch_size": BATCH, "learning_rate": LEARNING_RATE, "noise": NOISE, "clip": CLIP}
MODEL = mlp(SIZES)
PARAMETERS = sum(array.size for array in MODEL.init(0).values())
PEERS = {"plain": "PyTorch", "hooks": "Opacus by hooks", "ghost": "Opacus by ghost clipping"}
TARGETS = {"hooks": 40, "ghost": 3}  # at least so many times the CPU time of ours
LIMIT = 2  # at most so many times the CPU time of the matrix products
FAIR = (
    "Both sides start from the same parameters and draw Poisson batches of the same rate. Opacus' step takes batches that its "
    "loader has drawn before, and with its loader makes an epoch; privlab's step is its epoch divided by the steps, sampling "
    "and all.",
    "Noise: privlab draws from a generator that a secret of the operating system seeds. Opacus draws from PyTorch's default "
    "generator; its `secure_mode`, with a cryptographic one, is off.",
    f"By hooks, its default, Opacus writes a gradient for each record, here {4 * BATCH * PARAMETERS / 1e6:.0f} MB a step. Ghost "
    "clipping and privlab write none.",
    "Opacus trains nearly any PyTorch model, convolutions and transformers included, and on GPUs, where it belongs. privlab "
    "trains the few layers of the course, on a CPU.",
)


def main(arguments: Sequence[str] | None = None) -> Comparison:
    """Measure, print and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-peer", action="store_true", help="run only privlab")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args(arguments)
    data = load_mnist5k(test_size=0.232)  # 3,840 records, 15 batches of 256 on average
    found: dict[str, list[float]] = defaultdict(list)
    versions, notes = version("privlab", "numpy"), list(FAIR)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        path = str(Path(folder) / "job.npz")
        save(path, data, **MODEL.init(0))
        with beside("torch", "benchmarks.dp_sgd_torch", versions, notes, wanted=not args.no_peer) as peer:
            for mode in PEERS if peer else ():  # loads what is loaded when it is first needed
                peer.ask(path=path, mode=mode, **SETTING, epochs=1)
            fit(data, 1, private=True)
            for _ in range(args.pairs):
                one_pair(data, args.epochs, peer, path, found)
    comparison = Comparison(
        "DP-SGD",
        f"A network of {'-'.join(map(str, SIZES))} units, batches of {BATCH} expected out of {len(data.x_train):,} records of "
        f"MNIST, {args.epochs} epochs, clip norm {CLIP:g}, noise multiplier {NOISE:g}, CPU time on one thread.",
        lines(found),
        versions,
        notes,
    )
    if not all(line.met for line in comparison.lines):
        steps = args.epochs * len(data.x_train) // BATCH
        comparison = comparison.noting(
            f"Where privlab's time goes: {profiled(lambda: fit(data, steps, private=True))}."
        )
    print(comparison.markdown())
    return comparison


def one_pair(data: Dataset, epochs: int, peer: Peer | None, path: str, found: dict[str, list[float]]) -> None:
    """Run both sides in turn, and add the ratios and accuracies to what was found."""
    steps, products, spent = epochs * len(data.x_train) // BATCH, matrix_products(), {}
    for name, private in (("SGD", False), ("DP-SGD", True)):
        runs: list[TrainingRun] = []
        spent[name] = cpu_seconds(lambda: runs.append(fit(data, steps, private=private))) / steps  # noqa: B023
        limit = cpu_seconds(lambda: [products(private) for _ in range(steps)]) / steps  # noqa: B023
        found[f"{name}, privlab over its matrix products"].append(spent[name] / limit)
        logits = MODEL.logits(runs[0].parameters, data.x_test)
        found[f"test accuracy of {name} by privlab, %"].append(100 * float((logits.argmax(-1) == data.y_test).mean()))
    found["DP-SGD over SGD, both by privlab"].append(spent["DP-SGD"] / spent["SGD"])
    for mode, who in PEERS.items() if peer else ():
        theirs = peer.ask(path=path, mode=mode, **SETTING, epochs=epochs)
        name = "SGD" if mode == "plain" else "DP-SGD"
        found[f"{name} step, {who} over privlab"].append(theirs["step"] / spent[name])
        found[f"{name} epoch, {who} over privlab"].append(theirs["epoch"] / (spent[name] * steps / epochs))
        found[f"test accuracy of {name} by {who}, %"].append(100 * theirs["accuracy"])


def fit(data: Dataset, steps: int, *, private: bool) -> TrainingRun:
    """Train by privlab; sampling and noise from the operating system's secret."""
    plan = PrivacyPlan(NOISE, CLIP, BATCH / len(data.x_train), steps) if private else None
    x, y = data.x_train, data.y_train
    return train(MODEL, x, y, steps=steps, batch_size=BATCH, learning_rate=LEARNING_RATE, privacy=plan)


def matrix_products() -> Callable[[bool], object]:
    """Return the products of one step, with and without the norms that clipping needs, on arrays of the right shapes."""
    rng = np.random.default_rng(0)
    x, hidden, errors, hidden_errors = (rng.random((BATCH, n), np.float32) for n in (*SIZES, SIZES[1]))
    first, second = (rng.random(shape, np.float32) for shape in pairwise(SIZES))

    def products(clipped: bool) -> None:
        x @ first, hidden @ second  # forward
        errors @ second.T  # backward
        if clipped:
            for rows in (x, hidden, errors, hidden_errors):  # squared norms
                np.vecdot(rows, rows)
        x.T @ hidden_errors, hidden.T @ errors  # gradients

    return products


def lines(found: dict[str, list[float]]) -> list[Line]:
    """Put what was found beside the targets."""
    bounds = {f"DP-SGD step, {PEERS[mode]} over privlab": times for mode, times in TARGETS.items()}
    limit = "DP-SGD, privlab over its matrix products"
    return [
        Line(what, values, at_least=bounds.get(what), at_most=LIMIT if what == limit else None)
        for what, values in found.items()
    ]


if __name__ == "__main__":
    main()
