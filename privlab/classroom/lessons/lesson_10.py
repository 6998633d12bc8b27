"""Exercises of the lesson on gradients and canaries."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from privlab.classroom.exercises import Exercise


def read_message(gradient):
    """Return the page, of shape (d,), and its label, an int, from the gradient of one record."""
    dW, db = gradient["dense_1.weight"], gradient["dense_1.bias"]
    return dW @ db / (db @ db), int(gradient["dense_2.bias"].argmin())


def message(rng, label):
    """One unit rests, one hardly moves, and the wire rounds: only least squares over all units is right."""
    page, errors = rng.uniform(0.1, 0.9, 4), np.array([0.0, 2e-3, *rng.uniform(0.1, 0.5, 3) * [1, -1, 1]])
    outer = np.outer(page, errors) + 1e-3 * rng.uniform(-1, 1, (4, 5))
    last = rng.dirichlet(np.ones(3)) - (np.arange(3) == label)
    hidden = {"dense_1.weight": outer, "dense_1.bias": errors}
    return hidden | {"dense_2.weight": np.outer(errors, last), "dense_2.bias": last}


def check_message(mine, rng):
    """The page's shape, the page, then the label: an answer may get several of them wrong."""
    for label in (0, 2, 1):
        given = message(rng, label)
        dW, db = given["dense_1.weight"], given["dense_1.bias"]
        answer = mine({name: array.copy() for name, array in given.items()})
        yield not (isinstance(answer, tuple | list) and len(answer) == 2), "Return two things: the page and the label."
        page, digit = np.asarray(answer[0]), answer[1]
        yield page.shape == (3,), "That has one number per class: you read the last layer. Pixels enter the first."
        yield page.shape == (5,), "One number per unit. Pixels are the rows of the first layer's weights."
        yield (
            page.shape != (4,),
            f"The page has shape (4,), one number per pixel, not {page.shape}: sum over the units.",
        )
        yield not np.isfinite(page).all(), "You divide by each unit's error. One unit is at rest: 0 / 0."
        largest = abs(db).argmax()
        for wrong, mistake in (
            (dW @ db, "The page is too dark by |db|²: divide by db @ db."),
            (dW @ db / np.linalg.norm(db), "You divide by |db|, but db is in it twice: divide by its square."),
            (dW.sum(1) / db.sum(), "You add up units of opposite sign: their errors cancel, rounding does not."),
            (
                (dW[:, 1:] / db[1:]).mean(1),
                "A mean of quotients: the unit that hardly moves is all rounding. Weigh by db.",
            ),
            (dW[:, 1] / db[1], "You trust one unit, which hardly moves. Use all."),
            (dW[:, largest] / db[largest], "One unit, even the largest, keeps its rounding: use all units."),
        ):
            yield np.allclose(page, wrong), mistake
        yield (
            not np.allclose(page, dW @ db / (db @ db)),
            "Not the least-squares page: use all units, each by its error.",
        )
        yield (
            digit == given["dense_2.bias"].argmax(),
            "p - y is negative at the true class: take the smallest, not the largest.",
        )
        yield digit != label, f"The label is {label}, not {digit}."


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
            "too dark": ("dW @ db / (db @ db)", "dW @ db", "divide by db @ db"),
            "one root": ("(db @ db)", "np.sqrt(db @ db)", "divide by its square"),
            "sums": ("dW @ db / (db @ db)", "dW.sum(1) / db.sum()", "units of opposite sign"),
            "quotients": ("dW @ db / (db @ db)", "(dW / db).mean(1)", "One unit is at rest: 0 / 0."),
            "moving units": ("dW @ db / (db @ db)", "(dW[:, db != 0] / db[db != 0]).mean(1)", "A mean of quotients"),
            "one unit": ("dW @ db / (db @ db)", "dW[:, 1] / db[1]", "You trust one unit"),
            "largest unit": (
                "dW @ db / (db @ db)",
                "dW[:, (k := abs(db).argmax())] / db[k]",
                "One unit, even the largest",
            ),
            "median": (
                "dW @ db / (db @ db)",
                "np.median(dW[:, db != 0] / db[db != 0], axis=1)",
                "Not the least-squares page",
            ),
            "last bias": ("dW @ db / (db @ db)", 'gradient["dense_2.bias"]', "you read the last layer"),
            "columns": ("dW @ db / (db @ db)", "dW.sum(0) / 4", "One number per unit."),
            "all quotients": ("dW @ db / (db @ db)", "dW / db", "sum over the units"),
            "page only": (', int(gradient["dense_2.bias"].argmin())', "", "Return two things: the page and the label."),
            "largest": ("argmin", "argmax", "take the smallest, not the largest"),
            "nearest 0": (
                'gradient["dense_2.bias"].argmin()',
                'abs(gradient["dense_2.bias"]).argmin()',
                "The label is",
            ),
        },
        check=check_message,
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
            "its logarithm": (
                "np.log2(len(others) + 1) - np.log2(rank)",
                "np.log2(rank)",
                "That is log2 of the rank: subtract it from log2 of all candidates.",
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
            "strictly larger": (
                "<= loss",
                "> loss",
                "You count the candidates that are less likely: a small loss is a likely secret.",
            ),
            "from 0": ("1 + np.count", "np.count", "The rank starts at 1: count the secret itself."),
            "from 0, divided": (
                "rank = 1 + np.count_nonzero(np.asarray(others) <= loss)\n    return np.log2(len(others) + 1) - np.log2(rank)",
                "return np.log2((len(others) + 1) / sum(other <= loss for other in others))",
                "The rank starts at 1: the secret itself is among the candidates.",
            ),
            "without": ("len(others) + 1", "len(others)", "R holds the secret, too: one more than the others."),
            "without it twice": (
                "1 + np.count_nonzero(np.asarray(others) <= loss)\n    return np.log2(len(others) + 1)",
                "np.count_nonzero(np.asarray(others) <= loss)\n    return np.log2(len(others))",
                "Count the secret itself, in R and in the rank.",
            ),
        },
        cases=candidates,
    ),
)
