"""Rounds on a bare process pool to which the records are sent with every task: what `train_sharded` does by references.

A module of its own because workers import what they run.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from privlab.learning import Model, Parameters


def local_change(
    model: Model, parameters: Parameters, x: NDArray, y: NDArray, steps: int, batch_size: int, rate: float, seed: int
) -> Parameters:
    """Return what some steps of SGD change in the parameters."""
    rng, new = np.random.default_rng(seed), {name: array.copy() for name, array in parameters.items()}
    order = rng.permutation(len(x))
    for step in range(steps):
        chosen = order[step * batch_size : (step + 1) * batch_size]
        gradient, _ = model.gradient(new, x[chosen], y[chosen])
        for name, array in new.items():
            array -= rate / batch_size * gradient[name]
    return {name: array - parameters[name] for name, array in new.items()}


def round_seconds(
    pool: Executor, model: Model, parts: Sequence[tuple[NDArray, NDArray]], rounds: int, steps: int, batch_size: int
) -> list[float]:
    """Run federated averaging over equal parts and return the seconds of each round."""
    parameters, seconds = model.init(0), []
    for number in range(rounds):
        start = time.perf_counter()
        futures = [
            pool.submit(local_change, model, parameters, x, y, steps, batch_size, 0.1, number * len(parts) + part)
            for part, (x, y) in enumerate(parts)
        ]
        changes = [future.result() for future in futures]
        parameters = {
            name: array + np.sum([change[name] for change in changes], axis=0) / np.float32(len(parts))
            for name, array in parameters.items()
        }
        seconds.append(time.perf_counter() - start)
    return seconds
