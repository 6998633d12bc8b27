"""Records from gradients: what a message of training gives away of the examples it was computed from.

The gradient of a dense first layer is ``sum_i x_i d_i^T`` over a batch of records x_i with back-propagated errors d_i. One record
is therefore a quotient of the weights' and the bias's gradient; of a batch, the gradient still tells the space that its records
span, of as many dimensions as there are records (Dimitrov et al. 2024, "SPEAR", section 3). Where in that space they lie is found
by matching gradients (Zhu et al. 2019, "Deep leakage from gradients"), here by plain back-propagation alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from privlab import arguments
from privlab.learning.layers import Dense, Parameters
from privlab.learning.models import Model
from privlab.randomness import stream

ATTEMPTS, EVALUATIONS = 4, 1000  # the attack's budget: random starts, and gradients computed from each
FOUND, VANISHED = 1e-10, 1e-15  # mismatch below which no further attempt is made, and at which one ends
PATIENCE = 20  # iterations in which the mismatch of an attempt must fall by 1 %
STEP = 1e-4  # of the central difference, in units of the parameters


@dataclass(frozen=True)
class Inversion:
    """Records recovered from a gradient, in no particular order.

    Attributes
    ----------
    x : ndarray of float64, shape (records, d)
    y : ndarray of int64, shape (records,)
    mismatch : float
        Squared sine of the angle between their gradient and the given one. Near 0 the attacker knows to have succeeded.
    """

    x: NDArray[np.float64]
    y: NDArray[np.int64]
    mismatch: float


def invert_gradient(
    model: Model,
    parameters: Mapping[str, NDArray],
    gradient: Mapping[str, ArrayLike],
    *,
    records: int = 1,
    seed: int = 0,
) -> Inversion:
    """Recover the records of a batch from the mean of their gradients.

    The search starts at `closed_form`, where a single record is found already, and for more from random places around it until the
    directions of the gradients agree (Geiping et al. 2020, "Inverting gradients"); of one record, clipping hides nothing. Smooth
    activations with weights not yet trained are the easiest; ReLU and trained weights leave larger batches in local minima. More
    records than the first layer has units, or a softmax regression has classes, are out of reach.

    Parameters
    ----------
    model : Model
        Whose first layer is dense: from `softmax_regression` or `mlp`.
    parameters : mapping of str to ndarray
        At which the gradient was computed, without a replica axis.
    gradient : mapping of str to array_like
        Mean over the records of the loss's gradient, shaped like the parameters.
    records : int
        How many records the gradient is of; the attacker knows the batch size.
    seed : int
        Of the random starts.

    Returns
    -------
    Inversion

    Raises
    ------
    ValueError
        If an argument is not allowed, or model, parameters and gradient do not fit together.

    Examples
    --------
    >>> from privlab.learning import mlp
    >>> model = mlp([4, 8, 3], "tanh")
    >>> parameters, x = model.init(0), np.array([[0.1, 0.9, 0.4, 0.2]])
    >>> invert_gradient(model, parameters, model.gradient(parameters, x, np.array([2]))[0]).x.round(3)
    array([[0.1, 0.9, 0.4, 0.2]])
    """
    _ends(model)
    rng = stream(seed, "inversion")
    arguments.whole("records", records)
    weights, target = _checked(parameters, gradient, model.init(0))
    with threadpool_limits(1):  # many small products: a second thread only gets in the way
        x, y = _match(model, weights, target, records, rng)
    rest = _difference(model.gradient(weights, x, y)[0], target)[1]
    return Inversion(x, y, _squared_norm(rest) / _squared_norm(target))


def closed_form(weight_gradient: ArrayLike, bias_gradient: ArrayLike) -> NDArray[np.float64]:
    """The one record that the gradient of a dense first layer is of, shape (d,): least squares over its units.

    With ``dW = x d^T`` and ``db = d``, x minimises ``|dW - x db^T|^2``, whatever both were scaled by. Of a batch it is a weighted
    mean of the records.

    Parameters
    ----------
    weight_gradient : array_like, shape (d, units)
    bias_gradient : array_like, shape (units,)

    References
    ----------
    L. T. Phong and others, "Privacy-preserving deep learning via additively homomorphic encryption", 2018, section 3.

    Examples
    --------
    >>> closed_form([[0.2, -0.1], [0.6, -0.3]], [2.0, -1.0]).round(3)
    array([0.1, 0.3])
    """
    weight, bias = np.asarray(weight_gradient, np.float64), np.asarray(bias_gradient, np.float64)
    return weight @ bias / max(float(bias @ bias), np.finfo(float).tiny)


def recover_labels(bias_gradient: ArrayLike, records: int, probabilities: ArrayLike) -> NDArray[np.int64]:
    """Labels of a batch, with repeats and sorted, from the gradient of the last layer's bias.

    That is the mean over the batch of ``p - one_hot(y)``, so a class's number of records is about ``records * (p - gradient)``
    where p are the probabilities that the model gives on average; before training, any input will do to tell them. Classes whose
    gradient is negative are in the batch whatever p is.

    Parameters
    ----------
    bias_gradient : array_like, shape (classes,)
    records : int
    probabilities : array_like, shape (classes,)

    References
    ----------
    B. Zhao and others, "iDLG: improved deep leakage from gradients", 2020, for one record.

    Examples
    --------
    >>> recover_labels([0.3, -0.35, 0.05], 4, [0.3, 0.4, 0.3])
    array([1, 1, 1, 2])
    """
    gradient = np.asarray(bias_gradient, np.float64)
    left = records * (np.asarray(probabilities, np.float64) - gradient)
    labels = [int(label) for label in gradient.argsort() if gradient[label] < 0][:records]
    left[labels] -= 1
    while len(labels) < records:
        labels.append(int(left.argmax()))
        left[labels[-1]] -= 1
    return np.sort(labels)


def pair_up(truth: ArrayLike, guess: ArrayLike) -> NDArray[np.float64]:
    """The guesses, clipped to [0, 1], each in the place of the record that it is taken for: least sum of squared errors.

    Parameters
    ----------
    truth, guess : array_like, shape (records, d)

    Raises
    ------
    ValueError
        If the shapes differ or a value is not finite.

    Examples
    --------
    >>> pair_up([[0.0, 1.0], [1.0, 0.0]], [[1.2, 0.1], [0.0, 0.9]])
    array([[0. , 0.9],
           [1. , 0.1]])
    """
    true = arguments.finite_array("truth", truth, dimensions=2).astype(np.float64)
    guesses = np.clip(arguments.finite_array("guess", guess, dimensions=2), 0, 1)
    if true.shape != guesses.shape:
        raise ValueError(f"guess has shape {guesses.shape}, but must be {true.shape}, like truth")
    return guesses[scipy.optimize.linear_sum_assignment(scipy.spatial.distance.cdist(true, guesses, "sqeuclidean"))[1]]


def psnr(truth: ArrayLike, guess: ArrayLike) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio of each true record in dB, ``10 log10(1 / MSE)``, with its guess by `pair_up`.

    Above 30 dB a picture looks like the original; random pixels are at about 6 dB.

    Parameters
    ----------
    truth, guess : array_like, shape (records, d)
        Features in [0, 1], and what they are taken for, in any order.

    Returns
    -------
    ndarray, shape (records,)
        In the order of ``truth``; infinite where a guess is exact.

    Raises
    ------
    ValueError
        If the shapes differ or a value is not finite.

    Examples
    --------
    >>> psnr([[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.1], [0.0, 0.9]]).round(1)
    array([23., 23.])
    """
    errors = np.square(pair_up(truth, guess) - np.asarray(truth)).mean(-1)
    with np.errstate(divide="ignore"):
        return np.asarray(-10 * np.log10(errors))


