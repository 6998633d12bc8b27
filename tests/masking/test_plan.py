"""A plan's sampler, noise and ledger do what the plan says."""

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare, kstest

from privlab.masking import Ledger, PrivacyPlan, epsilon, gaussian_epsilon


def masks(plan, n, seed=0, replicas=None):
    members = np.ones((n,) if replicas is None else (replicas, n), bool)
    return np.array(list(plan.batches(members, np.random.default_rng(seed))))


def test_poisson_batches_are_independent_coins():
    """Inclusion, batch sizes and pairs of steps, each with a false-alarm bound of 1e-6, against 4,000 steps."""
    drawn = masks(PrivacyPlan(1, 1, 0.2, 4000), 50)
    assert chisquare(drawn.sum(0), np.full(50, drawn.sum() / 50)).pvalue > 1e-6
    assert binomtest(int(drawn.sum()), drawn.size, 0.2).pvalue > 1e-6
    sizes = drawn.sum(1)
    assert sizes.var() == pytest.approx(50 * 0.2 * 0.8, rel=0.15)  # fixed-size batches would have none
    assert np.unique(sizes).size > 10
    assert abs(np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.1


def test_outsiders_never_take_part_and_replicas_draw_their_own():
    members = np.random.default_rng(1).random((3, 40)) < 0.5
    for sampling, rate in (("poisson", 0.5), ("full", 1.0), ("shuffle", 0.25)):
        plan = PrivacyPlan(1, 1, rate, 8, sampling=sampling)
        drawn = np.array(list(plan.batches(members, np.random.default_rng(0))))
        assert drawn.shape == (8, 3, 40)
        assert not (drawn & ~members).any()
    together = masks(PrivacyPlan(1, 1, 0.5, 4), 100, replicas=2)
    assert not np.array_equal(together[:, 0], together[:, 1])


def test_a_shuffled_pass_deals_everyone_once_in_even_batches():
    drawn = masks(PrivacyPlan(1, 1, 0.3, 6, sampling="shuffle"), 10)
    for one_pass in (drawn[:3], drawn[3:]):
        assert (one_pass.sum(0) == 1).all()
        assert set(one_pass.sum(1)) <= {3, 4}
    assert not np.array_equal(drawn[:3], drawn[3:])


def test_the_noise_has_the_plan_s_scale_in_every_array_and_is_fresh_each_step():
    plan = PrivacyPlan(noise_multiplier=2.0, clip_norm=0.5, sampling_rate=0.1, steps=3)
    like = {"weight": np.zeros((600, 500), np.float32), "bias": np.zeros(300_000, np.float32)}
    steps = [{k: v.copy() for k, v in noise.items()} for noise in plan.noise(like, np.random.default_rng(0))]
    assert len(steps) == 3
    for noise in steps:
        for name, array in noise.items():
            assert array.shape == like[name].shape
            assert array.dtype == np.float32
            assert kstest(array.ravel(), "norm", args=(0, 1.0)).pvalue > 1e-6
            for wrong in (0.95, 1.05):
                assert kstest(array.ravel(), "norm", args=(0, wrong)).pvalue < 1e-6
    values = [np.concatenate([array.ravel() for array in noise.values()]) for noise in steps]
    for other in values[1:]:
        assert abs(np.corrcoef(values[0], other)[0, 1]) < 0.02


def test_what_a_plan_promises_is_what_its_ledger_says():
    for plan in (
        PrivacyPlan(1.1, 1.0, 0.05, 200),
        PrivacyPlan(8.0, 1.0, 1.0, 50, sampling="full"),
        PrivacyPlan(3.0, 1.0, 0.25, 10, sampling="shuffle"),
    ):
        ledger = Ledger()
        for _ in range(plan.steps):
            plan.record(ledger)
        assert ledger.epsilon(1e-5) == plan.epsilon(1e-5)
        assert len(ledger.entries) == 1


def test_samplers_are_charged_differently():
    poisson, shuffled = (PrivacyPlan(1.0, 1.0, 0.1, 20, sampling=name).epsilon(1e-5) for name in ("poisson", "shuffle"))
    assert poisson == epsilon(noise_multiplier=1.0, sampling_rate=0.1, steps=20, delta=1e-5)
    assert shuffled == pytest.approx(
        gaussian_epsilon(1 / np.sqrt(2), 1e-5)
    )  # two passes, a record in one batch of each
    assert PrivacyPlan(0.0, 1.0, 0.1, 20).epsilon(1e-5) == np.inf


def test_for_epsilon_spends_the_budget_and_no_more():
    plan = PrivacyPlan.for_epsilon(2.0, 1e-5, clip_norm=1.0, sampling_rate=0.05, steps=300)
    assert 1.97 < plan.epsilon(1e-5) <= 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 1, 0.5, 1), "noise_multiplier is -1"),
        ((np.inf, 1, 0.5, 1), "noise_multiplier is inf"),
        ((1, 0, 0.5, 1), "clip_norm is 0"),
        ((1, 1, 0, 1), "sampling_rate is 0"),
        ((1, 1, 1.1, 1), "sampling_rate is 1.1"),
        ((1, 1, 0.5, 0), "steps is 0"),
        ((1, 1, 0.5, 2.0), "steps is 2.0"),
        ((1, 1, 0.5, 1, "bernoulli"), "sampling is 'bernoulli'"),
        ((1, 1, 0.5, 1, "full"), "sampling_rate is 0.5, but must be 1"),
    ],
)
def test_bad_plans_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        PrivacyPlan(*arguments)
