"""The tour: what is kept in the notebooks' file is what the code computes, and comes back as it went."""

from pathlib import Path

import numpy as np
import pytest

from privlab.leakage.audit import clopper_pearson
from privlab.leakage.exhibits import EXHIBITS
from privlab.leakage.museum import CHECKS, DELTA
from privlab.leakage.tour import THRESHOLDS, TRIALS, Tour, _count, escaped

TOUR = Tour.load(Path(__file__).parents[2] / "notebooks" / "results" / "museum.json")


@pytest.mark.parametrize("bug", ["NaN kept", "rounded after clipping"])
def test_the_kept_counts_are_what_the_code_computes(bug):
    exhibit = next(exhibit for exhibit in EXHIBITS if exhibit.bug == bug)
    assert _count(exhibit, 0) == next(counts for counts in TOUR.counts if counts.bug == bug)


def test_a_tour_comes_back_as_it_went_out(tmp_path):
    TOUR.save(tmp_path / "museum.json")
    assert Tour.load(tmp_path / "museum.json") == TOUR


def test_the_tour_holds_every_exhibit_and_the_correct_specimen():
    assert [row.bug for row in TOUR.rows] == [exhibit.bug for exhibit in EXHIBITS]
    assert [counts.bug for counts in TOUR.counts] == ["", *(exhibit.bug for exhibit in EXHIBITS)]


def test_counts_fall_with_the_threshold_and_grow_with_the_trials():
    for counts in TOUR.counts:
        for table in (np.array(counts.seen), np.array(counts.fresh)):
            assert table.shape == (len(TRIALS), 2, THRESHOLDS)
            assert (np.diff(table, axis=2) <= 0).all()
            assert (np.diff(table, axis=0) >= 0).all()
            assert (table <= np.array(TRIALS)[:, None, None]).all()


def test_a_bound_is_that_of_its_counts_and_the_correct_specimen_stays_below_its_claim_on_fresh_runs():
    """25 counts at 5 numbers of trials: at 21 correlated thresholds each, but far below a claim of 0.93, the seed is fixed."""
    leaky = next(counts for counts in TOUR.counts if counts.bug == "a share of noise per worker")
    without, present = np.array(leaky.fresh)[TRIALS.index(400)][:, 12]
    low, high = clopper_pearson(400, 0.95)
    assert leaky.bound(400, 12, fresh=True) == pytest.approx(np.log((low[present] - DELTA) / high[without]))
    correct = TOUR.counts[0]
    fresh = [correct.bound(trials, place, fresh=True) for trials in TRIALS for place in range(THRESHOLDS)]
    assert max(fresh) < correct.claimed_epsilon


def test_each_check_has_bugs_that_only_it_sees():
    alone = {check: escaped(TOUR.rows, check) for check in CHECKS}
    assert all(alone.values())
    assert "rounded rate" in alone["sampling"]
    assert "realised batch" in alone["audit"]
