import math
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import skewnorm

from privlab.data import load_text
from privlab.leakage.canaries import (
    Canary,
    deduplicate,
    exposure,
    exposure_ceiling,
    plant,
    rank_exposure,
    skew_normal_exposure,
)
from privlab.leakage.extraction import secret_losses
from privlab.leakage.memorisation import Memorisation, memorisation
from privlab.leakage.sequences import windows
from privlab.leakage.text_recipe import TextRecipe, learn_secret
from privlab.learning import char_model
from privlab.masking import PrivacyPlan, epsilon

MODEL = char_model(96, hidden=32)
PARAMETERS = MODEL.init(0)
QUICK = TextRecipe(hidden=64, steps=400, private_steps=300, private_batch_size=256)
FULL = PrivacyPlan(noise_multiplier=4.0, clip_norm=1.0, sampling_rate=1.0, steps=1)


def test_the_records_of_a_canary_are_the_windows_that_its_secret_changes():
    base = load_text()[:3000]
    one, other = (plant(base, [Canary(secret, repetitions=3)], seed=5) for secret in ("281265", "394178"))
    (x, y), (x_other, y_other) = windows(one, 16), windows(other, 16)
    changed = (x != x_other).any(1) | (y != y_other)
    assert changed.sum() == Canary("281265", repetitions=3).records == 21
    rest = {(*row, label) for row, label in zip(x[~changed].tolist(), y[~changed].tolist(), strict=True)}
    unplanted = zip(*(part.tolist() for part in windows(base, 16)), strict=True)
    assert {(*row, label) for row, label in unplanted} <= rest, "no window of another line is touched"


def test_copies_go_between_lines_at_places_of_the_seed():
    base = load_text()[:5000]
    canaries = [Canary("111111", 4), Canary("222222", 0), Canary("333333", 1)]
    planted = plant(base, canaries, seed=1).splitlines()
    assert [line for line in planted if not line.startswith("my secret")] == base.splitlines()
    assert [sum(line == canary.line for line in planted) for canary in canaries] == [4, 0, 1]
    assert plant(base, canaries, seed=1).splitlines() == planted != plant(base, canaries, seed=2).splitlines()


def test_deduplication_leaves_one_copy_and_joins_no_lines():
    base, canaries = load_text()[:40_000], [Canary("281265", 9), Canary("281200", 1), Canary("394178", 2)]
    left = deduplicate(plant(base, canaries), length=len(canaries[0].line) + 2)
    assert [left.count(canary.line) for canary in canaries] == [1, 1, 1]
    assert left.count("\n") == plant(base, canaries).count("\n")
    assert len(left) > 0.97 * len(base)
    assert deduplicate(left, length=28) == left
    assert deduplicate("short") == "short"
    assert deduplicate("he said 281265 and she said 281265", length=12) == "he said 281265 and s"


def test_a_secret_that_was_never_seen_has_the_exposure_of_chance():
    """Ranks are uniform, so exposures are exponential, mean 1 / ln 2: 300 of them have a standard error of 0.083.

    Deterministic; over seeds it would fail once in 10^6 (4.9 errors), and a factor 2 in the rank shifts the mean by 12 errors.
    """
    secrets = np.random.default_rng(0).choice(1000, 300, replace=False)
    losses = secret_losses(MODEL, PARAMETERS, "my secret number is ", length=3)
    bits = [rank_exposure(losses[i], losses) for i in secrets]
    assert np.mean(bits) == pytest.approx(1 / math.log(2), abs=0.41)
    canary = Canary(f"{secrets[0]:03d}", template="my secret number is ###")
    assert exposure(MODEL, PARAMETERS, canary) == pytest.approx(bits[0])


def test_exposure_among_given_candidates():
    canary = Canary("42", template="code ##")
    every = [f"{i:02d}" for i in range(100)]
    assert exposure(MODEL, PARAMETERS, canary, every) == pytest.approx(exposure(MODEL, PARAMETERS, canary), abs=1e-6)
    without = [secret for secret in every if secret != "42"]
    assert exposure(MODEL, PARAMETERS, canary, without) == exposure(MODEL, PARAMETERS, canary, every)
    losses = secret_losses(MODEL, PARAMETERS, "code ", length=2)
    best = Canary(f"{losses.argmin():02d}", template="code ##")
    assert exposure(MODEL, PARAMETERS, best, every[:10]) <= math.log2(11)
    assert exposure(MODEL, PARAMETERS, best) == math.log2(100)
    words = Canary("ophelia", template="she is #######")
    assert 0 <= exposure(MODEL, PARAMETERS, words, ["gertrud", "laertes", "horatio"]) <= 2


