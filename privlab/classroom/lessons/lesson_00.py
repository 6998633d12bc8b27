"""Exercise of the first notebook."""

# mypy: allow-untyped-defs

import numpy as np

from privlab.classroom.exercises import Exercise


def precision(scores, members, threshold):
    """Share of members among the pages with a score above the threshold.

    `scores` and `members` (booleans) are arrays of one shape; at least one score is above the threshold.
    """
    return np.mean(members[scores > threshold])


def cases(rng):
    """Scores with ties at the threshold; as many innocents as members among the accused would hide mistakes."""
    scores = np.repeat(np.arange(7.0), [3, 4, 2, 4, 3, 5, 2])
    return [(scores, rng.random(23) < 0.7, float(threshold)) for threshold in rng.integers(1, 6, 20)]


EXERCISES = (
    Exercise(
        "00.a",
        "how sure is an accusation?",
        precision,
        [
            "`scores > threshold` says who is accused.",
            "The mean of booleans is a share: of `members`, at those places.",
        ],
        {
            "recall": (
                "np.mean(members[scores > threshold])",
                "(members & (scores > threshold)).sum() / members.sum()",
                "You divide by all members, which is the tpr: divide by the accused pages.",
            ),
            "of all": (
                "members[scores > threshold]",
                "members & (scores > threshold)",
                "You divide by all pages: divide by the accused pages only.",
            ),
            "ties": (">", ">=", "A score equal to the threshold is not accused: use >, not >=."),
            "innocents": ("members[", "~members[", "That is the share of innocents: you want the members."),
            "no mean": ("np.mean", "", "One number is wanted, not an array: take the mean."),
        },
        cases=cases,
    ),
)
