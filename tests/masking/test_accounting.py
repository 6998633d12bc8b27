"""The accountant against exact answers, other accountants' figures, and oracles that no accountant wrote."""

import json
import time
from math import exp, inf, log, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

from privlab.masking import (
    Ledger,
    epsilon,
    gaussian_epsilon,
    gaussian_noise_multiplier,
    noise_multiplier,
    shuffle_epsilon_lower_bound,
    tradeoff_curve,
)
from privlab.masking.pld import pld_epsilon
from privlab.masking.rdp import Steps, rdp_epsilon, renyi_divergence

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "accountant_reference.json").read_text())
CASES = {case["name"]: case for case in REFERENCE["cases"]}
SAFE = 1 - 1e-12  # rounding of the reference itself

rates = st.floats(-4, 0).map(lambda power: min(0.999, 10**power))
sigmas = st.floats(-0.4, 1.5).map(lambda power: 10**power)
counts = st.floats(0, 3.5).map(lambda power: int(10**power))
deltas = st.floats(-9, -1).map(lambda power: 10**power)


def one_step_delta(eps, rate, sigma):
    """Exact hockey sticks of one step: with the record against without, and the reverse."""
    found = []
    for sign in (1, -1):
        ratio = (exp(sign * eps) - 1 + rate) / rate
        z = sigma**2 * log(ratio) + 0.5 if ratio > 0 else -inf
        side = -sign  # outputs above z for the first pair, below z for the second
        absent, present = ndtr(side * z / sigma), ndtr(side * (z - 1) / sigma)
        mixed = (1 - rate) * absent + rate * present
        found.append(mixed - exp(eps) * absent if sign == 1 else absent - exp(eps) * mixed)
    return found


def one_step_epsilon(rate, sigma, delta):
    """Exact epsilon of one step."""
    if max(one_step_delta(0.0, rate, sigma)) <= delta:
        return 0.0
    return brentq(lambda eps: max(one_step_delta(eps, rate, sigma)) - delta, 0, 200, xtol=1e-14)


def spent(case, method="pld"):
    return epsilon(
        noise_multiplier=case["sigma"], sampling_rate=case["q"], steps=case["T"], delta=case["delta"], method=method
    )


@pytest.mark.parametrize("name", CASES)
def test_reference_case_is_bracketed(name):
    case = CASES[name]
    loose = min([case["pld_eps_upper"], *case.get("pld_eps_upper_finer", {}).values()])
    ours = spent(case)
    assert ours <= loose * (1 + 1e-3)
    if "exact_eps" in case:
        assert case["exact_eps"] * SAFE <= ours <= case["exact_eps"] * (1 + 1e-6)
    if "prv" in case:
        lower, _, upper = case["prv"]
        assert lower <= ours <= upper
    assert ours <= spent(case, "rdp") <= case["rdp_eps"] * (1 + 1e-9) <= case["rdp_eps_mironov_conversion"]


@pytest.mark.parametrize(
    "row", REFERENCE["rdp_single_step_truth"], ids=lambda r: f"{r['q']:g}-{r['sigma']}-{r['alpha']}"
)
def test_renyi_divergence_of_one_step(row):
    ours = renyi_divergence(row["alpha"], [Steps(row["q"], row["sigma"], 1)])
    assert ours == pytest.approx(row["rdp_mpmath_quad"], rel=1e-8)
    assert ours <= row["dp_accounting"] * (1 + 1e-9)


@pytest.mark.parametrize("method", ["pld", "rdp"])
@pytest.mark.parametrize("row", REFERENCE["dpsgd_calibration"], ids=lambda r: f"{r['q']:.3g}-{r['target_eps']}")
def test_calibration_table(row, method):
    run = {"sampling_rate": row["q"], "steps": row["T"], "delta": row["delta"], "method": method}
    sigma = noise_multiplier(epsilon=row["target_eps"], **run)
    assert sigma <= row[f"sigma_{method}"] * 1.003
    assert epsilon(noise_multiplier=sigma, **run) <= row["target_eps"]
    assert epsilon(noise_multiplier=sigma * 0.99, **run) > row["target_eps"]


