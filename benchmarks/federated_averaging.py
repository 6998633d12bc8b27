"""The same federated averaging by privlab, Flower, pfl and a loop over Dask: seconds, and CPU seconds of all processes.

Run ``python -m benchmarks.federated_averaging``.
"""

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import federated_privlab
from benchmarks.federated_job import BIAS, WEIGHT, Job
from benchmarks.measure import Cost, profiled, run_and_measure
from benchmarks.peers import PeerMissing, environment, installed, peer_python
from benchmarks.records import tiled_mnist
from benchmarks.results import Comparison, Line, version
from privlab.data import Dataset
from privlab.learning import Parameters, softmax_regression
from privlab.sharding import partition

QUANTITIES = ("whole command, by the clock", "steady round, by the clock", "whole command", "steady round")
SIDES = {"Flower": ("flower", "flwr"), "pfl": ("pfl", "pfl"), "Dask": (None, "distributed")}  # environment, package
FAIR = (
    "All read the same files, start from the same parameters and run the same function for local steps, which privlab hands the "
    "clients of a worker together, as one stack of replicas, and the others client by client. The script stops where accuracies "
    "differ by more than 0.001.",
    "The whole command is from the start of the interpreter to its end, with imports and processes; a steady round is any but the "
    "first. privlab, Flower and Dask use two processes and pfl one, so compare pfl by CPU time.",
    "privlab's workers add up their clients' updates and send the sum. Flower and Dask send each client's, which strategies such "
    "as medians need, through machinery that also runs on many machines, and Flower's on real devices with real networks.",
    "pfl adds up in one process too, which the loops of its users in PyTorch and TensorFlow share; it spreads over GPUs and "
    "machines. The loop over Dask was written for this page, and is what an afternoon gives.",
    "Where each client computes for seconds, all engines cost the same.",
)


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


def main(arguments: Sequence[str] | None = None) -> Comparison:
    """Measure, print and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000, help="training records of 784 numbers")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=1, help="local epochs of a round")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--peers", nargs="*", choices=SIDES, default=list(SIDES))
    args = parser.parse_args(arguments)
    data = tiled_mnist(args.rows)
    versions, notes = version("privlab", "distributed"), list(FAIR)
    peers = {}
    for name in args.peers:
        where, package = SIDES[name]
        try:
            peers[name] = sys.executable if where is None else peer_python(where)
            versions |= {package: installed(peers[name], package)}
        except PeerMissing as missing:
            notes.append(f"Not measured: {missing}.")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        job = write_job(Path(folder), data, args.clients, args.rounds, args.epochs)
        found, reached = compare(Path(folder), data, peers, args.pairs)
        lines = [Line(what, values, at_least=target(what, args.clients)) for what, values in found.items()]
        if not all(line.met for line in lines):
            alone = replace(job, processes=None, rounds=40)  # so many that what comes before the first hardly counts
            where = profiled(lambda: federated_privlab.run(Path(folder), alone))
            notes.append(f"Where privlab's time goes, in one process: {where}.")
    comparison = Comparison(
        f"Federated averaging, {job.clients} clients",
        f"Softmax regression on {args.rows:,} records of MNIST (5,000, repeated), {job.rounds} rounds of "
        f"{job.local_steps} steps of {job.batch_size} records, all clients in every round. CPU time of all processes together, "
        f"unless it says by the clock. Test accuracy {reached:.1%} on all sides.",
        lines,
        versions,
        notes,
    )
    print(comparison.markdown())
    return comparison


def target(what: str, clients: int) -> float | None:
    """Of Flower, whole commands with few small clients, and rounds with many."""
    aimed, times = ("whole command", 10) if clients <= 100 else ("steady round", 40)
    return times if what.startswith(aimed) and "Flower" in what else None


def write_job(folder: Path, data: Dataset, clients: int, rounds: int, epochs: int) -> Job:
    """Lay out the records in the order of the clients and return the job."""
    shards = partition(data.y_train, clients)
    job = Job(clients, rounds, epochs * max(2, min(map(len, shards)) // Job.batch_size))
    order, ends = np.concatenate(shards), np.cumsum([0, *map(len, shards)])
    initial = softmax_regression(data.x_train.shape[1], data.classes).init(0)
    job.write(folder, data.x_train[order], data.y_train[order], ends, initial)
    return job


def run_side(name: str, python: str | Path, folder: Path) -> Side:
    """Run one side in a process of its own, from the start of its interpreter to its end."""
    cost = run_and_measure([str(python), "-m", f"benchmarks.federated_{name}", str(folder)], environment())
    with np.load(folder / "result.npz", allow_pickle=False) as result:
        return Side(cost, {WEIGHT: result["weight"], BIAS: result["bias"]}, result["stamps"].tolist())


def compare(
    folder: Path, data: Dataset, peers: Mapping[str, str | Path], pairs: int
) -> tuple[dict[str, list[float]], float]:
    """Return each peer's costs over privlab's, run in turn, and the accuracy, after making sure that all reach the same."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(pairs):
        ours = run_side("privlab", sys.executable, folder)
        reached = accuracy(ours.parameters, data)
        for name, python in peers.items():
            theirs = run_side(name.lower(), python, folder)
            if abs(reached - accuracy(theirs.parameters, data)) > 0.001:
                raise RuntimeError(f"accuracies differ: {reached:.4f} and {accuracy(theirs.parameters, data):.4f}")
            for what, ratio in zip(QUANTITIES, np.divide(theirs.quantities(), ours.quantities()), strict=True):
                found[f"{what}, {name} over privlab"].append(float(ratio))
    return found, reached


def accuracy(parameters: Parameters, data: Dataset) -> float:
    """Share of the test records whose class is found."""
    logits = softmax_regression(data.x_test.shape[1], data.classes).logits(parameters, data.x_test)
    return float((logits.argmax(axis=-1) == data.y_test).mean())


if __name__ == "__main__":
    main()
