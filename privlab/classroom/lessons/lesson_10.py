"""Exercises of the lesson on gradients and canaries."""

# mypy: allow-untyped-defs

import numpy as np

from privlab.classroom.exercises import Exercise


def read_message(gradient):
    """Return the page, of shape (d,), and its label, an int, from the gradient of one record."""
    dW, db = gradient["dense_1.weight"], gradient["dense_1.bias"]
    return dW @ db / (db @ db), int(gradient["dense_2.bias"].argmin())


def messages(rng):
    """One unit rests, one hardly moves, and the wire rounds: only least squares over all units is right."""
    cases = []
    for label in (0, 2, 1):
        page, errors = rng.uniform(0.1, 1, 4), np.array([0.0, 2e-3, *rng.uniform(0.1, 0.5, 3) * [1, -1, 1]])
        outer = np.outer(page, errors) + 1e-3 * rng.uniform(-1, 1, (4, 5))
        last = rng.dirichlet(np.ones(3)) - (np.arange(3) == label)
        hidden = {"dense_1.weight": outer, "dense_1.bias": errors}
        cases.append((hidden | {"dense_2.weight": np.outer(errors, last), "dense_2.bias": last},))
    return cases


def exposure_bits(loss, others):
    """Exposure in bits of a secret with this loss, where `others` are the losses of all other candidates."""
    rank = 1 + np.count_nonzero(np.asarray(others) <= loss)
    return np.log2(len(others) + 1) - np.log2(rank)


def candidates(rng):
    """Losses on a grid, so that some tie with the secret's; and a secret that beats them all."""
    others = rng.integers(0, 8, (4, 15)) / 2.0
    return [(1.5, [*each.tolist(), 1.5]) for each in others] + [(-1.0, others[0].tolist())]


EXERCISES = (
    Exercise(
        "10.a",
        "read a message",
        read_message,
        [
            "Page: weights and bias of `dense_1`; put all units together with `@`.",
            "Label: the bias of `dense_2` is negative at the true class only.",
        ],
        {
            "too dark": ("dW @ db / (db @ db)", "dW @ db", "The page is too dark by |db|²: divide by db @ db."),
            "one root": (
                "(db @ db)",
                "np.sqrt(db @ db)",
                "You divide by |db|, but db is in it twice: divide by its square.",
            ),
            "sums": (
                "dW @ db / (db @ db)",
                "dW.sum(1) / db.sum()",
                "You add up units of opposite sign: their errors cancel, rounding does not.",
            ),
            "quotients": (
                "dW @ db / (db @ db)",
                "(dW / db).mean(1)",
                "You divide by each unit's error: one rests (0 / 0), one is all rounding. Weigh by db.",
            ),
            "one unit": ("dW @ db / (db @ db)", "dW[:, 1] / db[1]", "You trust one unit, which hardly moves. Use all."),
            "largest": ("argmin", "argmax", "p - y is negative at the true class: take the smallest, not the largest."),
        },
        cases=messages,
    ),
    Exercise(
        "10.b",
        "exposure",
        exposure_bits,
        ["A likely secret has a **small** loss.", "`others` does not hold the secret itself, but R and the rank do."],
        {
            "rank": (
                "np.log2(len(others) + 1) - np.log2(rank)",
                "rank",
                "That is the rank. Exposure is log2 of all candidates minus log2 of it.",
            ),
            "sign": (
                "np.log2(len(others) + 1) - np.log2(rank)",
                "np.log2(rank) - np.log2(len(others) + 1)",
                "The sign is wrong: rank 1 has the largest exposure.",
            ),
            "nats": ("np.log2", "np.log", "Natural logarithms: bits need log2."),
            "ties": ("<= loss", "< loss", "Ties rank before the secret: <=, not <."),
            "larger": (
                "<= loss",
                ">= loss",
                "You count the candidates with a larger loss: a small loss is a likely secret.",
            ),
            "from 0": ("1 + np.count", "np.count", "The rank starts at 1: count the secret itself."),
            "without": ("len(others) + 1", "len(others)", "R holds the secret, too: one more than the others."),
        },
        cases=candidates,
    ),
)
