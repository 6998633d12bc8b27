"""Figures of audits: what stands in the rows is what is drawn, and what is impossible is refused."""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import norm

from privlab.leakage.audit import Audit
from privlab.leakage.frontier import AttackResult
from privlab.leakage.museum import CHECKS
from privlab.leakage.roc import roc
from privlab.leakage.tour import THRESHOLDS, TRIALS, Tour, escaped
from privlab.masking import gaussian_noise_multiplier, tradeoff_curve
from privlab.plots import png
from privlab.plots.audit import allowed_provable_achieved, efficiency, museum_table, threshold, threshold_picture
from privlab.randomness import stream

TOUR = Tour.load(Path(__file__).parents[2] / "notebooks" / "results" / "museum.json")
GRID = np.geomspace(1e-4, 1, 41)
ALLOWED = tradeoff_curve(noise_multiplier=1.0, sampling_rate=1.0, steps=1, false_positive_rates=GRID)
DRAW = stream(0, "figures")
COINS = DRAW.random((4, 500)) < 0.5
ROC = roc(DRAW.standard_normal((4, 500)) + 0.5 * COINS, COINS)


def audit(epsilon, delta=1e-5):
    return Audit(epsilon, 0.0, 0.0, 0.5, "", 1000, delta, 0.95)


def line_of(axes, index):
    return axes.lines[index].get_ydata()


def test_the_table_has_a_line_for_each_bug_with_its_three_numbers():
    _, (bars, dots) = museum_table(TOUR.rows)
    rows = {row.bug: row for row in TOUR.rows}
    names = [label.get_text() for label in bars.get_yticklabels()]
    assert set(names) == set(rows)
    assert [patch.get_width() for patch in bars.patches] == [rows[name].audited_epsilon for name in names]
    claimed, ledger = bars.lines
    assert list(claimed.get_xdata()) == [rows[name].claimed_epsilon for name in names]
    assert list(ledger.get_xdata()) == [rows[name].ledger_epsilon for name in names]
    idle, caught, sole = (set(zip(*line.get_data(), strict=True)) for line in dots.lines)
    expected = {(CHECKS.index(check), i) for i, name in enumerate(names) for check in rows[name].caught_by}
    assert caught == expected
    assert idle | caught == {(i, j) for i in range(5) for j in range(len(names))}
    assert sole == {(i, j) for i, j in caught if len(rows[names[j]].caught_by) == 1}
    assert {CHECKS[int(i)] for i, _ in sole} == {*CHECKS}, "each check is somewhere the only one"
    assert bars.get_title(loc="left") == f"{len(rows)} bugs, none escaped"


def test_an_escaped_bug_and_a_check_left_out_are_shown():
    missed = next(row for row in TOUR.rows if row.bug == "trained on")
    row = type(missed)(**{**vars(missed), "caught_by": (), "audited_epsilon": math.nan})
    _, (bars, dots) = museum_table([row])
    assert bars.get_title(loc="left") == "1 bug, 1 escaped"
    assert bars.patches[0].get_width() == 0
    assert len(dots.lines[1].get_xdata()) == 0


def test_curves_stand_where_their_numbers_are():
    picture, axes = allowed_provable_achieved(GRID, ALLOWED, {"LiRA": ROC}, proven=audit(2.0), gaussian=True)
    ceiling, proven, achieved = (line_of(axes, i) for i in range(3))
    np.testing.assert_array_equal(ceiling, ALLOWED)
    mu = 1 / gaussian_noise_multiplier(2.0, 1e-5)
    np.testing.assert_allclose(proven, norm.cdf(norm.ppf(GRID) + mu))
    assert (proven <= ceiling + 1e-12).all(), "epsilon 2 lies below the plan's"
    np.testing.assert_allclose(achieved, np.maximum(ROC.tprs_at(GRID), 1e-6))
    words = [text.get_text() for text in picture.legends[0].get_texts()]
    assert words[1:] == [
        "proven: the best attack gets here (ε ≥ 2.00, 95 %)",
        "achieved: LiRA (95 % band)",
        "coin flip",
    ]
    assert any("too few" in text.get_text() for text in axes.texts)


