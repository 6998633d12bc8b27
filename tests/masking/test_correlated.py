"""Correlated noise: the matrices, the stream that draws them, and what a whole run spends."""

import itertools
import json
from math import ceil, sqrt

import numpy as np
import pytest
from scipy.stats import kstest

from privlab.masking import Ledger, PrivacyPlan, correlated, epsilon, gaussian_epsilon, gaussian_noise_multiplier
from privlab.masking.correlated import NAMES, Correlation
from privlab.masking.plan import running_sum_errors

KINDS = [
    Correlation("tree"),
    Correlation("square-root"),
    Correlation("banded-square-root", bands=1),
    Correlation("banded-square-root", bands=4),
    Correlation("one-step", decay=0.8),
    Correlation("one-step", decay=1.0),
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)


def cyclic(steps, batches, correlation=None, sigma=2.0):
    return PrivacyPlan(sigma, 1.0, 1 / batches, steps, sampling="cyclic", correlation=correlation)


def worst_pass_pattern(kind, steps, batches):
    """Largest norm of columns of C that one record's steps sum up, over all records' patterns, by brute force."""
    matrix = kind.matrix(steps)
    return max(np.linalg.norm(matrix[:, first::batches].sum(1)) for first in range(min(batches, steps)))


@every_kind
def test_streamed_noise_and_the_matrix_split_the_running_sum(kind):
    """Fed the identity, the stream yields C^-1; its running sums are the B with B C = A, whoever computes C."""
    for steps in (1, 2, 7, 64, 100):
        inverse = np.array([row.copy() for row in kind.stream(np.eye(steps), steps)])
        running_sums = np.cumsum(inverse, axis=0)
        assert np.abs(running_sums @ kind.matrix(steps) - np.tri(steps)).max() < 1e-12
        assert kind.running_sum_error(steps) == pytest.approx(sqrt((running_sums**2).sum() / steps), rel=1e-12)


def test_each_matrix_is_the_one_of_its_paper():
    root = Correlation("square-root").matrix(16)
    assert np.abs(root @ root - np.tri(16)).max() < 1e-13
    banded = Correlation("banded-square-root", bands=3).matrix(16)
    assert np.array_equal(banded, np.tril(np.triu(root, -2)))
    one_step = np.linalg.inv(Correlation("one-step", decay=0.8).matrix(5))
    assert np.abs(one_step - (np.eye(5) - 0.8 * np.eye(5, k=-1))).max() < 1e-15
    nodes = Correlation("tree").matrix(
        8
    )  # step t, from 1, completes the node of as many steps as its lowest binary one
    assert nodes.sum(1).tolist() == [1, 2, 1, 4, 1, 2, 1, 8]
    assert nodes[5].tolist() == [0, 0, 0, 0, 1, 1, 0, 0]


@every_kind
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_streamed_noise_is_the_matrix_product(kind, dtype, tolerance):
    for steps in (1, 3, 50, 300):
        fresh = np.random.default_rng(0).standard_normal((steps, 7)).astype(dtype)
        streamed = np.array([row.copy() for row in kind.stream(fresh.copy(), steps)])
        assert streamed.dtype == dtype
        expected = np.linalg.solve(kind.matrix(steps), fresh.astype(np.float64))
        assert np.abs(streamed - expected).max() < tolerance


@every_kind
def test_sensitivity_is_the_worst_participation_pattern(kind):
    rng = np.random.default_rng(0)
    for steps, batches in itertools.product((1, 2, 5, 12, 33), (1, 2, 3, 7, 40)):
        claimed = kind.sensitivity(steps, batches)
        assert claimed == pytest.approx(worst_pass_pattern(kind, steps, batches), rel=1e-13)
        for first in range(min(batches, steps)):  # whatever the gradients, within the clip norm
            changed = np.zeros((steps, 3))
            changed[first::batches] = rng.standard_normal(changed[first::batches].shape)
            changed /= np.maximum(1, np.linalg.norm(changed, axis=1, keepdims=True))
            assert np.linalg.norm(kind.matrix(steps) @ changed) <= claimed * (1 + 1e-13)


@pytest.mark.parametrize("kind", KINDS[1:], ids=str)
def test_sensitivity_covers_every_pattern_of_minimal_separation(kind):
    """All 2^10 sets of steps, for the kinds of which the theorem speaks."""
    matrix = kind.matrix(10)
    for separation in (1, 2, 3, 4):
        worst = 0.0
        for chosen in itertools.product((0, 1), repeat=10):
            places = np.flatnonzero(chosen)
            if (np.diff(places) >= separation).all():
                worst = max(worst, np.linalg.norm(matrix[:, places].sum(1)))
        assert kind.sensitivity(10, separation) == pytest.approx(worst, rel=1e-13)


