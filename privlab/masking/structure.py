"""Hiding the structure of a network, and the attacks that undo it: obfuscation, not protection.

The hidden units of a ReLU network can be renumbered, scaled (what comes in by c, what goes out by 1/c) and joined by decoys, and it
still computes the same function. For that very reason nothing is protected: every attack that asks the model questions (extraction,
membership, inversion) gets the same answers, and whoever holds the parameters can compute the canonical form that all these
disguises share. At best a disguise defeats a comparison of files.

Parameters are those of an ``mlp``: ``"dense_1.weight"`` of shape (inputs, outputs), ``"dense_1.bias"``, ``"dense_2.weight"``, …
"""

from collections.abc import Mapping

import numpy as np
import scipy
from numpy.typing import NDArray

from privlab import arguments
from privlab.randomness import generator

SAME_DIRECTION = 1e-9  # of 1 - cosine: rounding to float32 gives 1e-14
CANCELLED = 1e-4  # share of the outgoing weights that rounding leaves of decoys that cancel

Blocks = list[NDArray[np.float64]]  # a layer's weight with the bias as last row: (inputs + 1, outputs)


def permute_units(parameters: Mapping[str, NDArray], *, seed: int | None = None) -> dict[str, NDArray]:
    """Renumber the units of every hidden layer at random; any activation.

    Parameters
    ----------
    parameters : mapping of str to ndarray
        Of a multi-layer perceptron, without a replica axis.
    seed : int or None
        None draws from the operating system.

    Returns
    -------
    dict of str to ndarray
        Same shapes and types, same function.

    Raises
    ------
    ValueError
        If the parameters are not those of a multi-layer perceptron, or ``seed`` is not allowed.

    Examples
    --------
    >>> network = {"dense_1.weight": np.array([[1.0, 2.0]]), "dense_1.bias": np.zeros(2),
    ...            "dense_2.weight": np.array([[3.0], [4.0]]), "dense_2.bias": np.zeros(1)}
    >>> permute_units(network, seed=0)["dense_2.weight"].ravel()
    array([4., 3.])
    """
    blocks, rng = _blocks(parameters), generator(seed, "permute units")
    for layer in range(len(blocks) - 1):
        _select(blocks, layer, rng.permutation(blocks[layer].shape[1]))
    return _parameters(blocks, parameters)


def scale_units(
    parameters: Mapping[str, NDArray], *, spread: float = 1.0, seed: int | None = None
) -> dict[str, NDArray]:
    """Multiply each hidden unit's incoming weights and bias by a random c > 0, and divide its outgoing ones by c; ReLU only.

    Parameters
    ----------
    parameters, seed
        As for `permute_units`.
    spread : float
        Standard deviation of ``log c``, above 0.

    Returns
    -------
    dict of str to ndarray
        Same shapes and types, same function but for rounding.

    Raises
    ------
    ValueError
        If an argument is not allowed.
    """
    arguments.real("spread", spread, above=0)
    blocks, rng = _blocks(parameters), generator(seed, "scale units")
    for layer in range(len(blocks) - 1):
        units = np.arange(blocks[layer].shape[1])
        _select(blocks, layer, units, np.exp(spread * rng.standard_normal(units.size)))
    return _parameters(blocks, parameters)


def add_decoys(parameters: Mapping[str, NDArray], decoys: int, *, seed: int | None = None) -> dict[str, NDArray]:
    """Add units that do nothing to every hidden layer: half whose output nobody reads, half in pairs that cancel; any activation.

    Parameters
    ----------
    parameters, seed
        As for `permute_units`, which should follow: decoys stand last.
    decoys : int
        Per hidden layer, at least 1.

    Returns
    -------
    dict of str to ndarray
        Wider layers, same function but for rounding.

    Raises
    ------
    ValueError
        If an argument is not allowed.
    """
    pairs = arguments.whole("decoys", decoys) // 4
    blocks, rng = _blocks(parameters), generator(seed, "decoys")
    for layer in range(len(blocks) - 1):
        # Each weight is that of some real unit at the same place, so that no single number looks odd.
        incoming, outgoing = blocks[layer], blocks[layer + 1]
        fakes = rng.permuted(incoming[:, rng.integers(incoming.shape[1], size=decoys - pairs)], axis=1)
        read = rng.permuted(outgoing[rng.integers(len(outgoing) - 1, size=pairs)], axis=0)
        unread = np.zeros((decoys - 2 * pairs, outgoing.shape[1]))
        blocks[layer] = np.hstack([incoming, fakes, fakes[:, :pairs]])
        blocks[layer + 1] = np.vstack([outgoing[:-1], read, unread, -read, outgoing[-1:]])
    return _parameters(blocks, parameters)


