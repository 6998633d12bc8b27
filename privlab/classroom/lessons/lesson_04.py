"""Exercises of the lesson on noise masks."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from privlab.classroom.auditing import leak
from privlab.classroom.exercises import Exercise


def sensitivity(query, low, high):
    """Largest change of the query when one record is added or removed.

    query: "sum" or "mean" of one value or more (before and after the change), each clipped to [low, high].
    """
    if query == "sum":
        return max(abs(low), abs(high))
    return (high - low) / 2  # from one record at one end to two, one at each end


def ranges(rng):
    low = rng.integers(5, 20, 4).tolist()
    sums = [("sum", at, at + 4) for at in low] + [("sum", -at - 20, at) for at in low]
    return sums + [("mean", at, at + 4) for at in low]


def private_sum_and_count(values, low, high, epsilon, rng):
    """Noisy sum of the clipped values and noisy number of values, ε-differentially private together."""
    half = epsilon / 2
    total = np.clip(values, low, high).sum() + rng.laplace(scale=sensitivity("sum", low, high) / half)
    number = len(values) + rng.laplace(scale=1 / half)
    return total, number


def check_private_sum_and_count(mine, rng):
    """Audit, then accuracy. A right answer is refused less often than once in 100,000: 1e-6 by the audit, the rest by medians and
    spreads of 4,000 draws that may be off by seven standard errors or more.
    """
    low, epsilon, trials = int(rng.integers(10, 20)), 1.0, 4000
    high = low + 5
    values = np.append(rng.uniform(low, high, 4), 3.0 * high)
    exact = np.array([np.clip(values, low, high).sum(), 5])
    draws = np.array([mine(values, low, high, epsilon, rng) for _ in range(trials)], dtype=float)
    yield draws.shape != (trials, 2), "Two numbers are wanted: return total, number."
    yield not np.ptp(draws, axis=0).all(), "Some answer is always the same: both need noise, drawn from rng."
    middle, spread = np.median(draws, axis=0), np.abs(draws - exact).mean(axis=0) / [2 * high, 2]
    unclipped = middle[0] - exact[0] > high
    yield unclipped, f"Clip: the {3 * high} in the data counts in full; one record could bring any value."

    def lower(data, rng):  # what is computed from private answers stays private: the one that is further below
        return np.min((mine(data, low, high, epsilon, rng) - exact) / [high, 1])

    found = leak(lower, (values, np.append(values, high * 9.0)), epsilon, rng)
    yield abs(np.corrcoef(draws.T)[0, 1]) > 0.15, f"{found} Both answers wear the same noise: subtract, and it is gone."
    yield found and (abs(spread - 0.5) < 0.06).all(), f"{found} Two answers at ε each spend 2ε: give each ε/2."
    yield found and spread[0] < 0.7 < spread[1], f"{found} By how much does a whole record change the *sum*?"
    yield found and spread[1] < 0.7 < spread[0], f"{found} The count needs noise of scale 1 over ε/2."
    yield found, f"{found} Is each scale the sensitivity over ε/2?"
    yield (
        (abs(middle - exact) > [0.25 * 2 * high, 0.5]).any(),
        f"The exact answers are {exact.round(1)}, not {middle.round(1)}.",
    )
    yield (spread < 0.88).any(), f"Too little noise: {spread.round(2)} of what ε asks for. Is each scale Δ over ε/2?"
    yield (spread > 1.12).any(), f"Too much noise: {spread.round(2)} times what ε asks for."


def sensitivity_on_grid(l2_sensitivity, grid, d):
    """Bound on the Euclidean distance between d rounded answers of neighbours; each is rounded to a multiple of grid."""
    return l2_sensitivity + grid * np.sqrt(d)


EXERCISES = (
    Exercise(
        "04.a",
        "sensitivity of a sum and of a mean",
        sensitivity,
        [
            "A sum changes by the value of the record that comes.",
            "Which mean does one record move most: that of many values, or of one?",
        ],
        {
            "replaced": (
                "max(abs(low), abs(high))",
                "high - low",
                "high - low is what *replacing* a record changes. Here a whole value comes or goes.",
            ),
            "sign": ("max(abs(low), abs(high))", "high", "A negative record counts, too: its size, not its sign."),
            "whole range": (
                "(high - low) / 2",
                "high - low",
                "The mean of one record at low is low. What is it after one at high?",
            ),
            "the sum's": (
                "(high - low) / 2",
                "max(abs(low), abs(high))",
                "That is the sum's. How far can a *mean* move?",
            ),
            "divided": (
                "(high - low) / 2",
                "(high - low) / 1000",
                "You divide by the number of patients: it is secret, and may be 1.",
            ),
        },
        cases=ranges,
    ),
    Exercise(
        "04.b",
        "a private sum and count",
        private_sum_and_count,
        [
            "If each answer spends ε/2, both together spend ε.",
            "What is the sensitivity of the clipped sum, what that of the count?",
        ],
        {
            "half of the noise": ("epsilon / 2", "epsilon", "you claimed 1. Two answers at ε each spend 2ε"),
            "not clipped": ("np.clip(values, low, high)", "values", "Clip: the"),
            "range": ('sensitivity("sum", low, high)', "(high - low)", "a whole record change the *sum*"),
            "count too sure": ("scale=1 / half", "scale=0.3 / half", "The count needs noise of scale 1"),
            "bare count": (" + rng.laplace(scale=1 / half)", "", "always the same"),
            "twice the noise": ("epsilon / 2", "epsilon / 4", "Too much noise"),
        },
        check=check_private_sum_and_count,
        note="I could not tell neighbours apart better than ε allows, which is no proof",
    ),
    Exercise(
        "04.c",
        "sensitivity after rounding",
        sensitivity_on_grid,
        [
            "0.4 and 0.6 are 0.2 apart. Round both to whole numbers.",
            "Each of the d numbers may move by half a step, in both answers: how long is that vector?",
        ],
        {
            "kept": (" + grid * np.sqrt(d)", "", "As if rounding kept distances: 0.49 and 0.51 become 0 and 1."),
            "half a step": ("grid *", "grid / 2 *", "Both answers are rounded, each by up to half a step."),
            "one number": ("np.sqrt(d)", "1", "That is one number; here d of them are rounded."),
            "times d": ("np.sqrt(d)", "d", "d changes of h each have length h times the root of d, not h times d."),
            "right angles": (
                "l2_sensitivity + grid * np.sqrt(d)",
                "np.sqrt(l2_sensitivity**2 + grid**2 * d)",
                "As if they stood at right angles: at worst both push the same way.",
            ),
        },
        cases=lambda rng: [(*rng.uniform(0.5, 2, 2).tolist(), int(d)) for d in rng.integers(2, 50, 5)],
    ),
)