@pytest.mark.parametrize("row", REFERENCE["gaussian_calibration"], ids=lambda r: f"{r['eps']}-{r['delta']}")
def test_gaussian_calibration(row):
    sigma = gaussian_noise_multiplier(row["eps"], row["delta"])
    assert sigma == pytest.approx(row["sigma_analytic"], rel=1e-9)
    assert gaussian_epsilon(sigma, row["delta"]) <= row["eps"]


@pytest.mark.parametrize(
    "row", [r for r in REFERENCE["extra"] if r["kind"].startswith("shuffle")], ids=lambda r: str(r["T"])
)
def test_shuffle_lower_bound(row):
    run = {"noise_multiplier": row["sigma"], "delta": row["delta"]}
    bound = shuffle_epsilon_lower_bound(batches=row["T"], **run)
    assert bound == pytest.approx(row["shuffle_eps_lower"], rel=1e-6)
    charged = Ledger()
    charged.record("shuffle", 1 / row["T"], row["sigma"], row["T"])
    assert epsilon(sampling_rate=1 / row["T"], steps=row["T"], **run) < bound <= charged.epsilon(row["delta"])
    assert charged.epsilon(row["delta"]) == pytest.approx(row["deterministic_eps"], rel=1e-9)


def test_shuffle_bound_of_one_batch_is_near_the_gaussian():
    bound = shuffle_epsilon_lower_bound(noise_multiplier=1.0, batches=1, delta=1e-3)
    assert 0.8 * gaussian_epsilon(1.0, 1e-3) < bound <= gaussian_epsilon(1.0, 1e-3)
    assert shuffle_epsilon_lower_bound(noise_multiplier=1e6, batches=10, delta=0.1) == 0
    assert shuffle_epsilon_lower_bound(noise_multiplier=0, batches=10, delta=0.1) == inf


@given(rate=rates, sigma=sigmas, delta=deltas)
@settings(max_examples=10, deadline=None)
def test_one_step_is_exact(rate, sigma, delta):
    truth = one_step_epsilon(rate, sigma, delta)
    ours = epsilon(noise_multiplier=sigma, sampling_rate=rate, steps=1, delta=delta)
    assert truth * (1 - 1e-8) <= ours <= truth * (1 + 1e-6) + 1e-6


@given(mu=st.floats(0.01, 10), count=st.integers(1, 10**6), delta=deltas)
@settings(max_examples=8, deadline=None)
def test_numerical_composition_meets_the_exact_gaussian(mu, count, delta):
    truth = gaussian_epsilon(1 / mu, delta)
    ours = pld_epsilon([Steps(1.0, sqrt(count) / mu, count)], delta)
    assert truth <= ours <= truth * (1 + 5e-4)


@given(mu=st.floats(0.01, 10), delta=deltas)
@settings(max_examples=20, deadline=None)
def test_gaussian_epsilon_solves_the_textbook_equation(mu, delta):
    eps = gaussian_epsilon(1 / mu, delta)
    back = norm.cdf(mu / 2 - eps / mu) - exp(eps) * norm.cdf(-mu / 2 - eps / mu)
    assert back <= delta * (1 + 1e-5)
    if eps > 0:
        assert back == pytest.approx(delta, rel=1e-5)


