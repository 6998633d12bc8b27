"""The black-box audit against mechanisms whose epsilon is known, and against worlds in which nothing can be found."""

from importlib import import_module

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from privlab.leakage.audit import audit, clopper_pearson
from privlab.masking import gaussian_mechanism, gaussian_noise_multiplier, laplace_mechanism, randomized_response

module = import_module("privlab.leakage.audit")  # the package has a function of this name
ALONE, WITH = (), (1.0,)
ALLOWED = 18  # of 200 runs, where each may err with probability 5 %


@pytest.fixture
def single(monkeypatch):
    """One null run and one oracle run for each audit, where a test repeats the audit itself."""
    monkeypatch.setattr(module, "REPEATS", 1)
    yield
    module._oracle.cache_clear()


def total(data):
    return float(sum(data))


def laplace(scale):
    return lambda data, rng: total(data) + rng.laplace(scale=scale)


BLIND = {
    "normal": lambda data, rng: rng.normal(),
    "heavy tails": lambda data, rng: rng.standard_cauchy(),
    "two values": lambda data, rng: rng.random() < 0.3,
    "one value": lambda data, rng: 7,
    "counts": lambda data, rng: rng.poisson(3),
    "mostly zero": lambda data, rng: max(0.0, rng.normal() - 1),
    "NaN and infinity": lambda data, rng: rng.choice([np.nan, np.inf, -np.inf, 0, 1.5]),
    "vector": lambda data, rng: rng.normal(size=20),
    "vector with NaN": lambda data, rng: np.where(rng.random(3) < 0.2, np.nan, rng.normal(size=3)),
    "always NaN": lambda data, rng: [np.nan, np.nan],
}


def test_what_18_of_200_means():
    """The limit of every null test below: a bound that errs in 5 % of runs fails it with probability under 1 %."""
    assert binom.sf(ALLOWED, 200, 0.05) < 0.01
    assert binom.sf(ALLOWED, 200, 0.15) > 0.98  # and one that errs in 15 % of runs is found


@pytest.mark.parametrize("number", [1, 7, 60])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_intervals_are_exact(number, confidence):
    low, high = clopper_pearson(number, confidence)
    for successes in range(number + 1):
        exact = binomtest(successes, number).proportion_ci(confidence, method="exact")
        assert (low[successes], high[successes]) == pytest.approx((exact.low, exact.high), abs=1e-12)


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize("name", BLIND)
def test_nothing_is_found_where_nothing_can_be(name):
    """200 audits of outputs that ignore the data: above 0 at most 18 times (false alarm < 1 % if each errs in 5 %)."""
    found = [audit(BLIND[name], (ALONE, WITH), trials=48, seed=seed).epsilon > 0 for seed in range(200)]
    assert sum(found) <= ALLOWED


@pytest.mark.parametrize("name", ["normal", "counts", "NaN and infinity", "vector with NaN"])
@pytest.mark.parametrize("trials", [40, 400])
def test_the_null_run_that_every_audit_carries(name, trials):
    found = audit(BLIND[name], (ALONE, WITH), trials=trials)
    assert round(200 * found.false_positive_rate) <= ALLOWED


def test_the_null_run_sees_a_bound_that_errs(monkeypatch):
    """Choosing and testing on the same trials is the classic mistake; the null run shows it (its power: measured above 0.3)."""
    monkeypatch.setattr(module.np, "split", lambda outputs, _, axis: [outputs, outputs, outputs])
    monkeypatch.setattr(module, "clopper_pearson", lambda number, _: clopper_pearson(number, 0.3))
    found = audit(BLIND["vector"], (ALONE, WITH), trials=40)
    assert round(200 * found.false_positive_rate) > ALLOWED


@pytest.mark.parametrize("delta", [0.0, 1e-5, 1e-2])
def test_the_oracle_run_never_exceeds_the_truth_too_often_and_gains_from_trials(delta):
    small, large = (audit(laplace(1.0), (ALONE, WITH), trials=trials, delta=delta) for trials in (100, 3000))
    assert max(small.oracle_false_positive_rate, large.oracle_false_positive_rate) <= ALLOWED / 200
    assert small.efficiency < large.efficiency < 1
    assert large.efficiency > 0.3


def test_a_bound_that_is_too_high_is_seen_by_the_oracle_run(monkeypatch):
    honest = module.lower_bound
    monkeypatch.setattr(module, "lower_bound", lambda *arguments: 8 * honest(*arguments))
    assert module._oracle.__wrapped__(400, 1e-5, 0.95)[0] > 0.5


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_bounds_stay_below_a_known_epsilon_at_delta_zero(epsilon):
    """Laplace and randomised response, 100 audits each: above the truth at most 11 times (false alarm < 1 % at 5 % each)."""
    assert binom.sf(11, 100, 0.05) < 0.01
    lie = 1 / (1 + np.exp(epsilon))
    answers = {
        "laplace": laplace(1 / epsilon),
        "response": lambda data, rng: bool(data) ^ (rng.random() < lie),
    }
    for mechanism in answers.values():
        found = [audit(mechanism, (ALONE, WITH), trials=100, seed=seed).epsilon > epsilon for seed in range(100)]
        assert sum(found) <= 11


def test_randomised_response_is_found_almost_whole():
    """10,000 answers: the standard error of the bound is 0.04, its expectation 1.41 of 1.50 (power above 99 %)."""
    found = audit(lambda data, rng: bool(data) ^ (rng.random() < 1 / (1 + np.exp(1.5))), (ALONE, WITH), trials=10_000)
    assert 1.25 < found.epsilon < 1.5


