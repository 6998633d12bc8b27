"""Attacks against slow forms written out record by record, and ROC curves against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score, roc_curve

from privlab.leakage import bootstrap_band, confidence, lira, loss_threshold, rmia, roc, separation


def simulated(models=32, records=400, gap=1.0, seed=0):
    """Confidences of a world in which membership shifts each record's normal distribution by ``gap``."""
    rng = np.random.default_rng(seed)
    members = rng.random((models, records)) < 0.5
    centres, spreads = rng.normal(3, 2, records), rng.uniform(0.5, 2, records)
    return centres + spreads * (rng.standard_normal((models, records)) + gap * members), members


def slow_lira(confidences, members, online, variance, prior=8):
    """Every target and record in a loop, straight from the definitions."""
    models, records = confidences.shape
    scores = np.zeros((models, records))
    for target in range(models):
        others = np.arange(models) != target
        fits = {}
        for kind, inside in (("in", members), ("out", ~members)):
            samples = [confidences[others & inside[:, i], i] for i in range(records)]
            squares = [((s - s.mean()) ** 2).sum() if len(s) else 0 for s in samples]
            freedom = [max(len(s) - 1, 0) for s in samples]
            pooled = sum(squares) / max(sum(freedom), 1)
            fits[kind] = samples, squares, freedom, pooled
        for i in range(records):
            moments = {}
            for kind, (samples, squares, freedom, pooled) in fits.items():
                if variance == "shared":
                    v = pooled
                elif variance == "per-example":
                    v = squares[i] / freedom[i] if freedom[i] else pooled
                else:
                    v = (prior * pooled + squares[i]) / (prior + freedom[i])
                moments[kind] = (samples[i].mean() if len(samples[i]) else None, np.sqrt(v))
            value, (in_mean, in_sd), (out_mean, out_sd) = confidences[target, i], moments["in"], moments["out"]
            if out_mean is None or (online and in_mean is None):
                continue
            if online:
                scores[target, i] = norm.logpdf(value, in_mean, in_sd) - norm.logpdf(value, out_mean, out_sd)
            else:
                scores[target, i] = (value - out_mean) / out_sd
    return scores


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("variance", ["shrunk", "shared", "per-example"])
def test_all_leave_one_out_targets_equal_the_loop(online, variance):
    confidences, members = simulated(models=7, records=23, seed=3)
    fast = lira(confidences + 1e4, members, online=online, variance=variance)  # the offset would cancel badly
    np.testing.assert_allclose(fast, slow_lira(confidences + 1e4, members, online, variance), atol=1e-5)


def slow_rmia(log_p, members, population, gamma):
    """Offline, the full matrix of pairwise ratios."""
    models, records = log_p.shape
    scores = np.zeros((models, records))
    for target in range(models):
        others = np.arange(models) != target
        z = np.exp(population[target]) / ((np.exp(population[others]).mean(0) + 1) / 2)
        for i in range(records):
            outs = others & ~members[:, i]
            if outs.any():
                ratio = np.exp(log_p[target, i]) / ((np.exp(log_p[outs, i]).mean() + 1) / 2)
                scores[target, i] = (ratio / z >= gamma).mean()
    return scores


@pytest.mark.parametrize("gamma", [1.0, 1.7])
def test_rmia_counts_the_population_records_beaten(gamma):
    rng = np.random.default_rng(0)
    members = rng.random((5, 40)) < 0.5
    log_p, population = -rng.exponential(size=(5, 40)), -rng.exponential(size=(5, 30))
    scores = rmia(log_p, members, population, gamma=gamma)
    assert ((scores >= 0) & (scores < 1)).all()
    np.testing.assert_allclose(
        np.floor(scores * 31 + 1e-9) / 30, slow_rmia(log_p, members, population, gamma), atol=1e-9
    )


def test_rmia_breaks_ties_where_the_population_is_small():
    rng = np.random.default_rng(0)
    members = rng.random((8, 2000)) < 0.5
    log_p, population = -rng.exponential(size=(8, 2000)) * np.where(members, 0.2, 1), -rng.exponential(size=(8, 20))
    scores = rmia(log_p, members, population)
    assert np.unique(scores).size > 0.9 * scores.size
    assert roc(scores, members).tpr_at(0.001) > 0
    assert roc(np.floor(scores * 21), members).tpr_at(0.001) == 0  # what the share alone would resolve


def test_attacks_know_members_from_others_and_prefer_members():
    confidences, members = simulated(models=64, records=500, gap=2)
    online, offline = lira(confidences, members), lira(confidences, members, online=False)
    threshold = loss_threshold(np.logaddexp(0, -confidences))
    assert roc(online, members).auc > roc(offline, members).auc > roc(threshold, members).auc > 0.5


def test_oracle_world_reaches_the_known_curve():
    """With many models LiRA approaches the best test of N(0, 1) against N(1, 1): AUC = Phi(1 / sqrt 2)."""
    confidences, members = simulated(models=256, records=400, gap=1)
    assert roc(lira(confidences, members), members).auc == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.01)


def test_without_leakage_attacks_guess():
    confidences, members = simulated(models=64, records=500, gap=0)
    for scores in (lira(confidences, members), lira(confidences, members, online=False)):
        assert roc(scores, members).auc == pytest.approx(0.5, abs=0.01)


def test_records_that_all_or_none_trained_on_score_zero():
    confidences, members = simulated(models=4, records=10)
    members[:, 0], members[:, 1] = True, False
    scores = lira(confidences, members)
    assert (scores[:, :2] == 0).all()
    assert np.isfinite(scores).all()
    assert (rmia(-np.abs(confidences), members, -np.abs(confidences))[:, 0] == 0).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=60))