def test_a_general_bound_is_a_line_that_is_drawn_where_it_says_something():
    _, axes = allowed_provable_achieved(GRID, ALLOWED, {}, proven=audit(2.0, 1e-2))
    proven, line = line_of(axes, 1), np.exp(2.0) * GRID + 1e-2
    shown = np.isfinite(proven)
    assert 0 < shown.sum() < len(GRID)
    assert (proven[shown] <= ALLOWED[shown]).all()
    first = shown & (line < 0.5)
    np.testing.assert_allclose(proven[first], line[first])


def test_a_frontiers_attack_is_drawn_with_its_own_band_and_nothing_proven_is_the_coin_flip():
    values = [tuple(factor * GRID**0.9) for factor in (1.0, 0.8, 1.0)]
    _, axes = allowed_provable_achieved(GRID, ALLOWED, {"RMIA": AttackResult(0.6, 0.1, *values)}, proven=audit(0.0))
    np.testing.assert_array_equal(line_of(axes, 1), GRID)
    np.testing.assert_allclose(line_of(axes, 2), GRID**0.9)
    assert not axes.texts, "how many were judged is not known"


def test_wrong_figures_are_refused():
    with pytest.raises(ValueError, match="rows is empty"):
        museum_table([])
    with pytest.raises(ValueError, match=r"allowed has shape \(3,\)"):
        allowed_provable_achieved(GRID, ALLOWED[:3], {})
    with pytest.raises(ValueError, match="achieved 6 attacks"):
        allowed_provable_achieved(GRID, ALLOWED, dict.fromkeys("abcdef", ROC))


def test_efficiency_draws_medians_below_the_truth():
    found = {"general": [[1.0, 2.0, 3.0], [2.0, 2.5, 3.0]], "gaussian": [[2.0] * 3, [3.0] * 3]}
    _, axes = efficiency([100, 1000], found, true=4.0, what="canaries")
    assert [list(line.get_ydata()) for line in axes.lines] == [[2.0, 2.5], [2.0, 3.0], [4.0, 4.0]]
    assert axes.get_xlabel() == "canaries"


@pytest.mark.parametrize(("bug", "place", "trials"), [("rounded divisor", 14, 50), ("", 3, 800), ("NaN kept", 20, 400)])
def test_the_threshold_shows_its_counts_and_bounds(bug, place, trials):
    _, (left, right, strip) = threshold(TOUR, bug, place=place, trials=trials)
    counts = next(counts for counts in TOUR.counts if counts.bug == bug)
    seen = np.array(counts.seen[TRIALS.index(trials)]) / trials
    np.testing.assert_array_equal([line.get_ydata() for line in left.lines[:2]], seen[::-1])
    assert set(left.lines[2].get_xdata()) == {place}
    assert [bar.get_width() for bar in right.patches] == [
        counts.bound(trials, place, fresh=fresh) for fresh in (False, True)
    ]
    assert set(right.lines[0].get_xdata()) == {counts.claimed_epsilon}
    assert len(strip.lines[1].get_xdata()) == len({r.bug: r.caught_by for r in TOUR.rows}.get(bug, ()))


def test_a_check_left_out_lets_its_own_bugs_escape():
    _, (_, _, strip) = threshold(TOUR, "realised batch", without="audit")
    missed = len(escaped(TOUR.rows, "audit"))
    assert missed >= 3
    assert strip.texts[-1].get_text() == f"seen by nobody; without audit {missed} of {len(TOUR.rows)} escape"
    assert list(strip.lines[2].get_xdata()) == [CHECKS.index("audit")]


def test_every_setting_lies_inside_the_axes():
    picture = threshold_picture(TOUR)
    for counts in TOUR.counts:
        for place in range(THRESHOLDS):
            assert max(counts.bound(TRIALS[-1], place, fresh=fresh) for fresh in (False, True)) < 6
    assert picture.png("", 0, 50, "") != picture.png("", 1, 50, "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bug": "none"}, "bug is 'none'"),
        ({"place": 21}, "place is 21"),
        ({"trials": 60}, "trials is '60'"),
        ({"without": "luck"}, "without is 'luck'"),
    ],
)
def test_a_wrong_setting_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        threshold(TOUR, **{"bug": "fixed seed"} | change)


def test_the_same_figure_gives_the_same_bytes_and_leaves_none_open():
    assert png(museum_table(TOUR.rows)[0]) == png(museum_table(TOUR.rows)[0])
    assert plt.get_fignums() == []