LEAKS = {
    "either tail": lambda data, rng: rng.normal() - 4 * len(data),
    "both tails": lambda data, rng: rng.normal() * (1 + 6 * len(data)),
    "the middle": lambda data, rng: rng.normal() * (1 if data else rng.choice([0.1, 20])),
    "a point mass": lambda data, rng: 0.0 if data else rng.normal(),
    "a value of many": lambda data, rng: rng.integers(10) if not data else rng.choice([2, 7]),
    "NaN with": lambda data, rng: np.nan if data and rng.random() < 0.9 else rng.normal(),
    "NaN without": lambda data, rng: np.nan if not data and rng.random() < 0.9 else rng.normal(),
    "infinity": lambda data, rng: np.inf if data else rng.normal(),
    "one coordinate": lambda data, rng: rng.normal(size=30) + 5 * len(data) * np.eye(30)[3],
    "spread of a vector": lambda data, rng: rng.normal(size=8) * (1 + len(data)),
    "NaN in a vector": lambda data, rng: np.array([rng.normal(), np.nan if data else 0.0]),
    "a vector that stands still": lambda data, rng: np.zeros(3) if data else rng.normal(size=3),
}


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize("name", LEAKS)
def test_leaks_of_every_shape_are_found(name):
    """Each tells the sides apart almost always, "a value of many" with probability 0.8 and a likelihood ratio of 5."""
    found = audit(LEAKS[name], (ALONE, WITH), trials=800)
    assert found.epsilon > 1.0


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("a value of many", "likelihood ratio"),
        ("one coordinate", "projection"),
        ("spread of a vector", "distance"),
    ],
)
def test_each_statistic_is_needed(name, needed, monkeypatch):
    """Without it the bound on the leak that it is for falls by 0.5 at least; bounds of so many trials vary by about 0.15."""
    every, whole = module.statistics, audit(LEAKS[name], (ALONE, WITH), trials=1600).epsilon
    monkeypatch.setattr(module, "statistics", lambda learn: (s for s in every(learn) if needed not in s[0]))
    assert audit(LEAKS[name], (ALONE, WITH), trials=1600).epsilon < whole - 0.5


def test_huge_numbers_do_no_harm():
    found = audit(lambda data, rng: np.array([1e300, -1e300]) * rng.normal(size=2), (ALONE, WITH), trials=80)
    assert found.epsilon == 0
    assert audit(lambda data, rng: np.nan, (ALONE, WITH), trials=80).epsilon == 0


@pytest.mark.usefixtures("single")
def test_mechanisms_of_the_kit_keep_their_epsilon_and_ones_with_a_wrong_sensitivity_do_not():
    """Each bound errs with probability under 5 %, and in 200 oracle runs it never did."""

    def seed(rng):
        return int(rng.integers(2**31))

    pair = ((), (1,))
    for sensitivity, broken in ((1.0, False), (0.1, True)):
        kept = [
            lambda d, rng, s=sensitivity: laplace_mechanism(total(d), sensitivity=s, epsilon=1, seed=seed(rng)),
            lambda d, rng, s=sensitivity: gaussian_mechanism(
                [total(d), 5.0], l2_sensitivity=s, epsilon=1, delta=1e-5, seed=seed(rng)
            ),
        ]
        for mechanism in kept:
            assert (audit(mechanism, pair, trials=400, delta=1e-5).epsilon > 1) == broken
    told = audit(lambda d, rng: randomized_response([len(d)], epsilon=1, seed=seed(rng)), pair, trials=400, seed=1)
    assert told.epsilon < 1


def test_a_mechanism_that_drifts_from_call_to_call_does_not_look_leaky():
    """Runs of both sides are in random order; were they not, the count would tell them apart with certainty."""
    calls = iter(range(10_000))
    assert audit(lambda data, rng: next(calls), (ALONE, WITH), trials=400).epsilon < 0.5


def test_delta_lowers_the_bound_as_the_formula_says():
    def reveal(data, rng):
        return bool(data) and rng.random() < 0.1  # (0, 0.1)-private, and for no smaller delta at any epsilon

    assert audit(reveal, (ALONE, WITH), trials=1000).epsilon > 1
    assert audit(reveal, (ALONE, WITH), trials=1000, delta=0.1).epsilon == 0


def test_an_audit_is_reproducible_and_reads_as_a_sentence():
    scale = gaussian_noise_multiplier(2.0, 1e-5)

    def mechanism(data, rng):
        return total(data) + scale * rng.normal()

    first, again, other = (audit(mechanism, (ALONE, WITH), trials=100, delta=1e-5, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.evidence != other.evidence
    assert str(first).startswith(f"epsilon >= {first.epsilon:.2f} at delta 1e-05 (95 %; ")
    assert "null runs above 0: " in str(first)
    assert " of 50 without, " in str(first)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"neighbours": ([1],)}, "neighbours is .* must be a pair"),
        ({"neighbours": 3}, "neighbours is 3"),
        ({"trials": 39}, "trials is 39, but must be a whole number >= 40"),
        ({"delta": 1.0}, "delta is 1.0"),
        ({"confidence": 0}, "confidence is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"mechanism": lambda data, rng: np.zeros(1 + len(data))}, r"mechanism returns \[1, 2\] numbers"),
        ({"mechanism": lambda data, rng: []}, r"mechanism returns \[0\] numbers"),
    ],
)
def test_bad_input_is_refused_by_name(changed, message):
    settings = {"mechanism": lambda data, rng: 0, "neighbours": (ALONE, WITH), "trials": 40} | changed
    with pytest.raises(ValueError, match=message):
        audit(**settings)
