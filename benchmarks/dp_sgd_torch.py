"""Plain SGD by PyTorch and DP-SGD by Opacus; run by `benchmarks.dp_sgd` in the peer's environment."""

import time
import warnings
from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import torch
from opacus import PrivacyEngine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.peers import serve

warnings.simplefilter("ignore")
torch.set_num_threads(1)


@cache
def arrays(path: str) -> dict[str, torch.Tensor]:
    """Read the records and the first parameters."""
    with np.load(path, allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def network(data: dict[str, torch.Tensor]) -> nn.Sequential:
    """Return the network with the parameters of the other side."""
    (inputs, hidden), outputs = data["dense_1.weight"].shape, len(data["dense_2.bias"])
    layers = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
    with torch.no_grad():
        for layer, name in ((layers[0], "dense_1"), (layers[2], "dense_2")):
            layer.weight.copy_(data[f"{name}.weight"].T)
            layer.bias.copy_(data[f"{name}.bias"])
    return layers


def run(path: str, mode: str, batch_size: int, learning_rate: float, epochs: int, noise: float, clip: float) -> dict:
    """Return test accuracy after some epochs, and CPU seconds of an epoch and of a step on batches already drawn."""
    data = arrays(path)
    torch.manual_seed(time.time_ns() % 2**32)
    module: Any = network(data)
    optimizer: Any = torch.optim.SGD(module.parameters(), lr=learning_rate)
    criterion: Any = nn.CrossEntropyLoss()
    loader: Any = DataLoader(TensorDataset(data["x_train"], data["y_train"]), batch_size, shuffle=True)
    if mode != "plain":
        made = PrivacyEngine(accountant="rdp").make_private(
            module=module,
            optimizer=optimizer,
            criterion=criterion,
            data_loader=loader,
            noise_multiplier=noise,
            max_grad_norm=clip,
            grad_sample_mode=mode,
        )
        module, optimizer, loader = made[0], made[1], made[-1]
        criterion = made[2] if mode == "ghost" else criterion

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        optimizer.zero_grad()
        criterion(module(x), y).backward()
        optimizer.step()

    def steps(batches: Iterable) -> tuple[int, float]:
        start, count = time.process_time(), 0
        for batch in batches:
            step(*batch)
            count += 1
        return count, time.process_time() - start

    _, whole = steps(chain.from_iterable(loader for _ in range(epochs)))
    module.eval()
    with torch.no_grad():
        right = module(data["x_test"]).argmax(1) == data["y_test"]
    module.train()
    count, spent = steps(list(loader))
    return {
        "epoch": whole / epochs,
        "step": spent / count,
        "accuracy": right.float().mean().item(),
    }


if __name__ == "__main__":
    serve(run, "torch", "opacus")
