"""What a secure sum costs one client: against Flower's SecAgg+ client, and against the bare cipher that makes the masks.

Run ``python -m benchmarks.secure_sum``.
"""

import argparse
import secrets
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from benchmarks.measure import cpu_ratios
from benchmarks.peers import beside
from benchmarks.results import Comparison, Line, version
from privlab.masking import Client, FixedPoint, Round, Server, neighbourhood
from privlab.masking.ring import add_masks

T = TypeVar("T")
WHOLE_ROUND = "a client's whole round, Flower over privlab"
TARGETS = {WHOLE_ROUND: 10}

FAIR = (
    "Flower's figure is its own client code for the four stages. privlab's client also signs its keys and checks its neighbours' "
    "signatures, which Flower's does not: that counts against privlab. Messages between processes are in neither.",
    "Flower runs the protocol between real machines; privlab's clients are objects in one process, or tasks of its rounds.",
    "The bare cipher is AES-128 in counter mode over the whole vector and one addition, for each mask. privlab does the same in "
    "blocks that stay in the processor's cache, so it can be below 1.",
)


def main(arguments: Sequence[str] | None = None) -> Comparison:
    """Measure, print and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-peer", action="store_true", help="run only privlab")
    parser.add_argument("--dimension", type=int, default=500_000, help="parameters")
    parser.add_argument("--neighbours", type=int, default=30)
    parser.add_argument("--threshold", type=int, default=17)
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args(arguments)
    found: dict[str, list[float]] = {}
    versions, notes = version("privlab", "cryptography"), [*FAIR, degrees()]
    found["masks over AES in counter mode and additions"] = mask_cost(args.dimension, args.neighbours, args.pairs)
    with beside("flower", "benchmarks.secure_sum_flower", versions, notes, wanted=not args.no_peer) as peer:
        if peer:
            size = {"dimension": args.dimension, "neighbours": args.neighbours, "threshold": args.threshold}
            peer.ask(**size | {"dimension": 1})  # loads what is loaded when it is first needed
            found[WHOLE_ROUND] = [peer.ask(**size) / client_seconds(**size) for _ in range(args.pairs)]
    comparison = Comparison(
        "Secure sum",
        f"One client with {args.neighbours} neighbours, {args.dimension:,} parameters, threshold {args.threshold}; CPU time.",
        [Line(what, values, at_least=TARGETS.get(what)) for what, values in found.items()],
        versions,
        notes,
    )
    print(comparison.markdown())
    return comparison


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


def mask_cost(dimension: int, masks: int, pairs: int) -> list[float]:
    """Adding masks over enciphering zeros by AES-128 in counter mode and adding the words, as often."""
    keys = [secrets.token_bytes(16) for _ in range(masks)]
    target, zeros, stream = np.zeros(dimension, np.uint32), bytes(4 * dimension), bytearray(4 * dimension + 15)
    words = np.frombuffer(stream, "<u4", dimension)

    def bare() -> None:
        nonlocal target
        for key in keys:
            Cipher(algorithms.AES128(key), modes.CTR(bytes(16))).encryptor().update_into(zeros, stream)
            target += words

    return cpu_ratios(lambda: add_masks(target, add=keys[::2], subtract=keys[1::2]), bare, pairs)


def degrees() -> str:
    """Say how many masks neighbours save, against everyone."""
    saved = []
    for clients in (100, 1_000, 10_000):
        k, _ = neighbourhood(clients)
        saved.append(f"{(clients - 1) / k:.0f} where there are {clients:,} ({k} neighbours)")
    return f"With 5 % of the clients corrupt and 5 % lost, neighbours divide a client's masks by {', '.join(saved)}."


if __name__ == "__main__":
    main()
