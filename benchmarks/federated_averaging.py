"""The same federated averaging by privlab and by Flower's simulation engine: seconds, and CPU seconds of all processes.

Run ``python -m benchmarks.federated_averaging``, with ``--peer-python`` if Flower is installed somewhere.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.federated_job import BIAS, WEIGHT, Job
from benchmarks.measure import Cost, run_and_measure, spread
from benchmarks.peers import environment, flower_python
from benchmarks.records import tiled_mnist
from privlab.data import Dataset
from privlab.learning import Parameters, softmax_regression
from privlab.sharding import partition

JOBS = ((10, 10, 1), (100, 10, 1), (500, 5, 1), (2, 4, 10))  # clients, rounds, local epochs of a round
QUANTITIES = ("seconds", "steady round", "CPU seconds", "CPU of a steady round")


@dataclass(frozen=True)
class Side:
    """What one side measured and computed."""

    cost: Cost
    parameters: Parameters
    stamps: Sequence[float]

    def quantities(self) -> tuple[float, float, float, float]:
        """Return seconds and CPU seconds of the whole command and of a steady round: all but the first."""
        rounds = np.diff(self.stamps)
        cpu = self.cost.cpu_between(self.stamps[0], self.stamps[-1]) / len(rounds)
        return self.cost.seconds, statistics.median(rounds), self.cost.cpu_seconds, cpu


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", type=Path, help="a Python with flwr[simulation]; one is made otherwise")
    parser.add_argument("--no-peer", action="store_true", help="run only privlab")
    parser.add_argument("--rows", type=int, default=60_000, help="training records of 784 numbers")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--jobs", type=int, nargs="+", default=range(len(JOBS)), help="which, from 0")
    args = parser.parse_args(arguments)
    peer = None if args.no_peer else flower_python(args.peer_python)
    data = tiled_mnist(args.rows)
    for clients, rounds, epochs in (JOBS[i] for i in args.jobs):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            job = write_job(Path(folder), data, clients, rounds, epochs)
            print(
                f"{clients} clients, {rounds} rounds of {epochs} local epoch(s), {job.local_steps} steps of {job.batch_size}"
            )
            compare(Path(folder), data, peer, args.repeats)


def write_job(folder: Path, data: Dataset, clients: int, rounds: int, epochs: int) -> Job:
    """Lay out the records in the order of the clients and return the job."""
    shards = partition(data.y_train, clients)
    job = Job(clients, rounds, epochs * max(2, min(map(len, shards)) // Job.batch_size))
    order, ends = np.concatenate(shards), np.cumsum([0, *map(len, shards)])
    initial = softmax_regression(data.x_train.shape[1], data.classes).init(0)
    job.write(folder, data.x_train[order], data.y_train[order], ends, initial)
    return job


def run_side(module: str, python: str | Path, folder: Path) -> Side:
    """Run one side in a process of its own, from the start of its interpreter to its end."""
    cost = run_and_measure([str(python), "-m", f"benchmarks.{module}", str(folder)], environment())
    with np.load(folder / "result.npz", allow_pickle=False) as result:
        return Side(cost, {WEIGHT: result["weight"], BIAS: result["bias"]}, result["stamps"].tolist())


def compare(folder: Path, data: Dataset, peer: Path | None, repeats: int) -> None:
    """Print the peer's costs over privlab's, run in turn, after making sure that both reach the same accuracy."""
    ratios = []
    for _ in range(repeats):
        ours = run_side("federated_privlab", sys.executable, folder)
        reached = accuracy(ours.parameters, data)
        print("  privlab:", ", ".join(f"{n} {q:.2f}" for n, q in zip(QUANTITIES, ours.quantities(), strict=True)))
        if peer is None:
            continue
        theirs = run_side("federated_flower", peer, folder)
        print("  Flower: ", ", ".join(f"{n} {q:.2f}" for n, q in zip(QUANTITIES, theirs.quantities(), strict=True)))
        if abs(reached - accuracy(theirs.parameters, data)) > 0.001:
            raise RuntimeError(f"accuracies differ: {reached:.4f} and {accuracy(theirs.parameters, data):.4f}")
        ratios.append(np.divide(theirs.quantities(), ours.quantities()))
    print(f"  accuracy {reached:.3f}", "" if peer is None else "on both sides")
    for name, values in zip(QUANTITIES, np.transpose(ratios), strict=True) if ratios else ():
        print(f"  {name + ', Flower over privlab':44} {spread(values, 1)}")


def accuracy(parameters: Parameters, data: Dataset) -> float:
    """Share of the test records whose class is found."""
    logits = softmax_regression(data.x_test.shape[1], data.classes).logits(parameters, data.x_test)
    return float((logits.argmax(axis=-1) == data.y_test).mean())


if __name__ == "__main__":
    main()
