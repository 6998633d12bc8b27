"""Models: pure descriptions. Parameters are arrays in a dict, so one model or a stack of replicas is the same code."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from privlab import arguments
from privlab.learning.layers import Activation, Dense, Embedding, Layer, Parameters, Trainable
from privlab.masking import clip_factors
from privlab.randomness import stream

ACTIVATIONS = ("relu", "tanh", "sigmoid")


@dataclass(frozen=True)
class Model:
    """A classifier with softmax cross-entropy loss. Make one by `softmax_regression`, `mlp` or `char_model`.

    Attributes
    ----------
    layers : tuple of Layer
        Applied in order; the last gives the logits.
    features, classes : int
        Length of an example (numbers, or tokens below ``vocabulary_size``) and of the logits.
    vocabulary_size : int or None
        For models of tokens, how many there are.
    """

    layers: tuple[Layer, ...]
    features: int
    classes: int
    vocabulary_size: int | None = None

    def init(self, seed: int, replicas: int | None = None, *, dtype: DTypeLike = np.float32) -> Parameters:
        """Draw initial parameters.

        Parameters
        ----------
        seed : int
            Public seed.
        replicas : int or None
            With a number R, every array gets a leading axis of that length, each replica drawn independently.
        dtype : dtype
            Floating-point type of parameters and computation.

        Returns
        -------
        dict of str to ndarray
            For example ``"dense_1.weight"`` of shape (inputs, outputs) or (R, inputs, outputs).
        """
        shape = () if replicas is None else (arguments.whole("replicas", replicas),)
        rng = stream(seed, "initialisation")
        trainable = [layer for layer in self.layers if not isinstance(layer, Activation)]
        return {name: array for layer in trainable for name, array in layer.init(rng, shape, dtype).items()}

    def logits(self, parameters: Mapping[str, NDArray], x: ArrayLike) -> NDArray:
        """Return the logits, shape (..., n, classes), of ``x`` of shape (n, features) or (R, n, features)."""
        return self._forward(parameters, self.examples(x))[-1]

    def losses(self, parameters: Mapping[str, NDArray], x: ArrayLike, y: ArrayLike) -> NDArray:
        """Return each example's cross-entropy in nats, shape (..., n); ``y`` holds the classes, shape (n,) or (R, n)."""
        examples, labels = self._checked(x, y)
        return _losses_and_errors(self._forward(parameters, examples)[-1], labels)[0]

    def gradient_norms(self, parameters: Mapping[str, NDArray], x: ArrayLike, y: ArrayLike) -> NDArray:
        """Return the L2 norm of each example's gradient over all parameters, shape (..., n), in float64.

        Nothing of the size of a per-example gradient is formed (see `privlab.learning.layers`).
        """
        with np.errstate(over="ignore", invalid="ignore"):
            return _norms(self._backward(parameters, *self._checked(x, y))[0])

    def clipped_gradient(
        self, parameters: Mapping[str, NDArray], x: ArrayLike, y: ArrayLike, clip_norm: float
    ) -> Parameters:
        """Return the SUM over examples of gradients scaled down to L2 norm ``clip_norm``.

        Adding or removing one example changes the sum by at most ``clip_norm`` in L2 norm (Abadi et al. 2016, algorithm 1). An
        example whose gradient has NaN or infinite values contributes 0.

        Raises
        ------
        ValueError
            If ``clip_norm`` is not above 0, or ``x`` and ``y`` do not fit the model.
        """
        arguments.real("clip_norm", clip_norm, above=0)
        return self.gradient(parameters, *self._checked(x, y), clip_norm=clip_norm)[0]

    def gradient(
        self,
        parameters: Mapping[str, NDArray],
        x: NDArray,
        y: NDArray,
        *,
        weights: NDArray | None = None,
        clip_norm: float | None = None,
    ) -> tuple[Parameters, NDArray]:
        """Return the weighted sum over examples of gradients, each clipped first if ``clip_norm`` is given, and the losses.

        Parameters
        ----------
        parameters : mapping of str to ndarray
            As `init` gives them, with or without a replica axis.
        x, y : ndarray
            Checked examples and labels; the training loop checks once, so nothing is checked here.
        weights : ndarray or None, shape (..., n)
            Factor of each example; padding has 0.
        clip_norm : float or None
            Bound on the L2 norm of an example's gradient.

        Returns
        -------
        gradient : dict of str to ndarray
            Shaped like the parameters.
        losses : ndarray, shape (..., n)
            Each example's loss, unclipped and unweighted.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            steps, losses = self._backward(parameters, x, y)
            factors = weights
            if clip_norm is not None:
                norms = _norms(steps)
                clips = clip_factors(norms, clip_norm).astype(losses.dtype)
                factors = clips if weights is None else clips * weights
                if not np.isfinite(norms).all():
                    steps = _without(steps, ~np.isfinite(norms))
            summed: Parameters = {}
            for layer, inputs, errors in steps:
                summed |= layer.gradient(inputs, errors if factors is None else errors * factors[..., None])
        return summed, losses

    def input_gradient(self, parameters: Mapping[str, NDArray], x: ArrayLike, y: ArrayLike) -> NDArray:
        """Return the gradient of each example's loss with respect to the example itself, shape (..., n, features).

        Raises
        ------
        ValueError
            If the model takes tokens, which have no gradient, or ``x`` and ``y`` do not fit it.
        """
        first, inputs, errors = self._backward(parameters, *self._checked(x, y))[0][-1]
        if isinstance(first, Embedding):
            raise ValueError("the model takes tokens, but must take numbers for a gradient with respect to its inputs")
        return first.backward(parameters, inputs, inputs, errors)

    def examples(self, x: ArrayLike) -> NDArray:
        """Return ``x`` as an array of the right type, or raise `ValueError` where its shape or tokens do not fit."""
        array = np.asarray(x)
        if array.ndim not in (2, 3) or array.shape[-1] != self.features:
            raise ValueError(f"x has shape {array.shape}, but must be (n, {self.features}) or (R, n, {self.features})")
        if self.vocabulary_size is None:
            return array if array.dtype.kind == "f" else array.astype(np.float32)
        return _integers("x", array, self.vocabulary_size)

    def labels(self, y: ArrayLike) -> NDArray:
        """Return ``y`` as integers, or raise `ValueError` where a label is not one of the classes."""
        return _integers("y", np.asarray(y), self.classes)

    def _checked(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray, NDArray]:
        examples, labels = self.examples(x), self.labels(y)
        if labels.ndim not in (1, examples.ndim - 1) or labels.shape[-1] != examples.shape[-2]:
            raise ValueError(f"y has shape {labels.shape}, but must be ({examples.shape[-2]},), a label per example")
        return examples, labels

    def _forward(self, parameters: Mapping[str, NDArray], x: NDArray) -> list[NDArray]:
        activations = [x]
        for layer in self.layers:
            activations.append(layer.forward(parameters, activations[-1]))
        return activations

    def _backward(
        self, parameters: Mapping[str, NDArray], x: NDArray, y: NDArray
    ) -> tuple[list[tuple[Trainable, NDArray, NDArray]], NDArray]:
        """Return (layer, its inputs, errors at its outputs) for every layer with parameters, and the losses."""
        activations = self._forward(parameters, x)
        losses, errors = _losses_and_errors(activations[-1], y)
        steps: list[tuple[Trainable, NDArray, NDArray]] = []
        for i in reversed(range(len(self.layers))):
            layer, inputs = self.layers[i], activations[i]
            if not isinstance(layer, Activation):
                steps.append((layer, inputs, errors))
            if not isinstance(layer, Embedding) and i > 0:
                errors = layer.backward(parameters, inputs, activations[i + 1], errors)
        return steps, losses


def softmax_regression(features: int, classes: int) -> Model:
    """Multinomial logistic regression, ``features * classes + classes`` parameters.

    Examples
    --------
    >>> model = softmax_regression(64, 10)
    >>> model.logits(model.init(0), np.zeros((5, 64))).shape
    (5, 10)
    """
    return mlp([features, classes])


def mlp(sizes: Sequence[int], activation: str = "relu") -> Model:
    """Multi-layer perceptron, for example ``mlp([64, 64, 10])``.

    Parameters
    ----------
    sizes : sequence of int
        Features, hidden widths, classes: at least two numbers of at least 1, and at least 2 classes.
    activation : {"relu", "tanh", "sigmoid"}
        Between the dense layers.

    Raises
    ------
    ValueError
        If a size or the activation is not allowed.

    Examples
    --------
    >>> model = mlp([64, 32, 10])
    >>> model.logits(model.init(0, replicas=3), np.zeros((5, 64))).shape
    (3, 5, 10)
    """
    arguments.choice("activation", activation, ACTIVATIONS)
    if len(sizes) < 2:
        raise ValueError(f"sizes is {sizes!r}, but must name at least features and classes")
    widths = [arguments.whole("sizes", size) for size in sizes]
    arguments.whole("classes", widths[-1], at_least=2)
    layers: list[Layer] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths), start=1):
        last = i == len(widths) - 1
        layers.append(
            Dense(f"dense_{i}", inputs, outputs, gain=np.sqrt(2) if activation == "relu" and not last else 1.0)
        )
        if not last:
            layers.append(Activation(activation))
    return Model(tuple(layers), widths[0], widths[-1])


def char_model(vocabulary_size: int, *, context: int = 16, embedding: int = 16, hidden: int = 256) -> Model:
    """Language model of characters: the next one from the ``context`` before it (Bengio et al. 2003).

    Parameters
    ----------
    vocabulary_size : int
        Number of different characters, at least 2.
    context, embedding, hidden : int
        Characters seen, numbers per character, width of the hidden layer.

    Examples
    --------
    >>> model = char_model(40, context=8)
    >>> model.logits(model.init(0), np.zeros((5, 8), int)).shape
    (5, 40)
    """
    arguments.whole("vocabulary_size", vocabulary_size, at_least=2)
    for name, value in (("context", context), ("embedding", embedding), ("hidden", hidden)):
        arguments.whole(name, value)
    layers = (
        Embedding("embedding", vocabulary_size, context, embedding),
        Dense("dense_1", context * embedding, hidden, gain=np.sqrt(2)),
        Activation("relu"),
        Dense("dense_2", hidden, vocabulary_size),
    )
    return Model(layers, context, vocabulary_size, vocabulary_size)


def _losses_and_errors(logits: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """Cross-entropy of each example and its gradient with respect to the logits, ``softmax - one_hot``."""
    # Reductions over a short last axis are slow, so the maximum runs over a transposed copy and the sum is a matrix product.
    largest = np.ascontiguousarray(logits.swapaxes(-1, -2)).max(-2)[..., None]
    shifted = logits - largest
    errors = np.exp(shifted, order="C")
    totals = np.matmul(errors, np.ones((errors.shape[-1], 1), errors.dtype))
    # Places of the labels in the flat arrays: NumPy's functions along an axis build an index for every axis, each time.
    at_label = np.arange(0, errors.size, errors.shape[-1]) + np.broadcast_to(y, logits.shape[:-1]).ravel()
    losses = np.log(totals[..., 0]) - shifted.ravel()[at_label].reshape(logits.shape[:-1])
    errors /= totals
    errors.reshape(-1)[at_label] -= 1
    return losses, errors


def _norms(steps: list[tuple[Trainable, NDArray, NDArray]]) -> NDArray:
    return np.sqrt(sum(layer.squared_norms(inputs, errors) for layer, inputs, errors in steps))


def _without(steps: list[tuple[Trainable, NDArray, NDArray]], bad: NDArray) -> list[tuple[Trainable, NDArray, NDArray]]:
    """Zero the errors of bad examples and every non-finite input: 0 times NaN would still be NaN."""
    return [
        (layer, np.nan_to_num(inputs, nan=0, posinf=0, neginf=0), np.where(bad[..., None], 0, errors))
        for layer, inputs, errors in steps
    ]


def _integers(name: str, array: NDArray, limit: int) -> NDArray:
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} has dtype {array.dtype}, but must hold integers from 0 to {limit - 1}")
    if array.size and (array.min() < 0 or array.max() >= limit):
        outside = array[(array < 0) | (array >= limit)].flat[0]
        raise ValueError(f"{name} holds {outside}, but must hold integers from 0 to {limit - 1}")
    return array
