"""Private learners for small data: every step sees every record, so the accounting is exact and needs no sampling.

All learn from rows of L2 norm at most 1, such as `privlab.learning.features.hog` gives. Neighbouring data sets differ in one
record, added or removed.
"""

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.learning.layers import Parameters
from privlab.learning.models import Model, softmax_regression
from privlab.learning.training import TrainingRun, train
from privlab.masking import Ledger, PrivacyPlan, clip_factors, gaussian_noise_multiplier, noise_multiplier
from privlab.randomness import generator

# A bias is a weight whose input is 1, as long as a row of norm 1, and would oscillate at the steps that the other weights need.
# Linear models are trained on rows this many times longer and the weights scaled back: only the bias moves otherwise, and slower.
STRETCH = 8.0
LARGEST_LEARNING_RATE = 400.0  # where little noise is needed, longer steps only overshoot

LIPSCHITZ = math.sqrt(2)  # most that a gradient row * (probabilities - one-hot label) can be long
TOLERANCE = 1e-3  # length of the gradient at which a minimiser is good enough, and charged for the rest
LOGIT_NOISE = 0.25  # standard deviation that output perturbation gives a logit of a row of norm 1


def class_means(
    x: ArrayLike, y: ArrayLike, classes: int, *, epsilon: float, delta: float, seed: int | None = None
) -> TrainingRun:
    """Classify by the nearest class mean, in angle: one noisy release of each class's sum of rows.

    A record adds one row of L2 norm at most 1 (longer rows are scaled down) to the sum of one class, so adding or
    removing it changes the (classes, features) table of sums by at most 1 in L2 norm: that is the sensitivity. Noise of
    ``gaussian_noise_multiplier(epsilon, delta)`` on every entry makes it private; scaling each sum to a direction
    afterwards is free, and needs no class sizes.

    Parameters
    ----------
    x : array_like, shape (n, features)
        Rows, all finite.
    y : array_like of int, shape (n,)
        Classes 0 ... classes - 1.
    classes : int
        At least 2.
    epsilon, delta : float
        The budget; all of it goes into the one release.
    seed : int or None
        None draws the noise from the operating system. A seed is reproducible, and the ledger says that it is not private.

    Returns
    -------
    TrainingRun
        Parameters of ``softmax_regression(features, classes)``: directions of norm 1 and bias 0. No losses.

    Raises
    ------
    ValueError
        If an argument is not allowed, before any work is done.

    Examples
    --------
    >>> x, y = np.repeat(np.eye(3), 100, axis=0), np.repeat([0, 1, 2], 100)
    >>> run = class_means(x, y, 3, epsilon=1, delta=1e-5, seed=0)
    >>> softmax_regression(3, 3).logits(run.parameters, np.eye(3)).argmax(-1).tolist()
    [0, 1, 2]
    """
    rows, labels = _checked(x, y, classes)
    sigma = gaussian_noise_multiplier(epsilon, delta)
    begun, noise = time.perf_counter(), generator(seed, "class means")
    sums = _class_sums(rows, labels, classes)
    sums += sigma * noise.standard_normal(sums.shape)
    directions = (sums / np.linalg.norm(sums, axis=-1, keepdims=True)).T
    return _one_release(directions, sigma, seed, begun)


def _checked(x: ArrayLike, y: ArrayLike, classes: int) -> tuple[NDArray[np.float64], NDArray]:
    rows = arguments.finite_array("x", x, dimensions=2).astype(np.float64)
    labels = softmax_regression(max(1, rows.shape[1]), classes).labels(np.asarray(y))
    if labels.shape != (len(rows),):
        raise ValueError(f"y has shape {labels.shape}, but must be ({len(rows)},), a label per row of x")
    return rows, labels


def _shortened(rows: NDArray) -> NDArray[np.float64]:
    return rows * clip_factors(np.linalg.norm(rows, axis=-1), 1.0)[:, None]


def _class_sums(rows: NDArray, labels: NDArray, classes: int) -> NDArray[np.float64]:
    """Sum of each class's rows, none longer than 1: (classes, features), of L2 sensitivity 1."""
    return np.eye(classes)[labels].T @ _shortened(rows)


