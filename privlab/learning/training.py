"""Training: SGD, Adam and DP-SGD, of one model or of a stack of replicas at once."""

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from privlab import arguments
from privlab.learning.layers import Parameters
from privlab.learning.models import Model
from privlab.masking import Ledger, PrivacyPlan
from privlab.randomness import generator, stream

OPTIMIZERS = ("sgd", "momentum", "adam")
Batch = tuple[NDArray, NDArray, NDArray | None]


@dataclass(frozen=True)
class TrainingRun:
    """What a training run produced.

    Attributes
    ----------
    parameters : dict of str to ndarray
        The trained parameters, with a leading replica axis if there were replicas.
    losses : ndarray, shape (steps,) or (R, steps)
        Mean loss of each step's batch in nats, NaN for an empty batch. Exact, hence **not covered** by a private run's guarantee.
    ledger : Ledger
        What the run released; epsilon is computed from it.
    seconds : float
        Wall time.
    """

    parameters: Parameters
    losses: NDArray
    ledger: Ledger
    seconds: float

    def epsilon(self, delta: float) -> float:
        """Return what the run spent at ``delta``: infinite without noise."""
        return self.ledger.epsilon(delta)


def train(
    model: Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    optimizer: str = "sgd",
    privacy: PrivacyPlan | None = None,
    replicas: int | None = None,
    members: ArrayLike | None = None,
    seed: int = 0,
    noise_seed: int | None = None,
    start: Parameters | None = None,
    average: float = 0.0,
    progress: bool = False,
) -> TrainingRun:
    """Train a model, or a stack of replicas of it.

    A step divides the summed gradient by the public ``batch_size``, never by the number of records that happened to be drawn:
    that number depends on the data. So does n: with privacy it is taken to be public, so neighbours have the same n and differ in
    one record replaced by nothing (as ``members`` replaces it). Where n itself is secret, fix it at a public bound.

    Parameters
    ----------
    model : Model
        What to train.
    x, y : array_like, shapes (n, features) and (n,)
        Training examples, all finite, and their classes.
    steps : int
        Number of updates.
    batch_size : int
        Without privacy, records in each batch, drawn without replacement pass by pass. With privacy, the public divisor
        ``round(privacy.sampling_rate * n)``, where n counts half the records if ``members`` is given.
    learning_rate : float
        Step size, above 0.
    optimizer : {"sgd", "momentum", "adam"}
        "momentum" is heavy-ball with 0.9; "adam" has the usual 0.9, 0.999 and 1e-8 (Kingma & Ba 2015).
    privacy : PrivacyPlan or None
        With a plan, DP-SGD: the plan samples, clips, adds noise and keeps the ledger. Where it samples "cyclic", records take part
        by their place in ``x``, so the order must not depend on what they hold.
    replicas : int or None
        Number R of replicas trained at once, each from its own initial parameters on its own batches.
    members : array_like of bool, shape (R, n), or None
        Who is in each replica's training set; everyone if None. Draw it as independent fair coins where epsilon is to hold.
    seed : int
        Public seed of the initial parameters, and of the batches without privacy.
    noise_seed : int or None
        None draws sampling and noise of a private run from the operating system. A seed makes the run reproducible, and its
        ledger says that it is not private.
    start : dict of str to ndarray, or None
        Parameters to begin with, left as they are, in place of ``model.init(seed, replicas)``. What they cost is not in the ledger.
    average : float
        Share, in [0, 1], of the last iterates whose mean is returned; 0 returns the last one.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    TrainingRun

    Raises
    ------
    ValueError
        If an argument is not allowed, before any work is done.

    Examples
    --------
    >>> from privlab.learning import softmax_regression
    >>> x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> run = train(softmax_regression(4, 2), x, y, steps=50, batch_size=2, learning_rate=1.0)
    >>> bool(run.losses[-1] < run.losses[0])
    True
    """
    x, y, inside = _checked(model, x, y, replicas, members)
    steps, batch_size = arguments.whole("steps", steps), arguments.whole("batch_size", batch_size)
    arguments.real("learning_rate", learning_rate, above=0)
    arguments.choice("optimizer", optimizer, OPTIMIZERS)
    _check_batch_size(steps, batch_size, inside, privacy, members is not None)
    averaged = round(arguments.real("average", average, at_least=0, at_most=1) * steps)
    parameters = _initial(model.init(seed, len(inside) if inside.ndim == 2 else None), start)
    mean = {name: np.zeros_like(array) for name, array in parameters.items()} if averaged else parameters
    update = _Optimizer(optimizer, learning_rate, parameters)
    ledger = Ledger.for_seed(noise_seed)
    clip_norm = None if privacy is None else privacy.clip_norm
    if privacy is None:
        batches = _uniform_batches(x, y, inside, steps, batch_size, stream(seed, "batches"))
        noises: Iterable[Parameters] = itertools.repeat({})
        ledger.record("none", batch_size / len(x), 0.0, steps)
    else:
        batches = _sampled_batches(x, y, inside, privacy, generator(noise_seed, "sampling"))
        noises = privacy.noise(parameters, generator(noise_seed, "noise"))
        privacy.record(ledger, steps)
    losses, begun = [], time.perf_counter()
    bar = tqdm(batches, total=steps, disable=not progress, desc="training", unit="step")
    # These products are small: a second BLAS thread gains nothing and takes a core from whoever works beside.
    with threadpool_limits(1, user_api="blas"):
        for (batch_x, batch_y, weights), noise in zip(bar, noises, strict=False):
            gradient, batch_losses = model.gradient(parameters, batch_x, batch_y, weights=weights, clip_norm=clip_norm)
            for name, array in noise.items():
                gradient[name] += array
            update(parameters, gradient, divisor=batch_size)
            losses.append(_mean_loss(batch_losses, weights))
            if len(losses) > steps - averaged:
                for name, array in parameters.items():
                    mean[name] += array / averaged
    return TrainingRun(mean, np.stack(losses, axis=-1), ledger, time.perf_counter() - begun)