@pytest.mark.parametrize(
    ("rate", "sigma", "steps", "delta"), [(0.2, 1.0, 3, 1e-3), (0.05, 0.7, 4, 1e-5), (0.6, 2.0, 4, 1e-2)]
)
def test_against_naive_convolution(rate, sigma, steps, delta):
    """Losses of single steps, each rounded to the nearest 1e-3 below or above, convolved one by one: a two-sided bracket."""
    ours = epsilon(noise_multiplier=sigma, sampling_rate=rate, steps=steps, delta=delta)
    spacing = 1e-3
    edges = np.linspace(-9 * sigma, 1 + 9 * sigma, 100_001)
    brackets = []
    for rounding in (np.floor, np.ceil):
        found = []
        for sign in (1, -1):
            absent, present = np.diff(ndtr(edges / sigma)), np.diff(ndtr((edges - 1) / sigma))
            mixed = (1 - rate) * absent + rate * present
            loss = np.log1p(rate * np.expm1((2 * edges - 1) / (2 * sigma**2)))
            ends = sign * loss[:-1], sign * loss[1:]
            index = rounding((np.minimum(*ends) if rounding is np.floor else np.maximum(*ends)) / spacing).astype(int)
            masses = np.bincount(index - index.min(), mixed if sign == 1 else absent)
            total = masses
            for _ in range(steps - 1):
                total = np.fft.irfft(np.fft.rfft(total, 2**17) * np.fft.rfft(masses, 2**17), 2**17)
            values = spacing * (steps * index.min() + np.arange(len(total)))
            total = np.where(values < 60, total, 0)
            found.append(brentq(lambda e, v=values, m=total: m @ -np.expm1(np.minimum(e - v, 0)) - delta, 0, 50))
        brackets.append(max(found))
    assert brackets[0] <= ours * (1 + 1e-9)
    assert ours <= brackets[1]
    assert brackets[1] - brackets[0] < 0.02


def test_against_monte_carlo():
    """Delta at the epsilon returned, from 200,000 simulated runs in both directions; false alarm below 1e-5."""
    rate, sigma, steps, delta = 0.1, 1.0, 50, 0.01
    eps = epsilon(noise_multiplier=sigma, sampling_rate=rate, steps=steps, delta=delta)
    rng = np.random.default_rng(5)
    deltas_found = []
    for sign in (1, -1):
        total = np.zeros(200_000)
        for _ in range(steps):
            z = rng.normal(0, sigma, total.size) + (rng.random(total.size) < rate if sign == 1 else 0)
            total += sign * np.log1p(rate * np.expm1((2 * z - 1) / (2 * sigma**2)))
        gain = -np.expm1(np.minimum(eps - total, 0))
        error = 4.5 * gain.std() / sqrt(gain.size)
        assert gain.mean() - error <= delta
        deltas_found.append(gain.mean() + error)
    assert max(deltas_found) >= delta


@given(rate=rates, sigma=sigmas, count=counts, delta=deltas, factor=st.floats(1.2, 3))
@settings(max_examples=7, deadline=None)
def test_epsilon_is_monotone(rate, sigma, count, delta, factor):
    def at(rate=rate, sigma=sigma, count=count, delta=delta):
        return epsilon(noise_multiplier=sigma, sampling_rate=rate, steps=count, delta=delta)

    base, slack = at(), 1 + 2e-3
    assert at(sigma=sigma * factor) <= base * slack
    assert at(delta=min(0.9, delta * factor)) <= base * slack
    assert at(rate=rate / factor) <= base * slack
    assert base <= at(count=int(count * factor) + 1) * slack + 1e-9


@given(rate=rates, sigma=sigmas, count=counts, delta=deltas)
@settings(max_examples=8, deadline=None)
def test_pld_is_below_rdp_is_below_mironov(rate, sigma, count, delta):
    run = [Steps(rate, sigma, count)]
    pld, rdp = pld_epsilon(run, delta), rdp_epsilon(run, delta)
    orders = 1 + np.geomspace(0.02, 200, 60)
    mironov = min(renyi_divergence(order, run) - log(delta) / (order - 1) for order in orders)
    assert pld <= rdp * (1 + 1e-3) + 1e-9
    assert rdp <= mironov


@given(target=st.floats(0.05, 12), rate=rates, count=counts, delta=deltas, method=st.sampled_from(["pld", "rdp"]))
@settings(max_examples=4, deadline=None)
def test_calibration_never_overspends(target, rate, count, delta, method):
    run = {"sampling_rate": rate, "steps": count, "delta": delta, "method": method}
    sigma = noise_multiplier(epsilon=target, **run)
    assert epsilon(noise_multiplier=sigma, **run) <= target
    assert sigma < 0.1 or epsilon(noise_multiplier=0.98 * sigma, **run) > target


@given(target=st.floats(1e-3, 100), count=st.integers(1, 1000), delta=st.floats(1e-14, 0.5))
@settings(max_examples=30, deadline=None)
def test_full_batch_calibration_is_exact(target, count, delta):
    run = {"sampling_rate": 1.0, "steps": count, "delta": delta}
    sigma = noise_multiplier(epsilon=target, **run)
    assert sigma == pytest.approx(gaussian_noise_multiplier(target, delta) * sqrt(count), rel=1e-8)
    assert target * (1 - 1e-6) <= epsilon(noise_multiplier=sigma, **run) <= target


