"""Exercises of the lesson on sharded training."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from privlab.classroom.exercises import Exercise
from privlab.sharding import schedule


def average(models, sizes):
    """Mean of `models`, dicts of arrays with the same names, weighted by their numbers of records `sizes`."""
    shares = np.array(sizes) / sum(sizes)
    return {name: sum(share * model[name] for share, model in zip(shares, models, strict=True)) for name in models[0]}


def branches(rng):
    def model():
        return {"w": rng.standard_normal((2, 3)), "b": rng.standard_normal(2)}

    return [([model() for _ in range(k)], (rng.permutation(20)[:k] + 1).tolist()) for k in (2, 3, 5)]


def least_time(durations, workers):
    """A time before which no schedule of tasks of these durations on so many equal workers can end."""
    return max(sum(durations) / workers, max(durations))


def check_least_time(mine, rng):
    """Makespans of real schedules on fresh cases, even ones and some with a giant."""
    for giant in (1, 1, 8, 8, 8):
        durations, workers = rng.uniform(1, 2, int(rng.integers(7, 12))), int(rng.integers(2, 5))
        durations[0] *= giant
        tasks, bound = durations.tolist(), mine(durations.tolist(), workers)
        ends = schedule(tasks, workers, "longest-first").makespan
        busy, longest = sum(tasks) / workers, max(tasks)
        case = f"For {np.round(tasks, 1).tolist()} on {workers} workers"
        yield np.isclose(bound, sum(tasks)), "You forget that the workers share the tasks."
        yield np.isclose(bound, busy + longest), "You add the two reasons: the later one counts."
        yield bound > ends * (1 + 1e-12), f"{case} you say {bound:.2f}, but longest-first ends at {ends:.2f}."
        yield busy < longest and np.isclose(bound, busy), "The giant task cannot be cut: no number of workers helps."
        yield longest < busy and np.isclose(bound, longest), "All workers together need longer than the longest task."
        yield (
            not np.isclose(bound, max(busy, longest)),
            f"{case} nothing ends before {max(busy, longest):.2f}, you say {bound:.2f}.",
        )


def page_from(weight, bias):
    """Pixels, shape (64,), and digit of the one record whose gradients are `weight` (64, 10) and `bias` (10,)."""
    best = np.argmax(np.abs(bias))
    return weight[:, best] / bias[best], np.argmin(bias)


def gradients(rng):
    """Some errors are 0, as of a model that is sure, also the first and the last; and the page is one of several."""
    pairs = []
    for digit in rng.integers(1, 9, 3):
        errors = rng.uniform(0.1, 1, 10) * (rng.permutation(10) < 6)
        errors[[0, digit, 9]] = 0
        errors[digit] = -errors.sum()
        pairs.append((0.01 * np.outer(rng.uniform(0.1, 1, 64), errors), 0.01 * errors))
    return pairs


EXERCISES = (
    Exercise(
        "07.a",
        "average models",
        average,
        [
            "A model is a dict of arrays: give back a new dict with the same names.",
            "A branch of twice the size counts twice; all shares add up to 1.",
        ],
        {
            "plain mean": (
                "np.array(sizes) / sum(sizes)",
                "np.ones(len(sizes)) / len(sizes)",
                "That is the plain mean: larger branches count more.",
            ),
            "sum": (
                "np.array(sizes) / sum(sizes)",
                "np.ones(len(sizes))",
                "You only add. Multiply each model by its share of the records.",
            ),
            "not divided": (" / sum(sizes)", "", "You weight by the sizes, but do not divide by their sum."),
            "by branches": (
                "/ sum(sizes)",
                "/ len(sizes)",
                "You divide by the number of branches: divide by the number of records.",
            ),
            "wrong way round": (
                "np.array(sizes) / sum(sizes)",
                "np.array(sizes)[::-1] / sum(sizes)",
                "The sizes are the wrong way round: each model goes with its own.",
            ),
            "inverse": (
                "np.array(sizes) / sum(sizes)",
                "(1 / np.array(sizes)) / sum(1 / np.array(sizes))",
                "Small branches get the larger shares: weight by size, not by its inverse.",
            ),
            "list": (
                "{name: sum(share * model[name] for share, model in zip(shares, models, strict=True)) for name in models[0]}",
                "[sum(share * model[name] for share, model in zip(shares, models, strict=True)) for name in models[0]]",
                "A dict with the names of the models is wanted, not a list.",
            ),
            "first array": (
                "for name in models[0]",
                "for name in ['w']",
                "Some arrays are missing: average every name of the models.",
            ),
        },
        cases=branches,
    ),
    Exercise(
        "07.b",
        "what no schedule beats",
        least_time,
        ["Could all workers be busy all the time? Then divide.", "Can a task be cut in two? Here it cannot."],
        {
            "one worker": (
                "sum(durations) / workers",
                "sum(durations)",
                "You forget that the workers share the tasks.",
            ),
            "cut tasks": (", max(durations)", ", 0", "The giant task cannot be cut"),
            "longest alone": ("sum(durations) / workers", "0", "All workers together need longer"),
            "added": (
                "max(sum(durations) / workers, max(durations))",
                "sum(durations) / workers + max(durations)",
                "You add the two reasons",
            ),
        },
        check=check_least_time,
    ),
    Exercise(
        "07.c",
        "take the page off the gradient",
        page_from,
        [
            "Column c of the weight gradient is the page times `bias[c]`.",
            "Divide; but choose a column in which `bias[c]` is far from 0. Only the true digit has a negative error.",
        ],
        {
            "last column": (
                "best = np.argmax(np.abs(bias))",
                "best = -1",
                "You divide by 0: choose the column whose bias gradient is largest in size.",
            ),
            "sign": ("/ bias[best]", "/ abs(bias[best])", "You have the negative: divide by bias[c] with its sign."),
            "pixels only": (", np.argmin(bias)", "", "Two things are wanted: return pixels, digit."),
            "whole matrix": (
                "weight[:, best] / bias[best]",
                "weight / bias",
                "The pixels have shape (64, 10), not (64,): take one column.",
            ),
            "not divided": (" / bias[best]", "", "Right up to a factor: divide by bias[c]."),
            "wrong digit": (
                "np.argmin(bias)",
                "np.argmax(bias)",
                "The largest error belongs to the digit the model believes in, not to the true one.",
            ),
        },
        cases=gradients,
    ),
)
