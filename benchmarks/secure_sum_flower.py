"""One client of a secure sum by Flower's SecAgg+ client code; run by `benchmarks.secure_sum` in the peer's environment."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.client.mod.secure_aggregation.secaggplus_mod import (
    SecAggPlusState,
    _collect_masked_vectors,
    _setup,
    _share_keys,
    _unmask,
)
from flwr.common import ndarrays_to_parameters
from flwr.common.secure_aggregation.secaggplus_constants import Key

from benchmarks.peers import serve


def client_seconds(dimension: int, neighbours: int, threshold: int) -> float:
    """CPU seconds of the four stages of client 0, all others being its neighbours and each other's."""
    settings = {
        Key.SAMPLE_NUMBER: neighbours + 1,
        Key.SHARE_NUMBER: neighbours + 1,
        Key.THRESHOLD: threshold,
        Key.CLIPPING_RANGE: 8.0,
        Key.TARGET_RANGE: 1 << 22,
        Key.MOD_RANGE: 1 << 32,
        Key.MAX_WEIGHT: 1000.0,
    }
    vector = ndarrays_to_parameters([np.random.default_rng(0).standard_normal(dimension, dtype=np.float32)])
    clients, spent = [SecAggPlusState(nid=number) for number in range(neighbours + 1)], 0.0

    def timed(stage: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
        nonlocal spent
        start = time.process_time()
        answer = stage(clients[0], *arguments)
        spent += time.process_time() - start
        return answer

    adverts = [timed(_setup, settings), *(_setup(client, settings) for client in clients[1:])]
    keys = {str(number): (sent[Key.PUBLIC_KEY_1], sent[Key.PUBLIC_KEY_2]) for number, sent in enumerate(adverts)}
    timed(_share_keys, dict(keys))
    envelopes = [_share_keys(client, dict(keys)) for client in clients[1:]]
    boxes = [sent[Key.CIPHERTEXT_LIST][sent[Key.DESTINATION_LIST].index(0)] for sent in envelopes]
    others = list(range(1, neighbours + 1))
    timed(_collect_masked_vectors, {Key.CIPHERTEXT_LIST: boxes, Key.SOURCE_LIST: others}, 1, vector)
    timed(_unmask, {Key.ACTIVE_NODE_ID_LIST: [0, *others], Key.DEAD_NODE_ID_LIST: []})
    return spent


if __name__ == "__main__":
    serve(client_seconds, "flwr")
