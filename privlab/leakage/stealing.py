"""Stealing a model from its answers: its weights, or a copy that answers alike.

What answers reveal depends on how they are given. Probabilities in full precision are equations in the weights. Rounded or noisy
ones are measurements of them. Labels still teach a student. A defence is a setting of the `Oracle` that answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.learning import Model, Parameters, softmax_regression
from privlab.learning.layers import Activation, Embedding
from privlab.randomness import stream

ANSWERS = ("probabilities", "labels")
PENALTY = (
    10.0  # on squared weights, per squared error of an answer: a wide prior, which decides only where queries are few
)


class Oracle:
    """A model that answers questions and keeps its parameters to itself.

    Parameters
    ----------
    model : Model
        Whose answers these are.
    parameters : mapping of str to ndarray
        Its parameters, without a replica axis.
    answers : {"probabilities", "labels"}
        Whether it tells the probability of every class, or the most probable class alone.
    decimals : int or None
        Round probabilities to this many decimals, at least 1.
    noise : float
        Standard deviation of fresh Gaussian noise on every probability, at least 0. What falls below 0 is cut, and all are
        rescaled to sum to 1, before the label is chosen and before rounding.
    seed : int
        Public seed of the noise.

    Attributes
    ----------
    queries : int
        How many rows it has answered so far.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> model = softmax_regression(4, 2)
    >>> oracle = Oracle(model, model.init(0), decimals=1)
    >>> oracle(np.zeros((3, 4))).tolist(), oracle.queries
    ([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]], 3)
    """

    def __init__(
        self,
        model: Model,
        parameters: Mapping[str, NDArray],
        *,
        answers: str = "probabilities",
        decimals: int | None = None,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.answers = arguments.choice("answers", answers, ANSWERS)
        self.decimals = None if decimals is None else arguments.whole("decimals", decimals)
        self.noise = arguments.real("noise", noise, at_least=0)
        self.model, self.queries, self._rng = model, 0, stream(seed, "answers")
        self._parameters = {name: np.asarray(array, np.float64) for name, array in parameters.items()}

    def __call__(self, x: ArrayLike) -> NDArray:
        """Answer rows of shape (n, features) by probabilities, shape (n, classes), or labels, shape (n,)."""
        answer = scipy.special.softmax(self._logits(x), axis=-1)
        self.queries += len(answer)
        if self.noise:
            answer = np.maximum(answer + self.noise * self._rng.standard_normal(answer.shape), 0)
            answer /= answer.sum(-1, keepdims=True)
        if self.answers == "labels":
            return answer.argmax(-1)
        return answer if self.decimals is None else answer.round(self.decimals)

    def agreement(self, theft: "Theft", x: ArrayLike) -> float:
        """Share of rows ``x`` to which the stolen model gives the victim's own label. For a referee: no query is counted."""
        return float((theft.model.logits(theft.parameters, x).argmax(-1) == self._logits(x).argmax(-1)).mean())

    def _logits(self, x: ArrayLike) -> NDArray:
        return self.model.logits(
            self._parameters, np.asarray(x, np.float64 if self.model.vocabulary_size is None else None)
        )


@dataclass(frozen=True)
class Theft:
    """A stolen model.

    Attributes
    ----------
    model : Model
    parameters : dict of str to ndarray
    queries : int
        Rows that the oracle answered for it.
    """

    model: Model
    parameters: Parameters
    queries: int


def steal_softmax(oracle: Oracle, features: int, *, queries: int | None = None, seed: int = 0) -> Theft:
    """Solve for the weights of a softmax regression (Tramèr et al. 2016, section 4.1.2).

    The log of a probability, less the mean over classes, is affine in the record, so ``features + 1`` exact answers determine all
    weights up to what no answer shows: `without_shift`. Answers with rounding or noise, whose size the attacker is taken to know,
    are fitted instead, by the least cross-entropy with a penalty on the squared weights that grows with their error.

    Parameters
    ----------
    oracle : Oracle
        Tells probabilities.
    features : int
        Length of a record.
    queries : int or None
        Random records in [0, 1] to ask about, at least ``features + 1``, which None stands for.
    seed : int
        Public seed of the records.

    Returns
    -------
    Theft
        A softmax regression, float64, its parameters `without_shift`.

    Raises
    ------
    ValueError
        If an argument is not allowed, or the oracle tells labels only.

    Examples
    --------
    >>> victim = softmax_regression(4, 3)
    >>> parameters = victim.init(0)
    >>> theft = steal_softmax(Oracle(victim, parameters), 4)
    >>> true = without_shift(parameters)
    >>> all(np.allclose(theft.parameters[name], true[name], atol=1e-10) for name in true), theft.queries
    (True, 5)
    """
    least = arguments.whole("features", features) + 1
    count = arguments.whole("queries", least if queries is None else queries, at_least=least)
    needs_probabilities(oracle)
    x = stream(seed, "queries").random((count, features))
    answers, rows = oracle(x), np.column_stack([x, np.ones(count)])
    error = max(oracle.noise, 0.0 if oracle.decimals is None else 10.0**-oracle.decimals)
    if error == 0:
        table = np.linalg.lstsq(rows, log_ratios(answers))[0]
    else:
        table = _least_cross_entropy(rows, answers, PENALTY * error**2 / count)
    parameters = without_shift({"dense_1.weight": table[:-1], "dense_1.bias": table[-1]})
    return Theft(softmax_regression(features, answers.shape[1]), parameters, count)