class _Optimizer:
    """In-place updates; moments live beside the parameters."""

    def __init__(self, kind: str, learning_rate: float, parameters: Parameters) -> None:
        self.kind, self.learning_rate, self.time = kind, learning_rate, 0
        self.first = {name: np.zeros_like(array) for name, array in parameters.items()} if kind != "sgd" else {}
        self.second = {name: np.zeros_like(array) for name, array in parameters.items()} if kind == "adam" else {}

    def __call__(self, parameters: Parameters, gradient: Parameters, *, divisor: float) -> None:
        self.time += 1
        for name, array in parameters.items():
            change = gradient[name]
            change *= 1 / divisor
            if self.kind == "momentum":
                velocity = self.first[name]
                velocity *= 0.9
                velocity += change
                change[...] = velocity
            elif self.kind == "adam":
                first, second = self.first[name], self.second[name]
                first += 0.1 * (change - first)
                second += 0.001 * (change * change - second)
                change[...] = (first / (1 - 0.9**self.time)) / (np.sqrt(second / (1 - 0.999**self.time)) + 1e-8)
            change *= self.learning_rate
            array -= change


def _checked(
    model: Model, x: ArrayLike, y: ArrayLike, replicas: int | None, members: ArrayLike | None
) -> tuple[NDArray, NDArray, NDArray[np.bool_]]:
    """Return examples, labels and who is inside, of shape (n,) or (R, n)."""
    x = model.examples(arguments.finite_array("x", x, dimensions=2))
    x = x.astype(np.float32, copy=False) if x.dtype.kind == "f" else x  # the parameters' type; tokens stay integers
    y = model.labels(arguments.finite_array("y", y, dimensions=1))
    if len(x) == 0 or len(x) != len(y):
        raise ValueError(f"x and y hold {len(x)} and {len(y)} records, but must hold the same number, at least 1")
    if members is None:
        shape = (len(x),) if replicas is None else (arguments.whole("replicas", replicas), len(x))
        return x, y, np.ones(shape, bool)
    inside = np.asarray(members)
    if inside.dtype != bool or inside.ndim != 2 or inside.shape != (replicas or len(inside), len(x)):
        expected = f"({'R' if replicas is None else replicas}, {len(x)})"
        raise ValueError(f"members has shape {inside.shape} and dtype {inside.dtype}, but must be bool {expected}")
    return x, y, inside