def _match(
    model: Model, parameters: Parameters, target: Parameters, records: int, rng: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Records, one per row, and their labels, whose gradient is nearest to the target; the best of several attempts."""
    first, last = _ends(model)
    weight, bias = f"{first.name}.weight", f"{first.name}.bias"
    # A record is a mixture of the columns of the weights' gradient. In a basis of what they span it has few coordinates, for which
    # a small model, whose first layer is turned into that basis, has the same logits and errors.
    basis = np.linalg.svd(target[weight], full_matrices=False)[0].T[:records]
    small = replace(model, layers=(replace(first, inputs=len(basis)), *model.layers[1:]), features=len(basis))
    turned, goal = ({**arrays, weight: basis @ arrays[weight]} for arrays in (parameters, target))
    centre = np.tile(closed_form(goal[weight], goal[bias]), (records, 1))
    found: list[tuple[float, NDArray, NDArray]] = []
    for attempt in range(ATTEMPTS):
        start = centre if records == 1 and attempt == 0 else centre + rng.standard_normal(centre.shape)
        nearest = min(found, key=itemgetter(0))[1] if found else start
        likely = scipy.special.softmax(small.logits(turned, nearest), axis=-1).mean(0)
        y = recover_labels(target[f"{last.name}.bias"], records, likely)
        end = scipy.optimize.minimize(
            _objective(small, turned, goal, y),
            start.ravel(),
            jac=True,
            method="L-BFGS-B",
            callback=_stop(),
            options={"maxcor": 20, "maxfun": EVALUATIONS, "maxiter": EVALUATIONS, "ftol": 0, "gtol": 0},
        )
        found.append((end.fun, end.x.reshape(centre.shape), y))
        if end.fun < FOUND:
            break
    _, x, y = min(found, key=itemgetter(0))
    return x @ basis, y


def _objective(
    model: Model, parameters: Parameters, target: Parameters, y: NDArray
) -> Callable[[NDArray], tuple[float, NDArray]]:
    """The mismatch of gradients as a function of the records, and its slope.

    With u the difference of the gradients, <gradient(x), u> is the loss's derivative in the direction u of the parameters. Its
    slope in x is a difference of two slopes of the loss in x, at parameters a little ahead and behind.
    """
    size = _squared_norm(target)

    def mismatch(flat: NDArray) -> tuple[float, NDArray]:
        x = flat.reshape(len(y), -1)
        scale, rest = _difference(model.gradient(parameters, x, y)[0], target)
        squared = _squared_norm(rest)
        step = STEP / max(np.sqrt(squared), np.finfo(float).tiny)
        moves = {name: step * rest[name] for name in parameters}
        both = {name: np.stack([array + moves[name], array - moves[name]]) for name, array in parameters.items()}
        ahead, behind = model.input_gradient(both, x, y)  # as two replicas
        return squared / size, (scale / (step * size) * (ahead - behind)).ravel()

    return mismatch


def _difference(gradient: Parameters, target: Parameters) -> tuple[float, Parameters]:
    """The scale at which a gradient comes nearest to the target, and what is then left of their difference."""
    along = float(sum((gradient[name] * target[name]).sum() for name in target))
    scale = along / max(_squared_norm(gradient), np.finfo(float).tiny)
    return scale, {name: scale * gradient[name] - target[name] for name in target}


def _squared_norm(arrays: Parameters) -> float:
    return float(sum((array * array).sum() for array in arrays.values()))


def _stop() -> Any:
    """A callback that ends an attempt which has succeeded or come to rest, as it does on noise."""
    values: list[float] = []

    def stop(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        values.append(intermediate_result.fun)
        if values[-1] < VANISHED or (len(values) > PATIENCE and values[-1] > 0.99 * values[-PATIENCE]):
            raise StopIteration

    return stop


def _ends(model: Model) -> tuple[Dense, Dense]:
    first, last = model.layers[0], model.layers[-1]
    if not (isinstance(first, Dense) and isinstance(last, Dense)):
        raise ValueError(f"model begins with {type(first).__name__}, but must begin with a dense layer")
    return first, last


def _checked(
    parameters: Mapping[str, NDArray], gradient: Mapping[str, ArrayLike], shapes: Mapping[str, NDArray]
) -> list[Parameters]:
    """Both as float64, or `ValueError` where they do not fit the model or a value is not finite."""
    checked = []
    for what, arrays in (("parameters", parameters), ("gradient", gradient)):
        if {name: np.shape(array) for name, array in arrays.items()} != {name: a.shape for name, a in shapes.items()}:
            raise ValueError(f"{what} has {_shapes(arrays)}, but must have {_shapes(shapes)}")
        checked.append({n: arguments.finite_array(f"{what} {n}", arrays[n]).astype(np.float64) for n in shapes})
    if not _squared_norm(checked[1]):
        raise ValueError("gradient is 0, but must be of at least one record")
    return checked


def _shapes(arrays: Mapping[str, ArrayLike]) -> str:
    return ", ".join(f"{name} {np.shape(array)}" for name, array in arrays.items())
