"""Trust "secure-sum": shards are clients of a secure sum, each step of each client a task of its own, so the server sees sums only.

A client keeps nothing in memory between two steps, for the next one may run in another process. It plays its part again from its
own secret and the server's messages so far, which gives the same keys and masks; a journal in its home refuses to answer a step
twice where the server's message differs, so what is replayed is what was said before, never a mask for something else.
"""

import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from privlab import masking
from privlab.learning.layers import Parameters
from privlab.masking import Client, FixedPoint, neighbourhood
from privlab.masking.messages import canonical
from privlab.masking.ring import LARGEST, Keystream
from privlab.randomness import keystream
from privlab.sharding.engines import RETRIES
from privlab.sharding.server import asked, since, size, status_of
from privlab.sharding.sources import secret_of
from privlab.sharding.state import Fault, State
from privlab.sharding.trace import Event
from privlab.sharding.workers import Job, Task, Unit, computed, pack, this_worker, unpack

DIRECTORY = "directory.npy"
PHASES = ("advertise", "share", "mask", "confirm", "unmask")


@dataclass(frozen=True)
class WholeSteps(FixedPoint):
    """Fixed point that rounds to the nearest step: the same update gives the same words in every round of the protocol."""

    @classmethod
    def for_job(cls, job: Job, shards: Sequence[tuple[Unit, ...]]) -> "WholeSteps":
        """Return the finest, with a power of two for its scale, in which the sum over the shards cannot wrap."""
        largest = max(map(size, shards))
        if job.privacy is not None and job.gradients:
            expected = job.privacy.sampling_rate * largest  # six standard deviations: 1e-9; what is beyond is clipped
            clip = job.privacy.clip_norm * min(largest, math.ceil(expected + 6 * math.sqrt(expected) + 6))
        else:
            clip = float(job.norm_bound or 1.0) * max(units[0].weight for units in shards)
        return cls(clip, 2.0 ** math.floor(math.log2((LARGEST / len(shards) - 1) / clip)))

    def encode(self, vector: NDArray, stream: Keystream) -> NDArray[np.uint32]:
        """Clip, scale and round a finite vector of shape (d,)."""
        steps = np.rint(np.clip(vector, -self.clip, self.clip, dtype=np.float64) * self.scale)
        return steps.astype(np.int64).astype(np.uint32)


@dataclass(frozen=True)
class Step:
    """One message to a client: which shard it is, all that the server has sent it so far, and the task, once it is to compute."""

    unit: Unit
    received: tuple[Any, ...] = field(repr=False)
    task: Task | None


@dataclass(frozen=True)
class Reply:
    """A client's message to the server, who worked and when."""

    content: Any = field(repr=False)
    worker: str
    start: float
    end: float


def respond(message: bytes) -> bytes:
    """In a worker: answer the last message that a client of a secure sum received."""
    start, step = time.time(), unpack(message)
    round, unit, home = step.received[0], step.unit, Path(step.unit.home)
    secret = secret_of(unit.home, unit.shard)
    directory = np.load(home / DIRECTORY, allow_pickle=False)
    number = [row.tobytes() for row in directory].index(_public(signing_key(secret)))
    random = keystream(hmac.digest(secret, b"secure sum" + round.digest, "sha256"))
    client = Client(number, signing_key(secret), {i: row.tobytes() for i, row in enumerate(directory)}, random=random)
    for phase, content in zip(PHASES, step.received, strict=False):
        once(home / f"{round.id.hex()}-{number}-{phase}", canonical(content))
        if phase != "mask":
            answer = getattr(client, phase)(content)
        elif step.task is None:  # a replay, of which only the keys are needed
            client.mask(content, np.zeros(round.dimension))
        else:
            once(home / f"{round.id.hex()}-{number}-update", step.task.computation.encode())
            answer = client.mask(content, _vector(step.task))
    return pack(Reply(answer, this_worker(), start, time.time()))


def once(path: Path, content: bytes) -> None:
    """Note in a journal what is about to be done; raise `ValueError` if something else was noted there before."""
    digest = hashlib.sha256(content).digest()
    try:
        with open(path, "xb") as file:
            file.write(digest)
    except FileExistsError:
        if path.read_bytes() != digest:
            raise ValueError(
                f"step {path.name} of a secure sum is refused: it was answered before, to another message"
            ) from None


def signing_key(secret: bytes) -> bytes:
    """A shard's long-term Ed25519 private key."""
    return hmac.digest(secret, b"signing key", "sha256")


