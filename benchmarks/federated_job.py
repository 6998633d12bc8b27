"""A federated averaging job as a folder that both sides read, and the local steps of a client, the same function on both."""

import json
import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privlab.learning import Parameters, softmax_regression
from privlab.sharding import workers
from privlab.sharding.sources import PlainShards

WEIGHT, BIAS = "dense_1.weight", "dense_1.bias"


@dataclass(frozen=True)
class Job:
    """Softmax regression with the same number of local steps at every client, all clients in every round."""

    clients: int
    rounds: int
    local_steps: int
    batch_size: int = 32
    learning_rate: float = 0.1
    processes: int | None = 2  # None: all in this process

    def write(self, folder: Path, x: NDArray, y: NDArray, ends: NDArray, initial: Parameters) -> None:
        """Write the job, the records in the order of the clients, where each client's end, and the first parameters."""
        (folder / "job.json").write_text(json.dumps(asdict(self)))
        for name, array in {"x": x, "y": y, "ends": ends, "weight": initial[WEIGHT], "bias": initial[BIAS]}.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    @staticmethod
    def initial(folder: Path) -> Parameters:
        """Read the first parameters of a folder."""
        files = {WEIGHT: "weight", BIAS: "bias"}
        return {name: np.load(folder / f"{file}.npy", allow_pickle=False) for name, file in files.items()}

    @classmethod
    def read(cls, folder: Path) -> "Job":
        """Read the job of a folder."""
        return cls(**json.loads((folder / "job.json").read_text()))


def local_sgd(folder: Path, job: Job, parameters: Parameters, client: int, number: int) -> tuple[Parameters, int]:
    """Return a client's parameters after its local steps of round ``number``, and how many records it has."""
    start, stop = np.load(folder / "ends.npy", allow_pickle=False)[client : client + 2].tolist()
    model = softmax_regression(*parameters[WEIGHT].shape)
    settings = workers.Job(model, False, job.local_steps, job.batch_size, job.learning_rate, 0.0, None, 0)
    unit = workers.Unit(client, PlainShards(str(folder)), start, stop, 0, stop - start, 1.0, str(folder))
    task = workers.Task(settings, (unit,), number, parameters)
    answer: workers.Answer = pickle.loads(workers.run(pickle.dumps(task, -1)))
    change = workers.floating_point(answer.sums)
    return {name: array + change[name].astype(array.dtype) for name, array in parameters.items()}, stop - start


def average(answers: Sequence[tuple[Parameters, int]]) -> Parameters:
    """Return the mean of the clients' parameters, weighted by their records."""
    sizes = [size for _, size in answers]
    return {name: np.average([own[name] for own, _ in answers], axis=0, weights=sizes) for name in answers[0][0]}


def write_result(folder: Path, parameters: Parameters, stamps: list[float]) -> None:
    """Write the final parameters and the times (`time.time`) at which rounds ended."""
    np.savez(folder / "result.npz", weight=parameters[WEIGHT], bias=parameters[BIAS], stamps=np.array(stamps))
