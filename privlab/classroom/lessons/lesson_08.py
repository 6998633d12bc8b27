"""Exercises of the lesson on uneven shards."""

# mypy: allow-untyped-defs

import numpy as np

from privlab.classroom.exercises import Exercise


def epsilon_of_pair(before, after, epsilons):
    """Bound on ε between two data sets cut into shards `before` and `after` (lists of sets of names)."""
    return sum(epsilon * len(a ^ b) for a, b, epsilon in zip(before, after, epsilons, strict=True))


def moves(rng):
    """One record leaves and some move; a shard that does not change has the largest ε."""
    cases = []
    for _ in range(3):
        before = [set(part.tolist()) for part in np.array_split(rng.permutation(20), 4)]
        after = [set(part) for part in before]
        after[0].pop()
        for _ in range(3):
            after[2].add(after[1].pop())
        after[1].add(after[2].pop())
        cases.append((before, after, [*rng.uniform(1, 2, 3).tolist(), 7.0]))
    return cases


def finish_first(durations, speeds):
    """Makespan if each task, longest first, goes to the worker who would finish it first."""
    free = np.zeros(len(speeds))
    for duration in sorted(durations, reverse=True):
        done = free + duration / np.array(speeds)
        free[np.argmin(done)] = done.min()
    return free.max()


def crews(rng):
    return [(rng.exponential(size=9).tolist(), [1.0] * k + [0.25]) for k in (1, 2, 3) for _ in range(8)]


EXERCISES = (
    Exercise(
        "08.a",
        "what does a pair cost?",
        epsilon_of_pair,
        [
            "Shards are sets, and `a ^ b` is their symmetric difference.",
            "A shard in which three records differ costs three times its ε.",
        ],
        {
            "every shard": (
                "epsilon * len(a ^ b)",
                "epsilon",
                "You add every shard's ε: shards that did not change cost nothing.",
            ),
            "largest": (
                "sum(epsilon * len(a ^ b) for",
                "max(epsilon * len(a ^ b) for",
                "You take the largest: a reader sees all of them.",
            ),
            "largest of all": (
                "sum(epsilon * len(a ^ b) for a, b, epsilon in zip(before, after, epsilons, strict=True))",
                "max(epsilons)",
                "That is the largest ε of all. The shard that has it did not change.",
            ),
            "largest changed": (
                "sum(epsilon * len(a ^ b) for a, b, epsilon in zip(before, after, epsilons, strict=True))",
                "max(epsilon for a, b, epsilon in zip(before, after, epsilons, strict=True) if a != b)",
                "That is the largest ε of the changed shards: add what all of them cost.",
            ),
            "once": (
                "len(a ^ b)",
                "(a != b)",
                "You count each changed shard once, whatever the number of records that differ.",
            ),
            "no price": (
                "epsilon * len(a ^ b)",
                "len(a ^ b)",
                "You count the records, but not what each costs: multiply by its shard's ε.",
            ),
            "left only": ("a ^ b", "a - b", "Records that left and records that came both count: a ^ b, not a - b."),
            "came only": ("a ^ b", "b - a", "You count only records that came: those that left count, too."),
            "sizes": (
                "len(a ^ b)",
                "abs(len(a) - len(b))",
                "You compare sizes: one record out and one in is a change of two.",
            ),
        },
        cases=moves,
    ),
    Exercise(
        "08.b",
        "ask who would finish first",
        finish_first,
        [
            "Keep the time at which each worker is free.",
            "For a task, compute for every worker free time + duration / speed; take the smallest.",
        ],
        {
            "any order": (
                "sorted(durations, reverse=True)",
                "durations",
                "Longest first: sort the durations, from the longest down.",
            ),
            "shortest first": (", reverse=True", "", "You begin with the shortest: sort from the longest down."),
            "who is free": (
                "free[np.argmin(done)] = done.min()",
                "free[np.argmin(free)] = done[np.argmin(free)]",
                "You give a task to whoever is *free* first. Ask who would *finish* it first.",
            ),
            "multiplied": (
                "/ np.array(speeds)",
                "* np.array(speeds)",
                "You multiply by the speed: slow would be quick.",
            ),
            "all alike": ("/ np.array(speeds)", "", "The slow worker needs longer: divide the duration by the speed."),
            "mean load": (
                "free.max()",
                "sum(durations) / sum(speeds)",
                "That is the mean load. The makespan is the end of the last worker.",
            ),
            "not the last": (
                "free.max()",
                "free.min()",
                "You return the end of a worker, but not of the last one: take the largest.",
            ),
        },
        cases=crews,
    ),
)
