"""Secrets that a character model has memorised: how far they stand out among all that could be, and how to read them out.

A candidate is a string of fixed length over few symbols behind a known prefix. Candidates share their first symbols, so they are
the leaves of a tree: level k takes the model's answer at ``symbols^k`` nodes, whatever the number of leaves below.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.leakage.sequences import ROWS, encode, log_probabilities, windows
from privlab.learning.models import Model

DIGITS = "0123456789"
MOST = 10_000_000  # candidates that are ranked one and all
Node = tuple[float, tuple[int, ...]]  # its loss, and the symbols that lead to it


@dataclass(frozen=True)
class Extraction:
    """What a best-first search has found.

    Attributes
    ----------
    secrets : tuple of str
        The likeliest candidates, the likeliest first.
    losses : tuple of float
        Minus the log-probability of each, in nats.
    opened : int
        Nodes of the tree at which the model was asked.
    """

    secrets: tuple[str, ...]
    losses: tuple[float, ...]
    opened: int


def secret_losses(
    model: Model, parameters: Mapping[str, NDArray], prefix: str, *, symbols: str = DIGITS, length: int = 6
) -> NDArray[np.float64]:
    """Loss of every secret behind a prefix, level by level of the tree.

    Parameters
    ----------
    model, parameters
        A character model of tokens in `ALPHABET`.
    prefix : str
        What stands in the line before the secret.
    symbols : str
        Different printable characters.
    length : int
        Symbols in a secret, at least 1; at most 10^7 secrets in all.

    Returns
    -------
    ndarray of float64, shape (len(symbols) ** length,)
        Minus the log-probability in nats, in the order of ``itertools.product``: for digits, secret i is the number i.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> from privlab.learning import char_model
    >>> model = char_model(96, context=8, hidden=8)
    >>> losses = secret_losses(model, model.init(0), "code ", length=3)
    >>> losses.shape, bool(np.exp(-losses).sum() < 1)
    ((1000,), True)
    """
    tree = _Tree(model, parameters, prefix, symbols, length)
    if len(symbols) ** length > MOST:
        raise ValueError(f"length is {length}, but must leave at most {MOST} secrets of {len(symbols)} symbols")
    contexts, losses = tree.root, np.zeros(1)
    for level in range(length):
        losses = (losses[:, None] + tree.losses(contexts)).ravel()
        contexts = tree.below(contexts) if level < length - 1 else contexts
    return losses


def candidate_losses(
    model: Model, parameters: Mapping[str, NDArray], prefix: str, candidates: Sequence[str]
) -> NDArray[np.float64]:
    """Loss of each of n candidates of one length behind a prefix, in nats, shape (n,).

    Raises
    ------
    ValueError
        If there are no candidates, or they differ in length.
    """
    lengths = {len(candidate) for candidate in candidates}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"candidates has lengths {sorted(lengths)}, but all must have the same, at least 1")
    x, y = windows("".join(f"{prefix}{candidate}\n" for candidate in candidates), model.features)
    secret = np.s_[:, len(prefix) : -1]  # neither the prefix nor the end of the line
    x = x.reshape(len(candidates), -1, model.features)[secret].reshape(-1, model.features)
    y = y.reshape(len(candidates), -1)[secret].ravel()
    blocks = [model.losses(parameters, x[i : i + ROWS], y[i : i + ROWS]) for i in range(0, len(x), ROWS)]
    return np.concatenate(blocks).astype(np.float64).reshape(len(candidates), -1).sum(1)


def extract(
    model: Model,
    parameters: Mapping[str, NDArray],
    prefix: str,
    *,
    symbols: str = DIGITS,
    length: int = 6,
    count: int = 10,
    batch: int = 32,
) -> Extraction:
    """Find the likeliest secrets behind a prefix without trying them all (Carlini et al. 2019, section 6).

    Best-first search on the tree, after Dijkstra: a node's distance is the loss of its symbols, so the nearest leaf is the
    likeliest secret. The ``batch`` nearest nodes are opened at once, more than are needed, since one call of the model costs the
    same.

    Parameters
    ----------
    model, parameters, prefix, symbols, length
        As for `secret_losses`; the number of secrets is not limited.
    count : int
        Secrets to find, at least 1 and at most all.
    batch : int
        Nodes to open at once, at least 1, which opens the fewest.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> from privlab.learning import char_model
    >>> model = char_model(96, context=8, hidden=8)
    >>> found = extract(model, model.init(0), "code ", length=3, count=2)
    >>> bool(np.isclose(found.losses[0], secret_losses(model, model.init(0), "code ", length=3).min()))
    True
    """
    tree = _Tree(model, parameters, prefix, symbols, length)
    if arguments.whole("count", count) > len(symbols) ** length:
        raise ValueError(f"count is {count}, but must be at most {len(symbols) ** length}, the number of secrets")
    arguments.whole("batch", batch)
    nodes: list[Node] = [(0.0, ())]
    leaves: list[Node] = []
    found: list[Node] = []
    opened = 0
    while len(found) < count:
        if leaves and (not nodes or leaves[0][0] <= nodes[0][0]):
            found.append(heapq.heappop(leaves))
            continue
        nearest = [heapq.heappop(nodes) for _ in range(min(batch, len(nodes)))]
        opened += len(nearest)
        steps = tree.losses(np.concatenate([tree.at(path) for _, path in nearest]))
        for (loss, path), row in zip(nearest, steps.tolist(), strict=True):
            heap = leaves if len(path) == length - 1 else nodes
            for symbol, step in enumerate(row):
                heapq.heappush(heap, (loss + step, (*path, symbol)))
    secrets = tuple("".join(symbols[i] for i in path) for _, path in found)
    return Extraction(secrets, tuple(loss for loss, _ in found), opened)


class _Tree:
    """Secrets behind a prefix; a node is the window of tokens before the next symbol."""

    def __init__(self, model: Model, parameters: Mapping[str, NDArray], prefix: str, symbols: str, length: int) -> None:
        if len(set(symbols)) != len(symbols) or len(symbols) < 2 or not symbols.isprintable():
            raise ValueError(f"symbols is {symbols!r}, but must be at least two different printable characters")
        arguments.whole("length", length)
        self.model, self.parameters, self.tokens = model, parameters, encode(symbols)
        # The window of the character after the prefix.
        self.root = windows(f"{prefix} ", model.features)[0][-1:]

    def losses(self, contexts: NDArray[np.intp]) -> NDArray[np.float64]:
        """Loss of each symbol after each of n windows: (n, len(symbols))."""
        blocks = log_probabilities(self.model, self.parameters, contexts)
        return -np.concatenate([block[:, self.tokens] for block in blocks]).astype(np.float64)

    def below(self, contexts: NDArray[np.intp]) -> NDArray[np.intp]:
        """The windows after each symbol, n * len(symbols) of them."""
        count = len(self.tokens)
        last = np.tile(self.tokens, len(contexts))[:, None]
        return np.concatenate([np.repeat(contexts[:, 1:], count, axis=0), last], axis=1)

    def at(self, path: tuple[int, ...]) -> NDArray[np.intp]:
        """The window after a path of symbols."""
        whole = np.append(self.root[0], self.tokens[[*path]])
        return whole[None, len(path) :]
