"""What processes, references instead of records, and the healing pool are worth and cost.

Run ``python -m benchmarks.sharding``.
"""

import argparse
import multiprocessing
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, wait

from benchmarks.pickled import round_seconds
from benchmarks.records import tiled_mnist
from benchmarks.results import Comparison, Line, version
from privlab.data import Dataset, load_digits
from privlab.learning import Model, mlp, softmax_regression
from privlab.sharding import ShardedRun, partition, process_pool, train_sharded

SHARDS = 8
Found = dict[str, list[float]]
JOBS = {
    "softmax, batches of 64": (softmax_regression(784, 10), 64),
    "MLP 784-128-10, batches of 512": (mlp([784, 128, 10]), 512),
}


FAIR = (
    f"{SHARDS} equal shards, one epoch on each per round, steady rounds only: the first, in which workers start, is not counted. "
    "Seconds are by the clock, since processes are what is measured; something else that runs beside would spoil them.",
    "Records sent each round: a bare `ProcessPoolExecutor` that gets each shard as arrays with every task. `train_sharded` sends "
    "the name of a file.",
    "Two workers can at best be twice as fast as one. What is missing is the message, and memory that two cores share.",
    "The healing pool starts a worker anew when one dies, where the standard library's gives up; the difference for a task is "
    "what that costs.",
)


def main(arguments: Sequence[str] | None = None) -> Comparison:
    """Measure, print and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=30_000, help="training records of 784 numbers")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of a run; the first is not counted")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=500, help="tiny tasks")
    parser.add_argument("--clients", type=int, default=1_000, help="simulated clients, for 100 rounds on the digits")
    args = parser.parse_args(arguments)
    data, found = tiled_mnist(args.rows), defaultdict(list)
    for name, (model, batch_size) in JOBS.items():
        speed_ups(name, model, batch_size, data, args.rounds, args.repeats, found)
    traffic(data, found)
    overhead(args.tasks, args.repeats, found)
    crowd = f"{args.clients:,} simulated clients, 100 rounds: seconds with everything"
    found[crowd].append(many_clients(args.clients, rounds=100))
    comparison = Comparison(
        "Sharding",
        f"{args.rows:,} records of MNIST (5,000, repeated) on {SHARDS} shards; speed-ups are ratios of seconds.",
        [Line(what, values, at_most=60 if what == crowd else None) for what, values in found.items()],
        version("privlab", "numpy"),
        FAIR,
    )
    print(comparison.markdown())
    return comparison


def speed_ups(name: str, model: Model, batch_size: int, data: Dataset, rounds: int, repeats: int, found: Found) -> None:
    """One local epoch on each of 8 shards per round: in this process, on 1 and 2 workers, and with the records sent each time."""
    shards = partition(data.y_train, SHARDS)
    parts = [(data.x_train[rows], data.y_train[rows]) for rows in shards]
    steps = max(1, min(map(len, shards)) // batch_size)
    seconds: dict[str, list[float]] = {"alone": [], "one": [], "two": [], "sent": []}
    with bare_pool() as pool:
        for _ in range(repeats):
            for kind, workers in (("alone", None), ("one", 1), ("two", 2)):
                run = train(model, data, shards, rounds, steps, batch_size, workers)
                seconds[kind].append(statistics.median(past.seconds for past in run.history[1:]))
            sent = round_seconds(pool, model, parts, rounds, steps, batch_size)
            seconds["sent"].append(statistics.median(sent[1:]))
    for text, above, below in (
        ("1 worker faster than this process", "alone", "one"),
        ("2 workers faster than this process", "alone", "two"),
        ("2 workers faster than 1", "one", "two"),
        ("references faster than records sent each round", "sent", "two"),
    ):
        found[f"{name}: {text}"] = [a / b for a, b in zip(seconds[above], seconds[below], strict=True)]


def train(
    model: Model, data: Dataset, shards: list, rounds: int, steps: int, batch_size: int, workers: int | None
) -> ShardedRun:
    """Train on the shards with settings that all runs share."""
    return train_sharded(
        model,
        data.x_train,
        data.y_train,
        shards,
        rounds=rounds,
        local_steps=steps,
        batch_size=batch_size,
        learning_rate=0.1,
        workers=workers,
    )


def bare_pool() -> ProcessPoolExecutor:
    """The standard library's pool of 2 spawned workers."""
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


def traffic(data: Dataset, found: Found) -> None:
    """Bytes of a task with one shard, from the trace."""
    model, shards = softmax_regression(784, 10), partition(data.y_train, SHARDS)
    events = train(model, data, shards, 2, 2, 32, 2).trace.events
    parameters = sum(array.nbytes for array in model.init(0).values())
    found["bytes to a worker over the parameters"] = [event.bytes_in / parameters for event in events]
    found["bytes back over the parameters"] = [event.bytes_out / parameters for event in events]
    found["bytes of a shard's records over bytes to a worker"] = [
        data.x_train[shards[0]].nbytes / e.bytes_in for e in events
    ]


def overhead(tasks: int, repeats: int, found: Found) -> None:
    """Seconds of a task that does nothing: the healing pool against the standard library's."""
    with process_pool(2) as healing, bare_pool() as bare:
        for pool in (healing, bare):
            wait([pool.submit(time.sleep, 0.5) for _ in range(4)])  # until both workers have started
        for _ in range(repeats):
            ours, theirs = task_seconds(healing, tasks), task_seconds(bare, tasks)
            found["a task that does nothing: the healing pool over the standard library's"].append(ours / theirs)
            found["a task that does nothing: milliseconds of the healing pool"].append(1000 * ours)


def task_seconds(pool: Executor, tasks: int) -> float:
    """Mean seconds per task."""
    start = time.perf_counter()
    wait([pool.submit(pow, 2, 10) for _ in range(tasks)])
    return (time.perf_counter() - start) / tasks


def many_clients(clients: int, rounds: int) -> float:
    """Seconds where every record of the digits, or every second one, is a client of its own."""
    digits = load_digits()
    shards = partition(digits.y_train, clients)
    start = time.perf_counter()
    train(softmax_regression(64, 10), digits, shards, rounds, 2, 8, 2)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
