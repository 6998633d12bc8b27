"""Secure aggregation: a server adds up vectors that it never sees."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, inf
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.masking.agreement import derive
from privlab.masking.graph import Neighbourhood, checked_clients, neighbourhood
from privlab.masking.messages import Message, Round
from privlab.masking.parties import Client, Server, client_vector
from privlab.masking.ring import FixedPoint
from privlab.masking.skellam import NoisyFixedPoint
from privlab.randomness import keystream


@dataclass(frozen=True)
class SecureSum:
    """Result of one round.

    Parameters
    ----------
    total : ndarray of float64, shape (d,)
        Sum of the survivors' clipped vectors, up to quantisation (and noise, where there is any).
    masked : ndarray of uint32, shape (clients, d)
        What each client sent, the lost ones too: each row on its own is uniform.
    survivors : tuple of int
    error_bound : float
        ``total`` differs from the exact sum by less than this in each coordinate, without the noise.
    transcript : tuple of Message
        Every message that passed the server, in order.
    round : Round
        The public parameters.
    private : bool
        False where a seed made keys, masks and noise predictable.
    """

    total: NDArray[np.float64]
    masked: NDArray[np.uint32] = field(repr=False)
    survivors: tuple[int, ...]
    error_bound: float
    transcript: tuple[Message, ...] = field(repr=False)
    round: Round = field(repr=False)
    private: bool = True

    def epsilon(self, delta: float, *, corrupt_rate: float = 0.05) -> float:
        """What the total reveals of one client, present or replaced by zeros, at ``delta``; infinite without noise.

        ``corrupt_rate`` is the fraction of clients whose noise the adversary knows. Of a seeded sum, it is what an unseeded one
        would cost (`NoisyFixedPoint.epsilon`).
        """
        encoding, clients = self.round.encoding, self.round.clients
        arguments.real("corrupt_rate", corrupt_rate, at_least=0, below=1)
        if not isinstance(encoding, NoisyFixedPoint):
            return inf
        return encoding.epsilon(len(self.survivors) - _part(clients, corrupt_rate), self.round.dimension, delta)


def secure_sum(
    vectors: Sequence[ArrayLike] | NDArray,
    *,
    clip: float,
    threshold: int | None = None,
    neighbours: int | None = None,
    dropouts: Collection[int] = (),
    seed: int | None = None,
    l2_clip: float | None = None,
    noise_multiplier: float = 0.0,
    corrupt_rate: float = 0.05,
    dropout_rate: float = 0.05,
) -> SecureSum:
    """Add up the clients' vectors so that the server sees masked ones and the sum, by a whole round of `Client` and `Server`.

    Parameters
    ----------
    vectors : array_like of float, shape (clients, d)
        Finite. At least 2 clients, at most 65,535.
    clip : float
        Bound to which each coordinate's absolute value is clipped, above 0.
    threshold : int, optional
        How many holders of a client's shares must be left; fewer who collude learn nothing. By default that of `neighbourhood`, or
        a majority of the given neighbours.
    neighbours : int, optional
        With how many others each client shares masks: even, or ``clients - 1``. By default that of `neighbourhood`.
    dropouts : collection of int
        Clients lost after masking: what they sent comes too late and is not in the sum.
    seed : int, optional
        Makes keys, masks, rounding and noise reproducible, therefore **not private**; None draws from the operating system.
    l2_clip : float, optional
        Bound to which each vector's L2 norm is clipped as well; needed with noise, and only then.
    noise_multiplier : float
        Standard deviation of the noise in the sum, in units of ``l2_clip``, if as many clients drop out and are corrupt as the
        rates say; 0 for none. Each client adds its share before masking.
    corrupt_rate, dropout_rate : float
        Expected fractions of clients, in [0, 1), from which neighbours, threshold and noise are chosen.

    Returns
    -------
    SecureSum

    Raises
    ------
    ValueError
        If an argument is not allowed (a NaN names its client), or the dropouts leave fewer than ``threshold`` holders.

    Examples
    --------
    >>> result = secure_sum([[0.5, -1.0], [0.25, 0.5], [0.125, 7.0]], clip=1.0, dropouts=[0])
    >>> result.total.round(6).tolist(), result.masked.shape
    ([0.375, 1.5], (3, 2))
    """
    rows = list(vectors)
    clients = checked_clients(len(rows))
    dimension = np.asarray(rows[0]).size
    values = [client_vector(row, client, dimension) for client, row in enumerate(rows)]
    lost = {arguments.whole("dropouts", client, at_least=0) for client in dropouts}
    if lost and max(lost) >= clients:
        raise ValueError(f"dropouts has client {max(lost)}, but all must be below {clients}")
    honest = clients - _part(clients, corrupt_rate) - _part(clients, dropout_rate)
    encoding = _encoding(clients, dimension, clip, l2_clip, noise_multiplier, honest)
    k, t = _neighbourhood(clients, neighbours, threshold, corrupt_rate, dropout_rate)
    random = secrets.token_bytes if seed is None else _seeded(seed, clients)
    parties, directory = _parties(clients, seed, random)
    round = Round(random(16), clients, dimension, k, t, encoding)
    return _run(round, parties, directory, values, lost, seed is None)


def _run(
    round: Round,
    parties: Sequence[Client],
    directory: Mapping[int, bytes],
    values: Sequence,
    lost: set[int],
    private: bool,
) -> SecureSum:
    server = Server(round, directory)
    transcript: list[Message] = []

    def up(phase: str, contents: Sequence[Any]) -> Sequence[Any]:
        transcript.extend(Message(phase, content.client, "server", content) for content in contents)
        return contents

    def down(phase: str, contents: Mapping[int, Any]) -> Mapping[int, Any]:
        transcript.extend(Message(phase, "server", client, content) for client, content in contents.items())
        return contents

    adverts = down("advertise", server.introduce(up("advertise", [party.advertise(round) for party in parties])))
    boxes = down("share", server.route(up("share", [party.share(adverts[party.number]) for party in parties])))
    masked = up("mask", [party.mask(boxes[party.number], values[party.number]) for party in parties])
    survivors = server.collect([sent for sent in masked if sent.client not in lost])
    left = [parties[client] for client in survivors]
    down("confirm", dict.fromkeys(survivors, survivors))
    signed = down("confirm", server.forward(up("confirm", [party.confirm(survivors) for party in left])))
    ring_sum = server.unmask(up("unmask", [party.unmask(signed[party.number]) for party in left]))
    rows = np.array([sent.words for sent in masked])
    bound = len(survivors) / round.encoding.scale
    return SecureSum(round.encoding.decode(ring_sum), rows, survivors, bound, tuple(transcript), round, private)


def _parties(clients: int, seed: int | None, random: Any) -> tuple[list[Client], dict[int, bytes]]:
    signing_keys = [random(32) for _ in range(clients)]
    directory = {
        client: Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
        for client, key in enumerate(signing_keys)
    }
    sources = [secrets.token_bytes if seed is None else _seeded(seed, client) for client in range(clients)]
    made = zip(signing_keys, sources, strict=True)
    return [Client(client, key, directory, random=source) for client, (key, source) in enumerate(made)], directory


def _seeded(seed: int, part: int) -> Any:
    """Return a reproducible source of bytes for one client, or (past the last one) for what is common."""
    number = arguments.whole("seed", seed, at_least=0)
    return keystream(derive(f"{number}/{part}".encode(), salt=b"", info=b"privlab/secagg/v1/seed"))


def _neighbourhood(
    clients: int, neighbours: int | None, threshold: int | None, corrupt_rate: float, dropout_rate: float
) -> Neighbourhood:
    if neighbours is not None:
        holders = clients if neighbours == clients - 1 else neighbours
        return Neighbourhood(neighbours, holders // 2 + 1 if threshold is None else threshold)
    found = neighbourhood(clients, corrupt_rate=corrupt_rate, dropout_rate=dropout_rate)
    return found if threshold is None else found._replace(threshold=threshold)


def _encoding(
    clients: int, dimension: int, clip: float, l2_clip: float | None, noise_multiplier: float, honest: int
) -> FixedPoint:
    if arguments.real("noise_multiplier", noise_multiplier, at_least=0) == 0:
        if l2_clip is not None:
            raise ValueError(f"l2_clip is {l2_clip!r}, but must be None without noise")
        return FixedPoint.for_clients(clients, clip)
    if l2_clip is None:
        raise ValueError("l2_clip is None, but must be given with noise, which is relative to it")
    return NoisyFixedPoint.for_noise(
        clients, dimension, clip=clip, l2_clip=l2_clip, noise_multiplier=noise_multiplier, contributors=max(honest, 1)
    )


def _part(clients: int, rate: float) -> int:
    return floor((rate + 1e-14) * clients)