def _one_release(weight: NDArray, sigma: float, seed: int | None, begun: float) -> TrainingRun:
    """The run that made a linear model without bias by one Gaussian release of noise multiplier ``sigma``."""
    ledger = Ledger.for_seed(seed)
    ledger.record("full", 1.0, sigma)
    parameters = {"dense_1.weight": weight.astype(np.float32), "dense_1.bias": np.zeros(weight.shape[1], np.float32)}
    return TrainingRun(parameters, np.empty(0), ledger, time.perf_counter() - begun)


def output_perturbation(
    x: ArrayLike,
    y: ArrayLike,
    classes: int,
    *,
    epsilon: float,
    delta: float,
    regularization: float | None = None,
    seed: int | None = None,
) -> TrainingRun:
    """Train without privacy, then add noise to the weights: regularised softmax regression, one release.

    The weights W minimise ``sum_i loss_i(W) + regularization / 2 * |W|^2``. For two neighbouring data sets these sums differ by one
    record's loss, whose gradient is at most sqrt(2) long, and curve by at least ``regularization``: so their minima are at most
    ``sqrt(2) / regularization`` apart (Chaudhuri, Monteleoni and Sarwate 2011, lemma 7; twice that where a record is *replaced*).
    It is a sum, not a mean, because n itself differs between neighbours. A solver stops early, at a gradient at most ``TOLERANCE``
    long, hence within ``TOLERANCE / regularization`` of the minimum: both ends are charged for that.

    Parameters
    ----------
    x, y, classes
        As for `class_means`.
    epsilon, delta : float
        The budget; all of it goes into the one release.
    regularization : float or None
        Above 0. None gives the noise of a logit of a row of norm 1 a standard deviation of 1/4; it depends on the budget alone.
    seed : int or None
        None draws the noise from the operating system. A seed is reproducible, and the ledger says that it is not private.

    Returns
    -------
    TrainingRun
        Parameters of ``softmax_regression(features, classes)``, bias 0. No losses.

    Raises
    ------
    ValueError
        If an argument is not allowed, before any work is done.
    RuntimeError
        If the solver does not come within the tolerance; nothing is released.

    Examples
    --------
    >>> x, y = np.repeat(np.eye(3), 100, axis=0), np.repeat([0, 1, 2], 100)
    >>> run = output_perturbation(x, y, 3, epsilon=1, delta=1e-5, seed=0)
    >>> softmax_regression(3, 3).logits(run.parameters, np.eye(3)).argmax(-1).tolist()
    [0, 1, 2]
    """
    rows, labels = _checked(x, y, classes)
    sigma = gaussian_noise_multiplier(epsilon, delta)
    strength = LIPSCHITZ * sigma / LOGIT_NOISE
    if regularization is not None:
        strength = arguments.real("regularization", regularization, above=0)
    begun, noise = time.perf_counter(), generator(seed, "output perturbation")
    weight = _minimiser(_shortened(rows), labels, classes, strength, TOLERANCE)
    weight += sigma * _minimiser_sensitivity(strength, TOLERANCE) * noise.standard_normal(weight.shape)
    return _one_release(weight, sigma, seed, begun)


def _minimiser_sensitivity(strength: float, tolerance: float) -> float:
    """Most that one record more or less moves what `_minimiser` returns, in L2 norm."""
    return (LIPSCHITZ + 2 * tolerance) / strength


def _minimiser(rows: NDArray, labels: NDArray, classes: int, strength: float, tolerance: float) -> NDArray[np.float64]:
    """Weights (features, classes) at which the gradient of the regularised sum of losses is at most ``tolerance`` long."""
    shape, bias = (rows.shape[1], classes), np.zeros(classes)
    model = softmax_regression(*shape)

    def objective(flat: NDArray) -> tuple[float, NDArray]:
        weight = flat.reshape(shape)
        gradient, losses = model.gradient({"dense_1.weight": weight, "dense_1.bias": bias}, rows, labels)
        return losses.sum() + strength / 2 * flat @ flat, (gradient["dense_1.weight"] + strength * weight).ravel()

    size = math.prod(shape)
    limits: Any = {"gtol": tolerance / math.sqrt(size), "ftol": 0, "maxiter": 100_000, "maxfun": 100_000}
    found = scipy.optimize.minimize(objective, np.zeros(size), jac=True, method="L-BFGS-B", options=limits)
    if not np.linalg.norm(found.jac) <= tolerance:
        raise RuntimeError(f"the solver stopped at a gradient of norm {np.linalg.norm(found.jac):g} ({found.message})")
    return found.x.reshape(shape)


