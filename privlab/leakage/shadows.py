"""Shadow models: many models of one recipe, each trained on its own random half of the records."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from privlab import arguments
from privlab.data import Dataset
from privlab.leakage.membership import confidence
from privlab.learning import mlp, train
from privlab.masking import Ledger, PrivacyPlan
from privlab.randomness import stream
from privlab.sharding import InProcess, process_pool

Progress = Callable[[int, int], object]
STACK = 16  # replicas trained at once: a fixed number, so that results do not depend on the number of workers


@dataclass(frozen=True)
class Recipe:
    """How every model of an experiment is trained: a multi-layer perceptron with one hidden layer.

    Attributes
    ----------
    hidden : int
        Width of the hidden layer.
    steps, batch_size, learning_rate
        Training without privacy, by SGD with momentum: long enough to fit every member.
    private_steps, sampling_rate, clip_norm, private_learning_rate
        Training with privacy, by DP-SGD.
    """

    hidden: int = 64
    steps: int = 600
    batch_size: int = 64
    learning_rate: float = 0.1
    private_steps: int = 200
    sampling_rate: float = 0.3
    clip_norm: float = 1.0
    private_learning_rate: float = 1.0

    def plan(self, noise_multiplier: float) -> PrivacyPlan | None:
        """Return the plan at a noise multiplier; None for 0, training without privacy."""
        if noise_multiplier == 0:
            return None
        return PrivacyPlan(noise_multiplier, self.clip_norm, self.sampling_rate, self.private_steps)


@dataclass(frozen=True)
class Shadows:
    """What K shadow models say: all that the attacks see.

    Attributes
    ----------
    members : ndarray of bool, shape (K, n)
        Who was in whose training set: independent fair coins.
    confidences, losses : ndarray, shape (K, n)
        Log-odds and loss of every training record under every model.
    population_losses : ndarray, shape (K, m)
        Loss of every test record.
    accuracies : ndarray, shape (K,)
        Share of test records classified rightly.
    ledger : Ledger
        What training one of the models released.
    """

    members: NDArray[np.bool_]
    confidences: NDArray
    losses: NDArray
    population_losses: NDArray
    accuracies: NDArray
    ledger: Ledger


def draw_members(dataset: Dataset, count: int, seed: int) -> NDArray[np.bool_]:
    """Toss a fair coin for every model and training record, shape (count, n).

    Independent coins, not exact halves: only then do the models with and without a record differ in that record alone, as the
    guarantee supposes.
    """
    return stream(seed, "members").random((count, len(dataset.x_train))) < 0.5


def shadow_models(
    dataset: Dataset,
    *,
    noise_multiplier: float = 0.0,
    count: int = 64,
    seed: int = 0,
    workers: int = 2,
    recipe: Recipe | None = None,
    progress: bool | Progress = True,
) -> Shadows:
    """Train shadow models and return what they say of every record: the raw material of `lira` and `rmia`.

    Parameters
    ----------
    dataset : Dataset
        Models train on halves of its training records.
    noise_multiplier : float
        At least 0; 0 trains without clipping and noise.
    count : int
        Number K of models, at least 1.
    seed, workers, recipe, progress
        As for `leakage_vs_accuracy`, whose models these are at the same settings.

    Returns
    -------
    Shadows

    Raises
    ------
    ValueError
        If an argument is not allowed, before any work is done.

    Examples
    --------
    >>> from privlab.data import load_digits
    >>> quick = Recipe(hidden=8, steps=5)
    >>> shadow_models(load_digits(), count=2, workers=1, recipe=quick, progress=False).losses.shape
    (2, 1348)
    """
    level = arguments.real("noise_multiplier", noise_multiplier, at_least=0)
    members = draw_members(dataset, arguments.whole("count", count), seed)
    arguments.whole("workers", workers)
    trained = train_shadows(
        dataset, recipe or Recipe(), [level], members, seed=seed, workers=workers, progress=progress
    )
    return trained[level]


def train_shadows(
    dataset: Dataset,
    recipe: Recipe,
    levels: Sequence[float],
    members: NDArray[np.bool_],
    *,
    seed: int,
    workers: int,
    progress: bool | Progress,
) -> dict[float, Shadows]:
    """Train the shadow models of several noise multipliers, a stack of them per task."""
    tasks: dict[float, list[Future[Shadows]]] = {level: [] for level in levels}
    stacks = range(0, len(members), STACK)
    total, done = len(levels) * len(stacks), itertools.count(1)
    engine = process_pool(workers) if workers > 1 else InProcess()
    with engine as pool, tqdm(total=total, disable=progress is not True, desc="shadow models", unit="stack") as bar:

        def advance(_: Future[Shadows]) -> None:
            bar.update()
            if callable(progress):
                progress(next(done), total)

        for level in levels:
            for first in stacks:
                task = pool.submit(train_stack, dataset, recipe, level, members[first : first + STACK], first, seed)
                task.add_done_callback(advance)
                tasks[level].append(task)
        for task in as_completed([task for level in levels for task in tasks[level]]):
            task.result()  # the first error ends the experiment
    return {level: _together([task.result() for task in tasks[level]]) for level in levels}


def train_stack(
    dataset: Dataset, recipe: Recipe, noise_multiplier: float, members: NDArray[np.bool_], first: int, seed: int
) -> Shadows:
    """Train one stack of shadow models, those numbered from ``first``, in this process on one thread."""
    model = mlp([dataset.x_train.shape[1], recipe.hidden, dataset.classes])
    plan = recipe.plan(noise_multiplier)
    # Each (experiment, noise, stack) has its own seeds; the noise is seeded because this is an experiment, not a release.
    own_seed, noise_seed = stream(seed, "stack", first, repr(float(noise_multiplier))).integers(2**62, size=2).tolist()
    batch_size = recipe.batch_size
    if plan is not None:
        batch_size = round(plan.sampling_rate * len(dataset.x_train) / 2)
    with threadpool_limits(1):
        run = train(
            model,
            dataset.x_train,
            dataset.y_train,
            steps=recipe.steps if plan is None else plan.steps,
            batch_size=batch_size,
            learning_rate=recipe.learning_rate if plan is None else recipe.private_learning_rate,
            optimizer="momentum" if plan is None else "sgd",
            privacy=plan,
            members=members,
            seed=own_seed,
            noise_seed=noise_seed,
        )
        confidences = confidence(model.logits(run.parameters, dataset.x_train), dataset.y_train)
        test_logits = model.logits(run.parameters, dataset.x_test)
    return Shadows(
        members,
        confidences,
        _losses(confidences),
        _losses(confidence(test_logits, dataset.y_test)),
        (test_logits.argmax(-1) == dataset.y_test).mean(-1),
        run.ledger,
    )


def _together(stacks: Sequence[Shadows]) -> Shadows:
    """Put stacks together, in their order."""
    names = ("members", "confidences", "losses", "population_losses", "accuracies")
    whole = {name: np.concatenate([getattr(stack, name) for stack in stacks]) for name in names}
    return Shadows(**whole, ledger=stacks[0].ledger)


def _losses(confidences: NDArray) -> NDArray:
    """Cross-entropy from log-odds: in float32 the loss of a sure model would round to 0 and tie."""
    return np.logaddexp(0.0, -confidences)
