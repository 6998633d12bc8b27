"""Auditing training: plant canaries by the toss of a coin, train with the kit's own DP-SGD, and tell which were in."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.leakage.audit import Audit
from privlab.leakage.one_run import audit_scores
from privlab.learning import Model, Parameters, TrainingRun, softmax_regression, train
from privlab.masking import PrivacyPlan
from privlab.randomness import stream

CANARIES = ("dirac", "mislabelled")
SPIKE = 100.0  # a Dirac canary's only feature: its gradient lies along that feature but for a share of 1e-4
STEADINESS = 1e-2  # most that a Dirac canary's logits move in training: its gradient must stay as it was


def audit_training(
    x: ArrayLike,
    y: ArrayLike,
    plan: PrivacyPlan,
    *,
    canaries: str = "dirac",
    count: int = 512,
    replicas: int = 32,
    trainer: Callable[..., TrainingRun] = train,
    learning_rate: float = 1.0,
    delta: float = 1e-5,
    confidence: float = 0.95,
    seed: int = 0,
) -> Audit:
    """Bound from below what training spends (add or remove one record), by putting canaries in and looking for them afterwards.

    The model is softmax regression on the real records and those canaries for which a coin says so. Replicas are trained at once,
    each with coins of its own, so that ``count * replicas`` canaries are guessed.

    Parameters
    ----------
    x, y : array_like, shapes (n, features) and (n,)
        Real records and their classes. Those that are not canaries are always in.
    plan : PrivacyPlan
        What training is told to keep; compare the bound with ``plan.epsilon(delta)``.
    canaries : {"dirac", "mislabelled"}
        "dirac": each canary has a feature of its own, so that its clipped gradient is a vector no other record touches. It is
        scored by how far the weights moved along it: as strong as an attack on the last parameters can be. "mislabelled":
        ``count`` of the real records with a wrong class, scored by their loss after training.
    count, replicas : int
        Canaries in a model, and models.
    trainer : callable
        Called as `privlab.learning.train`, which it is by default: what is audited.
    learning_rate : float
        With "mislabelled" canaries; Dirac canaries choose one that leaves their gradients as they are.
    delta, confidence : float
        In (0, 1).
    seed : int
        Public seed of coins, sampling and noise: an experiment, not a release.

    Returns
    -------
    Audit
        The bound is `one_run_epsilon`'s, from as many guesses "in" for the highest as "out" for the lowest scores; in form
        "gaussian" where the plan's curve is Gaussian (sampling rate 1 or "cyclic"), else "general". No audit of one run is
        tight for every mechanism (Keinan, Shenfeld & Ligett 2025).

    Raises
    ------
    ValueError
        If an argument is not allowed, before any work is done.

    Examples
    --------
    >>> plan = PrivacyPlan(noise_multiplier=0.5, clip_norm=1.0, sampling_rate=1.0, steps=1, sampling="full")
    >>> found = audit_training(np.eye(2), [0, 1], plan, count=50, replicas=20)
    >>> 4 < found.epsilon < plan.epsilon(1e-5) < 13
    True
    """
    x, y = arguments.finite_array("x", x, dimensions=2), arguments.finite_array("y", y, dimensions=1)
    arguments.choice("canaries", canaries, CANARIES)
    count, replicas = arguments.whole("count", count), arguments.whole("replicas", replicas)
    delta, confidence = (
        arguments.real(name, value, above=0, below=1) for name, value in (("delta", delta), ("confidence", confidence))
    )
    if len(x) != len(y) or not len(x):
        raise ValueError(f"x and y hold {len(x)} and {len(y)} records, but must hold the same number, at least 1")
    if canaries == "mislabelled" and count > len(x):
        raise ValueError(f"count is {count}, but must be at most {len(x)}, the records, where canaries are mislabelled")
    form = "gaussian" if plan.sampling_rate == 1 or plan.sampling == "cyclic" else "general"
    dirac = canaries == "dirac"
    game = _dirac(x, y, plan, count, replicas) if dirac else _mislabelled(x, y, count, learning_rate, seed)
    members = np.ones((replicas, len(game.x)), bool)
    members[:, game.canaries] = stream(seed, "audit", "coins").random((replicas, count)) < 0.5
    run = trainer(
        game.model,
        game.x,
        game.y,
        steps=plan.steps,
        batch_size=_batch_size(plan, len(game.x)),
        learning_rate=game.learning_rate,
        privacy=plan,
        members=members,
        seed=seed,
        noise_seed=int(stream(seed, "audit", "noise").integers(2**62)),
        start=game.start,
    )
    scores = game.scores(run.parameters)
    return audit_scores(scores, members[:, game.canaries], delta=delta, confidence=confidence, form=form, seed=seed)


@dataclass(frozen=True)
class _Game:
    """Training set in which the ``canaries`` (indices) toss coins, and what scores them by the trained parameters."""

    model: Model
    x: NDArray
    y: NDArray
    canaries: NDArray
    learning_rate: float
    scores: Callable[[Parameters], NDArray]
    start: Parameters | None = None


def _dirac(x: NDArray, y: NDArray, plan: PrivacyPlan, count: int, replicas: int) -> _Game:
    """Each canary has a feature of its own, and weights that start at 0; it is scored by how far these moved along its gradient."""
    records, features = x.shape
    wide = np.zeros((records + count, features + count), np.float32)
    wide[:records, :features] = x
    wide[records:, features:] = SPIKE * np.eye(count)
    classes = max(2, int(y.max()) + 1)
    labels = np.concatenate([y, np.arange(count) % classes])
    model = softmax_regression(wide.shape[1], classes)
    start = {name: np.zeros_like(array) for name, array in model.init(0, replicas).items()}
    reach = plan.clip_norm * (plan.steps + 4 * plan.noise_multiplier * sqrt(plan.steps)) / _batch_size(plan, len(wide))

    def scores(parameters: Parameters) -> NDArray:
        own = parameters["dense_1.weight"][:, features:]
        return np.take_along_axis(own, labels[None, records:, None], -1)[..., 0] - own.mean(-1)

    canaries = np.arange(records, len(wide))
    return _Game(model, wide, labels, canaries, STEADINESS / (SPIKE * reach), scores, start)


def _mislabelled(x: NDArray, y: NDArray, count: int, learning_rate: float, seed: int) -> _Game:
    """Some records have a wrong class; each is scored by its loss, compared with its mean loss over the replicas."""
    draw, classes = stream(seed, "audit", "wrong classes"), max(2, int(y.max()) + 1)
    chosen, labels = draw.permutation(len(x))[:count], y.copy()
    labels[chosen] = (labels[chosen] + draw.integers(1, classes, size=count)) % classes
    model = softmax_regression(x.shape[1], classes)

    def scores(parameters: Parameters) -> NDArray:
        losses = model.losses(parameters, x[chosen], labels[chosen])
        return losses.mean(0) - losses

    return _Game(model, x, labels, chosen, learning_rate, scores)


def _batch_size(plan: PrivacyPlan, records: int) -> int:
    """The public divisor of `train` where membership is tossed for."""
    return max(1, round(plan.sampling_rate * records / 2))