@every_kind
def test_a_run_is_one_gaussian_release(kind):
    for steps, batches in ((40, 8), (37, 8), (5, 8), (12, 1)):
        plan = cyclic(steps, batches, kind)
        assert plan.epsilon(1e-5) == pytest.approx(
            gaussian_epsilon(2.0 / worst_pass_pattern(kind, steps, batches), 1e-5), rel=1e-11
        )
        calibrated = PrivacyPlan.for_epsilon(
            3.0, 1e-5, clip_norm=1.0, sampling_rate=1 / batches, steps=steps, sampling="cyclic", correlation=kind
        )
        assert 3.0 * (1 - 1e-9) < calibrated.epsilon(1e-5) <= 3.0
    full = PrivacyPlan(2.0, 1.0, 1.0, 12, sampling="full", correlation=kind)
    assert full.epsilon(1e-5) == cyclic(12, 1, kind).epsilon(1e-5)


def test_cyclic_runs_of_white_noise_are_charged_by_passes():
    for steps, batches in ((1, 10), (10, 10), (11, 10), (25, 10), (30, 1)):
        expected = gaussian_epsilon(2.0 / sqrt(ceil(steps / batches)), 1e-5)
        assert cyclic(steps, batches).epsilon(1e-5) == pytest.approx(expected, rel=1e-12)
        white = Correlation("banded-square-root", bands=1)
        assert cyclic(steps, batches, white).epsilon(1e-5) == pytest.approx(expected, rel=1e-12)
    assert cyclic(30, 10).epsilon(1e-5) > epsilon(noise_multiplier=2.0, sampling_rate=0.1, steps=30, delta=1e-5)
    for sampling, rate in (("full", 1.0), ("shuffle", 0.1), ("cyclic", 0.1), ("poisson", 0.1)):
        plan = PrivacyPlan.for_epsilon(2.0, 1e-5, clip_norm=1.0, sampling_rate=rate, steps=25, sampling=sampling)
        assert 1.97 < plan.epsilon(1e-5) <= 2.0


@every_kind
def test_the_ledger_charges_the_steps_that_were_done(kind):
    plan, ledger, spent = cyclic(24, 6, kind), Ledger(), 0.0
    for done in range(1, 25):
        plan.record(ledger)
        expected = gaussian_epsilon(2.0 / worst_pass_pattern(kind, done, 6), 1e-5)
        assert ledger.epsilon(1e-5) == pytest.approx(expected, rel=1e-11)
        assert ledger.epsilon(1e-5) >= spent
        spent = ledger.epsilon(1e-5)
    assert len(ledger.entries) == 1
    assert spent == plan.epsilon(1e-5)
    assert str(kind) in str(ledger)


def test_two_runs_compose_and_stay_two_on_disk():
    runs = [Ledger(), Ledger()]
    for run in runs:
        cyclic(5, 10, Correlation("banded-square-root", bands=4)).record(run, 5)
        run.record("cyclic", 0.1, 2.0, 5)
        run.record("poisson", 0.1, 2.0, 5)
    both = runs[0].followed_by(runs[1])
    copy = Ledger.from_record(json.loads(json.dumps(both.as_record())))
    assert copy == both
    assert copy.entries[0].correlation == Correlation("banded-square-root", bands=4)
    half = Ledger()
    half.record("shuffle", 0.1, 2.0, 5)
    twice = half.followed_by(half)  # merged into one pass, they would cost one release
    assert Ledger.from_record(twice.as_record()).epsilon(1e-5) == twice.epsilon(1e-5) > half.epsilon(1e-5)
    alone = Ledger(entries=runs[0].entries[:1])
    squared = (Correlation("banded-square-root", bands=4).sensitivity(5, 10) / 2.0) ** 2
    assert alone.followed_by(alone).epsilon(1e-5) == pytest.approx(gaussian_epsilon(1 / sqrt(2 * squared), 1e-5))
    old = {"sampler": "poisson", "sampling_rate": 0.1, "noise_multiplier": 1.0, "steps": 3}
    assert Ledger.from_record({"noise_source": "operating system", "entries": [old]}).entries[0].correlation is None


