"""What the main experiment found, and how it is kept in a file."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from privlab.leakage.shadows import Recipe

TRUSTS = ("central", "secure-sum", "local")  # the server sees less and less


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
        Standard deviation of each noise added, in units of the clip norm; 0 means neither clipping nor noise.
    shards, trust
        Over how many shards the training was split, and whom it trusts. "central": the server, who sees each shard's clear update
        and adds noise once. "secure-sum": the server, but with the clear total only, to which it adds noise once; masks hide
        each shard's update, unless there is one shard, whose update is the total. "local": nobody but the shard that holds a
        record; each adds its own noise to what it sends.
    epsilon, delta : float
        What that trust promises each record: with "local", against the server and all who see the released model; else against
        the latter. ``epsilon`` is infinite without noise (null in JSON).
    accuracy, accuracy_sd : float
        Mean and standard deviation over the shadow models of the accuracy on the test set, in [0, 1].
    auc, tpr_at_1_percent, tpr_at_01_percent : float
        Online LiRA's area under the curve and true-positive rates at 1 % and 0.1 % false positives.
    allowed : tuple of float
        Highest true-positive rate that the promise allows any attack, at `Frontier.false_positive_rates`.
    attacks : mapping of str to AttackResult
        Every attack's result, by the names in `ATTACKS`.
    model_epsilon, model_allowed
        As ``epsilon`` and ``allowed``, but against those who see the released model and nothing else, as these attacks do. With
        "local" the noises of all shards lie between them and a record.
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
    model_epsilon: float
    model_allowed: tuple[float, ...]

    @property
    def server_epsilon(self) -> float:
        """What is promised against the server: nothing where it sees sums without noise, of each shard or of all ("secure-sum").

        Masks are no promise about records: who sees the exact total of all shards may learn one from it.
        """
        return self.epsilon if self.trust == "local" else math.inf

    @property
    def model_noise_multiplier(self) -> float:
        """Noise in the sum of all shards' updates, hence in the released model, in units of the clip norm."""
        return noise_of_sum(self.noise_multiplier, self.shards, self.trust)


@dataclass(frozen=True)
class Frontier:
    """Leakage versus accuracy over noise multipliers, shard counts and trusts.

    Attributes
    ----------
    dataset : str
        Name of the data set.
    shadow_models, trials : int
        Number of models trained per point; number of (model, record) pairs that the attacks judged.
    false_positive_rates : tuple of float
        The grid on which every ROC curve is given, increasing, in (0, 1].
    points : tuple of FrontierPoint
        One per setting: by trust in the order of `TRUSTS`, then shards, then increasing noise multiplier.
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
        """Write the frontier as JSON. The file is replaced only when complete.

        An infinite epsilon becomes null. What the model alone is promised is left out where it is what all are promised, and
        attacks on a model that an earlier point has, too, are the number of that point.
        """
        record, attacks = asdict(self), [point.attacks for point in self.points]
        for number, point in enumerate(record["points"]):
            if point["model_epsilon"] == point["epsilon"]:
                del point["model_epsilon"], point["model_allowed"]
            if (first := attacks.index(attacks[number])) < number:
                point["attacks"] = first
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
        points: list[FrontierPoint] = []
        for point in record["points"]:
            points.append(_point(point, points))
        record["points"] = tuple(points)
        record["recipe"] = Recipe(**record["recipe"])
        return cls(**record)


def noise_of_sum(noise_multiplier: float, shards: int, trust: str) -> float:
    """Noise multiplier of the sum of all shards' updates."""
    return noise_multiplier * math.sqrt(shards) if trust == "local" else noise_multiplier


def _point(record: dict[str, Any], earlier: Sequence[FrontierPoint]) -> FrontierPoint:
    record = {"model_epsilon": record["epsilon"], "model_allowed": record["allowed"]} | record
    for name in ("epsilon", "model_epsilon"):
        record[name] = math.inf if record[name] is None else record[name]
    for name in ("allowed", "model_allowed"):
        record[name] = tuple(record[name])
    attacks = record["attacks"]
    if isinstance(attacks, int):
        return FrontierPoint(**record | {"attacks": earlier[attacks].attacks})
    record["attacks"] = {
        name: AttackResult(
            attack["auc"], attack["advantage"], *(tuple(attack[key]) for key in ("true_positive_rates", "low", "high"))
        )
        for name, attack in attacks.items()
    }
    return FrontierPoint(**record)