def strip_decoys(parameters: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Attack: merge the units of equal incoming direction, then drop those whose output nobody reads; ReLU.

    Finds decoys of `add_decoys` under any permutation and scaling, and units that were split in two.

    Parameters
    ----------
    parameters : mapping of str to ndarray
        As for `permute_units`.

    Returns
    -------
    dict of str to ndarray
        Narrower layers, same function but for rounding; the units that are left keep their order.

    Raises
    ------
    ValueError
        If the parameters are not those of a multi-layer perceptron.
    """
    blocks = _blocks(parameters)
    for layer in reversed(range(len(blocks) - 1)):  # a decoy of the next layer may read one of this layer
        lengths = _unit_norm(blocks, layer)
        cosines = blocks[layer].T @ blocks[layer]
        first = (cosines >= 1 - SAME_DIRECTION).argmax(0)  # each unit's first twin, itself if it has none
        outgoing = blocks[layer + 1][:-1]
        total, merged = np.zeros(len(outgoing)), np.zeros_like(outgoing)
        np.add.at(merged, first, outgoing)
        np.add.at(total, first, np.linalg.norm(outgoing, axis=1))
        kept = np.flatnonzero((np.linalg.norm(merged, axis=1) > CANCELLED * total) & (lengths > 0))
        blocks[layer + 1][:-1] = merged
        _select(blocks, layer, kept, lengths[kept])
    return _parameters(blocks, parameters)


def canonical_form(parameters: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Attack without a reference: the same parameters for all permutations and scalings of one ReLU network.

    Every hidden unit is scaled to incoming norm 1, bias included, and units are sorted by one fixed projection.

    Parameters
    ----------
    parameters : mapping of str to ndarray
        As for `permute_units`; strip decoys first.

    Returns
    -------
    dict of str to ndarray
        Same shapes and types, same function but for rounding.

    Raises
    ------
    ValueError
        If the parameters are not those of a multi-layer perceptron.
    """
    blocks = _blocks(parameters)
    for layer in range(len(blocks) - 1):
        _unit_norm(blocks, layer)
        _select(blocks, layer, np.argsort(np.cos(np.arange(len(blocks[layer]))) @ blocks[layer]))
    return _parameters(blocks, parameters)


def align_units(parameters: Mapping[str, NDArray], base: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Attack with the public base model that was fine-tuned: number and scale the units as there.

    Units are matched layer by layer, so that the cosines of incoming weights add up to the most (Hungarian method, `scipy`).

    Parameters
    ----------
    parameters : mapping of str to ndarray
        As for `permute_units`; strip decoys first.
    base : mapping of str to ndarray
        Of the same shapes.

    Returns
    -------
    dict of str to ndarray
        Same function as ``parameters`` but for rounding; unit by unit comparable to ``base``.

    Raises
    ------
    ValueError
        If the shapes differ or are not those of a multi-layer perceptron.
    """
    blocks, wanted = _blocks(parameters), _blocks(base)
    shapes, needed = ([block.shape for block in network] for network in (wanted, blocks))
    if shapes != needed:
        raise ValueError(f"base has layers of shapes {shapes}, biases included, but must have {needed}")
    for layer in range(len(blocks) - 1):
        _unit_norm(blocks, layer)
        lengths = np.linalg.norm(wanted[layer], axis=0)
        lengths[lengths == 0] = 1
        _, units = scipy.optimize.linear_sum_assignment((wanted[layer] / lengths).T @ blocks[layer], maximize=True)
        _select(blocks, layer, units, lengths)
    return _parameters(blocks, parameters)


def _select(blocks: Blocks, layer: int, units: NDArray, factors: NDArray | float = 1.0) -> None:
    """Keep these units in this order, what comes in multiplied by the factors and what goes out divided by them."""
    blocks[layer] = blocks[layer][:, units] * factors
    rows = blocks[layer + 1][units] / np.broadcast_to(factors, units.shape)[:, None]
    blocks[layer + 1] = np.vstack([rows, blocks[layer + 1][-1:]])


def _unit_norm(blocks: Blocks, layer: int) -> NDArray[np.float64]:
    """Scale the layer's units to incoming norm 1, and return the norms they had."""
    lengths = np.linalg.norm(blocks[layer], axis=0)
    _select(blocks, layer, np.arange(lengths.size), 1 / np.where(lengths > 0, lengths, 1))
    return lengths


def _blocks(parameters: Mapping[str, NDArray]) -> Blocks:
    count, blocks = len(parameters) // 2, []
    names = [f"dense_{i}.{kind}" for i in range(1, count + 1) for kind in ("weight", "bias")]
    if not count or set(names) != set(parameters):
        raise ValueError(
            f"parameters has {', '.join(parameters)}, but must have dense_1.weight, dense_1.bias, …, in pairs"
        )
    inputs = len(parameters[names[0]])
    for weight, bias in zip(names[::2], names[1::2], strict=True):
        block = arguments.finite_array(weight, parameters[weight], dimensions=2)
        offset = arguments.finite_array(bias, parameters[bias], dimensions=1)
        if block.shape != (inputs, offset.size):
            raise ValueError(f"{weight} has shape {block.shape}, but must be {(inputs, offset.size)}")
        blocks.append(np.vstack([block, offset]).astype(np.float64))
        inputs = offset.size
    return blocks


def _parameters(blocks: Blocks, like: Mapping[str, NDArray]) -> dict[str, NDArray]:
    disguised = {}
    for i, block in enumerate(blocks, start=1):
        disguised[f"dense_{i}.weight"] = block[:-1].astype(like[f"dense_{i}.weight"].dtype)
        disguised[f"dense_{i}.bias"] = block[-1].astype(like[f"dense_{i}.bias"].dtype)
    return disguised
