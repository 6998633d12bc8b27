"""Exercises of the lesson on two ways to leak."""

# mypy: allow-untyped-defs

import numpy as np

from privlab.classroom.exercises import Exercise


def label_counts(bias_gradient, pages):
    """How many of the pages show each digit: ten numbers, from the first message of a branch.

    `bias_gradient`, shape (10,), is summed over `pages` pages, at weights 0.
    """
    return pages / 10 - bias_gradient


def first_messages(rng):
    counts = rng.multinomial(40, np.full(10, 0.1), 3)
    return [(40 / 10 - count, 40) for count in counts]


def others_sum(old, new, own, pages, learning_rate):
    """Sum of the other branches' messages, an array like `old`.

    `old` and `new` are the parameters before and after the server's step, `own` is what this worker sent,
    `pages` is how many pages all branches had together.
    """
    return (old - new) * pages / learning_rate - own


def steps(rng):
    return [
        (*rng.standard_normal((3, 2, 4)), int(rng.integers(20, 90)), float(rng.uniform(0.1, 0.8))) for _ in range(3)
    ]


EXERCISES = (
    Exercise(
        "01.a",
        "count the labels",
        label_counts,
        ["If no page shows a 3, entry 3 is pages / 10.", "Each page that shows a 3 takes away 1."],
        {
            "no share": (
                "pages / 10 - bias_gradient",
                "-bias_gradient",
                "You forgot what the model says itself: 1/10 for each page.",
            ),
            "one page": ("pages / 10", "1 / 10", "You allow 1/10 in all: it is 1/10 for each of the pages."),
            "sign": (
                "pages / 10 - bias",
                "bias_gradient - pages / 10 + 0 * bias",
                "The sign is turned round: a page of a digit makes its entry smaller.",
            ),
            "shares": (
                "pages / 10 - bias_gradient",
                "(pages / 10 - bias_gradient) / pages",
                "These are shares: counts are wanted.",
            ),
            "as sent": ("pages / 10 - ", "0 + ", "That is the gradient itself: how many labels make it?"),
            "one a page": ("pages / 10", "pages", "The model says 1/10 for each page and digit, not 1."),
            "added": ("10 - bias", "10 + bias", "Mind the sign: what the model says, less the truth, is the gradient."),
        },
        cases=first_messages,
    ),
    Exercise(
        "01.b",
        "what the others sent",
        others_sum,
        ["Solve the equation for the sum over all branches first.", "Then take your own share away."],
        {
            "own inside": (" - own", "", "Your own message is still in it."),
            "sign": ("(old - new)", "(new - old)", "The server steps *down*: old minus new, not new minus old."),
            "a mean": ("* pages ", "", "The server divided by all pages: multiply by them."),
            "branches": ("* pages", "* 8", "The server divided by all pages, not by the eight branches."),
            "rate": ("/ learning_rate", "* learning_rate", "Divide by the learning rate, do not multiply."),
            "no rate": (" / learning_rate", "", "The step was shortened by the learning rate: divide by it."),
            "the step": (
                "(old - new) * pages / learning_rate",
                "old - new",
                "old - new is the step: the mean message times the learning rate, not yet the sum.",
            ),
            "both": (
                "(old - new) * pages / learning_rate - own",
                "(new - old) * pages / learning_rate",
                "Old minus new, for the server steps *down*; and take your own message away.",
            ),
            "added": ("- own", "+ own", "You added your own message: take it away."),
        },
        cases=steps,
    ),
)
