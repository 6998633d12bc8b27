"""What processes, references instead of records, and the healing pool are worth and cost.

Run ``python -m benchmarks.sharding``.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, wait

from benchmarks.measure import spread
from benchmarks.pickled import round_seconds
from benchmarks.records import tiled_mnist
from privlab.data import Dataset, load_digits
from privlab.learning import Model, mlp, softmax_regression
from privlab.sharding import ShardedRun, partition, process_pool, train_sharded

SHARDS = 8
JOBS = {
    "softmax, batches of 64": (softmax_regression(784, 10), 64),
    "MLP 784-128-10, batches of 64": (mlp([784, 128, 10]), 64),
    "MLP 784-128-10, batches of 512": (mlp([784, 128, 10]), 512),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000, help="training records of 784 numbers")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of a run; the first is not counted")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=1_000, help="tiny tasks")
    parser.add_argument("--clients", type=int, default=1_000, help="simulated clients, for 100 rounds on the digits")
    args = parser.parse_args(arguments)
    data = tiled_mnist(args.rows)
    print("Median, smallest and largest ratio of the seconds of a steady round")
    for name, (model, batch_size) in JOBS.items():
        speed_ups(name, model, batch_size, data, args.rounds, args.repeats)
    traffic(data)
    overhead(args.tasks, args.repeats)
    many_clients(args.clients, rounds=100)


def speed_ups(name: str, model: Model, batch_size: int, data: Dataset, rounds: int, repeats: int) -> None:
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
    print(f"{name}, {steps} steps in each of {SHARDS} shards")
    for text, above, below in (
        ("1 worker is faster than this process", "alone", "one"),
        ("2 workers are faster than this process", "alone", "two"),
        ("2 workers are faster than 1", "one", "two"),
        ("references are faster than records sent each round", "sent", "two"),
    ):
        print(f"  {text:52} {spread(a / b for a, b in zip(seconds[above], seconds[below], strict=True))} times")


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


def traffic(data: Dataset) -> None:
    """Bytes of a task with one shard, from the trace."""
    model, shards = softmax_regression(784, 10), partition(data.y_train, SHARDS)
    events = train(model, data, shards, 2, 2, 32, 2).trace.events
    parameters = sum(array.nbytes for array in model.init(0).values())
    records = data.x_train[shards[0]].nbytes
    received, sent = (
        statistics.median(values) for values in zip(*((e.bytes_in, e.bytes_out) for e in events), strict=True)
    )
    print(f"Bytes of a task: {received / parameters:.2f} times the parameters go to the worker, ", end="")
    print(f"{sent / parameters:.2f} times come back; the records would be {records / received:.0f} times what goes")


def overhead(tasks: int, repeats: int) -> None:
    """Seconds of a task that does nothing: the healing pool against the standard library's."""
    ratios, milliseconds = [], []
    with process_pool(2) as healing, bare_pool() as bare:
        for pool in (healing, bare):
            wait([pool.submit(time.sleep, 0.5) for _ in range(4)])  # until both workers have started
        for _ in range(repeats):
            ours, theirs = task_seconds(healing, tasks), task_seconds(bare, tasks)
            ratios.append(ours / theirs)
            milliseconds.append(1000 * ours)
    print(f"{tasks} tiny tasks on 2 workers, healing pool over bare pool: {spread(ratios)} times, ", end="")
    print(f"{spread(milliseconds)} ms each")


def task_seconds(pool: Executor, tasks: int) -> float:
    """Mean seconds per task."""
    start = time.perf_counter()
    wait([pool.submit(pow, 2, 10) for _ in range(tasks)])
    return (time.perf_counter() - start) / tasks


def many_clients(clients: int, rounds: int) -> None:
    """Every record of the digits, or every second one, is a client of its own."""
    digits = load_digits()
    shards = partition(digits.y_train, clients)
    start = time.perf_counter()
    train(softmax_regression(64, 10), digits, shards, rounds, 2, 8, 2)
    seconds = time.perf_counter() - start
    print(f"{clients} simulated clients, {rounds} rounds, 2 workers: {seconds:.1f} s with everything, ", end="")
    print("below the target of 60 s" if seconds < 60 else "above the target of 60 s")


if __name__ == "__main__":
    main()
