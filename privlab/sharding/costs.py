"""What a round costs: three numbers that a short probe measures, and a formula that carries them to other sizes."""

import math
import time
from concurrent.futures import Executor, wait
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.learning.models import Model

FLOPS = 6  # per parameter and record, where each parameter is used once: 2 forward, 4 backward


@dataclass(frozen=True)
class Calibration:
    """What a cluster can do.

    Parameters
    ----------
    flops : float
        Floating-point operations per second of one worker, above 0.
    bandwidth : float
        Bytes per second through the driver, above 0.
    overhead : float
        Seconds of the driver for each message, whatever its size, above 0.

    Raises
    ------
    ValueError
        If an argument is not allowed.
    """

    flops: float
    bandwidth: float
    overhead: float

    def __post_init__(self) -> None:
        for field in fields(self):
            arguments.real(field.name, getattr(self, field.name), above=0)


@dataclass(frozen=True)
class RoundCost:
    """Seconds of a round: its slowest worker's ``compute``, then ``transfer`` and ``overhead`` of the driver."""

    compute: float
    transfer: float
    overhead: float

    @property
    def total(self) -> float:
        """Their sum: nothing is taken to overlap."""
        return self.compute + self.transfer + self.overhead


def round_cost(
    calibration: Calibration,
    *,
    records: int,
    parameters: int,
    messages: int,
    workers: int,
    message_bytes: float | None = None,
    imbalance: float = 1.0,
) -> RoundCost:
    """Predict a round: ``imbalance * records * flops / (workers * g) + 2 * messages * bytes / B + messages * o``.

    Parameters
    ----------
    calibration : Calibration
        Holds g, B and o.
    records : int
        Examples of all steps of all shards, 6 operations per parameter each.
    parameters, messages, workers : int
        Of the model; tasks of the round, each answered once; equal workers.
    message_bytes : float or None
        Mean size of messages to and from workers, at least 0; None: four bytes per parameter.
    imbalance : float
        Makespan over the mean load of a worker, at least 1.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> cluster = Calibration(flops=1e9, bandwidth=1e8, overhead=0.01)
    >>> round_cost(cluster, records=10_000, parameters=100_000, messages=10, workers=4)
    RoundCost(compute=1.5, transfer=0.08, overhead=0.1)
    """
    slowest = arguments.real("imbalance", imbalance, at_least=1)
    weights = arguments.whole("parameters", parameters)
    size = arguments.real("message_bytes", 4 * weights if message_bytes is None else message_bytes, at_least=0)
    work = FLOPS * weights * arguments.whole("records", records) / calibration.flops
    count = arguments.whole("messages", messages)
    return RoundCost(
        compute=slowest * work / arguments.whole("workers", workers),
        transfer=2 * count * size / calibration.bandwidth,
        overhead=count * calibration.overhead,
    )


def best_workers(work: float, message_seconds: float) -> int:
    """Number of workers k with the shortest round ``work / k + k * message_seconds``: one message per worker, all equal.

    Near ``sqrt(work / message_seconds)``, where half of each worker's time goes to waiting. Beyond the square of it a round
    takes longer than the work on one worker. Both arguments are in seconds and above 0, else `ValueError`.

    >>> best_workers(work=100, message_seconds=0.01)
    100
    """
    arguments.real("work", work, above=0)
    arguments.real("message_seconds", message_seconds, above=0)
    near = max(1, math.isqrt(math.ceil(work / message_seconds)))
    return min(range(max(1, near - 1), near + 2), key=lambda k: work / k + k * message_seconds)


def calibrate(executor: Executor, model: Model, x: NDArray, y: NDArray, *, tasks: int = 30) -> Calibration:
    """Measure an executor within seconds: the best of three trials each, after one that wakes its workers.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Its workers must be able to import this package.
    model : Model
    x, y : ndarray, shapes (n, features) and (n,)
        A typical batch: how fast a worker computes depends on its size.
    tasks : int
        Empty tasks in a trial of the overhead.

    Raises
    ------
    ValueError
        If ``tasks`` is not a whole number of at least 1.

    Examples
    --------
    >>> from privlab.learning import softmax_regression
    >>> from privlab.sharding import InProcess
    >>> x, y = np.zeros((8, 4), np.float32), np.zeros(8, int)
    >>> calibrate(InProcess(), softmax_regression(4, 2), x, y).overhead < 0.1
    True
    """
    arguments.whole("tasks", tasks)
    operations = FLOPS * len(x) * sum(array.size for array in model.init(0).values())
    megabytes = np.zeros(500_000)
    _seconds(executor, tasks, abs, 0)
    step = min(future.result() for future in [executor.submit(step_seconds, model, x, y) for _ in range(3)])
    overhead = min(_seconds(executor, tasks, abs, 0) for _ in range(3)) / tasks
    trip = min(_seconds(executor, 4, np.negative, megabytes) for _ in range(3)) / 4
    return Calibration(operations / step, 2 * megabytes.nbytes / max(trip - overhead, 1e-9), overhead)


def step_seconds(model: Model, x: NDArray, y: NDArray) -> float:
    """Task: seconds of a step of SGD, from choosing the records to the change of the parameters; the fastest of five."""
    parameters, rows, times = model.init(0), np.arange(len(x))[::-1], []
    for _ in range(5):
        begun = time.perf_counter()
        gradient, _ = model.gradient(parameters, x[rows], y[rows])
        for name, array in parameters.items():
            array -= gradient[name] * np.float32(1e-6)
        times.append(time.perf_counter() - begun)
    return max(min(times), 1e-9)


def _seconds(executor: Executor, tasks: int, function: Any, *arguments: Any) -> float:
    """How long this many equal tasks take together, on an engine that caches nothing."""
    begun = time.perf_counter()
    wait([executor.submit(function, *arguments) for _ in range(tasks)])
    return time.perf_counter() - begun
