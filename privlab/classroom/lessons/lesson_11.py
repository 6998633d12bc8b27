"""Exercises of the lesson on leakage versus accuracy."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code=misc

from types import SimpleNamespace

import numpy as np

from privlab.classroom.exercises import Exercise


def allowed(false_positive_rate, epsilon, delta):
    """Largest true-positive rate that (epsilon, delta) allows any attack, at each false-positive rate."""
    forward = np.exp(epsilon) * false_positive_rate + delta
    backward = 1 - np.exp(-epsilon) * (1 - delta - false_positive_rate)
    return np.minimum(forward, backward)


def rates(rng):
    """Arrays in which each of the two lines binds somewhere, and single rates."""
    epsilons = rng.uniform(0.5, 2.5, 4).tolist()
    single = [(float(at), epsilon, 0.01) for at, epsilon in zip((0.0, 0.02, 0.7, 0.9), epsilons, strict=True)]
    return single + [(np.array([0.01, 0.05, 0.6, 0.9]), epsilon, 0.01) for epsilon in epsilons]


def operating_point(frontier, floor):
    """The point of `frontier.points` with the strongest guarantee among those of accuracy at least `floor`."""
    candidates = [point for point in frontier.points if point.accuracy >= floor]
    if not candidates:
        raise ValueError(f"floor is {floor!r}, but no point is that accurate")
    return min(candidates, key=lambda point: point.epsilon)


def made_up_point(accuracy, epsilon, auc, at_1_percent, at_01_percent):
    """A point with all by which an answer might rank, right or wrong; an attack that finds the same at all rates."""
    found = {name: [at_1_percent] * 100 for name in ("true_positive_rates", "low", "high")}
    measured = {"auc": auc, "tpr_at_1_percent": at_1_percent, "tpr_at_01_percent": at_01_percent}
    guaranteed = {"epsilon": epsilon, "noise_multiplier": 20 / epsilon, "allowed": [epsilon / 100] * 100}
    attacks = {"LiRA online": SimpleNamespace(**found, auc=auc)}
    return SimpleNamespace(accuracy=accuracy, **guaranteed, **measured, attacks=attacks)


def made_up_points(rng):
    """Points whose attacks were lucky or not, in any order: a frontier as the function sees it."""
    accuracy = np.sort(rng.uniform(0.8, 0.99, 6))
    columns = zip(accuracy, np.sort(rng.uniform(1, 30, 6)), rng.uniform(0.5, 0.9, (3, 6)).T, strict=True)
    points = [made_up_point(a, e, *measured) for a, e, measured in columns]
    points.append(made_up_point(accuracy[3], 40.0, 0.5, 0.01, 0.5))  # dominated, by luck of the attack the best
    return [points[i] for i in rng.permutation(7)]


def check_operating_point(mine, rng):
    """Twenty frontiers whose floor is the accuracy of a point, then one floor above all."""
    for _ in range(20):
        frontier = SimpleNamespace(points=tuple(made_up_points(rng)))
        floor = sorted(point.accuracy for point in frontier.points)[3]
        chosen, right = mine(frontier, floor), operating_point(frontier, floor)
        yield not any(chosen is point for point in frontier.points), "Return one of frontier.points."
        yield chosen.accuracy < floor, f"Accuracy {chosen.accuracy:.1%} is below the floor of {floor:.1%}."
        best = max(point.accuracy for point in frontier.points)
        yield chosen is not right and chosen.accuracy == best, "That is the most accurate point: it leaks most."
        tempting = [p for p in frontier.points if p.accuracy >= floor]
        lucky = chosen in [min(tempting, key=lambda p, n=n: getattr(p, n)) for n in ("auc", "tpr_at_1_percent")]
        yield chosen is not right and lucky, "You rank by what an attack measured: luck would change it. Use epsilon."
        yield chosen is not right, "Another point reaches the floor, exactly is enough, and has a smaller epsilon."
    refusal = mine.outcome(frontier, 0.999)
    yield not isinstance(refusal, ValueError), "No point reaches 99.9 %: raise a ValueError."
    yield "empty" in str(refusal), "min() complained, not you: say which floor cannot be reached."


EXERCISES = (
    Exercise(
        "11.a",
        "what a guarantee allows",
        allowed,
        [
            "The backward line has e to the -epsilon.",
            "`np.minimum(a, b)` takes the smaller of two arrays element by element; Python's `min` cannot.",
        ],
        {
            "factor": ("np.exp(epsilon)", "epsilon", "You multiplied by epsilon: the factor is e to the epsilon."),
            "no delta": (" + delta", "", "delta is missing: it is what may leak even at FPR = 0."),
            "larger": (
                "np.minimum",
                "np.maximum",
                "You take the larger line: both bounds hold, so the smaller one counts.",
            ),
            "forward only": (
                "np.minimum(forward, backward)",
                "forward",
                "The backward line is missing: it counts at large rates.",
            ),
            "not for arrays": ("np.minimum(", "min(", "It fails on arrays: use np.minimum, not min."),
            "sign": ("np.exp(-epsilon)", "np.exp(epsilon)", "In the backward line stands e to the *minus* epsilon."),
            "backward only": (
                "np.minimum(forward, backward)",
                "backward",
                "Only the backward line tells: at small rates the forward one must be the smaller.",
            ),
            "no delta backward": ("1 - delta - false", "1 - false", "delta is missing in the backward line."),
            "one number": (
                "np.minimum(forward, backward)",
                "np.min([forward, backward])",
                "An array of rates must give as many bounds: use np.minimum, not np.min.",
            ),
        },
        cases=rates,
    ),
    Exercise(
        "11.b",
        "the operating point",
        operating_point,
        [
            "Keep the points with `point.accuracy >= floor`; if none is left, raise.",
            "`min(candidates, key=lambda point: point.epsilon)`.",
        ],
        {
            "most accurate": (
                "min(candidates, key=lambda point: point.epsilon)",
                "max(candidates, key=lambda point: point.accuracy)",
                "most accurate point",
            ),
            "lucky attack": ("point.epsilon", "point.auc", "You rank by what an attack measured"),
            "strictly above": (">= floor", "> floor", "exactly is enough"),
            "no floor": ("if point.accuracy >= floor", "", "is below the floor"),
            "no refusal": (
                'raise ValueError(f"floor is {floor!r}, but no point is that accurate")',
                "return candidates",
                "raise a ValueError",
            ),
            "min refuses": ("if not candidates:", "if False:", "min() complained"),
        },
        check=check_operating_point,
    ),
)
