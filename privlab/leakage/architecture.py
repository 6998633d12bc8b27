"""Stealing a model's structure: from its answers, from the messages of training, and from their length alone."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.leakage.stealing import Oracle, log_ratios, needs_probabilities
from privlab.randomness import stream

PIECES, HALVINGS = 256, 12  # of a line, in the search for its kinks
BENT = 1e-10  # deviation from a straight line, in nats, that rounding cannot explain
SMALLEST = 1e-290  # probability that still has all its digits


@dataclass(frozen=True)
class Width:
    """What answers say about the width of the last hidden layer.

    Attributes
    ----------
    at_least : int
        Directions in which the answers vary: no narrower layer could produce them.
    exact : bool
        Whether more directions would have shown. Then it is the width, but for units that are silent or repeat others.
    singular_values : ndarray
        Of the centred log-probabilities, decreasing.
    """

    at_least: int
    exact: bool
    singular_values: NDArray


def last_width(oracle: Oracle, x: ArrayLike, *, tolerance: float = 1e-8) -> Width:
    """Width of the last hidden layer, read off the rank of the answers (Carlini et al. 2024, section 4; Finlayson et al. 2024).

    Log-probabilities are an affine image of the last hidden layer, so about their mean they vary in no more directions than it
    has units. Nor in more than ``classes - 1``: a layer as wide as that hides, but that of a language model, with far more
    tokens than units, does not.

    Parameters
    ----------
    oracle : Oracle
        Tells probabilities.
    x : array_like, shape (n, features)
        Records to ask about, at least two more than the width.
    tolerance : float
        Share of the largest singular value below which one counts as 0, in (0, 1). Rounded answers have none below.

    Returns
    -------
    Width

    Raises
    ------
    ValueError
        If an argument is not allowed, or the oracle tells labels only.
    """
    arguments.real("tolerance", tolerance, above=0, below=1)
    needs_probabilities(oracle)
    ratios = log_ratios(oracle(arguments.finite_array("x", x, dimensions=2)))
    values = np.linalg.svd(ratios - ratios.mean(0), compute_uv=False)
    rank = int((values > tolerance * values[0]).sum())
    return Width(rank, rank < min(ratios.shape[1], len(ratios)) - 1, values)


def relu_units(oracle: Oracle, features: int, *, reach: float = 50.0, seed: int = 0) -> int:
    """Count the kinks of the answers along a random line: with one hidden layer of ReLU, at most one for each unit.

    Between kinks log-ratios of probabilities are straight. An interval whose middle is off the straight line is halved again and
    again (Jagielski et al. 2020, section 5; Carlini, Jagielski and Mironov 2020, section 4), so a kink costs some 24 queries.
    Units that switch beyond the reach are missed; in deeper networks a unit may switch more than once. Smooth activations bend
    everywhere, and each interval that is left counts.

    Parameters
    ----------
    oracle : Oracle
        Tells probabilities, unrounded and without noise: else everything looks bent.
    features : int
        Length of a record.
    reach : float
        Length of the line to either side of a random record in [0, 1], above 0. Far out probabilities vanish.
    seed : int
        Public seed of the line.

    Returns
    -------
    int
        Number of kinks.

    Raises
    ------
    ValueError
        If an argument is not allowed, the oracle rounds, adds noise or tells labels only, or a probability vanishes on the line.
    """
    arguments.whole("features", features), arguments.real("reach", reach, above=0)
    needs_probabilities(oracle)
    if oracle.decimals is not None or oracle.noise:
        raise ValueError(f"oracle has decimals={oracle.decimals} and noise={oracle.noise}, but must answer exactly")
    rng = stream(seed, "line")
    origin, direction = rng.random(features), rng.standard_normal(features)
    direction /= np.linalg.norm(direction)

    def ratios(places: NDArray) -> NDArray:
        answers = oracle(origin + places[:, None] * direction)
        if answers.min() < SMALLEST:
            raise ValueError(f"reach is {reach!r}, but must be smaller: a probability is {answers.min():.0e} there")
        return log_ratios(answers)

    edges = np.linspace(-reach, reach, PIECES + 1)
    values = ratios(edges)
    left, right, at_left, at_right = edges[:-1], edges[1:], values[:-1], values[1:]
    for _ in range(HALVINGS):
        middle = (left + right) / 2
        at_middle = ratios(middle)
        bent = np.abs(at_middle - (at_left + at_right) / 2).max(-1) > BENT
        left, right = np.concatenate([left[bent], middle[bent]]), np.concatenate([middle[bent], right[bent]])
        at_left = np.concatenate([at_left[bent], at_middle[bent]])
        at_right = np.concatenate([at_middle[bent], at_right[bent]])
    return int(bent.sum())


def sizes_from_shapes(message: Mapping[str, NDArray]) -> tuple[int, ...]:
    """Depth and widths of a multi-layer perceptron, read off the shapes in a message that carries its parameters or an update.

    Noise on the numbers and masks over them leave the shapes as they are.

    Returns
    -------
    tuple of int
        Features, hidden widths, classes.

    Raises
    ------
    ValueError
        If the message holds anything but dense layers that follow each other.

    Examples
    --------
    >>> from privlab.learning import mlp
    >>> sizes_from_shapes(mlp([64, 32, 10]).init(0))
    (64, 32, 10)
    """
    shapes = [np.shape(message.get(f"dense_{i}.weight", ())) for i in range(1, len(message) // 2 + 1)]
    pairs = itertools.pairwise(shapes)
    if (
        2 * len(shapes) != len(message)
        or not shapes
        or any(len(s) != 2 for s in shapes)
        or any(a[1] != b[0] for a, b in pairs)
    ):
        raise ValueError(
            f"message has {', '.join(message) or 'nothing'}, but must have dense layers that fit, weight and bias"
        )
    return (shapes[0][0], *(outputs for _, outputs in shapes))


def sizes_from_length(numbers: int, features: int, classes: int) -> list[tuple[int, ...]]:
    """All perceptrons with up to two hidden layers that have so many parameters: what the length of a locked message leaves open.

    Encryption hides what a message says, not how long it is.

    Parameters
    ----------
    numbers : int
        Parameters in the message: its bytes, less what the encryption adds, over the bytes of a number.
    features, classes : int
        Of the model, as everybody knows who uses it.

    Returns
    -------
    list of tuple of int
        The fewest layers first; empty if none fits.

    Examples
    --------
    >>> sizes_from_length(64 * 32 + 32 + 32 * 10 + 10, 64, 10)[0]
    (64, 32, 10)
    """
    total = arguments.whole("numbers", numbers)
    inputs, outputs = arguments.whole("features", features) + 1, arguments.whole("classes", classes)
    found: list[tuple[int, ...]] = [(features, outputs)] if total == inputs * outputs else []
    one, rest = divmod(total - outputs, inputs + outputs)
    found += [(features, one, outputs)] if one > 0 and rest == 0 else []
    for first in range(1, (total - outputs) // inputs):
        second, rest = divmod(total - outputs - first * inputs, first + 1 + outputs)
        found += [(features, first, second, outputs)] if second > 0 and rest == 0 else []
    return found