def _initial(drawn: Parameters, start: Parameters | None) -> Parameters:
    """Return a copy of ``start`` where it is given and shaped like what `Model.init` has drawn."""
    if start is None:
        return drawn
    shapes, expected = ({name: np.shape(array) for name, array in part.items()} for part in (start, drawn))
    if shapes != expected:
        raise ValueError(f"start has shapes {shapes}, but must have {expected}")
    return {name: arguments.finite_array("start", start[name]).astype(array.dtype) for name, array in drawn.items()}


def _check_batch_size(
    steps: int, batch_size: int, inside: NDArray[np.bool_], privacy: PrivacyPlan | None, halved: bool
) -> None:
    if privacy is None:
        smallest = int(inside.sum(-1).min())
        if batch_size > smallest:
            raise ValueError(f"batch_size is {batch_size}, but must be at most {smallest}, the smallest training set")
        return
    if privacy.steps != steps:
        raise ValueError(f"steps is {steps}, but must be {privacy.steps}, the plan's")
    public = max(1, round(privacy.sampling_rate * inside.shape[-1] / (2 if halved else 1)))
    if batch_size != public:
        raise ValueError(
            f"batch_size is {batch_size}, but must be {public}, the plan's sampling rate times the records"
        )


def _uniform_batches(
    x: NDArray, y: NDArray, inside: NDArray[np.bool_], steps: int, batch_size: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Batches of fixed size: each pass deals a replica's records out in random order; a rest too small for a batch is dropped."""
    per_pass = int(inside.sum(-1).min()) // batch_size
    for step in range(steps):
        if step % per_pass == 0:
            # Outsiders sort last. A replica with more records than it can deal in a pass leaves out different ones each time.
            order = np.where(inside, rng.random(inside.shape, np.float32), 2).argsort(-1)
        start = step % per_pass * batch_size
        index = order[..., start : start + batch_size]
        yield x.take(index, axis=0), y.take(index), None


def _sampled_batches(
    x: NDArray, y: NDArray, inside: NDArray[np.bool_], privacy: PrivacyPlan, rng: np.random.Generator
) -> Iterator[Batch]:
    """Batches of a plan: of ragged sizes, so replicas are padded with weight 0."""
    for taking_part in privacy.batches(inside, rng):
        if privacy.sampling_rate == 1:
            yield x, y, taking_part.astype(np.float32)
            continue
        if taking_part.ndim == 1:
            index = np.flatnonzero(taking_part)
            yield x.take(index, axis=0), y.take(index), None
            continue
        sizes = taking_part.sum(-1)
        rows, records = np.nonzero(taking_part)
        index = np.zeros((len(sizes), int(sizes.max())), np.intp)
        weights = (np.arange(int(sizes.max())) < sizes[:, None]).astype(np.float32)
        index[rows, np.arange(len(rows)) - np.repeat(sizes.cumsum() - sizes, sizes)] = records
        yield x.take(index, axis=0), y.take(index), weights


def _mean_loss(losses: NDArray, weights: NDArray | None) -> NDArray:
    with np.errstate(invalid="ignore"):  # an empty batch has no mean: NaN
        if weights is None:
            return losses.sum(-1) / np.float32(losses.shape[-1])
        return (losses * weights).sum(-1) / weights.sum(-1)
