"""What runs in a worker process: open shards by reference, train on them, return one plain record.

A task names where the records are, never the records; what it sends back is a sum in whole numbers, which does not depend on the
order in which tasks end or on how they were grouped.
"""

import functools
import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privlab.learning.layers import Parameters
from privlab.learning.models import Model
from privlab.masking import PrivacyPlan
from privlab.randomness import secret_stream, stream

FRACTION_BITS = 32  # of the fixed-point numbers in which updates are summed
LARGEST = 2.0**20  # a coordinate beyond it is no update but an accident; sums of 2**11 of them still fit


@dataclass(frozen=True)
class Unit:
    """Records of one shard, or a part of them where the shard is split.

    Parameters
    ----------
    shard : int
    folder : str
        Holds ``x.npy`` and ``y.npy``, the records in the order of the shards.
    start, stop : int
        Rows of the whole shard in these files.
    first, last : int
        Rows of this unit, counted within the shard.
    weight : float
        Share of the shard in the average.
    key : bytes or None
        Secret of this shard's sampling and noise.
    """

    shard: int
    folder: str
    start: int
    stop: int
    first: int
    last: int
    weight: float
    key: bytes | None


@dataclass(frozen=True)
class Job:
    """What is the same for all tasks of a run.

    Parameters
    ----------
    model : Model
    gradients : bool
        Return sums of gradients of a batch; else changes of parameters after local steps.
    local_steps, batch_size : int
    learning_rate, proximal : float
    privacy : PrivacyPlan or None
        With it gradients are clipped; local steps add noise too.
    seed : int
        Of the batches without privacy.
    """

    model: Model
    gradients: bool
    local_steps: int
    batch_size: int
    learning_rate: float
    proximal: float
    privacy: PrivacyPlan | None
    seed: int


@dataclass(frozen=True)
class Task:
    """One message to a worker. ``digest`` stands for the parameters and settings: noise is keyed by it."""

    job: Job
    units: tuple[Unit, ...]
    round: int
    parameters: Parameters
    digest: str


@dataclass(frozen=True)
class Answer:
    """One message back: the units' sum in fixed point, summed losses and number of examples, who worked and when."""

    sums: dict[str, NDArray[np.int64]]
    loss: float
    examples: int
    worker: str
    spans: tuple[tuple[int, float, float], ...]


def pack(message: Any) -> bytes:
    """Write a message between a driver and its own workers as any executor would, so that its bytes can be counted."""
    return bytes(ForkingPickler.dumps(message, -1))


def unpack(message: bytes) -> Any:
    """Read what `pack` wrote; never a file."""
    return ForkingPickler.loads(message)


def run(message: bytes) -> bytes:
    """Do a packed `Task` and return a packed `Answer`."""
    task: Task = unpack(message)
    sums = {name: np.zeros(array.shape, np.int64) for name, array in task.parameters.items()}
    loss, examples, spans = 0.0, 0, []
    for unit in task.units:
        start = time.time()
        work = _gradient_sum if task.job.gradients else _local_change
        update, losses = work(task, unit)
        for name, array in update.items():
            sums[name] += fixed_point(array, f"the update of shard {unit.shard} in round {task.round}")
        loss, examples = loss + float(losses.sum(dtype=np.float64)), examples + losses.size
        spans.append((unit.shard, start, time.time()))
    return pack(Answer(sums, loss, examples, f"{socket.gethostname()}:{os.getpid()}", tuple(spans)))


def fixed_point(array: NDArray, what: str) -> NDArray[np.int64]:
    """Round to multiples of 2**-32. Raises `ValueError` naming ``what`` where a value is NaN, infinite or beyond 2**20."""
    if not (np.abs(array) <= LARGEST).all():
        raise ValueError(f"{what} holds a value that is NaN, infinite or beyond {LARGEST:.0f}")
    return np.rint(np.ldexp(np.asarray(array, np.float64), FRACTION_BITS)).astype(np.int64)


def floating_point(sums: Mapping[str, NDArray[np.int64]]) -> Parameters:
    """Turn sums back into float64."""
    return {name: np.ldexp(array.astype(np.float64), -FRACTION_BITS) for name, array in sums.items()}


@functools.lru_cache(maxsize=8)
def records(folder: str) -> tuple[NDArray, NDArray]:
    """Map the records of a run into memory; a worker does so once."""
    x, y = (np.load(Path(folder) / name, mmap_mode="r", allow_pickle=False) for name in ("x.npy", "y.npy"))
    return np.asarray(x), np.asarray(y)  # slicing the subclass costs more than a small step


def _gradient_sum(task: Task, unit: Unit) -> tuple[Parameters, NDArray]:
    """Sum of the gradients, clipped if private, of those records of the unit that are in the shard's batch."""
    job, size = task.job, unit.stop - unit.start
    inside, _ = next(_batches(task, unit))
    rows = unit.start + unit.first + np.flatnonzero(inside[unit.first : unit.last])
    x, y = records(unit.folder)
    clip_norm = job.privacy.clip_norm if job.privacy else None
    gradient, losses = job.model.gradient(task.parameters, x[rows], y[rows], clip_norm=clip_norm)
    if job.privacy is None:  # a shard counts by its size, not by its batch
        gradient = {name: array * (unit.weight / min(job.batch_size, size)) for name, array in gradient.items()}
    return gradient, losses


def _local_change(task: Task, unit: Unit) -> tuple[Parameters, NDArray]:
    """Change of the parameters by local steps of SGD, DP-SGD or FedProx, times the shard's weight."""
    job, size = task.job, unit.stop - unit.start
    x, y = (array[unit.start : unit.stop] for array in records(unit.folder))
    parameters = {name: array.copy() for name, array in task.parameters.items()}
    clip_norm = job.privacy.clip_norm if job.privacy else None
    divisor = job.privacy.sampling_rate * size if job.privacy else min(job.batch_size, size)
    losses = []
    for inside, noise in _batches(task, unit):
        gradient, batch_losses = job.model.gradient(parameters, x[inside], y[inside], clip_norm=clip_norm)
        losses.append(batch_losses)
        for name, array in parameters.items():
            change = (gradient[name] + noise.get(name, 0)) / np.float32(divisor)
            if job.proximal:
                change += job.proximal * (array - task.parameters[name])
            array -= job.learning_rate * change
    change = {name: unit.weight * (array - task.parameters[name]) for name, array in parameters.items()}
    return change, np.concatenate(losses)


def _batches(task: Task, unit: Unit) -> Iterator[tuple[NDArray, Parameters]]:
    """For each local step, which records of the shard take part, and the noise its worker adds."""
    job, size = task.job, unit.stop - unit.start
    if job.privacy is None:
        rng, batch = stream(job.seed, "batches", unit.shard, task.round), min(job.batch_size, size)
        for step in range(job.local_steps):
            place = step * batch % (size - size % batch)
            if place == 0:
                order = rng.permutation(size)
            chosen = order[place : place + batch]
            yield (np.isin(np.arange(size), chosen) if job.gradients else chosen), {}
        return
    # Keyed by what is computed: a task that runs again releases the same, one that differs in anything draws afresh.
    rng = secret_stream(unit.key or b"", "local", task.round, task.digest)
    scale = job.privacy.noise_multiplier * job.privacy.clip_norm
    for _ in range(job.local_steps):
        inside = rng.random(size) < job.privacy.sampling_rate
        yield (
            inside,
            {}
            if job.gradients
            else {
                name: scale * rng.standard_normal(array.shape, array.dtype.type)
                for name, array in task.parameters.items()
            },
        )
