"""Training a character model on a text: the recipe of an experiment, and a run that is watched while it learns a secret."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.data import load_text
from privlab.leakage.canaries import Canary, exposure, plant
from privlab.leakage.extraction import extract
from privlab.leakage.sequences import ALPHABET, ROWS, windows
from privlab.learning import Model, TrainingRun, char_model, train
from privlab.learning.layers import Parameters
from privlab.masking import PrivacyPlan


@dataclass(frozen=True)
class TextRecipe:
    """How a character model is trained, with Adam or DP-Adam.

    Attributes
    ----------
    hidden : int
        Width of the hidden layer.
    steps, batch_size, learning_rate
        Without privacy.
    private_steps, private_batch_size, private_learning_rate, clip_norm
        With it.
    """

    hidden: int = 128
    steps: int = 2000
    batch_size: int = 256
    learning_rate: float = 2e-3
    private_steps: int = 1500
    private_batch_size: int = 1024
    private_learning_rate: float = 2e-3
    clip_norm: float = 1.0

    def model(self) -> Model:
        """The model, of tokens in `ALPHABET`."""
        return char_model(len(ALPHABET), hidden=self.hidden)

    def plan(self, epsilon: float, delta: float, text: str) -> PrivacyPlan | None:
        """The plan that spends at most ``epsilon`` on a window of the text; None where it is infinite."""
        if epsilon == math.inf:
            return None
        rate = min(1.0, self.private_batch_size / len(text))
        return PrivacyPlan.for_epsilon(
            epsilon, delta, clip_norm=self.clip_norm, sampling_rate=rate, steps=self.private_steps
        )

    def train(
        self,
        text: str,
        plan: PrivacyPlan | None = None,
        *,
        start: Parameters | None = None,
        seed: int = 0,
        noise_seed: int | None = None,
        progress: bool = False,
    ) -> TrainingRun:
        """Train on all windows of a text; the rest is as for `privlab.learning.train`."""
        model = self.model()
        x, y = windows(text, model.features)
        return train(
            model,
            x,
            y,
            steps=plan.steps if plan else self.steps,
            batch_size=min(self.private_batch_size if plan else self.batch_size, len(x)),
            learning_rate=self.private_learning_rate if plan else self.learning_rate,
            optimizer="adam",
            privacy=plan,
            start=start,
            seed=seed,
            noise_seed=noise_seed,
            progress=progress,
        )


@dataclass(frozen=True)
class Moment:
    """How far a secret has been learnt, in the midst of training.

    Attributes
    ----------
    done : float
        Share of the training, in [0, 1].
    exposure : float
        Of the secret, exact, in bits.
    said : str
        What the model holds the likeliest secret: the best-first search's answer.
    opened : int
        Nodes that the search opened.
    epsilon : float
        Spent so far for one window, at delta 1e-5; infinite without noise.
    """

    done: float
    exposure: float
    said: str
    opened: int
    epsilon: float


LIVE = TextRecipe(steps=300, private_steps=300, private_batch_size=256)


def learn_secret(
    secret: str, *, copies: int = 32, epsilon: float = math.inf, moments: int = 10, recipe: TextRecipe = LIVE
) -> Iterator[Moment]:
    """Plant a secret of digits in the first 30,000 characters of Hamlet, train, and watch: some seconds.

    Parameters
    ----------
    secret : str
        Six digits.
    copies : int
        How often it is planted, at least 0.
    epsilon : float
        Infinite for training without privacy, else what DP-Adam may spend for one window at delta 1e-5; its noise comes from the
        operating system.
    moments : int
        Parts of the training, at least 1; Adam starts afresh in each.
    recipe : TextRecipe
        Steps are those of the whole training.

    Yields
    ------
    Moment
        One before training, and one after each part.

    Raises
    ------
    ValueError
        If an argument is not allowed, when called and not only when watched.

    Examples
    --------
    >>> quick = TextRecipe(hidden=8, steps=4)
    >>> [moment.done for moment in learn_secret("281265", moments=2, recipe=quick)]
    [0.0, 0.5, 1.0]
    """
    canary = Canary(secret, copies)
    if not set(secret) <= {*"0123456789"}:
        raise ValueError(f"secret is {secret!r}, but must be six digits")
    text = plant(load_text()[:30_000], [canary])
    plan = recipe.plan(epsilon, 1e-5, text)
    return _watched(canary, text, plan, arguments.whole("moments", moments), recipe)


def _watched(canary: Canary, text: str, plan: PrivacyPlan | None, moments: int, recipe: TextRecipe) -> Iterator[Moment]:
    model, ends = recipe.model(), np.linspace(0, plan.steps if plan else recipe.steps, moments + 1).astype(int)
    parameters = model.init(0)
    for part in range(moments + 1):
        if part:
            steps = int(ends[part] - ends[part - 1])
            settings = replace(recipe, steps=steps)
            parameters = settings.train(
                text, plan and replace(plan, steps=steps), start=parameters, seed=part
            ).parameters
        found = extract(model, parameters, canary.prefix, count=1)
        spent = replace(plan, steps=int(ends[part])).epsilon(1e-5) if plan and part else 0.0 if plan else math.inf
        yield Moment(part / moments, exposure(model, parameters, canary), found.secrets[0], found.opened, spent)


def bits_per_character(model: Model, parameters: Mapping[str, NDArray], text: str) -> float:
    """Return the mean loss of a character model on a text, log2.

    >>> from privlab.learning import char_model
    >>> model = char_model(96, hidden=8)
    >>> bool(6 < bits_per_character(model, model.init(0), "to be or not to be") < 10)
    True
    """
    x, y = windows(text, model.features)
    blocks = [model.losses(parameters, x[i : i + ROWS], y[i : i + ROWS]) for i in range(0, len(x), ROWS)]
    return float(np.concatenate(blocks).mean() / math.log(2))