def test_one_ledger_keeps_runs_of_a_plan_apart():
    """Half a pass twice from its beginning meets the same record twice."""
    plan, ledger = cyclic(5, 10), Ledger()
    for _ in range(10):
        plan.record(ledger)
    assert [entry.steps for entry in ledger.entries] == [5, 5]
    assert ledger.epsilon(1e-5) == pytest.approx(gaussian_epsilon(sqrt(2), 1e-5))
    plan.record(ledger, 2)
    assert "2 of 5 steps" in str(ledger)
    with pytest.raises(ValueError, match="steps is 4, but must be <= 3, what is left"):
        plan.record(ledger, 4)
    assert [entry.steps for entry in ledger.entries] == [5, 5, 2]
    assert Ledger.from_record(ledger.as_record()) == ledger


def test_the_dealing_goes_by_place_and_nothing_else():
    members = np.random.default_rng(0).random((3, 23)) < 0.5
    drawn = np.array(list(cyclic(12, 5).batches(members, np.random.default_rng(1))))
    for step, batch in enumerate(drawn):
        assert np.array_equal(np.flatnonzero(batch.any(0)), [i for i in range(step % 5, 23, 5) if members[:, i].any()])
        assert not (batch & ~members).any()
    without = members.copy()
    without[:, 7] = False
    again = np.array(list(cyclic(12, 5).batches(without, np.random.default_rng(2))))
    assert np.array_equal(np.delete(drawn, 7, axis=-1), np.delete(again, 7, axis=-1))
    sizes = [batch.sum() for batch in cyclic(30, 30).batches(np.ones(23, bool), np.random.default_rng(0))]
    assert sizes == [1] * 23 + [0] * 7  # batches may be empty
    assert all(batch.all() for batch in cyclic(3, 1).batches(np.ones(23, bool), np.random.default_rng(0)))


