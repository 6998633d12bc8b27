"""The records that the benchmarks train on."""

from dataclasses import replace

import numpy as np

from privlab.data import Dataset, load_mnist5k


def tiled_mnist(rows: int = 60_000) -> Dataset:
    """Return MNIST-5k with its training records repeated until there are ``rows``: the size of MNIST, not its variety."""
    mnist = load_mnist5k()
    order = np.arange(rows) % len(mnist.x_train)
    return replace(mnist, x_train=mnist.x_train[order], y_train=mnist.y_train[order])