def test_roc_equals_scikit_learn_and_never_cuts_a_tie(cases):
    scores, members = np.array([c[0] for c in cases], float), np.array([c[1] for c in cases])
    if members.all() or not members.any():
        return
    curve = roc(scores, members)
    assert curve.auc == pytest.approx(roc_auc_score(members, scores))
    fpr, tpr, _ = roc_curve(members, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive_rates, fpr)
    np.testing.assert_allclose(curve.true_positive_rates, tpr)
    for limit in (0, 0.1, 0.5, 1):
        assert curve.tpr_at(limit) == pytest.approx(tpr[fpr <= limit + 1e-12].max())
    assert curve.advantage == pytest.approx((tpr - fpr).max())


def test_false_positive_rates_are_counted_not_compared_as_floats():
    members = np.zeros(301, bool)
    members[3] = True  # three false alarms outscore the one member
    curve = roc(-np.arange(301.0), members)
    assert curve.tpr_at(0.01) == 1
    assert curve.tpr_at(0.0099) == 0


def test_the_band_is_the_exact_binomial_interval():
    confidences, members = simulated(models=16, records=100)
    curve = roc(lira(confidences, members), members)
    low, high = curve.band([0.0, 0.01, 0.1, 1.0])
    for k, rate in enumerate([0.0, 0.01, 0.1, 1.0]):
        hits = round(curve.tpr_at(rate) * curve.members)
        exact = binomtest(hits, curve.members).proportion_ci(0.95, method="exact")
        assert (low[k], high[k]) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_confidence_does_not_saturate_and_equals_the_log_odds():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(0, 3, (6, 4)), rng.integers(4, size=6)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p = (p / p.sum(-1, keepdims=True))[np.arange(6), y]
    np.testing.assert_allclose(confidence(logits, y), np.log(p / (1 - p)))
    sure = confidence(np.float32([[200, 0], [300, 0]]), [0, 0])
    assert np.array_equal(sure, [200, 300])


def test_a_class_missing_from_a_split_and_constant_scores_do_no_harm():
    members = np.array([[True, False, True, False]] * 4)
    constant = np.ones((4, 4))
    assert roc(lira(constant, members), members).auc == 0.5


def test_the_bootstrap_band_covers_what_other_models_reach():
    """The world's true rate lies inside the 95 % band of most experiments: at least 30 of 40 (false alarm below 1e-4)."""
    big, members = simulated(models=1500, records=60, seed=99)
    truth = roc(lira(big, members), members).tprs_at([0.02, 0.2])
    covered = np.zeros(2)
    for seed in range(40):
        keep = np.random.default_rng(seed).choice(1500, 60, replace=False)
        scores = lira(big, members)[keep]
        low, high = bootstrap_band(scores, members[keep], [0.02, 0.2], repeats=200)
        covered += (low <= truth) & (truth <= high)
    assert (covered >= 30).all()


def test_separation_is_the_gap_of_two_equal_bells():
    rng = np.random.default_rng(2)
    members = np.arange(4000)[:, None] % 2 == 0
    told = 3 * rng.standard_normal((4000, 1)) + 6 * members
    assert separation(told, members) == pytest.approx(2, abs=0.2)


def test_no_attack_beats_the_separation_of_equal_bells():
    rng = np.random.default_rng(3)
    members = np.arange(20_000)[:, None] % 2 == 0
    told = rng.standard_normal((20_000, 1)) + 2 * members
    gap, rates = separation(told, members)[0], np.array([0.01, 0.1])
    found = roc(lira(told, members, variance="shared"), members).tprs_at(rates)
    np.testing.assert_allclose(found, norm.cdf(norm.ppf(rates) + gap), atol=0.03)


@pytest.mark.parametrize(
    ("told", "members", "message"),
    [
        ([[1.0], [2.0], [3.0]], [[True], [False], [False]], "members has a record with 1 models on one side"),
        ([[1.0], [2.0]], [[1], [0]], "members has dtype int64"),
        ([[1.0], [np.nan]], [[True], [False]], "confidences has 1 NaN"),
    ],
)
def test_separation_refuses(told, members, message):
    with pytest.raises(ValueError, match=message):
        separation(told, members)


M = np.array([[True, False], [False, True], [True, True]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lira(np.ones((3, 2)), M[:2]), r"members has .* shape \(2, 2\)"),
        (lambda: lira(np.ones((3, 2)), M.astype(int)), "dtype int64"),
        (lambda: lira(np.full((3, 2), np.inf), M), "confidences has 6 NaN or infinite"),
        (lambda: lira(np.ones((2, 2)), M[:2]), r"confidences has 2 model\(s\)"),
        (lambda: lira(np.ones(3), M[:, 0]), r"confidences has shape \(3,\)"),
        (lambda: lira(np.ones((3, 2)), M, variance="both"), "variance is 'both'"),
        (lambda: rmia(np.zeros((3, 2)), M, np.zeros((2, 5))), r"population has shape \(2, 5\)"),
        (lambda: rmia(np.zeros((3, 2)), M, np.zeros((3, 5)), gamma=0.5), "gamma is 0.5"),
        (lambda: rmia(np.zeros((3, 2)), M, np.zeros((3, 5)), offline_weight=2), "offline_weight is 2"),
        (lambda: loss_threshold([0.1, np.nan]), "losses has 1 NaN"),
        (lambda: roc([1, np.nan], [True, False]), "scores has 1 NaN"),
        (lambda: roc([1, 2], [True, True]), "2 members and 0 non-members"),
        (lambda: roc([1, 2], [True]), "members has"),
        (lambda: roc([1, 2], [True, False]).tpr_at(1.5), "fpr is 1.5"),
        (lambda: roc([1, 2], [True, False]).band([0.5], confidence=1), "confidence is 1"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