def private_gradient_descent(
    model: Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    epsilon: float,
    delta: float,
    steps: int = 25,
    clip_norm: float = 0.5,
    learning_rate: float | None = None,
    seed: int = 0,
    noise_seed: int | None = None,
    start: TrainingRun | None = None,
) -> TrainingRun:
    """Train on all records in every step, and return the mean of the last half of the iterates.

    Full batches of Gaussian releases compose exactly: ``steps`` of them cost as much as one with ``sqrt(steps)`` times
    less noise. Averaging the iterates takes noise away and costs nothing, being computed from what was released. On a
    few thousand records this beats sampling, whose own randomness hides less than the same amount of noise would
    (De et al. 2022; Ponomareva et al. 2023, section 5).

    Parameters
    ----------
    model : Model
        What to train; `softmax_regression` on good features is hard to beat here.
    x, y : array_like, shapes (n, features) and (n,)
        Rows of L2 norm about 1, all finite, and their classes.
    epsilon, delta : float
        Budget of these steps; that of ``start`` comes on top.
    steps : int
        Number of releases.
    clip_norm : float
        Bound on the L2 norm of a record's gradient.
    learning_rate : float or None
        For the gradient divided by n. None suits linear models: the step at which the noise of all steps together gives
        a logit of a row of norm 1 a standard deviation of 1 (and at most 400). It depends on the plan and n alone, so there
        is nothing to tune on the data.
    seed, noise_seed : int, int or None
        As for `train`; but linear models start from 0.
    start : TrainingRun or None
        Continue from its parameters, for example from `class_means`. Its ledger goes into the result's, so that epsilon
        counts both. Parameters that cost no privacy come in a run with an empty ledger.

    Returns
    -------
    TrainingRun
        ``epsilon(delta)`` is ``epsilon``, plus what ``start`` had spent, composed exactly.

    Raises
    ------
    ValueError
        If an argument is not allowed, before any work is done.

    Examples
    --------
    >>> x, y = np.repeat(np.eye(3), 100, axis=0), np.repeat([0, 1, 2], 100)
    >>> run = private_gradient_descent(softmax_regression(3, 3), x, y, epsilon=1, delta=1e-5, noise_seed=0)
    >>> print(run.ledger)
    25 steps, full, sampling rate 1, noise multiplier 18.6532 (noise: seeded: not private)
    """
    sigma = noise_multiplier(epsilon=epsilon, sampling_rate=1.0, steps=steps, delta=delta)
    arguments.real("clip_norm", clip_norm, above=0)
    rows, linear = model.examples(arguments.finite_array("x", x, dimensions=2)), len(model.layers) == 1
    rate = _learning_rate(model, len(rows), sigma * clip_norm, steps, learning_rate)
    first = model.init(seed) if start is None else start.parameters
    if linear and start is None:
        first = _weights_times(first, 0)
    stretch = STRETCH if linear else 1.0
    run = train(
        model,
        rows * np.float32(stretch) if linear else rows,
        y,
        steps=steps,
        batch_size=len(rows),
        learning_rate=rate / stretch**2,
        privacy=PrivacyPlan(sigma, clip_norm * stretch, 1.0, steps, sampling="full"),
        noise_seed=noise_seed,
        start=_weights_times(first, 1 / stretch),
        average=0.5,
    )
    run = replace(run, parameters=_weights_times(run.parameters, stretch))
    return run if start is None else _continued(start, run)


def _learning_rate(model: Model, records: int, noise: float, steps: int, given: float | None) -> float:
    if given is not None:
        return arguments.real("learning_rate", given, above=0)
    if len(model.layers) > 1:
        raise ValueError("learning_rate is None, but must be a number > 0 for a model that is not linear")
    return min(records / (math.sqrt(steps) * noise), LARGEST_LEARNING_RATE)


def _weights_times(parameters: Parameters, factor: float) -> Parameters:
    return {
        name: array * np.float32(factor) if name.endswith("weight") else array for name, array in parameters.items()
    }


def _continued(start: TrainingRun, run: TrainingRun) -> TrainingRun:
    """The later run, charged for the earlier one as well."""
    ledger = start.ledger.followed_by(run.ledger)
    return TrainingRun(run.parameters, np.concatenate([start.losses, run.losses]), ledger, start.seconds + run.seconds)
