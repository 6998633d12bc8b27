"""What a secure sum costs one client: against Flower's SecAgg+ client, and against the bare cipher that makes the masks.

Run ``python -m benchmarks.secure_sum``, with ``--peer-python`` if Flower is installed somewhere.
"""

import argparse
import json
import secrets
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from benchmarks.measure import cpu_ratios, spread
from benchmarks.peers import environment, flower_python
from privlab.masking import Client, FixedPoint, Round, Server, neighbourhood
from privlab.masking.ring import add_masks

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", type=Path, help="a Python with flwr; one is made otherwise")
    parser.add_argument("--no-peer", action="store_true", help="run only privlab")
    parser.add_argument("--dimension", type=int, default=1_000_000, help="parameters")
    parser.add_argument("--neighbours", type=int, default=30)
    parser.add_argument("--threshold", type=int, default=17)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args(arguments)
    mask_cost(args.dimension, args.neighbours, args.repeats)
    growth(args.dimension, args.neighbours, args.threshold, args.repeats)
    degrees()
    if not args.no_peer:
        against_flower(flower_python(args.peer_python), args.dimension, args.neighbours, args.threshold, args.repeats)


def client_seconds(dimension: int, neighbours: int, threshold: int) -> float:
    """CPU seconds of all that client 0 does in a round, all others being its neighbours and each other's; the sum is checked."""
    clients = range(neighbours + 1)
    keys = {number: secrets.token_bytes(32) for number in clients}
    directory = {
        number: Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
        for number, key in keys.items()
    }
    setting = Round(
        secrets.token_bytes(16),
        len(clients),
        dimension,
        neighbours,
        threshold,
        FixedPoint.for_clients(len(clients), 8.0),
    )
    vectors = np.random.default_rng(0).standard_normal((len(clients), dimension), dtype=np.float32)
    parties, server = [Client(number, keys[number], directory) for number in clients], Server(setting, directory)
    spent = 0.0

    def each(answer: Callable[[Client], T]) -> list[T]:
        nonlocal spent
        start = time.process_time()
        first = answer(parties[0])
        spent += time.process_time() - start
        return [first, *map(answer, parties[1:])]

    adverts = server.introduce(each(lambda client: client.advertise(setting)))
    boxes = server.route(each(lambda client: client.share(adverts[client.number])))
    survivors = server.collect(each(lambda client: client.mask(boxes[client.number], vectors[client.number])))
    confirmed = server.forward(each(lambda client: client.confirm(survivors)))
    total = server.unmask(each(lambda client: client.unmask(confirmed[client.number])))
    error = np.abs(setting.encoding.decode(total) - vectors.sum(axis=0, dtype=np.float64)).max()
    if error > len(clients) / setting.encoding.scale:
        raise RuntimeError(f"the sum is off by {error}")
    return spent


def against_flower(peer: Path, dimension: int, neighbours: int, threshold: int, repeats: int) -> None:
    """Both clients in turn."""
    command = [str(peer), "-m", "benchmarks.secure_sum_flower", *map(str, (dimension, neighbours, threshold, 1))]
    ratios = []
    for _ in range(repeats):
        ours = client_seconds(dimension, neighbours, threshold)
        output = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True).stdout
        ratios.append(json.loads(output.splitlines()[-1])[0] / ours)
    print(
        f"CPU of a client with {neighbours} neighbours and {dimension} parameters, Flower's over privlab's:",
        spread(ratios, 1),
    )


def mask_cost(dimension: int, masks: int, repeats: int) -> None:
    """Adding masks over enciphering zeros by AES-128 in counter mode and adding the words, as often."""
    keys = [secrets.token_bytes(16) for _ in range(masks)]
    target, zeros, stream = np.zeros(dimension, np.uint32), bytes(4 * dimension), bytearray(4 * dimension + 15)
    words = np.frombuffer(stream, "<u4", dimension)

    def bare() -> None:
        nonlocal target
        for key in keys:
            Cipher(algorithms.AES128(key), modes.CTR(bytes(16))).encryptor().update_into(zeros, stream)
            target += words

    ratios = cpu_ratios(lambda: add_masks(target, add=keys[::2], subtract=keys[1::2]), bare, repeats)
    print(
        f"CPU of {masks} masks over AES in counter mode and an addition, each over all {dimension} parameters:",
        spread(ratios),
    )


def growth(dimension: int, neighbours: int, threshold: int, repeats: int) -> None:
    """Print the CPU time of a client per parameter, without what a vector of one parameter costs: keys, shares, signatures."""
    sizes = [dimension // 4, dimension // 2, dimension, 2 * dimension]
    fixed, *seconds = (min(client_seconds(d, neighbours, threshold) for _ in range(repeats)) for d in (1, *sizes))
    per_parameter = [(spent - fixed) / size for spent, size in zip(seconds, sizes, strict=True)]
    print(f"CPU of a client per parameter over that at {dimension:,} parameters: ", end="")
    print(", ".join(f"{each / per_parameter[2]:.2f} at {d:,}" for d, each in zip(sizes, per_parameter, strict=True)))
    print(f"CPU of a client that does not depend on the parameters: {fixed / seconds[2]:.0%} of it at {dimension:,}")


def degrees() -> None:
    """Neighbours that are enough, against everyone."""
    print("Clients, neighbours, threshold, and masks saved against a complete graph; 5 % corrupt, 5 % lost")
    for clients in (50, 100, 1_000, 10_000, 65_535):
        k, threshold = neighbourhood(clients)
        print(f"  {clients:10,} {k:6} {threshold:6} {(clients - 1) / k:8.1f} times")


if __name__ == "__main__":
    main()