def test_all_million_secrets_are_ranked_in_two_seconds():
    model = char_model(96)
    start = time.process_time()
    losses = secret_losses(model, model.init(0), "my secret number is ")
    rank_exposure(losses[281265], losses)
    assert losses.shape == (10**6,)
    assert time.process_time() - start < 2


def test_a_sample_shows_no_more_than_its_size_and_a_fit_does():
    """Normal losses, so the truth is known: Phi(-5) is 21.7 bits. The fit's error in the tail is a few per cent."""
    sample = np.random.default_rng(1).standard_normal(4000)
    assert rank_exposure(-5.0, np.append(sample, -5.0)) == math.log2(4001)
    assert skew_normal_exposure(-5.0, sample) == pytest.approx(-math.log2(ndtr(-5)), rel=0.15)
    skewed = skewnorm.rvs(4.0, size=4000, random_state=np.random.default_rng(2))
    truth = -skewnorm.logcdf([0.0, -0.3], 4.0) / math.log(2)
    np.testing.assert_allclose(skew_normal_exposure([0.0, -0.3], skewed), truth, rtol=0.15)
    assert np.isfinite(skew_normal_exposure(-1e6, sample))


@pytest.mark.parametrize("records", [0, 1, 7, 14])
@pytest.mark.parametrize("probability", [0.5, 0.05])
def test_the_ceiling_of_a_gaussian_is_exact(records, probability):
    """One Gaussian release: a group of g has mu = g / sigma (Dong, Roth and Su 2022, theorem 2.14)."""
    truth = min(-math.log2(ndtr(ndtri(probability) - records / FULL.noise_multiplier)), math.log2(10**6))
    bound = exposure_ceiling(FULL, records, probability=probability)
    assert truth - 1e-9 <= bound <= truth + 0.02 + 0.02 * records


def test_the_ceiling_is_below_that_of_one_epsilon_and_delta():
    plan = PrivacyPlan(noise_multiplier=0.9, clip_norm=1.0, sampling_rate=0.01, steps=500)
    for delta in (1e-6, 1e-4, 1e-2):
        one_line = -math.log2(0.5 - delta) + plan.epsilon(delta) / math.log(2)
        assert exposure_ceiling(plan, 1) <= one_line + 0.02
    bits = [exposure_ceiling(plan, records) for records in (0, 1, 2, 4, 8, 16)]
    assert bits == sorted(bits)
    assert bits[0] == pytest.approx(1, abs=0.02)
    assert exposure_ceiling(plan, 500) == math.log2(10**6)
    assert exposure_ceiling(replace(plan, noise_multiplier=0.0), 1) == math.log2(10**6)
    assert exposure_ceiling(plan, 500, candidates=100) == math.log2(100)


@pytest.fixture(scope="module")
def measured():
    return memorisation(
        epsilons=[math.inf, 8.0],
        repetitions=(0, 2, 16),
        canaries=3,
        text=load_text()[:40_000],
        sample=500,
        recipe=QUICK,
        progress=False,
    )


def test_repetition_is_memorised_and_noise_and_deduplication_forget(measured):
    plain, private, unique = measured.runs
    never, twice, often = np.median(plain.exposures, 1)
    assert never < twice < often
    assert often > 14
    assert np.median(private.exposures[1]) < 4
    assert np.median(unique.exposures[2]) < often - 3
    assert plain.extracted[0][2] == 16, "the likeliest of all was planted most often"
    assert plain.opened < 1000 < private.opened, "of 111,111 nodes"
    assert 0 < plain.loss < private.loss < 6.6, "bits per character; 96 characters by chance are 6.6"
    for run in measured.runs:
        assert np.max(run.sampled) <= math.log2(501) + 1e-4
        assert np.max(run.exposures) <= math.log2(10**6) + 1e-4


