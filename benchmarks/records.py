"""The records that the benchmarks train on, and hand to peers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privlab.data import Dataset, load_mnist5k


def tiled_mnist(rows: int = 60_000) -> Dataset:
    """Return MNIST-5k with its training records repeated until there are ``rows``: the size of MNIST, not its variety."""
    mnist = load_mnist5k()
    order = np.arange(rows) % len(mnist.x_train)
    return replace(mnist, x_train=mnist.x_train[order], y_train=mnist.y_train[order])


def save(path: str | Path, data: Dataset, **more: NDArray) -> None:
    """Write a data set's arrays, and more by name, to a file that a peer can read."""
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(path, **{name: getattr(data, name) for name in names}, **more)
