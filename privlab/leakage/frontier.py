"""The main experiment: what noise costs in accuracy and what it buys in leakage."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.data import Dataset
from privlab.leakage.cache import ShadowCache
from privlab.leakage.membership import lira, loss_threshold, rmia
from privlab.leakage.results import TRUSTS, AttackResult, Frontier, FrontierPoint, noise_of_sum
from privlab.leakage.roc import bootstrap_band, roc
from privlab.leakage.shadows import Progress, Recipe, Shadows, draw_members, train_shadows
from privlab.masking import PrivacyPlan, tradeoff_curve

__all__ = ["ATTACKS", "AttackResult", "Frontier", "FrontierPoint", "leakage_vs_accuracy"]

#: The attacks of the experiment: what each makes of the shadow models' answers, scores of shape (K, n).
ATTACKS: Mapping[str, Callable[[Shadows], NDArray]] = {
    "LiRA online": lambda shadows: lira(shadows.confidences, shadows.members),
    "LiRA offline": lambda shadows: lira(shadows.confidences, shadows.members, online=False),
    "RMIA": lambda shadows: rmia(-shadows.losses, shadows.members, -shadows.population_losses),
    "loss threshold": lambda shadows: loss_threshold(shadows.losses),
}
FALSE_POSITIVE_RATES = tuple(float(f"{rate:.3g}") for rate in np.geomspace(1e-4, 1, 81))


def leakage_vs_accuracy(
    dataset: Dataset,
    *,
    noise_multipliers: Sequence[float],
    shards: Sequence[int] = (1,),
    trust: str | Sequence[str] = "central",
    shadow_models: int = 64,
    delta: float = 1e-4,
    seed: int = 0,
    workers: int = 2,
    cache: str | PathLike[str] | None = None,
    progress: bool | Progress = True,
    recipe: Recipe | None = None,
) -> Frontier:
    """Train shadow models at every noise multiplier, shard count and trust, attack them, and measure accuracy.

    How a batch is split over shards does not change its sum of clipped gradients, only the noise in that sum. Trusts "central" and
    "secure-sum" add sigma once, whatever the number of shards. Trust "local" adds it in each of S shards, which gives
    ``sigma * sqrt(S)``, as `privlab.sharding.train_sharded` does with one local step and no shard empty. Settings with the same
    noise in the sum share one set of models, trained once. With "local", and each record in one shard whatever the others hold,
    sigma bounds the server, who sees each shard's noisy sum; the noise in the sum bounds those who see the model only. (A shard
    can subtract its own noise: against it, the other S - 1 count.) A secure sum rounds to fixed point, which is left out here.

    Membership of every record in every model is a fair coin, and the gradient's divisor is public: the game that epsilon speaks of.
    Each model in turn is the target, so an attack judges ``shadow_models * len(dataset.x_train)`` cases.

    Parameters
    ----------
    dataset : Dataset
        Models train on halves of its training records; accuracy and RMIA's population use its test records.
    noise_multipliers : sequence of float
        Each at least 0; 0 trains without clipping and noise, and its epsilon is infinite.
    shards : sequence of int
        Each at least 1, and at most half of the training records.
    trust : {"central", "secure-sum", "local"}, or a sequence of them
        See `FrontierPoint`.
    shadow_models : int
        Models per noise in the sum, at least 4.
    delta : float
        At which epsilon is stated, in (0, 1).
    seed : int
        Public seed of the whole experiment, noise included.
    workers : int
        Processes, at least 1; the results do not depend on their number. With 1 everything runs in this process.
    cache : path or None
        Folder in which each noise multiplier's shadow results are kept, keyed by data, settings and code.
    progress : bool or function
        Show a progress bar on stderr, or call ``progress(done, total)`` after each of the ``total`` stacks of models.
    recipe : Recipe or None
        How the models are trained; None takes the defaults.

    Returns
    -------
    Frontier
        Points by trust (the server seeing less and less), then shards, then increasing noise multiplier.

    Raises
    ------
    ValueError
        If an argument is not allowed, before any work is done.

    Examples
    --------
    >>> from privlab.data import load_digits
    >>> quick = Recipe(hidden=8, steps=5, private_steps=5)
    >>> result = leakage_vs_accuracy(
    ...     load_digits(), noise_multipliers=[0, 4], shadow_models=4, workers=1, progress=False, recipe=quick
    ... )
    >>> [point.epsilon < 5 for point in result.points]
    [False, True]
    """
    levels = _checked_levels(noise_multipliers)
    counts = _checked_shards(shards, most=len(dataset.x_train) // 2)
    settings = list(itertools.product(_checked_trusts(trust), counts, levels))
    arguments.whole("shadow_models", shadow_models, at_least=4)
    arguments.real("delta", delta, above=0, below=1)
    arguments.whole("workers", workers)
    recipe = recipe or Recipe()
    sums = sorted({noise_of_sum(level, count, kind) for kind, count, level in settings})
    # What the accountant would refuse is refused before training.
    guarantees = {noise: _guarantee(recipe.plan(noise), delta) for noise in sorted({*levels, *sums})}
    members = draw_members(dataset, shadow_models, seed)
    stored = ShadowCache(cache, dataset, recipe, members, seed)
    shadows = stored.load(sums)
    missing = [noise for noise in sums if noise not in shadows]
    if missing:
        trained = train_shadows(dataset, recipe, missing, members, seed=seed, workers=workers, progress=progress)
        stored.store(trained)
        shadows |= trained
    models = {noise: _judge(shadows[noise], noise, guarantees[noise], delta) for noise in sums}
    points = []
    for kind, count, level in settings:
        model, (epsilon, allowed) = models[noise_of_sum(level, count, kind)], guarantees[level]
        point = replace(model, noise_multiplier=level, shards=count, trust=kind, epsilon=epsilon, allowed=allowed)
        points.append(point)
    return Frontier(dataset.name, shadow_models, members.size, FALSE_POSITIVE_RATES, tuple(points), seed, recipe)


def _checked_levels(noise_multipliers: Sequence[float]) -> list[float]:
    levels = sorted({arguments.real("noise_multipliers", level, at_least=0) for level in noise_multipliers})
    if not levels:
        raise ValueError(f"noise_multipliers is {noise_multipliers!r}, but must hold at least one number")
    return levels


def _checked_shards(shards: Sequence[int], *, most: int) -> list[int]:
    counts = sorted({arguments.whole("shards", count) for count in shards})
    if not counts or counts[-1] > most:
        raise ValueError(f"shards is {shards!r}, but must hold at least one number, and none above {most}")
    return counts


def _checked_trusts(trust: str | Sequence[str]) -> list[str]:
    given = [trust] if isinstance(trust, str) else list(trust)
    if not given:
        raise ValueError(f"trust is {trust!r}, but must hold at least one of {', '.join(map(repr, TRUSTS))}")
    return sorted({arguments.choice("trust", kind, TRUSTS) for kind in given}, key=TRUSTS.index)


def _guarantee(plan: PrivacyPlan | None, delta: float) -> tuple[float, tuple[float, ...]]:
    """Epsilon, and the highest true-positive rates that are possible."""
    if plan is None:
        return math.inf, (1.0,) * len(FALSE_POSITIVE_RATES)
    allowed = tradeoff_curve(
        noise_multiplier=plan.noise_multiplier,
        sampling_rate=plan.sampling_rate,
        steps=plan.steps,
        false_positive_rates=FALSE_POSITIVE_RATES,
    )
    return plan.epsilon(delta), tuple(np.minimum(np.ceil(allowed * 1e6) / 1e6, 1.0).tolist())  # rounded up: a bound


def _judge(shadows: Shadows, noise: float, guarantee: tuple[float, tuple[float, ...]], delta: float) -> FrontierPoint:
    """Attack the models of one noise; the point is that of one shard."""
    scores = {name: attack(shadows) for name, attack in ATTACKS.items()}
    curves = {name: roc(score, shadows.members) for name, score in scores.items()}
    attacks = {}
    for name, curve in curves.items():
        low, high = bootstrap_band(scores[name], shadows.members, FALSE_POSITIVE_RATES)
        rates = (curve.tprs_at(FALSE_POSITIVE_RATES), low, high)
        attacks[name] = AttackResult(curve.auc, curve.advantage, *(tuple(np.round(rate, 6).tolist()) for rate in rates))
    best = curves["LiRA online"]
    return FrontierPoint(
        noise_multiplier=noise,
        shards=1,
        trust="central",
        epsilon=guarantee[0],
        delta=delta,
        accuracy=float(shadows.accuracies.mean()),
        accuracy_sd=float(shadows.accuracies.std(ddof=1)),
        auc=best.auc,
        tpr_at_1_percent=best.tpr_at(0.01),
        tpr_at_01_percent=best.tpr_at(0.001),
        allowed=guarantee[1],
        attacks=attacks,
        model_epsilon=guarantee[0],
        model_allowed=guarantee[1],
    )
