"""Exercises of the lesson on red team and blue team."""

# mypy: allow-untyped-defs

import numpy as np
from scipy.stats import beta

from privlab.classroom.exercises import Exercise


def proven(hits, alarms, trials, delta):
    """Lower bound on epsilon, at least 0, with 95 % confidence; the event happened in so many of `trials` runs."""
    p_low = beta.ppf(0.025, hits, trials - hits + 1) if hits else 0.0
    q_high = beta.ppf(0.975, alarms + 1, trials - alarms) if alarms < trials else 1.0
    return np.log((p_low - delta) / q_high) if p_low - delta > q_high else 0.0


def counts(rng):
    """Clear events, and the edges: no hits, alarms always, more alarms than hits."""
    clear = [(int(60 + rng.integers(30)), int(rng.integers(9)), 100, 0.1) for _ in range(3)]
    return [*clear, (0, 3, 100, 0.0), (100, 100, 100, 0.0), (20, 30, 100, 0.0)]


def guess_coins(moved, F, s):
    """Scores (models, n), above 0 for "in". `moved` is (models, d), `F` (n, d); `s`: deviation of the noise per coordinate."""
    return np.linalg.solve(F @ F.T + 4 * s**2 * np.eye(len(F)), F @ moved.T).T


def footprints(rng):
    F, s = rng.standard_normal((30, 45)), float(rng.uniform(2, 4))
    coins = rng.random((2, 30)) < 0.5
    return [((coins - 0.5) @ F + s * rng.standard_normal((2, 45)), F, s)]


ENDS = (
    "p_low = beta.ppf(0.025, hits, trials - hits + 1) if hits else 0.0\n"
    "    q_high = beta.ppf(0.975, alarms + 1, trials - alarms) if alarms < trials else 1.0"
)

BOUND = "np.log((p_low - delta) / q_high)"
GUARDED = f"{BOUND} if p_low - delta > q_high else 0.0"

EXERCISES = (
    Exercise(
        "12.a",
        "a bound from counts",
        proven,
        [
            "Take the least p and the largest q that you can vouch for.",
            "`beta.ppf` is not defined for 0 hits nor for alarms in all runs.",
        ],
        {
            "frequencies": (
                ENDS,
                "p_low = hits / trials\n    q_high = max(alarms, 1e-9) / trials",
                "These are frequencies. Take the ends of the intervals, which you can vouch for.",
            ),
            "one tail": (
                ENDS,
                ENDS.replace("0.025", "0.05").replace("0.975", "0.95"),
                "Two statements share the 5 %: each tail gets 2.5 %.",
            ),
            "no delta": ("p_low - delta", "p_low", "Delta is missing: that much probability is given away for free."),
            "decimal": ("np.log(", "np.log10(", "Epsilon is in nats: the natural logarithm."),
            "a ratio": ("np.log(", "(", "That is the ratio. Epsilon is its logarithm."),
            "below 0": (
                " if p_low - delta > q_high else 0.0",
                "",
                "The bound is never below 0, and 0 where the logarithm is undefined.",
            ),
            "no edges": (
                f"{ENDS}\n    return {GUARDED}",
                f"{ENDS.replace(' if hits else 0.0', '').replace(' if alarms < trials else 1.0', '')}\n    return {BOUND}",
                "NaN: with no hits the lower end is 0, with alarms in all runs the upper end is 1, and the bound is 0.",
            ),
            "far ends": (
                ENDS,
                ENDS.replace("0.025", "near").replace("0.975", "0.025").replace("near", "0.975"),
                "You took the far ends: p must be the least, q the most.",
            ),
            "sides": (
                ENDS,
                ENDS.replace("hits", "runs").replace("alarms", "hits").replace("runs", "alarms"),
                "Did you exchange the sides? Hits belong to p, alarms to q.",
            ),
        },
        cases=counts,
    ),
    Exercise(
        "12.b",
        "solve for the coins",
        guess_coins,
        [
            "`F @ moved.T` has shape (n, models): one right-hand side for each model.",
            "`np.linalg.solve` takes them all at once. Give back (models, n).",
        ],
        {
            "projects": (
                "np.linalg.solve(F @ F.T + 4 * s**2 * np.eye(len(F)), F @ moved.T)",
                "(F @ moved.T)",
                "You only project. Footprints overlap: solve for all coins together.",
            ),
            "no ridge": (" + 4 * s**2 * np.eye(len(F))", "", "You ignore the noise: without the ridge it is blown up."),
            "no 4": ("4 * s**2", "s**2", "The factor 4 is missing: a coin less 1/2 has variance 1/4."),
            "no square": ("s**2", "s", "s is a deviation: square it."),
            "sign": ("F @ moved.T).T", "F @ -moved.T).T", "The sign is wrong: members must score high."),
            "verdicts": (
                "moved.T).T",
                "moved.T).T > 0",
                "Give back scores, not verdicts: the referee sets the threshold.",
            ),
            "not turned": ("F @ moved.T).T", "F @ moved.T)", "The scores must be (models, n): transpose them."),
        },
        cases=footprints,
    ),
)
