"""What a run over shards must remember to go on, and the file in which it survives the end of its process."""

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from privlab.encryption import Identity, Recipient, TamperError, load_checkpoint, save_checkpoint
from privlab.files import replacing
from privlab.learning.layers import Parameters
from privlab.sharding.trace import Event
from privlab.sharding.workers import digest

SEALED = b"age-encryption.org/"  # how a sealed checkpoint begins


@dataclass(frozen=True)
class Round:
    """One round: mean ``loss`` of its batches in nats (exact, hence **not covered** by a guarantee), ``seconds``, and ``score``.

    The loss is NaN where no one sees it (trust "secure-sum").
    """

    loss: float
    seconds: float
    score: float | None = None


@dataclass(frozen=True)
class Fault:
    """An update that was not used: of which ``shard``, in which ``round``, and for what ``reason``."""

    shard: int
    round: int
    reason: str


@dataclass
class State:
    """All that is not in a run's arguments.

    Parameters
    ----------
    parameters : dict of str to ndarray
    secret : bytes
        Secret of the run, from which sampling, noise and the shards' keys come.
    releases : ndarray of int, shape (shards,)
        How often something of each shard was released: the release ledger.
    history, events, faults : list
    workers : list of str
        Names in the order of their numbers in the trace.
    seconds : float
        Time that the run took so far.
    more : dict
        What JSON can hold, of asynchronous runs.
    arrays : dict of str to ndarray
        Likewise.
    """

    parameters: Parameters
    secret: bytes = field(repr=False)
    releases: NDArray[np.int64]
    history: list[Round] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)
    seconds: float = 0.0
    more: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray] = field(default_factory=dict)

    def worker(self, name: str) -> int:
        """Number of a worker in the trace."""
        if name not in self.workers:
            self.workers.append(name)
        return self.workers.index(name)


@dataclass(frozen=True)
class Checkpoint:
    """A file that holds the state of one job, and beside it the one before.

    Parameters
    ----------
    path : path
    job : mapping of str to str
        Digests of data, shards, settings and code: a state of another job is refused.
    recipients : sequence of Recipient
        For whom the file is sealed; none leaves it plain, readable by its owner alone (mode 0600), for it holds the run's secret.
    identities : sequence of Identity
        To open what was sealed.
    """

    path: Path
    job: Mapping[str, str]
    recipients: tuple[Recipient, ...] = ()
    identities: tuple[Identity, ...] = ()

    def __post_init__(self) -> None:
        if self.recipients and not self.identities:
            raise ValueError("identities is empty, but must have one that opens what is sealed for the recipients")

    @property
    def previous(self) -> Path:
        """The state before the last."""
        return self.path.with_name(f"{self.path.name}.previous")

    def save(self, state: State) -> None:
        """Put the state in place of the last one, which is kept beside it."""
        arrays = _as_arrays(state, self.job)
        fresh = self.path.with_name(f".{self.path.name}.next")
        if self.recipients:
            save_checkpoint(fresh, arrays, self.recipients)
            os.chmod(fresh, 0o600)
        else:
            fresh.unlink(missing_ok=True)  # a file that is there would keep its permissions
            with replacing(fresh, 0o600) as file:
                file.write(safetensors.numpy.save(arrays))
        if self.path.exists():
            os.replace(self.path, self.previous)
        os.replace(fresh, self.path)

    def load(self) -> State | None:
        """Return the last state, None where there is none; the one before, with a warning, where the last is damaged.

        Raises
        ------
        ValueError
            If it is of another job, or damaged with none before it, or sealed, or not sealed, against expectation.
        DecryptionError
            If no identity opens it.
        """
        reasons = []
        for path in (self.path, self.previous):
            if not path.exists():
                continue
            try:
                arrays = self._read(path)
            except (
                TamperError,
                safetensors.SafetensorError,
                KeyError,
                json.JSONDecodeError,
                UnicodeDecodeError,
            ) as error:
                reasons.append(f"{path.name} is damaged ({type(error).__name__}: {error})")
                continue
            state = self._state(arrays)
            if path == self.previous and state.more:  # asynchronous: what was handed out since is not known
                state.releases += 1
            if reasons:
                warnings.warn(f"checkpoint: {reasons[0]}; the run goes on from the state before", stacklevel=3)
            return state
        if reasons:
            raise ValueError(f"checkpoint is {str(self.path)!r}, but no state can be read: {'; '.join(reasons)}")
        return None

    def _read(self, path: Path) -> dict[str, NDArray]:
        with open(path, "rb") as file:
            sealed = file.read(len(SEALED)) == SEALED
        if self.identities and not sealed:
            raise TamperError("it is not sealed, though identities are given")
        if sealed and not self.identities:
            raise ValueError(f"checkpoint is {str(path)!r}, which is sealed, but identities is empty")
        arrays = load_checkpoint(path, self.identities) if sealed else safetensors.numpy.load_file(path)
        if arrays.pop("sha256").tobytes() != _digest(arrays):
            raise TamperError("its digest is not that of its content")
        return arrays

    def _state(self, arrays: dict[str, NDArray]) -> State:
        record = json.loads(arrays.pop("record").tobytes())
        changed = [part for part in self.job if record["job"].get(part) != self.job[part]]
        if changed:
            raise ValueError(f"checkpoint is {str(self.path)!r}, but is of another job: {', '.join(changed)} changed")
        named: dict[str, dict[str, NDArray]] = {"parameters": {}, "arrays": {}}
        for name in record["names"]:  # in the order of the model, which the file does not keep
            kind, _, rest = name.partition("/")
            named[kind][rest] = arrays[name]
        return State(
            named["parameters"],
            arrays["secret"].tobytes(),
            arrays["releases"],
            [Round(**entry) for entry in record["history"]],
            [Event(**entry) for entry in record["events"]],
            [Fault(**entry) for entry in record["faults"]],
            record["workers"],
            record["seconds"],
            record["more"],
            named["arrays"],
        )


def _as_arrays(state: State, job: Mapping[str, str]) -> dict[str, NDArray]:
    arrays = {f"parameters/{name}": array for name, array in state.parameters.items()}
    arrays |= {f"arrays/{name}": array for name, array in state.arrays.items()}
    record = {
        "names": list(arrays),
        "job": dict(job),
        "workers": state.workers,
        "seconds": state.seconds,
        "more": state.more,
    } | {name: [asdict(entry) for entry in getattr(state, name)] for name in ("history", "events", "faults")}
    arrays["secret"] = np.frombuffer(state.secret, np.uint8)
    arrays["releases"] = state.releases
    arrays["record"] = np.frombuffer(json.dumps(record).encode(), np.uint8)
    return arrays | {"sha256": np.frombuffer(_digest(arrays), np.uint8)}


def _digest(arrays: Mapping[str, NDArray]) -> bytes:
    return digest(part for name in sorted(arrays) for part in (name, arrays[name]))
