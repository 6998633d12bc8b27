"""Who masks with whom: as few neighbours as corruption and dropouts allow, on a ring in random order.

With everyone for a neighbour, n clients make n^2 masks. On a Harary graph (each client joined to the k/2 on either side of it,
around a ring in a random order) the k that is needed grows as log n (Bell, Bonawitz, Gascon, Lepoint and Raykova 2020).
"""

import hashlib
from math import exp, floor, inf, lgamma, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from privlab import arguments

SECURITY, CORRECTNESS = 40, 20  # a privacy failure has probability below 2^-40, an abort below 2^-20
FEWEST_SPARSE = 100  # clients below which everyone is everyone's neighbour
SERVERS = ("honest-but-curious", "semi-malicious")


class Neighbourhood(NamedTuple):
    """Number of neighbours of each client, and number of shares that give back a client's secret."""

    neighbours: int
    threshold: int


def neighbourhood(
    clients: int, *, corrupt_rate: float = 0.05, dropout_rate: float = 0.05, server: str = "honest-but-curious"
) -> Neighbourhood:
    """Fewest neighbours, and the threshold, for stated rates of corruption and dropouts.

    Three things must hold but for the stated probabilities, over the random order of the ring: honest survivors stay connected
    (2^-41), no client has ``threshold`` corrupt neighbours (2^-41), and every client keeps ``threshold`` neighbours (2^-20).

    Parameters
    ----------
    clients : int
        From 2 to 65,535. Below 100 the graph is complete, each client holds a share of its own secret as well, and the threshold is
        a majority of them and the corrupt (or less, where dropouts leave less).
    corrupt_rate : float
        Fraction of clients, in [0, 1), that tell the server all they know.
    dropout_rate : float
        Fraction of clients, in [0, 1), lost during the round.
    server : {"honest-but-curious", "semi-malicious"}
        The second may also, once keys have been exchanged, tell different clients different things: no two sets of ``threshold``
        holders may then meet in corrupt clients alone.

    Returns
    -------
    Neighbourhood

    Raises
    ------
    ValueError
        If an argument is not allowed or no neighbourhood satisfies all three.

    Examples
    --------
    >>> neighbourhood(1000)
    Neighbourhood(neighbours=30, threshold=17)
    >>> neighbourhood(10_000)
    Neighbourhood(neighbours=34, threshold=20)
    """
    n = checked_clients(clients)
    corrupt = floor((arguments.real("corrupt_rate", corrupt_rate, at_least=0, below=1) + 1e-14) * n)
    dropped = floor((arguments.real("dropout_rate", dropout_rate, at_least=0, below=1) + 1e-14) * n)
    curious = arguments.choice("server", server, SERVERS) == SERVERS[0]
    if n < FEWEST_SPARSE:
        majority = (n + corrupt) // 2 + 1
        threshold = min(majority, n - dropped) if curious else majority
        if max(corrupt, 1) < threshold <= n - dropped:
            return Neighbourhood(n - 1, threshold)
    else:
        for k in range(2, n - 1, 2):
            if _log_disconnected(n, k, corrupt + dropped) < -(SECURITY + 1) * log(2):
                spied = _exceeded_with(2.0 ** -(SECURITY + 1) / n, n, corrupt, k)
                lost = _exceeded_with(2.0**-CORRECTNESS / n, n, dropped, k)
                threshold = max(2, spied + 1 if curious else (spied + k) // 2 + 1)
                if threshold <= k - lost:
                    return Neighbourhood(k, threshold)
    raise ValueError(
        f"corrupt_rate = {corrupt_rate} and dropout_rate = {dropout_rate} leave no safe threshold for {n} clients and a "
        f"{server} server, but must be smaller"
    )


def checked_clients(clients: int) -> int:
    """Return ``clients``, or raise `ValueError`: 2 to 65,535, the points that shares in GF(2^16) have."""
    if arguments.whole("clients", clients, at_least=2) < 2**16:
        return int(clients)
    raise ValueError(f"clients is {clients!r}, but must be at most {2**16 - 1}")


def ring_order(clients: int, public: bytes) -> NDArray[np.intp]:
    """Return the clients' order around the ring, a permutation that depends on ``public`` alone."""
    random = hashlib.shake_256(b"privlab/ring/v1" + public).digest(8 * clients)
    return np.argsort(np.frombuffer(random, "<u8"), kind="stable")


def _log_disconnected(n: int, k: int, bad: int) -> float:
    """Log of a bound on P[removing ``bad`` random clients cuts the ring]: two gaps of k/2 in a row each, all gaps added up."""
    if k > bad:
        return -inf
    pairs = log(n) + log(n - k - 1) - log(2)
    return pairs + lgamma(bad + 1) + lgamma(n - k + 1) - lgamma(n + 1) - lgamma(bad - k + 1)


def _exceeded_with(probability: float, population: int, marked: int, drawn: int) -> int:
    """Least m with P[more than m of ``drawn`` are marked] <= probability; the tail is added up from its small end."""
    m, tail = min(marked, drawn), 0.0
    while m > max(0, drawn + marked - population):
        tail += exp(
            _log_choose(marked, m) + _log_choose(population - marked, drawn - m) - _log_choose(population, drawn)
        )
        if tail > probability:
            break
        m -= 1
    return m


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
