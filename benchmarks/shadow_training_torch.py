"""Shadow models one after the other, and as a stack, by PyTorch; run by `benchmarks.shadow_training` in the peer's environment."""

import time
from functools import cache, partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers import serve

torch.set_num_threads(1)


@cache
def arrays(path: str) -> dict[str, torch.Tensor]:
    """Read the records and who is in whose training set."""
    with np.load(path, allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def batches(members: torch.Tensor, steps: int, batch_size: int) -> torch.Tensor:
    """Return the indices of each step's batch, pass by pass."""
    inside = members.nonzero()[:, 0]
    per_pass = len(inside) // batch_size
    passes = [inside[torch.randperm(len(inside))[: per_pass * batch_size]] for _ in range(-(-steps // per_pass))]
    return torch.cat(passes).view(-1, batch_size)[:steps]


def one_by_one(data: dict, count: int, hidden: int, steps: int, batch_size: int, learning_rate: float) -> torch.Tensor:
    """Train models in a loop, and return their logits on the test records."""
    logits = []
    for members in data["members"][:count]:
        network = nn.Sequential(nn.Linear(data["x_train"].shape[1], hidden), nn.ReLU(), nn.Linear(hidden, 10))
        optimizer = torch.optim.SGD(network.parameters(), lr=learning_rate, momentum=0.9)
        for chosen in batches(members, steps, batch_size):
            optimizer.zero_grad()
            functional.cross_entropy(network(data["x_train"][chosen]), data["y_train"][chosen]).backward()
            optimizer.step()
        with torch.no_grad():
            logits.append(network(data["x_test"]))
    return torch.stack(logits)


def stacked(data: dict, count: int, hidden: int, steps: int, batch_size: int, learning_rate: float) -> torch.Tensor:
    """Train models as one whose parameters have a leading axis, as privlab does, and return their logits."""
    sizes = ((data["x_train"].shape[1], hidden), (hidden, 10))
    weights = [torch.randn(count, i, o) * (2 / i) ** 0.5 for i, o in sizes]
    biases = [torch.zeros(count, 1, o) for _, o in sizes]
    parameters = [array.requires_grad_() for array in (*weights, *biases)]
    optimizer = torch.optim.SGD(parameters, lr=learning_rate, momentum=0.9)

    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(biases[1], torch.relu(torch.baddbmm(biases[0], x, weights[0])), weights[1])

    chosen = torch.stack([batches(members, steps, batch_size) for members in data["members"][:count]], 1)
    for index in chosen:
        optimizer.zero_grad()
        loss = functional.cross_entropy(forward(data["x_train"][index]).flatten(0, 1), data["y_train"][index].flatten())
        (loss * count).backward()  # the mean is over all models' records
        optimizer.step()
    with torch.no_grad():
        return forward(data["x_test"].expand(count, -1, -1))


def timed(path: str, how: str, **setting: float) -> dict:
    """Return CPU seconds for a model and the mean accuracy."""
    data = arrays(path)
    torch.manual_seed(time.time_ns() % 2**32)
    work = partial({"loop": one_by_one, "stack": stacked}[how], data, **setting)
    start = time.process_time()
    logits = work()
    spent = time.process_time() - start
    return {"cpu": spent / len(logits), "accuracy": (logits.argmax(-1) == data["y_test"]).float().mean().item()}


if __name__ == "__main__":
    serve(timed, "torch")