def test_full_batch_steps_are_one_release_with_less_noise():
    for method in ("pld", "rdp"):
        many = epsilon(noise_multiplier=30, sampling_rate=1, steps=900, delta=1e-6, method=method)
        once = epsilon(noise_multiplier=1, sampling_rate=1, steps=1, delta=1e-6, method=method)
        assert many == pytest.approx(once, rel=1e-9)


@pytest.mark.parametrize("method", ["pld", "rdp"])
def test_edges(method):
    run = {"steps": 10, "delta": 1e-5, "method": method}
    assert epsilon(noise_multiplier=1, sampling_rate=0, **run) == 0
    assert epsilon(noise_multiplier=0, sampling_rate=0, **run) == 0
    assert epsilon(noise_multiplier=0, sampling_rate=0.1, **run) == inf
    assert epsilon(noise_multiplier=1e4, sampling_rate=1e-7, **run) == 0
    assert noise_multiplier(epsilon=1.0, sampling_rate=0, **run) == 0
    assert gaussian_epsilon(0, 1e-5) == inf
    assert gaussian_epsilon(1e6, 1e-5) == 0


@pytest.mark.parametrize(("rate", "sigma"), [(1e-7, 0.3), (1e-7, 1e4), (0.99, 1e4), (1e-3, 0.5)])
def test_a_million_steps(rate, sigma):
    run = {"noise_multiplier": sigma, "sampling_rate": rate, "steps": 10**6, "delta": 1e-8}
    assert 0 <= epsilon(**run) <= epsilon(method="rdp", **run) * (1 + 1e-3)


def test_small_delta_is_left_to_rdp():
    run = {"noise_multiplier": 1.0, "sampling_rate": 0.01, "steps": 100, "delta": 1e-12}
    with pytest.raises(ValueError, match=r'delta is 1e-12, .*use method="rdp"'):
        epsilon(**run)
    assert epsilon(method="rdp", **run) > epsilon(**run | {"delta": 1e-10})


BAD = {
    "noise_multiplier": [-1, inf, float("nan"), "1"],
    "sampling_rate": [-0.1, 1.1, None],
    "steps": [0, 1.5, -3],
    "delta": [0, 1, -1e-5, 2],
    "method": ["gdp", None],
    "epsilon": [0, -1, inf],
    "false_positive_rates": [[-0.1], [1.5], [float("nan")], ["a"]],
    "batches": [0, 2.5],
}
ACCEPTED = {
    epsilon: {"noise_multiplier": 1.0, "sampling_rate": 0.1, "steps": 5, "delta": 1e-5, "method": "pld"},
    noise_multiplier: {"epsilon": 1.0, "sampling_rate": 0.1, "steps": 5, "delta": 1e-5, "method": "pld"},
    tradeoff_curve: {"noise_multiplier": 1.0, "sampling_rate": 0.1, "steps": 5, "false_positive_rates": [0.1]},
    shuffle_epsilon_lower_bound: {"noise_multiplier": 1.0, "batches": 5, "delta": 1e-5},
    gaussian_epsilon: {"noise_multiplier": 1.0, "delta": 1e-5},
    gaussian_noise_multiplier: {"epsilon": 1.0, "delta": 1e-5},
}


@pytest.mark.parametrize("function", ACCEPTED, ids=lambda f: f.__name__)
def test_bad_arguments_are_named(function):
    accepted = ACCEPTED[function]
    function(**accepted)
    for name in accepted:
        for value in BAD[name]:
            with pytest.raises(ValueError, match=name):
                function(**accepted | {name: value})


def test_it_is_fast_enough_for_a_slider():
    start = time.process_time()
    for sigma in np.linspace(1, 6, 8):
        epsilon(noise_multiplier=float(sigma), sampling_rate=0.0451, steps=501, delta=1.01e-4)
    assert (time.process_time() - start) / 8 < 0.5
