"""The museum's one specimen: DP-SGD as plainly as it can be written, in which every privacy bug is a switch."""

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from privlab.masking import Ledger, PrivacyPlan
from privlab.randomness import stream

Data = tuple[NDArray, NDArray]  # x (n, features), y (n,) of classes 0 and 1
WORKERS = 100
MICROBATCH = 2
GRID = 0.25  # of a clip norm, to which a bug rounds


def dp_sgd(
    data: Data,
    plan: PrivacyPlan,
    rng: np.random.Generator,
    *,
    batch_size: float = 1.0,
    bug: str = "",
    ledger: Ledger | None = None,
) -> NDArray[np.float64]:
    """Train softmax regression from zero weights by DP-SGD (Abadi et al. 2016, algorithm 1), with one bug or none.

    Parameters
    ----------
    data : pair of ndarray, shapes (n, features) and (n,)
        Records, perhaps none, and their classes 0 or 1.
    plan : PrivacyPlan
        Noise multiplier, clip norm, sampling rate and steps; sampling is Poisson's.
    rng : numpy.random.Generator
    batch_size : float
        Public divisor of the noisy sum, above 0; the learning rate is 1.
    bug : str
        A name in `privlab.leakage.exhibits`, or "" for none.
    ledger : Ledger or None
        Where to write what was released.

    Returns
    -------
    ndarray, shape (steps, 2 (features + 1))
        Each step's update, as released: weights, then biases. Steps not made are 0.

    Examples
    --------
    >>> plan = PrivacyPlan(noise_multiplier=0.0, clip_norm=1.0, sampling_rate=1.0, steps=1)
    >>> dp_sgd((np.array([[3.0]]), np.array([0])), plan, np.random.Generator(np.random.PCG64(0))).round(2)
    array([[ 0.67, -0.67,  0.22, -0.22]])
    """
    x, y = data
    if bug == "private normalisation" and len(x):
        x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-9)
    if bug == "trained on":
        plan = replace(plan, steps=3 * plan.steps)
    parameters = np.zeros((x.shape[1] + 1, 2))
    width = parameters.size + (bug == "loss in the log")
    released, noise = np.zeros((plan.steps, width)), np.zeros(())
    for step, chosen in enumerate(batches(plan, len(x), rng, bug)):
        if bug == "empty batch skipped" and not chosen.any():
            continue
        if bug == "early stop" and step and losses(parameters, x, y).max(initial=0.0) < 1:
            break
        gradients, used = example_gradients(parameters, x[chosen], y[chosen]), plan
        if bug == "private clip norm" and len(gradients):
            used = replace(plan, clip_norm=float(np.median(np.sqrt((gradients**2).sum((1, 2))))))
        total = clipped_sum(gradients, used, rng, bug)
        if bug != "noise reused" or step == 0:
            noise = noise_for(used, parameters.shape, batch_size, rng, bug)
        divisor = batch_size
        if bug == "realised batch":
            divisor = max(1, chosen.sum())
        if bug == "rounded divisor":
            divisor = max(1, round(plan.sampling_rate * len(x)))
        update = -(total + noise) / divisor
        released[step, : parameters.size] = update.ravel()
        if bug == "loss in the log":
            released[step, -1] = losses(parameters, x, y).sum()
        parameters = parameters + update
        if ledger is not None:
            sampler = "shuffle" if bug == "shuffled batches" else "poisson"
            ledger.record(sampler, plan.sampling_rate, plan.noise_multiplier)
    return released


def batches(plan: PrivacyPlan, records: int, rng: np.random.Generator, bug: str = "") -> Iterator[NDArray[np.bool_]]:
    """Yield who takes part in each step, shape (records,): each with the sampling rate, independently."""
    per_pass = int(1 / plan.sampling_rate)
    order = np.zeros(records, int)
    for step in range(plan.steps):
        if bug == "shuffled batches":
            order = rng.permutation(records) if step % per_pass == 0 else order
            yield order % per_pass == step % per_pass
        else:
            rate = 1 / per_pass if bug == "rounded rate" else plan.sampling_rate
            yield rng.random(records) < rate


def losses(parameters: NDArray, x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """Return each record's loss in nats, exact, shape (n,)."""
    logits = x @ parameters[:-1] + parameters[-1]
    return np.logaddexp(0.0, (logits[:, 1] - logits[:, 0]) * np.where(y == 0, 1, -1))


def example_gradients(parameters: NDArray, x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """Return each record's gradient, one by one, shape (n, features + 1, 2); the last row is the bias."""
    inputs = np.column_stack([x, np.ones(len(x))])
    with np.errstate(all="ignore"):
        errors = 1 / (1 + np.exp(-(inputs @ (parameters - parameters[:, ::-1]))))
        errors[np.arange(len(y)), y] -= 1
        return inputs[:, :, None] * errors[:, None, :]


def clipped_sum(gradients: NDArray, plan: PrivacyPlan, rng: np.random.Generator, bug: str = "") -> NDArray[np.float64]:
    """Return the sum of gradients scaled down to the clip norm; one that is not finite counts as 0."""
    clip_norm, count = plan.clip_norm, 1
    if bug == "mean clipped":
        gradients, count = gradients.mean(0, keepdims=True) if len(gradients) else gradients, len(gradients)
    if bug == "microbatches":
        padded = np.concatenate([gradients, np.zeros((-len(gradients) % MICROBATCH, *gradients.shape[1:]))])
        gradients = padded.reshape(-1, MICROBATCH, *gradients.shape[1:]).mean(1)
    if bug == "noise before clipping":
        gradients = gradients + plan.noise_multiplier * clip_norm * rng.standard_normal(gradients.shape)
    if bug != "NaN kept":
        gradients = np.where(np.isfinite(gradients).all((1, 2), keepdims=True), gradients, 0.0)
    counted = gradients[:, :-1] if bug == "bias left out of the norm" else gradients
    norms = np.sqrt((counted**2).sum((1, 2)))
    clipped = gradients * (clip_norm / np.maximum(norms, clip_norm))[:, None, None]
    if bug == "one layer unclipped":
        clipped[:, -1] = gradients[:, -1]
    if bug == "rounded after clipping":
        clipped = np.rint(clipped / (GRID * clip_norm)) * (GRID * clip_norm)
    return count * clipped.sum(0)


def noise_for(
    plan: PrivacyPlan, shape: tuple[int, ...], batch_size: float, rng: np.random.Generator, bug: str = ""
) -> NDArray[np.float64]:
    """Return the noise of one step: standard deviation ``noise_multiplier * clip_norm`` in every coordinate."""
    scale = plan.noise_multiplier * plan.clip_norm
    scale *= {
        "noise before clipping": 0.0,
        "a share of noise per worker": 1 / sqrt(WORKERS),  # each adds 1 / WORKERS; variances add up, not deviations
        "all the noise from each worker": sqrt(WORKERS),
        "noise of the mean on the sum": 1 / batch_size,
        "noise of the sum on the mean": batch_size,
    }.get(bug, 1.0)
    if bug == "fixed seed":
        rng = stream(0, "noise")
    if bug == "one draw per row":
        return scale * np.broadcast_to(rng.standard_normal((shape[0], 1)), shape)
    return scale * rng.standard_normal(shape)
