"""Exercises of the lesson on private training."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from privlab.classroom.auditing import leak
from privlab.classroom.exercises import Exercise
from privlab.masking import gaussian_epsilon


def private_step(gradients, clip_norm, sigma, expected_batch, rng):
    """Return the noisy mean gradient, shape (d,), of a batch of `gradients`, shape (b, d); b may be 0."""
    norms = np.linalg.norm(gradients, axis=1, keepdims=True)
    total = (gradients * (clip_norm / np.maximum(norms, clip_norm))).sum(0)
    total = total + sigma * clip_norm * rng.standard_normal(gradients.shape[1])
    return total / expected_batch


def check_private_step(mine, rng):
    """First without noise, then the noise alone, then an audit; spreads of 4,000 draws may be off by seven standard errors."""
    b, d, c, L, delta, sigma = 6, 4000, rng.uniform(2, 3), int(rng.integers(10, 14)), 0.1, 1.0
    g = rng.standard_normal((b, d))
    norms = np.array([100, 8, 4, 0.5, 0.3, 0]) * c
    g *= norms[:, None] / np.linalg.norm(g, axis=1, keepdims=True)
    g[0] = np.where(np.arange(d) < 2, [*norms[0] * np.array([0.6, 0.8]), *np.zeros(d - 2)], 0)
    clipped = (g * np.minimum(1, c / np.maximum(norms, c))[:, None]).sum(0)
    step = np.asarray(mine(g, c, 0.0, L, rng))
    yield step.shape != (d,), f"The result has shape {step.shape}, but must have ({d},)."
    yield not np.isfinite(step).all(), "A row of zeros became NaN: you divide 0 by 0."
    whole = g.sum(0) * min(1, c / np.linalg.norm(g.sum(0)))
    one_length = g.sum(0) * min(1, c / np.linalg.norm(g))
    stretched = (g[:-1] * c / norms[:-1, None]).sum(0)
    for wrong, message in (
        (clipped, "You do not divide by the expected batch."),
        (clipped / b, "You divide by the realised batch, which depends on the data."),
        (clipped / b / L, "You take the mean and divide again: sum first."),
        (g.sum(0) / L, "Nothing is clipped."),
        (np.clip(g, -c, c).sum(0) / L, "You clip numbers, not rows: the direction changed."),
        (stretched / L, "Short rows were stretched: clip, do not normalise."),
        (whole / L, "You clip the sum: each row has its own length."),
        (one_length / L, "One length for the whole batch: each row has its own (axis=1)."),
    ):
        yield np.allclose(step, wrong), message
    yield (
        not np.allclose(step, clipped / L),
        "Without noise it must be the sum of the clipped rows over expected_batch.",
    )
    spread = np.std(mine(0 * g, c, sigma, L, rng)) / (sigma * c / L)
    yield spread < 1e-9, "You add one number to all coordinates, or none: draw one for each."
    found = leak(
        lambda rows, r: mine(rows, c, sigma, L, r),
        (g[1:, :1], g[:, :1]),
        gaussian_epsilon(sigma, delta),
        rng,
        delta=delta,
    )
    yield abs(spread - 1 / c) < 0.08 / c, f"{found} The noise is not scaled by the clip norm."
    yield found or spread < 0.92, f"{found} The noise is {spread:.2f} of sigma * clip_norm / expected_batch.".lstrip()
    yield abs(spread - L) < 0.08 * L, "The noise is added after the division, so it is far too large."
    yield abs(spread - L / b) < 0.04 * L / b, "The noise is divided by the realised batch, which depends on the data."
    yield abs(spread - b**0.5) < 0.08 * b**0.5, "You add noise to every row: add it once, to the sum."
    yield spread > 1.08, f"The noise is {spread:.2f} times sigma * clip_norm / expected_batch."
    empty = np.std(mine(g[:0], c, sigma, L, rng)) / (sigma * c / L)
    yield not 0.92 < empty < 1.08, "An empty batch must give noise like any other."


def one_step_sensitivity(decay, steps, separation):
    """Length by which a page that takes part in steps 0, separation, ... moves all smoothed gradients, in clip norms."""
    smoothed, moved = 0.0, []
    for step in range(steps):
        smoothed = decay * smoothed + (step % separation == 0)
        moved.append(smoothed)
    return np.linalg.norm(moved)


EXERCISES = (
    Exercise(
        "05.a",
        "the private step",
        private_step,
        [
            "`np.linalg.norm(gradients, axis=1, keepdims=True)` gives one length a row; `np.maximum(norms, clip_norm)` is never 0.",
            "The noise of the *sum* has standard deviation sigma * clip_norm. Divide by expected_batch, however large the batch.",
        ],
        {
            "not clipped": (" * (clip_norm / np.maximum(norms, clip_norm))", "", "Nothing is clipped."),
            "normalised": ("np.maximum(norms, clip_norm)", "np.maximum(norms, 1e-12)", "Short rows were stretched"),
            "realised batch": ("/ expected_batch", "/ max(len(gradients), 1)", "the realised batch"),
            "not scaled": ("sigma * clip_norm *", "sigma *", "The noise is not scaled by the clip norm."),
            "clips numbers": (
                "gradients * (clip_norm / np.maximum(norms, clip_norm))",
                "np.clip(gradients, -clip_norm, clip_norm)",
                "You clip numbers, not rows",
            ),
            "one length": ("gradients, axis=1, keepdims=True", "gradients", "One length for the whole batch"),
            "one number": ("rng.standard_normal(gradients.shape[1])", "rng.standard_normal()", "draw one for each"),
            "half of the noise": ("sigma * clip_norm", "0.5 * sigma * clip_norm", "epsilon at least"),
        },
        check=check_private_step,
        note="I could not tell neighbours apart better than ε allows, which is no proof",
    ),
    Exercise(
        "05.b",
        "the sensitivity of smoothed gradients",
        one_step_sensitivity,
        [
            "Write 1 at her steps and 0 elsewhere, smooth that row, take the length.",
            "Keep one running value: decay times it, plus 1.",
        ],
        {
            "own steps": (
                "decay * smoothed",
                "0 * smoothed",
                "Only her own steps count for you: smoothing carries her further.",
            ),
            "adds lengths": (
                "np.linalg.norm(moved)",
                "np.sum(moved)",
                "Different steps are different coordinates: add squares.",
            ),
            "no root": ("np.linalg.norm(moved)", "np.square(moved).sum()", "That is the square of the length."),
            "forgets": (
                "decay * smoothed + (step % separation == 0)",
                "decay * smoothed if step % separation else 1.0",
                "Visits meet: at her second, something of her first is left.",
            ),
            "visits apart": (
                "np.linalg.norm(moved)",
                "np.sqrt(sum(sum(decay ** (2 * np.arange(steps - at))) for at in range(0, steps, separation)))",
                "Visits meet: add up what they leave in a step before you square.",
            ),
            "visits' lengths": (
                "np.linalg.norm(moved)",
                "sum(np.linalg.norm(decay ** np.arange(steps - at)) for at in range(0, steps, separation))",
                "Lengths of visits do not add up: smooth one row with all of them.",
            ),
            "one visit": ("step % separation", "step", "She comes more than once: at 0, separation, 2 separation, ..."),
        },
        cases=lambda rng: [(0.0, 7, 3), *((float(rng.uniform(0.3, 0.9)), steps, 3) for steps in (2, 7, 10))],
    ),
)