def write_directory(home: str, shards: Sequence[int]) -> None:
    """Write the public keys of the shards that take part where every client has them, from no server."""
    keys = [np.frombuffer(_public(signing_key(secret_of(home, shard))), np.uint8) for shard in shards]
    np.save(Path(home) / DIRECTORY, np.stack(keys), allow_pickle=False)


def _public(key: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()


def _vector(task: Task) -> NDArray[np.float64]:
    """All of a shard's update, its units' added up, as one vector."""
    updates = [computed(task, unit) for unit in task.units]
    return np.concatenate(
        [np.sum([update[name] for update in updates], axis=0).ravel() for name in task.parameters], dtype=np.float64
    )


class SecureServer:
    """The driver's side: carries messages between a `privlab.masking.Server` and the clients' tasks.

    Parameters
    ----------
    job : Job
    shards : sequence of tuples of Unit
        At least two.
    engine : Executor
    state : State
        Gets events and faults.
    faults : {"raise", "drop", "retry"}
        "drop": a client that fails is lost, which the protocol bears up to a number. "retry": all begins again, with fresh keys.
    """

    def __init__(self, job: Job, shards: Sequence[tuple[Unit, ...]], engine: Executor, state: State, faults: str):
        self._shards, self._engine, self._state, self._faults = shards, engine, state, faults
        self._encoding = WholeSteps.for_job(job, shards)
        self._around = neighbourhood(len(shards))
        rows = np.load(Path(shards[0][0].home) / DIRECTORY, allow_pickle=False)
        self._directory = {i: row.tobytes() for i, row in enumerate(rows)}
        self._begun = time.time() - state.seconds

    def sum(self, task: Task) -> tuple[Parameters, set[int]]:
        """Return the sum of the updates and which shards are in it."""
        for attempt in range(1 + RETRIES):
            try:
                return self._protocol(task)
            except Exception:
                if self._faults != "retry" or attempt == RETRIES:
                    raise
        raise AssertionError

    def _protocol(self, task: Task) -> tuple[Parameters, set[int]]:
        clients, shapes = len(self._shards), {name: array.shape for name, array in task.parameters.items()}
        dimension = sum(map(math.prod, shapes.values()))
        round = masking.Round(secrets.token_bytes(16), clients, dimension, *self._around, self._encoding)
        server = masking.Server(round, self._directory)
        handle: tuple[Callable[[list[Any]], Any], ...] = (
            server.introduce,
            server.route,
            server.collect,
            server.forward,
            server.unmask,
        )
        received: dict[int, tuple[Any, ...]] = dict.fromkeys(range(clients), (round,))
        for phase, work in zip(PHASES, handle, strict=True):
            sent = work(self._ask(phase, received, task))
            if phase == "mask":
                survivors = sent
                sent = dict.fromkeys(survivors, survivors)
            if phase != "unmask":
                received = {client: (*received[client], content) for client, content in sent.items()}
        parts = np.split(self._encoding.decode(sent), np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1])
        update = {name: part.reshape(shape) for part, (name, shape) in zip(parts, shapes.items(), strict=True)}
        return update, {self._shards[client][0].shard for client in survivors}

    def _ask(self, phase: str, received: Mapping[int, tuple[Any, ...]], task: Task) -> list[Any]:
        """Send each client what it received and return the contents of the replies."""
        clients = list(received)
        messages = [
            pack(Step(units[0], received[i], replace(task, units=units) if phase == "mask" else None))
            for i, units in ((i, self._shards[i]) for i in clients)
        ]
        replies, events = {}, {}
        policy = "drop" if self._faults == "drop" else "raise"
        for k, result in asked(self._engine, respond, messages, lambda k, m: (unpack(m), len(m)), policy):
            unit = self._shards[clients[k]][0]
            if isinstance(result, Exception):
                now = time.time() - self._begun
                self._state.faults.append(Fault(unit.shard, task.round, f"{phase}: {result}"))
                events[k] = Event(unit.shard, task.round, 0, now, now, status=status_of(result))
                continue
            reply, sent = result
            start, end = since(self._begun, reply.start, reply.end)
            worker = self._state.worker(reply.worker)
            rows = size(self._shards[clients[k]]) if phase == "mask" else 0
            events[k] = Event(unit.shard, task.round, worker, start, end, len(messages[k]), sent, size=rows)
            replies[k] = reply.content
        self._state.events += [events[k] for k in sorted(events)]
        return [replies[k] for k in sorted(replies)]
