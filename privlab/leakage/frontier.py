"""The main experiment: what noise costs in accuracy and what it buys in leakage."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.data import Dataset
from privlab.leakage.cache import ShadowCache
from privlab.leakage.membership import lira, loss_threshold, rmia
from privlab.leakage.roc import bootstrap_band, roc
from privlab.leakage.shadows import Progress, Recipe, Shadows, draw_members, train_shadows
from privlab.masking import tradeoff_curve

#: The attacks of the experiment: what each makes of the shadow models' answers, scores of shape (K, n).
ATTACKS: Mapping[str, Callable[[Shadows], NDArray]] = {
    "LiRA online": lambda shadows: lira(shadows.confidences, shadows.members),
    "LiRA offline": lambda shadows: lira(shadows.confidences, shadows.members, online=False),
    "RMIA": lambda shadows: rmia(-shadows.losses, shadows.members, -shadows.population_losses),
    "loss threshold": lambda shadows: loss_threshold(shadows.losses),
}
FALSE_POSITIVE_RATES = tuple(float(f"{rate:.3g}") for rate in np.geomspace(1e-4, 1, 81))


@dataclass(frozen=True)
class AttackResult:
    """What one attack reached against one set of shadow models, on the frontier's grid of false-positive rates.

    Attributes
    ----------
    auc, advantage : float
        Area under the ROC curve; largest difference of true- and false-positive rate.
    true_positive_rates, low, high : tuple of float
        The measured ROC at `Frontier.false_positive_rates`, and its 95 % confidence band.
    """

    auc: float
    advantage: float
    true_positive_rates: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class FrontierPoint:
    """One setting of the experiment: its guarantee, its accuracy and what the attacks reached.

    Attributes
    ----------
    noise_multiplier : float
        Standard deviation of the noise in units of the clip norm; 0 means neither clipping nor noise.
    shards, trust
        Over how many shards the training was split, and who was trusted with the updates.
    epsilon, delta : float
        The guarantee; ``epsilon`` is infinite without noise (null in JSON).
    accuracy, accuracy_sd : float
        Mean and standard deviation over the shadow models of the accuracy on the test set, in [0, 1].
    auc, tpr_at_1_percent, tpr_at_01_percent : float
        Online LiRA's area under the curve and true-positive rates at 1 % and 0.1 % false positives.
    allowed : tuple of float
        Highest true-positive rate that the guarantee allows any attack, at `Frontier.false_positive_rates`.
    attacks : mapping of str to AttackResult
        Every attack's result, by the names in `ATTACKS`.
    """

    noise_multiplier: float
    shards: int
    trust: str
    epsilon: float
    delta: float
    accuracy: float
    accuracy_sd: float
    auc: float
    tpr_at_1_percent: float
    tpr_at_01_percent: float
    allowed: tuple[float, ...]
    attacks: Mapping[str, AttackResult]


@dataclass(frozen=True)
class Frontier:
    """Leakage versus accuracy over a range of noise multipliers.

    Attributes
    ----------
    dataset : str
        Name of the data set.
    shadow_models, trials : int
        Number of models trained per point; number of (model, record) pairs that the attacks judged.
    false_positive_rates : tuple of float
        The grid on which every ROC curve is given, increasing, in (0, 1].
    points : tuple of FrontierPoint
        One per setting, by increasing noise multiplier.
    seed, recipe
        Public seed of the experiment, and how its models were trained: with them a point can be computed again.
    """

    dataset: str
    shadow_models: int
    trials: int
    false_positive_rates: tuple[float, ...]
    points: tuple[FrontierPoint, ...]
    seed: int = 0
    recipe: Recipe = field(default_factory=Recipe)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the frontier as JSON; an infinite epsilon becomes null. The file is replaced only when complete."""
        record = asdict(self)
        for point in record["points"]:
            point["epsilon"] = None if math.isinf(point["epsilon"]) else point["epsilon"]
        target = Path(path)
        unfinished = target.with_name(target.name + ".unfinished")
        unfinished.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
        unfinished.replace(target)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Frontier":
        """Read a frontier written by `save`."""
        record = json.loads(Path(path).read_text())
        record["false_positive_rates"] = tuple(record["false_positive_rates"])
        record["points"] = tuple(map(_point, record["points"]))
        record["recipe"] = Recipe(**record["recipe"])
        return cls(**record)


