"""Lower bounds on epsilon from one run: of many canaries, each put in or left out by the toss of a coin, which were in?"""

from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from math import sqrt

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.leakage.audit import ORACLE_DELTA, ORACLE_EPSILON, REPEATS, Audit
from privlab.masking import gaussian_epsilon, gaussian_noise_multiplier
from privlab.randomness import stream

FORMS = ("general", "gaussian")
GUESSES = 4.5  # per root of the number of canaries; within 10 % of the best bound at epsilon 2 to 8 and 500 to 30,000 canaries


def one_run_epsilon(
    *,
    canaries: int,
    guesses: int,
    correct: int,
    delta: float = 0.0,
    confidence: float = 0.95,
    form: str = "general",
) -> float:
    """Lower bound on epsilon from guesses of which canaries were in, of one run or of several with canaries of their own.

    Each canary is in with probability 1/2, independently; whoever guesses abstains on all but ``guesses`` of them, a number that
    must be fixed before the scores are seen.

    Parameters
    ----------
    canaries, guesses, correct : int
        ``0 <= correct <= guesses <= canaries``.
    delta : float
        In [0, 1); above 0 for "gaussian".
    confidence : float
        In (0, 1).
    form : {"general", "gaussian"}
        "general" refutes (epsilon, delta) for any mechanism (Steinke, Nasr & Jagielski 2023): the p-value is
        ``b(0) + 2 canaries delta max_i (b(i) - b(0)) / i`` where ``b(i) = P[Binomial(guesses, 1 / (1 + e^-eps)) >= correct - i]``.
        "gaussian" refutes that the trade-off curve is that of one Gaussian release (Mahloujifar, Melis & Chaudhuri
        2024), and is an epsilon only for mechanisms that claim such a curve: rate 1, or noise without amplification.

    Returns
    -------
    float
        At least 0.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> round(one_run_epsilon(canaries=1000, guesses=200, correct=190, delta=1e-5), 4)
    2.3936
    >>> round(one_run_epsilon(canaries=1000, guesses=200, correct=190, delta=1e-5, form="gaussian"), 2)
    3.92
    """
    canaries, guesses = arguments.whole("canaries", canaries), arguments.whole("guesses", guesses)
    correct = arguments.whole("correct", correct, at_least=0)
    arguments.choice("form", form, FORMS)
    delta = arguments.real("delta", delta, at_least=0, below=1)
    if form == "gaussian" and delta == 0:
        raise ValueError("delta is 0, but must be above 0 for form 'gaussian'")
    alpha = 1 - arguments.real("confidence", confidence, above=0, below=1)
    if not correct <= guesses <= canaries:
        raise ValueError(
            f"correct, guesses, canaries are {correct}, {guesses}, {canaries}, but must not decrease in this order"
        )
    refuted = _refutation(form, canaries, guesses, correct, delta, alpha)
    # "general" searches epsilon itself, "gaussian" the distance mu of the two normal distributions.
    low, high = 0.0, 1.0
    if not refuted(low):
        return 0.0
    while refuted(high):
        low, high = high, 2 * high
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low if form == "general" or low == 0 else gaussian_epsilon(1 / low, delta)


def audit_scores(
    scores: ArrayLike,
    members: ArrayLike,
    *,
    delta: float = 0.0,
    confidence: float = 0.95,
    form: str = "general",
    seed: int = 0,
) -> Audit:
    """Bound epsilon from below by scores of canaries, higher where one looks as if it was in (`audit_training` gets them).

    Parameters
    ----------
    scores : array_like, any shape
        Finite; a function of what was released and of the canaries, not of the coins.
    members : array_like of bool, same shape
        The coins: who was in, each with probability 1/2, independently.
    delta, confidence, form
        As for `one_run_epsilon`.
    seed : int
        Public seed of the null run.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> coins = np.arange(1000) % 3 == 0
    >>> audit_scores(coins + 0.0, coins).epsilon > 3
    True
    """
    told, coins = arguments.finite_array("scores", scores).ravel(), np.asarray(members).ravel()
    if coins.dtype != bool or np.shape(members) != np.shape(scores) or len(told) < 10:
        raise ValueError(
            f"members has shape {np.shape(members)} and dtype {coins.dtype}, "
            f"but must be bool and shaped {np.shape(scores)}, at least 10 canaries"
        )
    canaries = len(told)
    guesses = guesses_for(canaries)
    correct = _correct(told, coins, guesses)
    bound = one_run_epsilon(
        canaries=canaries, guesses=guesses, correct=correct, delta=delta, confidence=confidence, form=form
    )
    least = _least_correct(0.0, canaries, guesses, delta, confidence, form)
    draw = stream(seed, "audit", "null coins")
    nulls = [_correct(told, draw.random(canaries) < 0.5, guesses) for _ in range(REPEATS)]
    exceeded, efficiency = _oracle(canaries, delta, confidence, form)
    evidence = f"{form} form: {correct} of {guesses} guesses right, of {canaries} canaries"
    false_positives = float(np.mean(np.greater_equal(nulls, least)))
    return Audit(bound, false_positives, exceeded, efficiency, evidence, canaries, delta, confidence)


