"""Red team, blue team: a defended model goes out in one file, an attack comes back in another, then a referee opens the envelope.

Who was in the training set was decided by coins. The blue team publishes a hash of them (commit) and shows them after the
attack has been handed in (reveal), so that neither team can change its mind.
"""

import hashlib
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.files import replacing
from privlab.leakage.roc import roc
from privlab.learning import Model, Parameters
from privlab.masking import PrivacyPlan, tradeoff_curve

GRANTED = ("parameters", "plan", "public records", "own models")  # what a red team may use
NONCE = 32  # bytes: without them a guess of the coins could be tried against the hash


@dataclass(frozen=True)
class Release:
    """What a blue team publishes: all that the red team gets beside the records themselves.

    Attributes
    ----------
    team : str
    parameters : dict of str to ndarray, with a leading axis R
        The same defence R times, each with coins of its own, so that luck decides less.
    plan : PrivacyPlan
        How it was trained; noise multiplier 0 is clipping without noise.
    recipe : dict of str to float
        What else is public of the training, such as the learning rate.
    accuracy : float
        On the test set, mean of the R models, as claimed.
    records : int
        Candidates n: each was in with probability 1/2, independently in each model.
    delta : float
    commitment : str
        SHA-256 of nonce and coins, in hexadecimal.
    """

    team: str
    parameters: Parameters
    plan: PrivacyPlan
    recipe: Mapping[str, float]
    accuracy: float
    records: int
    delta: float
    commitment: str

    @property
    def epsilon(self) -> float:
        """What the plan spends for each record and model; infinite without noise."""
        return self.plan.epsilon(self.delta)

    @property
    def models(self) -> int:
        """Number R of models."""
        return len(next(iter(self.parameters.values())))


@dataclass(frozen=True)
class Verdict:
    """What a referee found.

    Attributes
    ----------
    blue, red : str
        Who defended, who attacked.
    epsilon, accuracy, floor : float
        Of the defence: computed from its plan; measured on the test set; asked for.
    found, low, high : float
        True-positive rate of the attack at ``false_positive_rate`` and its 95 % Clopper-Pearson interval, pooled over the models.
    allowed : float
        Most that the plan allows any attack there.
    false_positive_rate : float

    Examples
    --------
    >>> print(Verdict("B", "A", 3.8, 0.95, 0.9, 0.012, 0.010, 0.014, 0.08, 0.01))
    A against B: floor met (95.0 %), ε 3.8, found 1.2 % (1.0 to 1.4) at 1 % false alarms, allowed 8.0 %
    """

    blue: str
    red: str
    epsilon: float
    accuracy: float
    floor: float
    found: float
    low: float
    high: float
    allowed: float
    false_positive_rate: float

    @property
    def floor_met(self) -> bool:
        """Whether the defence is of use; if not, it scores nothing."""
        return self.accuracy >= self.floor

    @property
    def impossible(self) -> bool:
        """Whether the attack surely beat the guarantee: then the defence is broken, or the attack knew the coins.

        Attacks as good as what is allowed are called so once in 40 times.
        """
        return self.low > self.allowed

    def __str__(self) -> str:
        floor = f"floor {'met' if self.floor_met else 'missed'} ({self.accuracy:.1%})"
        rates = f"found {self.found:.1%} ({100 * self.low:.1f} to {100 * self.high:.1f})"
        allowed = f"allowed {self.allowed:.1%}" + ", IMPOSSIBLE" * self.impossible
        where = f"at {self.false_positive_rate:.0%} false alarms"
        text = f"{self.red} against {self.blue}: {floor}, ε {self.epsilon:.2g}, {rates} {where}, {allowed}"
        return text.replace("%", " %")


def publish(
    folder: str | PathLike[str],
    team: str,
    parameters: Parameters,
    members: ArrayLike,
    *,
    plan: PrivacyPlan,
    accuracy: float,
    recipe: Mapping[str, float] | None = None,
    delta: float = 1e-4,
    nonce: bytes | None = None,
) -> Release:
    """Write ``TEAM.model.safetensors``, to be handed over, and ``TEAM.secret.safetensors``, to be kept until the attack is in.

    Parameters
    ----------
    folder : path
        Of the game; must exist.
    team : str
        Letters, digits and hyphens.
    parameters : dict of str to ndarray, with a leading axis R
    members : array_like of bool, shape (R, n)
        The coins.
    plan : PrivacyPlan
        With sampling "poisson" or "full".
    accuracy, recipe, delta
        As in `Release`.
    nonce : bytes or None
        32 bytes; None draws them from the operating system. What can be guessed hides nothing.

    Returns
    -------
    Release

    Raises
    ------
    ValueError
        If an argument is not allowed.
    """
    coins = np.asarray(members)
    models = {len(array) for array in parameters.values()}
    if coins.dtype != bool or coins.ndim != 2 or models != {len(coins)}:
        raise ValueError(
            f"members has shape {coins.shape} and dtype {coins.dtype}, but must be bool (R, n), R of {models}"
        )
    arguments.choice("plan.sampling", plan.sampling, ("poisson", "full"))
    arguments.real("accuracy", accuracy, at_least=0, at_most=1)
    arguments.real("delta", delta, above=0, below=1)
    nonce = secrets.token_bytes(NONCE) if nonce is None else nonce
    if len(nonce) != NONCE:
        raise ValueError(f"nonce has {len(nonce)} bytes, but must have {NONCE}")
    hashed = commitment(coins, nonce)
    facts = {
        "team": _name("team", team),
        "plan": {name: value for name, value in asdict(plan).items() if name != "correlation"},
        "recipe": dict(recipe or {}),
        "accuracy": float(accuracy),
        "records": coins.shape[1],
        "delta": float(delta),
        "commitment": hashed,
    }
    _write(Path(folder, f"{team}.secret.safetensors"), {"members": coins, "nonce": np.frombuffer(nonce, np.uint8)}, {})
    _write(Path(folder, f"{team}.model.safetensors"), parameters, facts)
    return receive(folder, team)