def leakage_vs_accuracy(
    dataset: Dataset,
    *,
    noise_multipliers: Sequence[float],
    shards: Sequence[int] = (1,),
    trust: str = "central",
    shadow_models: int = 64,
    delta: float = 1e-4,
    seed: int = 0,
    workers: int = 2,
    cache: str | PathLike[str] | None = None,
    progress: bool | Progress = True,
    recipe: Recipe | None = None,
) -> Frontier:
    """Train shadow models at every noise multiplier, attack them, and measure accuracy.

    Membership of every record in every model is a fair coin, and the gradient's divisor is public: the game that epsilon speaks of.
    Each model in turn is the target, so an attack judges ``shadow_models * len(dataset.x_train)`` cases.

    Parameters
    ----------
    dataset : Dataset
        Models train on halves of its training records; accuracy and RMIA's population use its test records.
    noise_multipliers : sequence of float
        Each at least 0; 0 trains without clipping and noise, and its epsilon is infinite.
    shards : sequence of int
        Only (1,) is available.
    trust : str
        Only "central" is available.
    shadow_models : int
        Models per noise multiplier, at least 4.
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
        Points by increasing noise multiplier.

    Raises
    ------
    ValueError
        If an argument is not allowed or not available, before any work is done.

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
    if tuple(shards) != (1,):
        raise ValueError(f"shards is {shards!r}, but only (1,) is available")
    if trust != "central":
        raise ValueError(f"trust is {trust!r}, but only 'central' is available")
    arguments.whole("shadow_models", shadow_models, at_least=4)
    arguments.real("delta", delta, above=0, below=1)
    arguments.whole("workers", workers)
    recipe = recipe or Recipe()
    for plan in filter(None, map(recipe.plan, levels)):
        plan.epsilon(delta)  # what the accountant would refuse is refused before training
    members = draw_members(dataset, shadow_models, seed)
    stored = ShadowCache(cache, dataset, recipe, members, seed)
    shadows = stored.load(levels)
    missing = [level for level in levels if level not in shadows]
    if missing:
        trained = train_shadows(dataset, recipe, missing, members, seed=seed, workers=workers, progress=progress)
        stored.store(trained)
        shadows |= trained
    points = tuple(_judge(shadows[level], recipe, level, delta) for level in levels)
    return Frontier(dataset.name, shadow_models, members.size, FALSE_POSITIVE_RATES, points, seed, recipe)


def _checked_levels(noise_multipliers: Sequence[float]) -> list[float]:
    levels = sorted({arguments.real("noise_multipliers", level, at_least=0) for level in noise_multipliers})
    if not levels:
        raise ValueError(f"noise_multipliers is {noise_multipliers!r}, but must hold at least one number")
    return levels


def _judge(shadows: Shadows, recipe: Recipe, level: float, delta: float) -> FrontierPoint:
    scores = {name: attack(shadows) for name, attack in ATTACKS.items()}
    curves = {name: roc(score, shadows.members) for name, score in scores.items()}
    attacks = {}
    for name, curve in curves.items():
        low, high = bootstrap_band(scores[name], shadows.members, FALSE_POSITIVE_RATES)
        rates = (curve.tprs_at(FALSE_POSITIVE_RATES), low, high)
        attacks[name] = AttackResult(curve.auc, curve.advantage, *(tuple(np.round(rate, 6).tolist()) for rate in rates))
    plan = recipe.plan(level)
    allowed = np.ones(len(FALSE_POSITIVE_RATES))
    if plan is not None:
        allowed = tradeoff_curve(
            noise_multiplier=plan.noise_multiplier,
            sampling_rate=plan.sampling_rate,
            steps=plan.steps,
            false_positive_rates=FALSE_POSITIVE_RATES,
        )
    best = curves["LiRA online"]
    return FrontierPoint(
        noise_multiplier=level,
        shards=1,
        trust="central",
        epsilon=shadows.ledger.epsilon(delta),
        delta=delta,
        accuracy=float(shadows.accuracies.mean()),
        accuracy_sd=float(shadows.accuracies.std(ddof=1)),
        auc=best.auc,
        tpr_at_1_percent=best.tpr_at(0.01),
        tpr_at_01_percent=best.tpr_at(0.001),
        allowed=tuple(np.minimum(np.ceil(allowed * 1e6) / 1e6, 1.0).tolist()),  # rounded upwards: a bound
        attacks=attacks,
    )


def _point(record: dict[str, Any]) -> FrontierPoint:
    record["epsilon"] = math.inf if record["epsilon"] is None else record["epsilon"]
    record["allowed"] = tuple(record["allowed"])
    record["attacks"] = {
        name: AttackResult(
            attack["auc"], attack["advantage"], *(tuple(attack[key]) for key in ("true_positive_rates", "low", "high"))
        )
        for name, attack in record["attacks"].items()
    }
    return FrontierPoint(**record)