def test_epsilon_is_that_of_the_run_and_the_ceiling_that_of_its_group(measured):
    plain, private, _ = measured.runs
    assert (plain.epsilon, plain.noise_multiplier) == (math.inf, 0.0)
    assert plain.ceilings == (math.log2(10**6),) * 3
    rate = QUICK.private_batch_size / measured.records
    spent = epsilon(noise_multiplier=private.noise_multiplier, sampling_rate=rate, steps=300, delta=5e-6)
    assert private.epsilon == pytest.approx(spent)
    assert 7.8 < spent <= 8
    plan = PrivacyPlan(private.noise_multiplier, 1.0, rate, 300)
    assert private.ceilings == tuple(exposure_ceiling(plan, 7 * count) for count in (0, 2, 16))
    assert measured.records_per_copy == 7


def test_what_was_measured_is_kept_in_a_file(measured, tmp_path):
    measured.save(tmp_path / "canaries.json")
    assert Memorisation.load(tmp_path / "canaries.json") == measured
    assert "Infinity" not in (tmp_path / "canaries.json").read_text()


def test_the_seed_gives_the_same_figures_again():
    settings = {"epsilons": [8.0], "repetitions": (1,), "text": load_text()[:5000], "sample": 50, "progress": False}
    quick = TextRecipe(hidden=8, private_steps=5, private_batch_size=64)
    first, again, other = (memorisation(**settings, recipe=quick, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.runs != other.runs


def test_a_typed_secret_is_learnt_and_said():
    moments = list(learn_secret("394178", copies=16, moments=3))
    assert (moments[0].done, moments[-1].done) == (0, 1)
    assert moments[0].said != "394178" == moments[-1].said
    assert moments[-1].exposure == math.log2(10**6) > moments[0].exposure + 8
    assert moments[-1].opened < 1000


def test_a_private_run_spends_no_more_than_was_allowed():
    quick = TextRecipe(hidden=8, private_steps=4, private_batch_size=64)
    spent = [moment.epsilon for moment in learn_secret("394178", epsilon=2.0, moments=2, recipe=quick)]
    assert spent[0] == 0 < spent[1] < spent[2] <= 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Canary("12345"), "secret is '12345', but must be 6 printable"),
        (lambda: Canary("1234\n5"), "secret is"),
        (lambda: Canary("12", -1, "code ##"), "repetitions is -1"),
        (lambda: Canary("12", 1, "code"), "template is 'code'"),
        (lambda: Canary("12", 1, "#1 is ##"), "template is '#1 is ##'"),
        (lambda: deduplicate("text", length=0), "length is 0"),
        (lambda: plant("text", [], seed=-1), "seed is -1"),
        (lambda: exposure(MODEL, PARAMETERS, Canary("ab", template="code ##")), "secret is 'ab', but must be digits"),
        (lambda: exposure(MODEL, PARAMETERS, Canary("12", template="code ##"), ["123"]), r"lengths \[2, 3\]"),
        (lambda: rank_exposure(0.0, [1.0, 2.0]), "must hold the secret's own"),
        (lambda: rank_exposure(1.0, [1.0, np.nan]), "losses has 1 NaN"),
        (lambda: skew_normal_exposure(1.0, [1.0] * 20), "losses has 1 different values"),
        (lambda: exposure_ceiling(FULL, -1), "records is -1"),
        (lambda: exposure_ceiling(FULL, 1, probability=1), "probability is 1"),
        (lambda: exposure_ceiling(FULL, 1, candidates=1), "candidates is 1"),
        (lambda: exposure_ceiling(PrivacyPlan(1.0, 1.0, 0.5, 4, "shuffle"), 1), "plan samples 'shuffle'"),
        (lambda: learn_secret("12345a"), "secret is '12345a', but must be six digits"),
        (lambda: learn_secret("123456", copies=-1), "repetitions is -1"),
        (lambda: learn_secret("123456", moments=0), "moments is 0"),
        (lambda: learn_secret("123456", epsilon=0), "epsilon is 0"),
        (lambda: memorisation(repetitions=[-1]), "repetitions is -1"),
        (lambda: memorisation(canaries=0), "canaries is 0"),
        (lambda: memorisation(sample=2), "sample is 2"),
        (lambda: memorisation(epsilons=[-1.0]), "epsilon is -1"),
        (lambda: memorisation(epsilons=[8.0], delta=2), "delta is 2"),
    ],
)
def test_what_is_not_allowed_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
