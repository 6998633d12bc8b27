"""What runs in a worker process: open shards by reference, train on them, return one plain record.

A task names where the records are, never the records; what it sends back is a sum in whole numbers, which does not depend on the
order in which tasks end or on how they were grouped.
"""

import hashlib
import os
import socket
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
STACK = 2**18  # numbers, of parameters and records, that are worked on at once
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
    spans: dict[int, tuple[int, float, float]] = {}
    losses: dict[int, NDArray] = {}
    refused = []
    for places in _stacks(task):
        start, units = time.time(), [task.units[k] for k in places]
        updates, batch_losses = _updates(task, units)
        bad = _refused(task, units, updates)
        refused += [(places[i], reason) for i, reason in bad.items()]
        taken = [i for i in range(len(units)) if i not in bad]
        for name, array in updates.items():
            sums[name] += fixed_point(array[taken]).sum(axis=0)
        losses |= {places[i]: batch_losses[i] for i in taken}
        each = (time.time() - start) / len(places)  # in one stack all cost the same
        spans |= {
            k: (unit.shard, start + i * each, start + (i + 1) * each)
            for i, (k, unit) in enumerate(zip(places, units, strict=True))
        }
    loss, examples = 0.0, 0
    for k in sorted(losses):
        loss, examples = loss + float(losses[k].sum(dtype=np.float64)), examples + losses[k].size
    return pack(
        Answer(sums, loss, examples, this_worker(), tuple(spans[k] for k in sorted(spans)), tuple(sorted(refused)))
    )


def this_worker() -> str:
    """Name this process among all that may work on a run."""
    return f"{socket.gethostname()}:{os.getpid()}"


def computed(task: Task, unit: Unit) -> Parameters:
    """A unit's weighted update. Raises `FloatingPointError` naming shard and round where it is no update."""
    updates, _ = _updates(task, [unit])
    for reason in _refused(task, [unit], updates).values():
        raise FloatingPointError(reason)
    return {name: array[0] for name, array in updates.items()}


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


