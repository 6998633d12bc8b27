"""The museum: its correct form is the package's step, every bug is caught, every check is needed, nothing correct is accused."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from scipy.stats import binom

from privlab.leakage.audit import audit
from privlab.leakage.exhibits import EXHIBITS, Exhibit
from privlab.leakage.museum import CHECKS, DELTA, museum, visit
from privlab.leakage.specimen import batches, clipped_sum, dp_sgd, example_gradients, losses
from privlab.learning import softmax_regression, train
from privlab.masking import Ledger, PrivacyPlan, shuffle_epsilon_lower_bound

TRIALS = 400  # the least at which every label holds with a margin
BY_NAME = {exhibit.bug: exhibit for exhibit in EXHIBITS}


def wild(records, features=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((records, features)) * 10 ** rng.uniform(-2, 2, (records, 1)), rng.integers(
        2, size=records
    )


@pytest.fixture(scope="module", autouse=True)
def quick():
    """One null run for each audit: `visit` does not report them."""
    module = import_module("privlab.leakage.audit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "REPEATS", 1)
        yield
    module._oracle.cache_clear()


@pytest.fixture(scope="module")
def table(quick):
    return {row.bug: row for row in museum(trials=TRIALS)}


@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_the_correct_form_is_the_packages_step_on_the_same_noise(rate):
    """Step by step in float64: the package's clipped gradient and the plan's noise, from a generator in the same state."""
    (x, y), plan, rng = wild(20), PrivacyPlan(0.7, 0.4, rate, 6), np.random.default_rng(1)
    model = softmax_regression(3, 2)
    parameters = {name: np.zeros_like(array) for name, array in model.init(0, dtype=np.float64).items()}
    expected = []
    for _ in range(plan.steps):
        chosen = rng.random(20) < rate
        update = model.clipped_gradient(parameters, x[chosen], y[chosen], plan.clip_norm)
        noise = next(iter(replace(plan, steps=1).noise(parameters, rng)))
        for name in parameters:
            update[name] = -(update[name] + noise[name]) / 5.0
            parameters[name] = parameters[name] + update[name]
        expected.append(np.concatenate([update["dense_1.weight"].ravel(), update["dense_1.bias"]]))
    found = dp_sgd((x, y), plan, np.random.default_rng(1), batch_size=5.0)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    weights = np.vstack([parameters["dense_1.weight"], parameters["dense_1.bias"]])
    np.testing.assert_allclose(losses(weights, x, y), model.losses(parameters, x, y), atol=1e-9)


def test_the_correct_form_bounds_every_record_and_keeps_the_ledger():
    (x, y), plan, ledger = wild(30), PrivacyPlan(1.0, 0.5, 0.5, 7), Ledger()
    x[3], x[4] = np.inf, np.nan
    gradients = example_gradients(np.ones((4, 2)), x, y)
    for gradient in gradients:
        assert np.linalg.norm(clipped_sum(gradient[None], plan, np.random.default_rng(0))) <= 0.5 * (1 + 1e-12)
    assert np.isfinite(dp_sgd((x, y), plan, np.random.default_rng(0), ledger=ledger)).all()
    assert ledger.epsilon(DELTA) == plan.epsilon(DELTA)


def test_there_are_at_least_fifteen_bugs_with_names_and_labels_of_their_own():
    assert len(BY_NAME) == len(EXHIBITS) >= 15
    assert {exhibit.label for exhibit in EXHIBITS} == set(CHECKS)
    assert {exhibit.harm for exhibit in EXHIBITS} == {"privacy", "accounting", "utility"}


def test_every_switch_changes_what_is_released_or_written():
    for exhibit in EXHIBITS:
        outcomes = []
        for bug in ("", exhibit.bug):
            ledger, arguments = Ledger(), {"batch_size": exhibit.batch_size, "bug": bug}
            runs = [
                dp_sgd(exhibit.neighbours[1], exhibit.plan, np.random.default_rng(s), ledger=ledger, **arguments)
                for s in range(9)
            ]
            outcomes.append((np.stack(runs).tobytes(), str(ledger)))
        assert outcomes[0] != outcomes[1], exhibit.bug


@pytest.mark.parametrize("bug", BY_NAME)
def test_every_bug_is_caught_by_what_its_label_says(table, bug):
    """Over 10 seeds every bound that a label needs was above 3 times the claim, and every p-value below 1e-100."""
    assert BY_NAME[bug].label in table[bug].caught_by
    assert table[bug].verdict == "caught"


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_is_needed(table, check):
    """With one check left out, a bug that bears its name escapes: each is the only one to catch some bug."""
    alone = [bug for bug, row in table.items() if row.caught_by == (check,)]
    assert alone
    assert check == BY_NAME[alone[0]].label
    others = [other for other in CHECKS if other != check]
    assert visit(BY_NAME[alone[0]], checks=others, trials=TRIALS).verdict == "escaped"


def test_the_table_keeps_apart_who_is_harmed(table):
    """Bounds above the claim where privacy is broken in earnest; below it where it is the accounting or the learning that is."""
    for row in table.values():
        assert row.claimed_epsilon == BY_NAME[row.bug].plan.epsilon(DELTA)
        assert (row.audited_epsilon > row.claimed_epsilon) == ("audit" in row.caught_by)
        assert (row.ledger_epsilon > row.claimed_epsilon * (1 + 1e-6)) == ("ledger" in row.caught_by)
        if row.harm == "utility":
            assert row.caught_by == ("noise",)
        if row.harm == "accounting":
            assert row.caught_by == ("ledger",)
    found = [row for row in table.values() if "audit" in row.caught_by]
    assert len(found) >= 15
    assert min(row.audited_epsilon / row.claimed_epsilon for row in found) > 1.5


def test_the_bugs_that_no_audit_sees_are_violations_all_the_same():
    """By closed forms: what each spends at least, against what it claims."""
    shuffled = BY_NAME["shuffled batches"].plan
    least = shuffle_epsilon_lower_bound(noise_multiplier=shuffled.noise_multiplier, batches=shuffled.steps, delta=DELTA)
    assert least > 1.4 * shuffled.epsilon(DELTA)
    on = BY_NAME["trained on"].plan
    assert replace(on, steps=3 * on.steps).epsilon(DELTA) > 1.5 * on.epsilon(DELTA)
    rounded = BY_NAME["rounded rate"].plan
    assert replace(rounded, sampling_rate=0.5).epsilon(DELTA) > 1.05 * rounded.epsilon(DELTA)
    grid = BY_NAME["rounded after clipping"]
    gradients = example_gradients(np.zeros((2, 2)), *grid.neighbours[1])
    longest = np.linalg.norm(clipped_sum(gradients, grid.plan, np.random.default_rng(0), grid.bug))
    assert longest > 1.05 * grid.plan.clip_norm


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.bug)
def test_without_its_bug_no_exhibit_is_accused(exhibit):
    """Five checks: two with a false alarm of 1e-6, two with none, and an audit that errs in under 5 %, by far."""
    row = visit(replace(exhibit, bug=""), trials=100)
    assert row.caught_by == ()
    assert row.verdict == "escaped"


def pair(x, y):
    x = np.asarray(x, dtype=float).reshape(len(y), -1)
    return (x[:-1], np.asarray(y[:-1], int)), (x, np.asarray(y, int))


UNUSUAL = {
    "heavy clipping": (PrivacyPlan(4.0, 1e-6, 1.0, 1), pair([3, 4, 5], [0, 1, 0])),
    "hardly any clipping": (PrivacyPlan(4.0, 1e6, 1.0, 1), pair([3, 4, 1e7], [0, 1, 0])),
    "tiny batches": (PrivacyPlan(1.0, 1.0, 0.01, 20), pair([100, 100], [0, 0])),
    "one class": (PrivacyPlan(4.0, 1.0, 1.0, 2), pair([100] * 9, [1] * 9)),
    "nobody": (PrivacyPlan(4.0, 1.0, 0.5, 3), pair([100], [0])),
    "hardly any noise": (PrivacyPlan(0.5, 1.0, 1.0, 1), pair([100, 100], [0, 1])),
    "a great deal of noise": (PrivacyPlan(400.0, 1.0, 1.0, 1), pair([100, 100], [0, 1])),
    "many features": (PrivacyPlan(4.0, 1.0, 1.0, 1), pair(np.full((4, 60), 9.0), [0, 1, 0, 1])),
    "a record without end": (PrivacyPlan(4.0, 1.0, 1.0, 1), pair([1, np.inf], [0, 0])),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_but_correct_is_not_called_broken(name):
    """False alarm as above. Where there is hardly any noise the audit does find something, and less than is claimed."""
    plan, neighbours = UNUSUAL[name]
    assert visit(Exhibit("", "nothing", "utility", "audit", plan, neighbours), trials=100).caught_by == ()


def test_the_packages_own_training_is_not_called_broken_where_it_is_unusual():
    """`train` at heavy clipping, one class and batches that are mostly empty; the number of places is public, as members are."""
    x, y, model = np.full((6, 1), 100.0), np.zeros(6, int), softmax_regression(1, 2)
    plan = PrivacyPlan(1.0, 1e-3, 0.05, 3)

    def mechanism(present, rng):
        members = np.array([[True] * 5 + [present]])
        run = train(
            model,
            x,
            y,
            steps=3,
            batch_size=1,
            learning_rate=1.0,
            privacy=plan,
            members=members,
            noise_seed=int(rng.integers(2**40)),
        )
        return np.concatenate([array.ravel() for array in run.parameters.values()])

    assert audit(mechanism, (False, True), trials=60, delta=DELTA).epsilon < plan.epsilon(DELTA)


def test_sampling_is_what_the_plan_says_and_shuffling_deals_everybody_out():
    plan = PrivacyPlan(1.0, 1.0, 0.25, 4)
    dealt = np.stack(list(batches(plan, 12, np.random.default_rng(0), "shuffled batches")))
    assert (dealt.sum(0) == 1).all()
    drawn = sum(mask.sum() for _ in range(500) for mask in batches(plan, 12, np.random.default_rng(_)))
    assert binom.cdf(drawn, 24_000, 0.25) == pytest.approx(0.5, abs=0.5 - 1e-6)


def test_unknown_checks_are_refused():
    with pytest.raises(ValueError, match="checks is 'luck'"):
        museum(checks=["luck"])


@pytest.mark.slow
def test_the_museum_over_ten_seeds():
    """Labels hold for every seed: 240 visits, each with power above 99.9 % by the margins asserted above."""
    for seed in range(10):
        for exhibit in EXHIBITS:
            row = visit(exhibit, seed=seed, checks=[exhibit.label], trials=TRIALS)
            assert row.verdict == "caught", (exhibit.bug, seed)


@pytest.mark.slow
def test_correct_specimens_over_40_seeds():
    """At most 6 of 40 audits above the claim, for every exhibit's plan and attacker (0.3 % if each errs in 5 % of runs)."""
    for exhibit in EXHIBITS:
        correct = replace(exhibit, bug="")
        rows = [visit(correct, checks=["audit"], trials=100, seed=seed) for seed in range(40)]
        assert sum(row.verdict == "caught" for row in rows) <= 6
