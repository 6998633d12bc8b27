"""What runs in a worker process: open shards by reference, train on them, return one plain record.

A task names where the records are, never the records; what it sends back is a sum in whole numbers, which does not depend on the
order in which tasks end or on how they were grouped.
"""

import hashlib
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privlab.learning.layers import Parameters
from privlab.learning.models import Model
from privlab.masking import PrivacyPlan
from privlab.randomness import secret_stream, stream
from privlab.sharding.sources import Source, secret_of

FRACTION_BITS = 32  # of the fixed-point numbers in which updates are summed
LARGEST = 2.0**20  # a coordinate beyond it is no update but an accident; sums of 2**11 of them still fit


@dataclass(frozen=True)
class Unit:
    """Records of one shard, or a part of them where the shard is split.

    Parameters
    ----------
    shard : int
    source : PlainShards or SealedShards
        Where the records are.
    start, stop : int
        Rows of the whole shard in what the source opens.
    first, last : int
        Rows of this unit, counted within the shard.
    weight : float
        Share of the shard in the average.
    home : str
        Folder with the shards' secrets, from which come sampling, noise and masks.
    """

    shard: int
    source: Source
    start: int
    stop: int
    first: int
    last: int
    weight: float
    home: str

    @property
    def rows(self) -> int:
        """How many records the unit holds."""
        return self.last - self.first


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
    norm_bound : float or None
        Largest L2 norm of a shard's update, before its weight.
    """

    model: Model
    gradients: bool
    local_steps: int
    batch_size: int
    learning_rate: float
    proximal: float
    privacy: PrivacyPlan | None
    seed: int
    norm_bound: float | None = None


@dataclass(frozen=True)
class Task:
    """One message to a worker."""

    job: Job
    units: tuple[Unit, ...]
    round: int
    parameters: Parameters

    @property
    def computation(self) -> str:
        """Digest of the parameters and settings. Noise is keyed by it, so two different computations never share noise.

        A worker computes it from what it was sent: whoever could name it for other parameters would get the same noise twice.
        """
        arrays = self.parameters
        return digest([repr(self.job), *(part for name in sorted(arrays) for part in (name, arrays[name]))]).hex()


@dataclass(frozen=True)
class Answer:
    """One message back: the units' sum in fixed point, summed losses and number of examples, who worked and when.

    What a unit computed that is no update is left out of the sum; ``refused`` says why, as pairs (place of the unit, reason).
    """

    sums: dict[str, NDArray[np.int64]]
    loss: float
    examples: int
    worker: str
    spans: tuple[tuple[int, float, float], ...]
    refused: tuple[tuple[int, str], ...] = ()


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
    loss, examples, spans, refused = 0.0, 0, [], []
    for k, unit in enumerate(task.units):
        start = time.time()
        try:
            update, losses = computed(task, unit)
        except FloatingPointError as error:
            refused.append((k, str(error)))
        else:
            for name, array in update.items():
                sums[name] += fixed_point(array)
            loss, examples = loss + float(losses.sum(dtype=np.float64)), examples + losses.size
        spans.append((unit.shard, start, time.time()))
    return pack(Answer(sums, loss, examples, this_worker(), tuple(spans), tuple(refused)))


def this_worker() -> str:
    """Name this process among all that may work on a run."""
    return f"{socket.gethostname()}:{os.getpid()}"


def computed(task: Task, unit: Unit) -> tuple[Parameters, NDArray]:
    """A unit's weighted update and its losses. Raises `FloatingPointError` naming shard and round where it is no update."""
    update, losses = (_gradient_sum if task.job.gradients else _local_change)(task, unit)
    what = f"the update of shard {unit.shard} in round {task.round}"
    if not all((np.abs(array) <= LARGEST).all() for array in update.values()):
        raise FloatingPointError(f"{what} holds a value that is NaN, infinite or beyond {LARGEST:.0f}")
    bound = task.job.norm_bound
    if bound is not None and (size := norm(update)) > bound * unit.weight:
        raise FloatingPointError(f"{what} has norm {size / unit.weight:.3g}, but norm_bound is {bound:g}")
    return update, losses


def digest(parts: Iterable[str | bytes | NDArray]) -> bytes:
    """SHA-256 of texts, bytes and arrays, each with its type and length, so that no two sequences agree by accident."""
    total = hashlib.sha256()
    for part in parts:
        kind = f"{part.dtype} {part.shape}" if isinstance(part, np.ndarray) else type(part).__name__
        content = part.encode() if isinstance(part, str) else part if isinstance(part, bytes) else part.tobytes()
        total.update(f"{kind} {len(content)}\n".encode() + content)
    return total.digest()


def norm(update: Mapping[str, NDArray]) -> float:
    """L2 norm of all arrays together."""
    return float(np.sqrt(sum(np.square(array, dtype=np.float64).sum() for array in update.values())))


def fixed_point(array: NDArray) -> NDArray[np.int64]:
    """Round to multiples of 2**-32."""
    return np.rint(np.ldexp(np.asarray(array, np.float64), FRACTION_BITS)).astype(np.int64)


def floating_point(sums: Mapping[str, NDArray[np.int64]]) -> Parameters:
    """Turn sums back into float64."""
    return {name: np.ldexp(array.astype(np.float64), -FRACTION_BITS) for name, array in sums.items()}


def _gradient_sum(task: Task, unit: Unit) -> tuple[Parameters, NDArray]:
    """Sum of the gradients, clipped if private, of those records of the unit that are in the shard's batch."""
    job, size = task.job, unit.stop - unit.start
    inside, _ = next(_batches(task, unit))
    rows = unit.start + unit.first + np.flatnonzero(inside[unit.first : unit.last])
    x, y = unit.source.records(unit.shard)
    clip_norm = job.privacy.clip_norm if job.privacy else None
    gradient, losses = job.model.gradient(task.parameters, x[rows], y[rows], clip_norm=clip_norm)
    if job.privacy is None:  # a shard counts by its size, not by its batch
        gradient = {name: array * (unit.weight / min(job.batch_size, size)) for name, array in gradient.items()}
    return gradient, losses


def _local_change(task: Task, unit: Unit) -> tuple[Parameters, NDArray]:
    """Change of the parameters by local steps of SGD, DP-SGD or FedProx, times the shard's weight."""
    job, size = task.job, unit.stop - unit.start
    x, y = (array[unit.start : unit.stop] for array in unit.source.records(unit.shard))
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
    rng = secret_stream(secret_of(unit.home, unit.shard), "local", task.round, task.computation)
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
