"""Exercises of the lesson on membership."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from scipy.stats import norm

from privlab.classroom.exercises import Exercise


def lira_score(confidences, members, target, record):
    """Log-likelihood ratio of one record under model `target`; positive means "was a member".

    `confidences` and `members` (booleans) have shape (K, n); every model but the target is a shadow model.
    """
    shadow = np.arange(len(members)) != target
    ins = confidences[shadow & members[:, record], record]
    outs = confidences[shadow & ~members[:, record], record]
    phi = confidences[target, record]
    return norm.logpdf(phi, ins.mean(), ins.std(ddof=1)) - norm.logpdf(phi, outs.mean(), outs.std(ddof=1))


def shadows(rng):
    """Ten models, five with each record."""
    cases = []
    for _ in range(3):
        members = rng.permuted(np.arange(10)[:, None] < np.full(3, 5), axis=0)
        confidences = rng.normal(2.0 * members, 1 + members)
        cases.append((confidences, members, int(rng.integers(10)), int(rng.integers(3))))
    return cases


def tpr_at(scores, members, fpr):
    """Best true-positive rate of any threshold with at most `fpr` false positives.

    `scores` and `members` (booleans) are flat arrays of one length, with at least one of each kind.
    """
    best = 0.0  # a threshold above all scores accuses nobody
    for t in np.unique(scores):
        accused = scores >= t
        if accused[~members].mean() <= fpr:
            best = max(best, accused[members].mean())
    return best


def tied(rng):
    """Whole scores, so that many are equal, and rates that are shares of the innocents; and a tie of all."""
    cases = [(np.zeros(8), abs(np.arange(8) - 3.5) < 2, 0.5)]
    for accused in 4 * (0, 1, 2, 5, 7, 18):
        members = rng.permutation(30) < 12
        cases.append((np.round(rng.normal(3.0 * members, 2)), members, accused / 18))
    return cases


EXERCISES = (
    Exercise(
        "09.a",
        "LiRA for any record",
        lira_score,
        [
            "A boolean array of length K picks the shadow models: all but `target`.",
            "Combine it with `members[:, record]` for IN and with its opposite for OUT; each has its own mean and deviation.",
        ],
        {
            "own shadow": ("!= target", ">= 0", "The target is among its own shadow models: leave it out."),
            "sign": (
                "return norm",
                "return -norm",
                "The sign is wrong: members must score high, so take IN minus OUT.",
            ),
            "one deviation": (
                "outs.mean(), outs.std(ddof=1)",
                "outs.mean(), ins.std(ddof=1)",
                "One deviation for IN and OUT: each group has its own.",
            ),
            "pooled": (
                "ins.mean(), ins.std(ddof=1)) - norm.logpdf(phi, outs.mean(), outs.std(ddof=1))",
                "ins.mean(), (s := np.std([*ins, *outs], ddof=1))) - norm.logpdf(phi, outs.mean(), s)",
                "One deviation of IN and OUT together: the gap counts as spread.",
            ),
            "all records": (
                "ins.mean(), ins.std(ddof=1)) - norm.logpdf(phi, outs.mean(), outs.std(ddof=1))",
                "ins.mean(), (s := confidences[shadow].std(ddof=1))) - norm.logpdf(phi, outs.mean(), s)",
                "One deviation for all records: their differences count as spread.",
            ),
            "variance": ("std(ddof", "var(ddof", "norm.logpdf wants the standard deviation, not the variance."),
            "ddof": ("ddof=1", "ddof=0", "So few models: divide by n - 1, that is ddof=1."),
            "offline": (
                "norm.logpdf(phi, ins.mean(), ins.std(ddof=1)) - norm.logpdf(phi, outs.mean(), outs.std(ddof=1))",
                "(phi - outs.mean()) / outs.std(ddof=1)",
                "That is the offline score: use the IN bell too.",
            ),
        },
        cases=shadows,
    ),
    Exercise(
        "09.b",
        "true positives, ties and all",
        tpr_at,
        [
            "Only the values that occur need trying as thresholds.",
            "For each take two means of `scores >= t`: over the members, and over the others.",
        ],
        {
            "strictly less": ("<= fpr", "< fpr", "At most `fpr` may be accused, not less than: use <=."),
            "of all": (
                "accused[members].mean()",
                "(accused & members).mean()",
                "You divide by all records: the tpr is a share of the members.",
            ),
            "no limit": (
                "accused[~members].mean() <= fpr",
                "True",
                "Every threshold counts for you: keep those that accuse at most fpr of the innocents.",
            ),
            "ties": (
                "accused[~members].mean() <=",
                "(scores > t)[~members].mean() <=",
                "You count members that tie with an innocent: equal scores are accused together.",
            ),
            "from below": (
                "scores >= t",
                "scores <= t",
                "You accuse low scores: members score high, so accuse at or above the threshold.",
            ),
            "line": (
                "return best",
                "tries = [scores >= t for t in np.unique(scores)[::-1]]\n"
                "    return np.interp(fpr, *([0, *(a[who].mean() for a in tries)] for who in (~members, members)))",
                "You draw a line through a tie: equal scores are accused together, or not at all.",
            ),
            "parted": (
                "for t in np.unique(scores):\n        accused = scores >= t",
                "for t in range(len(scores)):\n        accused = np.argsort(np.argsort(-scores, kind='stable')) <= t",
                "You part equal scores, by the order of their rows: a threshold accuses them together.",
            ),
            "limit on all": (
                "accused[~members].mean()",
                "accused.mean()",
                "You limit the share of all who are accused: it is a share of the innocents.",
            ),
        },
        cases=tied,
    ),
)