def receive(folder: str | PathLike[str], team: str) -> Release:
    """Read what a team has published; `ValueError` where the file is damaged."""
    parameters, facts = _read(Path(folder, f"{_name('team', team)}.model.safetensors"))
    return Release(parameters=parameters, **facts | {"plan": PrivacyPlan(**facts["plan"])})


def commitment(members: NDArray[np.bool_], nonce: bytes) -> str:
    """Return the hash that commits to coins, shape (R, n), without showing them.

    >>> commitment(np.array([[True, False]]), bytes(32))[:8]
    '53f647db'
    """
    shape = np.array(members.shape, "<u8").tobytes()
    return hashlib.sha256(nonce + shape + np.packbits(members).tobytes()).hexdigest()


def submit(
    folder: str | PathLike[str], red: str, release: Release, scores: ArrayLike, *, used: Collection[str]
) -> None:
    """Write ``RED-against-BLUE.scores.safetensors``: one score per model and record, higher = "was a member".

    Parameters
    ----------
    folder : path
        Of the game.
    red : str
        The attacking team.
    release : Release
        What is attacked.
    scores : array_like, shape (R, n)
        Finite.
    used : collection of str
        What the attack used, all of it in `GRANTED`: the team's word.

    Raises
    ------
    ValueError
        If an argument is not allowed, or something was used that nobody granted.
    """
    array = arguments.finite_array("scores", scores).astype(np.float64)
    if array.shape != (release.models, release.records):
        raise ValueError(f"scores has shape {array.shape}, but must have {(release.models, release.records)}")
    _check_used(used)
    facts = {"red": _name("red", red), "used": sorted(used), "against": release.commitment}
    _write(Path(folder, f"{red}-against-{release.team}.scores.safetensors"), {"scores": array}, facts)


def referee(
    folder: str | PathLike[str],
    red: str,
    blue: str,
    *,
    model: Model,
    x_test: NDArray,
    y_test: NDArray,
    floor: float,
    false_positive_rate: float = 0.01,
) -> Verdict:
    """Open the envelope and judge one attack on one defence. Nothing that the teams claim is taken from them, but recomputed.

    Parameters
    ----------
    folder, red, blue
        Where `publish` and `submit` have written, and by whom.
    model : Model
        Of the released parameters.
    x_test, y_test : ndarray
        Public records that were in no training set.
    floor : float
        Least accuracy of a valid defence.
    false_positive_rate : float
        At which the attack is read, in (0, 1].

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        If the coins are not those that the blue team committed to, its accuracy is not what it claims, or the attack is on
        something else or used what was not granted.
    """
    release = receive(folder, blue)
    secret, _ = _read(Path(folder, f"{blue}.secret.safetensors"))
    attack, facts = _read(Path(folder, f"{_name('red', red)}-against-{blue}.scores.safetensors"))
    if commitment(secret["members"], secret["nonce"].tobytes()) != release.commitment:
        raise ValueError(f"secret of {blue} does not fit the commitment: these are not the coins of the release")
    if facts["against"] != release.commitment:
        raise ValueError(f"scores of {red} are for another release of {blue}: attack the one that is published")
    _check_used(facts["used"])
    accuracy = float((model.logits(release.parameters, x_test).argmax(-1) == y_test).mean())
    if abs(accuracy - release.accuracy) > 0.002:  # another CPU may turn a prediction over, not many
        raise ValueError(f"accuracy of {blue} is {accuracy:.4f}, but {release.accuracy:.4f} is claimed")
    rate, plan = arguments.real("false_positive_rate", false_positive_rate, above=0, at_most=1), release.plan
    curve = roc(attack["scores"], secret["members"])
    (low,), (high,) = curve.band([rate])
    settings: dict[str, Any] = {"sampling_rate": plan.sampling_rate, "steps": plan.steps}
    (allowed,) = tradeoff_curve(noise_multiplier=plan.noise_multiplier, false_positive_rates=[rate], **settings)
    epsilon, found = release.epsilon, curve.tpr_at(rate)
    return Verdict(blue, red, epsilon, accuracy, floor, found, float(low), float(high), float(allowed), rate)


def _check_used(used: Collection[str]) -> None:
    if extra := sorted(set(used) - set(GRANTED)):
        raise ValueError(f"used has {extra}, but the red team is granted only {', '.join(GRANTED)}")


def _name(argument: str, name: str) -> str:
    if isinstance(name, str) and name.replace("-", "").isalnum() and "-against-" not in name:
        return name
    raise ValueError(f"{argument} is {name!r}, but must be letters, digits and hyphens")


def _write(path: Path, arrays: Mapping[str, NDArray], facts: Mapping[str, Any]) -> None:
    """One entry of metadata: several would come in any order, and the same release must be the same bytes."""
    metadata = {"privlab": json.dumps(facts, sort_keys=True, allow_nan=False)}
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with replacing(path) as file:
        file.write(safetensors.numpy.save(plain, metadata))


def _read(path: Path) -> tuple[dict[str, NDArray], dict[str, Any]]:
    try:
        with safetensors.safe_open(path, framework="np") as file:
            facts = json.loads((file.metadata() or {})["privlab"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118 (no mapping)
    except (safetensors.SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} is damaged or no file of this game: {error}") from None
