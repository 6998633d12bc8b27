"""What a character model memorises of planted secrets, against how often they are repeated, without and with noise."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from privlab import arguments
from privlab.data import load_text
from privlab.files import replacing
from privlab.leakage.canaries import Canary, deduplicate, exposure_ceiling, plant, rank_exposure, skew_normal_exposure
from privlab.leakage.extraction import extract, secret_losses
from privlab.leakage.text_recipe import TextRecipe, bits_per_character
from privlab.learning import Model
from privlab.learning.layers import Parameters
from privlab.randomness import stream

REPETITIONS = (0, 1, 2, 4, 8, 16, 32, 64)
SECRETS = 10**6


@dataclass(frozen=True)
class Memorised:
    """One model: how it was protected, how well it predicts, what it has memorised.

    Attributes
    ----------
    epsilon, noise_multiplier : float
        Spent for one window, at `Memorisation.delta`; infinite (null in JSON) and 0 without noise.
    deduplicated : bool
        Whether repeated passages were removed from the text before training.
    loss : float
        On lines held out, in bits per character.
    exposures, sampled, skew_normal : tuple of tuple of float
        For each number of repetitions, each canary's exact exposure in bits, among all 10^6, and its two estimates from a sample.
    ceilings : tuple of float
        For each number of repetitions, what the median exposure cannot exceed (`exposure_ceiling`); log2 of 10^6 promises nothing.
    extracted : tuple of tuple
        The likeliest secrets in the model's eyes: secret, loss in nats, and how often it was planted.
    opened : int
        Nodes that the search for them opened.
    """

    epsilon: float
    noise_multiplier: float
    deduplicated: bool
    loss: float
    exposures: tuple[tuple[float, ...], ...]
    sampled: tuple[tuple[float, ...], ...]
    skew_normal: tuple[tuple[float, ...], ...]
    ceilings: tuple[float, ...]
    extracted: tuple[tuple[str, float, int], ...]
    opened: int


@dataclass(frozen=True)
class Memorisation:
    """What models with different protection have memorised of the same canaries.

    Attributes
    ----------
    repetitions : tuple of int
        How often canaries were planted; several secrets for each number.
    secrets, sample : int
        How many secrets are possible, and how many of them the estimates see.
    records, records_per_copy : int
        Windows in the training text, and those that hold some of one copy's secret.
    delta, seed
        At which epsilon is stated; public seed of the whole experiment, noise included.
    recipe : TextRecipe
        How the models were trained.
    runs : tuple of Memorised
        One per protection.
    """

    repetitions: tuple[int, ...]
    secrets: int
    sample: int
    records: int
    records_per_copy: int
    delta: float
    seed: int
    recipe: TextRecipe
    runs: tuple[Memorised, ...]

    def save(self, path: str | PathLike[str]) -> None:
        """Write as JSON. The file is replaced only when complete; an infinite epsilon becomes null."""
        record = asdict(self)
        for run in record["runs"]:
            run["epsilon"] = None if math.isinf(run["epsilon"]) else run["epsilon"]
        with replacing(path) as file:
            file.write((json.dumps(record, indent=1, allow_nan=False) + "\n").encode())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Memorisation":
        """Read what `save` has written."""
        record = _tuples(json.loads(Path(path).read_text()))
        runs = (run | {"epsilon": math.inf if run["epsilon"] is None else run["epsilon"]} for run in record["runs"])
        return cls(**record | {"recipe": TextRecipe(**record["recipe"]), "runs": tuple(Memorised(**r) for r in runs)})


def memorisation(
    *,
    epsilons: Sequence[float] = (math.inf, 32.0, 8.0, 1.0),
    repetitions: Sequence[int] = REPETITIONS,
    canaries: int = 6,
    delta: float = 5e-6,
    text: str | None = None,
    sample: int = 4000,
    seed: int = 0,
    recipe: TextRecipe | None = None,
    progress: bool = True,
) -> Memorisation:
    """Plant six-digit secrets in a text, train a model at each epsilon, and measure what it has memorised.

    All secrets stand behind the same words, so they compete. Without noise, a second model is trained on the text without its
    repeated passages. Epsilon is what Poisson sampling at the run's own rate and steps spends for one window; sampling and noise
    come from ``seed``, so that the figures can be computed again: the models are for show, not for release.

    Parameters
    ----------
    epsilons : sequence of float
        Each above 0; infinite for training without clipping and noise.
    repetitions : sequence of int
        Each at least 0.
    canaries : int
        Secrets per number of repetitions, at least 1.
    delta : float
        In (0, 1), below one over the number of windows where it is to mean anything.
    text : str or None
        Lines of printable ASCII; Hamlet unless given. Every tenth line is held out.
    sample : int
        Secrets from which exposure is estimated, at least 8.
    seed : int
        Public seed.
    recipe : TextRecipe or None
        How the models are trained; None takes the defaults.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    Memorisation
        Its runs in the order of ``epsilons``, the deduplicated one last.

    Raises
    ------
    ValueError
        If an argument is not allowed, before any training.

    Examples
    --------
    >>> quick = TextRecipe(hidden=8, steps=5)
    >>> result = memorisation(epsilons=[math.inf], text="to be\\nor not to be\\n" * 40, recipe=quick, progress=False)
    >>> [run.deduplicated for run in result.runs], len(result.runs[0].exposures)
    ([False, True], 8)
    """
    counts = tuple(arguments.whole("repetitions", count, at_least=0) for count in repetitions)
    arguments.whole("canaries", canaries)
    arguments.whole("sample", sample, at_least=8)
    arguments.real("delta", delta, above=0, below=1)
    recipe = recipe or TextRecipe()
    lines = (load_text() if text is None else text).splitlines(keepends=True)
    test_text = "".join(lines[9::10])
    del lines[9::10]
    planted, others = _drawn(counts, canaries, sample, seed)
    whole = plant("".join(lines), planted, seed=seed)
    plans = [recipe.plan(epsilon, delta, whole) for epsilon in epsilons]
    jobs = [(plan, whole) for plan in plans]
    if None in plans:
        # With the ends of the lines around it, a copy hardly agrees by chance with one of another secret.
        jobs.append((None, deduplicate(whole, length=len(planted[0].line) + 2)))
    runs = []
    for plan, corpus in tqdm(jobs, desc="models", disable=not progress):
        run = recipe.train(corpus, plan, seed=seed, noise_seed=seed, progress=progress)
        ceilings = [
            exposure_ceiling(plan, canary.records) if plan else math.log2(SECRETS) for canary in planted[::canaries]
        ]
        runs.append(
            Memorised(
                epsilon=run.epsilon(delta),
                noise_multiplier=plan.noise_multiplier if plan else 0.0,
                deduplicated=corpus is not whole,
                loss=round(bits_per_character(recipe.model(), run.parameters, test_text), 4),
                ceilings=tuple(ceilings),
                **_measured(recipe.model(), run.parameters, planted, others, canaries),
            )
        )
    return Memorisation(counts, SECRETS, sample, len(whole), Canary("000000").records, delta, seed, recipe, tuple(runs))


def _drawn(counts: Sequence[int], canaries: int, sample: int, seed: int) -> tuple[list[Canary], NDArray[np.int64]]:
    """Canaries by repetitions, and other secrets to estimate from; all different."""
    many = len(counts) * canaries
    drawn = stream(seed, "secrets").choice(SECRETS, many + sample, replace=False)
    return [
        Canary(f"{n:06d}", count) for n, count in zip(drawn, np.repeat(counts, canaries).tolist(), strict=False)
    ], drawn[many:]


def _measured(
    model: Model, parameters: Parameters, planted: Sequence[Canary], others: NDArray[np.int64], canaries: int
) -> dict[str, Any]:
    prefix = planted[0].prefix
    losses = secret_losses(model, parameters, prefix)
    own, sampled = losses[[int(canary.secret) for canary in planted]], losses[others]
    found, copies = (
        extract(model, parameters, prefix, count=20),
        {canary.secret: canary.repetitions for canary in planted},
    )
    bits: dict[str, ArrayLike] = {
        "exposures": [rank_exposure(loss, losses) for loss in own],
        "sampled": [rank_exposure(loss, np.append(sampled, loss)) for loss in own],
        "skew_normal": skew_normal_exposure(own, sampled),
    }
    pairs = zip(found.secrets, found.losses, strict=True)
    return {
        name: _tuples(np.round(np.asarray(values, np.float64), 4).reshape(-1, canaries).tolist())
        for name, values in bits.items()
    } | {
        "extracted": tuple((secret, round(loss, 4), copies.get(secret, 0)) for secret, loss in pairs),
        "opened": found.opened,
    }


def _tuples(value: Any) -> Any:
    """Lists within JSON as tuples."""
    if isinstance(value, dict):
        return {name: _tuples(part) for name, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