def _stacks(task: Task) -> Iterator[list[int]]:
    """Places of units that are trained as one stack of replicas: those with batches of one size."""
    job, by_batch = task.job, defaultdict[int, list[int]](list)
    alone = job.gradients or job.privacy is not None  # then who is in a batch is drawn, and batches differ in size
    for k, unit in enumerate(task.units):
        by_batch[k if alone else min(job.batch_size, unit.stop - unit.start)].append(k)
    parameters = sum(array.size for array in task.parameters.values())
    for batch, places in by_batch.items():
        most = max(1, STACK // (parameters + batch * job.model.features))
        yield from (places[i : i + most] for i in range(0, len(places), most))


def _updates(task: Task, units: Sequence[Unit]) -> tuple[Parameters, NDArray]:
    """Weighted updates and losses of a stack of units, with a leading axis that counts these."""
    return _gradient_sums(task, *units) if task.job.gradients else _local_changes(task, units)


def _refused(task: Task, units: Sequence[Unit], updates: Parameters) -> dict[int, str]:
    """Which weighted updates of a stack are none, by their places, and why."""
    flat = np.concatenate([array.reshape(len(units), -1) for array in updates.values()], axis=1)
    weights, bound = np.array([unit.weight for unit in units]), task.job.norm_bound
    possible = np.abs(flat).max(axis=1) <= LARGEST  # nor is NaN
    norms = np.zeros(len(units)) if bound is None else np.sqrt(np.square(flat, dtype=np.float64).sum(axis=1)) / weights
    found = {}
    for i in np.flatnonzero(~possible | (norms > (np.inf if bound is None else bound))).tolist():
        found[i] = f"the update of shard {units[i].shard} in round {task.round} " + (
            f"has norm {norms[i]:.3g}, but norm_bound is {bound:g}"
            if possible[i]
            else f"holds a value that is NaN, infinite or beyond {LARGEST:.0f}"
        )
    return found


def _gradient_sums(task: Task, unit: Unit) -> tuple[Parameters, NDArray]:
    """Sum of the gradients, clipped if private, of those records of the unit that are in the shard's batch."""
    job, size = task.job, unit.stop - unit.start
    batch, _ = next(_batches(task, unit))
    rows = unit.start + np.sort(batch[(batch >= unit.first) & (batch < unit.last)])
    x, y = unit.source.records(unit.shard)
    clip_norm = job.privacy.clip_norm if job.privacy else None
    gradient, losses = job.model.gradient(task.parameters, x[rows], y[rows], clip_norm=clip_norm)
    if job.privacy is None:  # a shard counts by its size, not by its batch
        gradient = {name: array * (unit.weight / min(job.batch_size, size)) for name, array in gradient.items()}
    return {name: array[None] for name, array in gradient.items()}, losses[None]


def _local_changes(task: Task, units: Sequence[Unit]) -> tuple[Parameters, NDArray]:
    """Changes of the parameters by local steps of SGD, DP-SGD or FedProx, times each shard's weight."""
    job, size = task.job, units[0].stop - units[0].start
    records = [[np.asarray(a[unit.start : unit.stop]) for a in unit.source.records(unit.shard)] for unit in units]
    parameters = {name: np.repeat(array[None], len(units), axis=0) for name, array in task.parameters.items()}
    clip_norm = job.privacy.clip_norm if job.privacy else None
    divisor = job.privacy.sampling_rate * size if job.privacy else min(job.batch_size, size)
    losses = []
    for batches in zip(*(_batches(task, unit) for unit in units), strict=True):
        rows = [batch for batch, _ in batches]
        x, y = (_rows(arrays, rows) for arrays in zip(*records, strict=True))
        gradient, batch_losses = job.model.gradient(parameters, x, y, clip_norm=clip_norm)
        losses.append(batch_losses)
        noise = batches[0][1]  # whoever adds noise is alone
        for name, array in parameters.items():
            change = (gradient[name] + noise.get(name, 0)) / np.float32(divisor)
            if job.proximal:
                change += job.proximal * (array - task.parameters[name])
            array -= job.learning_rate * change
    for name, array in parameters.items():
        array -= task.parameters[name]
        array *= np.array([unit.weight for unit in units], array.dtype).reshape(-1, *[1] * (array.ndim - 1))
    return parameters, np.concatenate(losses, axis=-1)


def _rows(arrays: Sequence[NDArray], chosen: Sequence[NDArray]) -> NDArray:
    """Some rows of each array, as many of each, as one stack."""
    stack = np.empty((len(chosen), len(chosen[0]), *arrays[0].shape[1:]), arrays[0].dtype)
    for array, rows, out in zip(arrays, chosen, stack, strict=True):
        array.take(rows, axis=0, out=out, mode="clip")  # checked indices would be copied once more
    return stack


def _batches(task: Task, unit: Unit) -> Iterator[tuple[NDArray, Parameters]]:
    """For each local step, the places in the shard of the records that take part, and the noise its worker adds."""
    job, size = task.job, unit.stop - unit.start
    if job.privacy is None:
        rng, batch = stream(job.seed, "batches", unit.shard, task.round), min(job.batch_size, size)
        for step in range(job.local_steps):
            place = step * batch % (size - size % batch)
            if place == 0:
                order = rng.permutation(size)
            yield order[place : place + batch], {}
        return
    # Keyed by what is computed: a task that runs again releases the same, one that differs in anything draws afresh.
    rng = secret_stream(secret_of(unit.home, unit.shard), "local", task.round, task.computation)
    scale = job.privacy.noise_multiplier * job.privacy.clip_norm
    for _ in range(job.local_steps):
        rows = np.flatnonzero(rng.random(size) < job.privacy.sampling_rate)
        if job.gradients:
            yield rows, {}
            continue
        like = task.parameters.items()
        yield rows, {name: scale * rng.standard_normal(array.shape, array.dtype.type) for name, array in like}
