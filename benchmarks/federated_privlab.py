"""A federated averaging job by `train_sharded`; run by `benchmarks.federated_averaging`."""

import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.federated_job import Job, write_result
from privlab.learning import Parameters, softmax_regression
from privlab.sharding import train_sharded


def run(folder: Path, job: Job) -> None:
    """Train and write the result."""
    x, y, ends = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("x", "y", "ends"))
    stamps: list[float] = []

    def stamp(parameters: Parameters) -> float:
        stamps.append(time.time())
        return 0.0

    trained = train_sharded(
        softmax_regression(x.shape[1], int(y.max()) + 1),
        x,
        y,
        [np.arange(start, end) for start, end in pairwise(ends)],
        rounds=job.rounds,
        local_steps=job.local_steps,
        batch_size=job.batch_size,
        learning_rate=job.learning_rate,
        workers=job.processes,
        evaluate=stamp,
    )
    write_result(folder, trained.parameters, stamps)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Job.read(Path(sys.argv[1])))