def without_shift(parameters: Mapping[str, NDArray]) -> Parameters:
    """Parameters of a softmax regression with mean 0 over the classes, which is all of them that answers can show.

    Adding one number to all logits of a record changes no probability.
    """
    return {name: array - array.mean(-1, keepdims=True) for name, array in parameters.items()}


def distil(
    oracle: Oracle,
    x: ArrayLike,
    model: Model,
    *,
    steps: int = 2000,
    batch_size: int = 64,
    learning_rate: float = 0.1,
    seed: int = 0,
) -> Theft:
    """Train a student on the oracle's answers, probabilities or labels (Hinton et al. 2015; Jagielski et al. 2020, section 4).

    Stochastic gradient descent with momentum 0.9 on the cross-entropy between answer and student.

    Parameters
    ----------
    oracle : Oracle
        The teacher; every row is asked once.
    x : array_like, shape (n, features)
        Public records to ask about.
    model : Model
        The student, of any structure that takes the records and names the classes.
    steps, batch_size : int
        Number of updates; records in each, at most n.
    learning_rate : float
        Above 0.
    seed : int
        Public seed of the first parameters and of the batches.

    Returns
    -------
    Theft

    Raises
    ------
    ValueError
        If an argument is not allowed.
    """
    arguments.whole("steps", steps), arguments.real("learning_rate", learning_rate, above=0)
    queries = model.examples(arguments.finite_array("x", x, dimensions=2))
    if arguments.whole("batch_size", batch_size) > len(queries):
        raise ValueError(f"batch_size is {batch_size}, but must be at most {len(queries)}, the rows of x")
    if oracle.model.classes != model.classes:
        raise ValueError(f"model has {model.classes} classes, but must have {oracle.model.classes}, the oracle's")
    answers = oracle(queries)
    targets = np.eye(model.classes)[answers] if oracle.answers == "labels" else answers
    targets, rng, parameters = targets.astype(np.float32), stream(seed, "batches"), model.init(seed)
    velocity = {name: np.zeros_like(array) for name, array in parameters.items()}
    for _ in range(steps):
        rows = rng.choice(len(queries), batch_size, replace=False)
        for name, change in _soft_gradient(model, parameters, queries[rows], targets[rows]).items():
            velocity[name] = np.float32(0.9) * velocity[name] + change / np.float32(batch_size)
            parameters[name] -= np.float32(learning_rate) * velocity[name]
    return Theft(model, parameters, len(queries))


def needs_probabilities(oracle: Oracle) -> None:
    """Raise `ValueError` where the oracle tells labels only."""
    if oracle.answers != "probabilities":
        raise ValueError(f"oracle answers by {oracle.answers!r}, but must tell probabilities")


def log_ratios(answers: NDArray) -> NDArray:
    """Log-probabilities less their mean over classes; one rounded to 0 counts as half of the smallest that was not."""
    logs = np.log(np.maximum(answers, answers[answers > 0].min() / 2))
    return logs - logs.mean(-1, keepdims=True)


def _least_cross_entropy(rows: NDArray, answers: NDArray, penalty: float) -> NDArray:
    shape = rows.shape[1], answers.shape[1]
    targets = answers / answers.sum(-1, keepdims=True)

    def objective(flat: NDArray) -> tuple[float, NDArray]:
        table = flat.reshape(shape)
        logs = scipy.special.log_softmax(rows @ table, axis=-1)
        loss = penalty / 2 * (table * table).sum() - (targets * logs).sum() / len(rows)
        return loss, (penalty * table + rows.T @ (np.exp(logs) - targets) / len(rows)).ravel()

    found = scipy.optimize.minimize(
        objective,
        np.zeros(shape).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9},
    )
    return found.x.reshape(shape)


def _soft_gradient(model: Model, parameters: Parameters, x: NDArray, targets: NDArray) -> Parameters:
    """Gradient of the summed cross-entropy to probabilities; `Model.gradient` is that to labels."""
    activations, gradient = [x], Parameters()
    for layer in model.layers:
        activations.append(layer.forward(parameters, activations[-1]))
    errors = scipy.special.softmax(activations[-1], axis=-1) - targets
    for i in reversed(range(len(model.layers))):
        layer = model.layers[i]
        if not isinstance(layer, Activation):
            gradient |= layer.gradient(activations[i], errors)
        if i > 0 and not isinstance(layer, Embedding):
            errors = layer.backward(parameters, activations[i], activations[i + 1], errors)
    return gradient