def drawn_noise(plan, size, seed=0):
    like = {"weight": np.zeros((size // 2, 1), np.float32), "bias": np.zeros(size - size // 2, np.float32)}
    steps = plan.noise(like, np.random.default_rng(seed))
    return np.array([np.concatenate([array.ravel() for array in noise.values()]) for noise in steps])


def test_white_noise_is_what_the_generator_draws():
    rng = np.random.default_rng(5)
    expected = [rng.standard_normal(31, np.float32) * np.float32(1.5) for _ in range(6)]
    assert np.array_equal(drawn_noise(cyclic(6, 2, sigma=1.5), 31, seed=5), expected)


@every_kind
def test_a_plan_s_noise_has_the_covariance_of_the_matrix(kind):
    """C X is white with the plan's scale. False alarms below 1e-6 a kind; a scale wrong by 5 % and white noise are found out."""
    plan = PrivacyPlan(2.0, 0.5, 0.25, 20, sampling="cyclic", correlation=kind)
    noise = drawn_noise(plan, 10_000)
    whitened = kind.matrix(20) @ noise
    assert kstest(whitened.ravel(), "norm").pvalue > 1e-7
    for wrong in (0.95, 1.05):
        assert kstest(whitened.ravel(), "norm", args=(0, wrong)).pvalue < 1e-7
    bound = 6.5 / sqrt(10_000)  # of 190 empirical correlations
    assert np.abs(np.corrcoef(whitened) - np.eye(20)).max() < bound
    assert (np.abs(np.corrcoef(noise) - np.eye(20)).max() > bound) == (kind.bands != 1)


def distinguishability(plan, batches):
    """Distance between runs with and without the worst record over the noise's spread, along the best direction, measured."""
    matrix = plan.correlation.matrix(plan.steps)
    released = matrix @ drawn_noise(plan, 40_000)
    shifts = [matrix[:, first::batches].sum(1) for first in range(batches)]
    return max(shift @ shift / (shift @ released).std() for shift in shifts)


def forgets_passes(kind, steps, separation):
    return np.linalg.norm(kind.matrix(steps)[:, 0])


def adds_passes_as_if_disjoint(kind, steps, separation):
    return forgets_passes(kind, steps, separation) * sqrt(ceil(steps / separation))


def looks_at_the_last_batch(kind, steps, separation):
    return np.linalg.norm(kind.matrix(steps)[:, separation - 1 :: separation].sum(1))


MUTANTS = [
    (forgets_passes, KINDS[0]),
    (forgets_passes, KINDS[3]),
    (adds_passes_as_if_disjoint, KINDS[1]),
    (adds_passes_as_if_disjoint, KINDS[4]),
    (looks_at_the_last_batch, KINDS[0]),
    (looks_at_the_last_batch, KINDS[1]),
]


@pytest.mark.parametrize(("mutant", "kind"), [(None, kind) for kind in KINDS] + MUTANTS)
def test_no_attacker_tells_more_than_epsilon_allows_and_wrong_sensitivities_are_caught(mutant, kind, monkeypatch):
    """The spread is known to 0.35 %; 2 % are allowed (false alarms below 1e-7), and each mutant is off by more."""
    batches, steps = 8, 32
    if mutant:
        monkeypatch.setattr(correlated, "_sensitivity", mutant)
    plan = PrivacyPlan.for_epsilon(
        2.0, 1e-5, clip_norm=1.0, sampling_rate=1 / batches, steps=steps, sampling="cyclic", correlation=kind
    )
    achieved = distinguishability(plan, batches) * gaussian_noise_multiplier(2.0, 1e-5)
    assert achieved > 1.02 if mutant else achieved == pytest.approx(1, abs=0.02)


def test_errors_of_running_sums_at_equal_cost():
    """Figures computed independently: 64 steps of one pass, then 512 of eight; noise multiplier 1 for the whole run."""
    for steps, expected in (
        (64, {None: 5.70, "tree": 4.59, "square-root": 2.23}),
        (512, {None: 45.3, "square-root": 12.3, "banded-square-root": 9.64}),
    ):
        for name, error in expected.items():
            plan = cyclic(steps, 64, name)
            found = plan.running_sum_error() / 2.0 * plan._released().entries[0].sensitivity
            assert found == pytest.approx(error, rel=5e-3), name
    narrow = Correlation("banded-square-root", bands=16)
    assert narrow.sensitivity(512, 64) * narrow.running_sum_error(512) == pytest.approx(14.8, rel=5e-3)
    tree = drawn_noise(cyclic(64, 64, "tree", sigma=sqrt(7)), 20_000).cumsum(0)
    assert sqrt((tree.astype(np.float64) ** 2).mean()) == pytest.approx(4.59, rel=0.02)


def test_where_correlation_pays():
    """Banded noise against Poisson amplification, 512 steps of 64 batches: they cross near epsilon 3."""
    figures = {0.5: 1.59, 1: 1.44, 2: 1.16, 4: 0.84, 8: 0.59, 16: 0.43}
    for target, ratio in figures.items():
        errors = running_sum_errors(target, 1e-5, steps=512, batches=64)
        assert errors["banded-square-root"] / errors["amplified"] == pytest.approx(ratio, abs=0.012)
        assert errors["amplified"] < errors["independent"]
    assert set(errors) == {"independent", "amplified", *NAMES}


def test_a_name_stands_for_parameters_that_suit_the_plan():
    assert cyclic(64, 8, "banded-square-root").correlation == Correlation("banded-square-root", bands=8)
    assert cyclic(64, 8, "tree") == cyclic(64, 8, Correlation("tree"))

    def error(kind):
        return kind.sensitivity(64, 8) * kind.running_sum_error(64)

    best = min(error(Correlation("one-step", decay=decay)) for decay in np.linspace(0, 1, 101))
    assert error(cyclic(64, 8, "one-step").correlation) <= best * 1.0001
    banded = min(error(Correlation("banded-square-root", bands=bands)) for bands in range(1, 65))
    assert error(Correlation("banded-square-root", bands=8)) <= banded * 1.04


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("poisson", 0.25, "tree"), "sampling is 'poisson', but must be 'cyclic' or 'full'"),
        (("poisson", 1.0, "tree"), "sampling is 'poisson'"),
        (("shuffle", 0.25, KINDS[1]), "sampling is 'shuffle'"),
        (("cyclic", 0.3, None), "sampling_rate is 0.3, but must be 1/b"),
        (("cyclic", 0.25, "blt"), "correlation is 'blt', but must be one of 'tree'"),
        (("cyclic", 0.25, 3), "correlation is 3"),
        (("full", 0.25, "tree"), "sampling_rate is 0.25, but must be 1"),
    ],
)
def test_plans_that_cannot_be_charged_are_refused(arguments, message):
    sampling, rate, correlation = arguments
    with pytest.raises(ValueError, match=message):
        PrivacyPlan(1.0, 1.0, rate, 8, sampling=sampling, correlation=correlation)
    if not isinstance(correlation, str | int):
        with pytest.raises(ValueError, match=message.replace("sampling is", "sampler is")):
            Ledger().record(sampling, rate, 1.0, 8, correlation)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "blt"}, "name is 'blt'"),
        ({"name": "banded-square-root"}, "bands is 0"),
        ({"name": "banded-square-root", "bands": 2.5}, "bands is 2.5"),
        ({"name": "tree", "bands": 2}, "bands is 2, but must be 0 for 'tree'"),
        ({"name": "one-step", "decay": 1.5}, "decay is 1.5"),
        ({"name": "square-root", "decay": 0.5}, "decay is 0.5, but must be 0"),
    ],
)
def test_bad_correlations_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        Correlation(**arguments)