def guesses_for(canaries: int) -> int:
    """Return how many of the canaries are guessed: an even number, fixed before any score is seen.

    >>> guesses_for(100), guesses_for(10_000)
    (44, 450)
    """
    return 2 * min(round(GUESSES / 2 * sqrt(canaries)), canaries // 2)


def _correct(scores: NDArray, members: NDArray, guesses: int) -> int:
    """Right guesses, where the lowest scores are called out and the highest in."""
    order = np.argpartition(scores, [guesses // 2 - 1, len(scores) - guesses // 2])
    return int((~members[order[: guesses // 2]]).sum() + members[order[-(guesses // 2) :]].sum())


def _refutation(
    form: str, canaries: int, guesses: int, correct: int, delta: float, alpha: float
) -> Callable[[float], bool]:
    """Return whether so many right guesses refute a value of epsilon ("general") or of mu ("gaussian")."""

    def general(epsilon: float) -> bool:
        shifts = np.arange(correct + 1)
        tails = scipy.special.bdtrc(
            correct - 1.0 - shifts, guesses, float(scipy.special.expit(epsilon))
        )  # P[at least correct - shift]
        slope = ((tails[1:] - tails[0]) / shifts[1:]).max(initial=0.0)
        return bool(tails[0] + 2 * canaries * delta * slope < alpha)

    def gaussian(mu: float) -> bool:
        right, wrong = alpha * correct / canaries, alpha * (guesses - correct) / canaries
        for i in range(correct - 1, -1, -1):
            more = scipy.special.ndtr(scipy.special.ndtri(right) - mu)
            if more <= wrong:  # then neither will ever change
                break
            right, wrong = min(right + i / (guesses - i) * (more - wrong), 1.0), more
        return bool(right + wrong > guesses / canaries)

    return general if form == "general" else gaussian


def _least_correct(epsilon: float, canaries: int, guesses: int, delta: float, confidence: float, form: str) -> int:
    """Return the smallest number of right guesses whose bound is above ``epsilon``; ``guesses + 1`` if none is."""
    value = epsilon if form == "general" or epsilon == 0 else 1 / gaussian_noise_multiplier(epsilon, delta)

    def refutes(correct: int) -> bool:
        return _refutation(form, canaries, guesses, correct, delta, 1 - confidence)(value)

    return bisect_left(range(guesses + 1), True, key=refutes)


@lru_cache(maxsize=64)
def _oracle(canaries: int, delta: float, confidence: float, form: str) -> tuple[float, float]:
    """How often bounds from a Gaussian of epsilon 4 exceed 4, and their median over 4."""
    delta, guesses = delta or ORACLE_DELTA, guesses_for(canaries)
    gap, draw = 1 / gaussian_noise_multiplier(ORACLE_EPSILON, delta), stream(0, "audit", "oracle coins")
    found = []
    for _ in range(REPEATS):
        members = draw.random(canaries) < 0.5
        found.append(_correct(draw.standard_normal(canaries) + gap * members, members, guesses))
    least = _least_correct(ORACLE_EPSILON, canaries, guesses, delta, confidence, form)
    median = one_run_epsilon(
        canaries=canaries,
        guesses=guesses,
        correct=int(np.median(found)),
        delta=delta,
        confidence=confidence,
        form=form,
    )
    return float(np.mean(np.greater_equal(found, least))), median / ORACLE_EPSILON
