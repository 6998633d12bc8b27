"""The ledger: what was done is what is charged."""

import json
from math import inf, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privlab.masking import Ledger, epsilon, gaussian_epsilon

rates = st.floats(-4, 0).map(lambda power: min(0.999, 10**power))
sigmas = st.floats(-0.4, 1.5).map(lambda power: 10**power)
counts = st.floats(0, 3.5).map(lambda power: int(10**power))
deltas = st.floats(-9, -1).map(lambda power: 10**power)


def test_ledger_equals_the_formula_and_merges_steps():
    ledger = Ledger()
    assert ledger.epsilon(1e-5) == 0
    for _ in range(300):
        ledger.record("poisson", 0.05, 1.2)
    assert len(ledger.entries) == 1
    for method in ("pld", "rdp"):
        expected = epsilon(noise_multiplier=1.2, sampling_rate=0.05, steps=300, delta=1e-5, method=method)
        assert ledger.epsilon(1e-5, method) == expected
    assert Ledger.from_record(json.loads(json.dumps(ledger.as_record()))) == ledger
    assert "300 steps" in str(ledger)


@given(rate=rates, sigma=sigmas, first=counts, second=counts, delta=deltas)
@settings(max_examples=7, deadline=None)
def test_ledger_composes_parts(rate, sigma, first, second, delta):
    """Parts that differ by a hair, hence stay apart, cost what the whole costs."""
    parts = Ledger()
    parts.record("poisson", rate, sigma, first)
    parts.record("poisson", rate, sigma * (1 + 1e-12), second)
    assert len(parts.entries) == 2
    for method, tolerance in (("pld", 2e-3), ("rdp", 1e-5)):
        whole = epsilon(noise_multiplier=sigma, sampling_rate=rate, steps=first + second, delta=delta, method=method)
        assert parts.epsilon(delta, method) == pytest.approx(whole, rel=tolerance, abs=1e-9)


def test_ledger_of_unequal_parts_lies_between():
    mixed = Ledger()
    mixed.record("poisson", 0.05, 1.0, 100)
    mixed.record("full", 1.0, 20.0, 10)
    mixed.record("poisson", 0.01, 2.0, 500)
    alone = epsilon(noise_multiplier=1.0, sampling_rate=0.05, steps=100, delta=1e-5)
    assert alone < mixed.epsilon(1e-5) < mixed.epsilon(1e-5, "rdp")
    third = 1e-5 / 3
    basic = (
        epsilon(noise_multiplier=1.0, sampling_rate=0.05, steps=100, delta=third)
        + epsilon(noise_multiplier=20.0, sampling_rate=1.0, steps=10, delta=third)
        + epsilon(noise_multiplier=2.0, sampling_rate=0.01, steps=500, delta=third)
    )
    assert mixed.epsilon(1e-5) < basic


def test_ledger_does_not_amplify_shuffling():
    def shuffled(steps):
        ledger = Ledger()
        ledger.record("shuffle", 0.1, 2.0, steps)
        return ledger.epsilon(1e-5)

    assert shuffled(1) == shuffled(10) == gaussian_epsilon(2.0, 1e-5)
    assert shuffled(11) == shuffled(20) == pytest.approx(gaussian_epsilon(2.0 / sqrt(2), 1e-5))
    # A second entry may begin in mid-pass: two of its steps may then both hold the record.
    ledger = Ledger()
    ledger.record("shuffle", 0.1, 2.0, 9)
    ledger.record("shuffle", 0.1, 1.0, 2)
    assert ledger.epsilon(1e-5) == pytest.approx(gaussian_epsilon(1 / sqrt(0.25 + 2), 1e-5))


def test_ledger_of_training_without_privacy():
    ledger = Ledger(noise_source="seeded: not private")
    ledger.record("poisson", 0.1, 5.0)
    ledger.record(None, 0.1, 0.0, 7)
    assert ledger.entries[-1].sampler == "none"
    assert ledger.epsilon(1e-5) == inf
    assert "seeded: not private" in str(ledger)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("bernoulli", 0.1, 1.0), "sampler"),
        (("poisson", 1.1, 1.0), "sampling_rate"),
        (("full", 0.5, 1.0), "sampling_rate"),
        (("shuffle", 0.0, 1.0), "sampling_rate"),
        (("poisson", 0.1, -1.0), "noise_multiplier"),
        (("poisson", 0.1, 1.0, 0), "steps"),
    ],
)
def test_ledger_refuses(arguments, name):
    with pytest.raises(ValueError, match=name):
        Ledger().record(*arguments)
    with pytest.raises(ValueError, match="delta"):
        Ledger().epsilon(0.0)
    with pytest.raises(ValueError, match="method"):
        Ledger().epsilon(0.1, "gdp")
