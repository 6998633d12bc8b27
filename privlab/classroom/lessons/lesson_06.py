"""Exercises of the lesson on secret masks."""

# mypy: allow-untyped-defs

import numpy as np
from scipy.stats import chisquare

from privlab.classroom.exercises import Exercise


def masked_row(i, q, masks):
    """Clinic i's numbers under its masks, uint32 of shape (d,); q stays as it is.

    masks: dict from each other clinic's number j to the uint32 mask, shape (d,), that i and j share.
    """
    row = q.copy()
    for j, shared in masks.items():
        row = row + shared if j > i else row - shared
    return row


def check_masked_row(mine, rng):
    """The rows add up, and each alone is flat: chi-square of its four bytes, p below 1e-9 in 40,000 numbers."""
    clinics, d = 4, 40_000
    masks = {frozenset((i, j)): rng.integers(0, 2**32, d, dtype=np.uint32) for i in range(clinics) for j in range(i)}
    of = [{j: masks[frozenset((i, j))] for j in range(clinics) if j != i} for i in range(clinics)]
    plain = rng.integers(0, 1000, (clinics, 1), dtype=np.uint32) + np.zeros(d, np.uint32)
    given = plain.copy()
    rows = [mine(i, given[i], of[i]) for i in range(clinics)]
    yield not np.array_equal(given, plain), "You changed q itself, which the clinic still needs: start from q.copy()."
    yield (
        any(np.asarray(row).dtype != np.uint32 for row in rows),
        "You left the ring: add and subtract uint32 arrays only.",
    )
    bare = [i for i in range(clinics) if np.array_equal(rows[i], plain[i])]
    yield bare, f"Clinic {bare} sends its numbers bare. Every pair has two ends: one adds, the other subtracts."
    total, wanted, twice = sum(rows), plain.sum(0, dtype=np.uint32), 2 * sum(masks.values())
    both = np.array_equal(total, wanted + twice) or np.array_equal(total, wanted - twice)
    yield both, "Both ends do the same, so each mask counts twice: let one of them subtract."
    yield not np.array_equal(total, wanted), "The masks do not cancel: is every j in masks used, with a sign?"
    for i, row in enumerate(rows):
        flat = min(
            chisquare(np.bincount(byte, minlength=256)).pvalue
            for byte in np.ascontiguousarray(row).view(np.uint8).reshape(-1, 4).T
        )
        yield flat < 1e-9, f"The row of clinic {i} alone is not flat, it shows something of q: use the whole mask."


def recover(points, p):
    """The secret, a whole number from 0 to p - 1: value at 0 of the polynomial through points, a dict from x to y."""
    secret = 0
    for i, y in points.items():
        weight = 1
        for j in points:
            if j != i:
                weight = weight * j * pow(j - i, -1, p) % p
        secret += y * weight
    return secret % p


def curves(rng):
    """Four points each, so three factors a weight: a wrong sign shows; far apart, so that hardly a weight is whole."""
    p = 2**31 - 1
    return [
        ({int(x): int(y) for x, y in zip(rng.permutation(40)[:4] + 1, rng.integers(0, p, 4), strict=True)}, p)
        for _ in range(3)
    ]


EXERCISES = (
    Exercise(
        "06.a",
        "masks that cancel",
        masked_row,
        [
            "Of each pair, one adds and the other subtracts.",
            "Both must know who does which without asking: their numbers decide.",
        ],
        {
            "all add": ("row + shared if j > i else row - shared", "row + shared", "Both ends do the same"),
            "one end": ("row - shared", "row", "sends its numbers bare"),
            "in place": (
                "row = row + shared if j > i else row - shared\n    return row",
                "q += shared if j > i else -shared\n    return q",
                "You changed q itself",
            ),
            "half the mask": (
                "for j, shared in masks.items():",
                "for j, shared in masks.items():\n        shared = shared >> 16",
                "not flat",
            ),
            "left the ring": ("q.copy()", "q.astype(float)", "You left the ring"),
        },
        check=check_masked_row,
    ),
    Exercise(
        "06.b",
        "any three of five",
        recover,
        ["There is no dividing modulo p: multiply by the inverse, `pow(a, -1, p)`.", "`pow` takes negative `a`, too."],
        {
            "x of its own": (
                "weight * j *",
                "weight * i *",
                "Above the line stands x_j, that of the *other* point, not x_i.",
            ),
            "sign": ("pow(j - i,", "pow(i - j,", "The sign is off: below the line stands x_j - x_i, for each j."),
            "one above": ("weight * j *", "weight *", "Above the line stands x_j, not 1."),
            "fractions": (
                "j * pow(j - i, -1, p) % p",
                "j / (j - i)",
                "You divided with /: fractions do not wrap. Multiply by pow(a, -1, p).",
            ),
            "rounded": (
                "j * pow(j - i, -1, p) % p",
                "j // (j - i)",
                "You divided with //: that rounds. Multiply by pow(a, -1, p).",
            ),
            "own point": (
                "if j != i:",
                "if True:",
                "0 has no inverse: leave j = i out of the product.",
            ),
            "not reduced": ("return secret % p", "return secret", "Reduce the whole sum modulo p at the end."),
        },
        cases=curves,
    ),
)
