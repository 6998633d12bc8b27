"""Layers: forward, backward, and the norm of each example's gradient without forming the gradient.

A layer is a frozen description; its arrays live in the model's parameters. Every array may carry a leading replica axis R:
inputs are ``(..., n, inputs)``, weights ``(inputs, outputs)`` or ``(R, inputs, outputs)``, and the same lines serve both.

The gradient of example i with respect to a dense layer's weight is the outer product of its input a_i and its back-propagated
error d_i, so its squared norm is ``|a_i|^2 |d_i|^2`` (Goodfellow 2015, "Efficient per-example gradient computations"). Layers that
see an example at several positions need the cross terms: ``sum_st <a_s, a_t> <d_s, d_t>`` (Li et al. 2022, section 4).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

Parameters = dict[str, NDArray]


def squares(values: NDArray) -> NDArray:
    """Sum of squares over the last axis, as float64; summed so where float32 loses more than a rounding, outside [1e-30, 1e38]."""
    with np.errstate(over="ignore", under="ignore"):
        sums = np.vecdot(values, values)
    if not sums.size or (sums.min() >= 1e-30 and sums.max() <= 1e38):
        return sums.astype(np.float64)
    return np.einsum("...i,...i->...", values, values, dtype=np.float64)


@dataclass(frozen=True)
class Dense:
    """Affine map ``inputs @ weight + bias``."""

    name: str
    inputs: int
    outputs: int
    gain: float = 1.0

    def init(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike) -> Parameters:
        """Draw weights N(0, gain^2 / inputs) (He et al. 2015 for gain sqrt 2); biases are 0."""
        weight = rng.standard_normal((*shape, self.inputs, self.outputs)) * (self.gain / np.sqrt(self.inputs))
        bias = np.zeros((*shape, self.outputs), dtype)
        return {f"{self.name}.weight": weight.astype(dtype), f"{self.name}.bias": bias}

    def forward(self, parameters: Mapping[str, NDArray], inputs: NDArray) -> NDArray:
        """Return outputs of shape (..., n, outputs)."""
        outputs = np.matmul(inputs, parameters[f"{self.name}.weight"])
        outputs += parameters[f"{self.name}.bias"][..., None, :]
        return outputs

    def backward(
        self, parameters: Mapping[str, NDArray], inputs: NDArray, outputs: NDArray, errors: NDArray
    ) -> NDArray:
        """Return errors at the inputs, shape (..., n, inputs)."""
        return np.matmul(errors, parameters[f"{self.name}.weight"].swapaxes(-1, -2))

    def squared_norms(self, inputs: NDArray, errors: NDArray) -> NDArray:
        """Return ``(|a|^2 + 1) |d|^2`` per example; the 1 is the bias."""
        return (squares(inputs) + 1.0) * squares(errors)

    def gradient(self, inputs: NDArray, errors: NDArray) -> Parameters:
        """Return the summed gradients of weight and bias."""
        weight = np.matmul(inputs.swapaxes(-1, -2), errors)
        ones = np.ones((1, errors.shape[-2]), errors.dtype)  # a matrix product sums over examples faster than .sum(-2)
        return {f"{self.name}.weight": weight, f"{self.name}.bias": np.matmul(ones, errors)[..., 0, :]}


@dataclass(frozen=True)
class Embedding:
    """Table look-up of a row of tokens, ``(..., n, context)`` integers to ``(..., n, context * width)``; a first layer only."""

    name: str
    vocabulary_size: int
    context: int
    width: int

    def init(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike) -> Parameters:
        """Draw the table from N(0, 1)."""
        return {f"{self.name}.table": rng.standard_normal((*shape, self.vocabulary_size, self.width)).astype(dtype)}

    def forward(self, parameters: Mapping[str, NDArray], inputs: NDArray) -> NDArray:
        """Return the rows of the table, one after the other."""
        table = parameters[f"{self.name}.table"]
        if table.ndim == 3 and inputs.ndim == 3:  # each replica has its own batch
            rows = table[np.arange(len(table))[:, None, None], inputs]
        else:
            rows = table[..., inputs, :]
        return rows.reshape(*rows.shape[:-2], self.context * self.width)

    def squared_norms(self, inputs: NDArray, errors: NDArray) -> NDArray:
        """Return ``sum_st [token_s = token_t] <d_s, d_t>`` per example: equal tokens share a row of the table."""
        rows = self._rows(errors).astype(np.float64)
        same = inputs[..., :, None] == inputs[..., None, :]
        return (np.matmul(rows, rows.swapaxes(-1, -2)) * same).sum((-1, -2))

    def gradient(self, inputs: NDArray, errors: NDArray) -> Parameters:
        """Return the summed gradient of the table: a product with the one-hot tokens."""
        rows = self._rows(errors)
        rows = rows.reshape(*rows.shape[:-3], -1, self.width)
        hot = np.eye(self.vocabulary_size, dtype=errors.dtype)[inputs.reshape(*inputs.shape[:-2], -1)]
        return {f"{self.name}.table": np.matmul(hot.swapaxes(-1, -2), rows)}

    def _rows(self, errors: NDArray) -> NDArray:
        return errors.reshape(*errors.shape[:-1], self.context, self.width)


@dataclass(frozen=True)
class Activation:
    """Element-wise "relu", "tanh" or "sigmoid"; no parameters. Its slope is computed from its outputs."""

    kind: str

    def forward(self, parameters: Mapping[str, NDArray], inputs: NDArray) -> NDArray:
        """Apply the function."""
        if self.kind == "relu":
            return np.maximum(inputs, 0)
        if self.kind == "tanh":
            return np.tanh(inputs)
        return 0.5 * (1 + np.tanh(0.5 * inputs))  # the sigmoid, without overflow

    def backward(
        self, parameters: Mapping[str, NDArray], inputs: NDArray, outputs: NDArray, errors: NDArray
    ) -> NDArray:
        """Multiply the errors by the slope."""
        if self.kind == "relu":
            return errors * (outputs > 0)
        if self.kind == "tanh":
            return errors * (1 - outputs * outputs)
        return errors * (outputs * (1 - outputs))


Trainable = Dense | Embedding
Layer = Trainable | Activation
