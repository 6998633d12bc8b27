from dataclasses import replace
from types import SimpleNamespace

import pytest
from panels import FRONTIER, SYNTHETIC, parts, values

import privlab.leakage
from privlab.plots import default_point
from privlab.widgets import dashboard

DATASET = SimpleNamespace(name="digits")


@pytest.fixture
def frontier():
    return FRONTIER


@pytest.fixture(scope="module")
def new_point():
    """A setting that the frontier does not have."""
    return SYNTHETIC["point"](1.2, 8.6, 0.931)


def test_the_start_and_the_words_of_the_stops(frontier):
    found = parts(dashboard(frontier))
    assert found.caption.value.startswith("noise 1: ε = 11.2, accuracy 93.5 %, LiRA online finds ")
    assert found.noise.value == default_point(frontier).noise_multiplier == 1
    assert not hasattr(found, "shards"), "one shard, no slider"
    assert not hasattr(found, "trust")
    assert (found.attack.value, found.fpr.value) == ("LiRA online", 0.01)
    assert [label for label, _ in found.noise.options][:3] == ["0 (no privacy)", "0.5 (ε 37)", "0.7 (ε 21)"]
    assert [label for label, _ in found.fpr.options] == ["0.1 %", "0.2 %", "0.5 %", "1 %", "2 %", "5 %", "10 %"]
    assert not hasattr(found, "live_button"), "no data set, no live run"


def test_the_rates_offered_lie_in_the_grid(frontier):
    short = replace(
        frontier,
        false_positive_rates=(0.01, 0.1, 1.0),
        points=tuple(
            replace(
                point,
                allowed=(0.5, 0.9, 1.0),
                model_allowed=(0.5, 0.9, 1.0),
                attacks={
                    name: replace(result, true_positive_rates=(0.1, 0.5, 1), low=(0, 0.4, 1), high=(0.2, 0.6, 1))
                    for name, result in point.attacks.items()
                },
            )
            for point in frontier.points
        ),
    )
    assert values(parts(dashboard(short)).fpr) == [0.01, 0.02, 0.05, 0.1]


def test_nothing_to_show_or_other_data_is_refused(frontier):
    with pytest.raises(ValueError, match="frontier has 0 points"):
        dashboard(replace(frontier, points=()))
    with pytest.raises(ValueError, match="dataset is 'iris', but the frontier was made of 'digits'"):
        dashboard(frontier, SimpleNamespace(name="iris"))


@pytest.fixture
def live(frontier, new_point, monkeypatch):
    """A dashboard with a live row on an experiment that answers at once, and what it was asked."""
    found = parts(dashboard(frontier, DATASET))
    calls = []

    def experiment(dataset, **settings):
        calls.append((dataset, settings, found.live_button.disabled, found.live_message.value))
        wish = settings["noise_multipliers"][0]
        return replace(frontier, points=(replace(new_point, noise_multiplier=wish),))

    monkeypatch.setattr(privlab.leakage, "leakage_vs_accuracy", experiment, raising=False)
    return found, calls


def test_a_live_run_asks_with_the_present_settings_and_adds_its_point(frontier, live):
    found, calls = live
    before = found.picture.value
    found.live_wish.value = 1.2
    found.live_button.click()
    ((dataset, settings, disabled, message),) = calls
    assert dataset is DATASET
    assert settings["noise_multipliers"] == (1.2,)
    assert (settings["shards"], settings["trust"]) == ([1], ["central"])
    assert (settings["shadow_models"], settings["delta"]) == (64, 1e-4)
    assert disabled
    assert "training 64 models at noise 1.2" in message
    assert values(found.noise)[3:6] == [1.0, 1.2, 1.4]
    assert found.noise.value == 1.2
    assert found.caption.value.startswith("noise 1.2: ε = 8.6")
    assert found.picture.value != before
    assert not found.live_button.disabled
    found.noise.value = 0.0
    assert found.caption.value.startswith("noise 0: no privacy")


def test_a_live_run_of_a_known_setting_replaces_its_point(frontier, live):
    found, _ = live
    found.live_wish.value = 1.4
    found.live_button.click()
    assert len(found.noise.options) == len(frontier.points)
    assert dict(map(reversed, found.noise.options))[1.4] == "1.4 (ε 8.6)"
    assert found.caption.value.startswith("noise 1.4: ε = 8.6")


@pytest.mark.parametrize("wish", [-1.0, float("nan"), float("inf"), 1e6])
def test_a_wrong_wish_is_told_and_nothing_runs(live, wish):
    found, calls = live
    before = found.picture.value
    found.live_wish.value = wish
    found.live_button.click()
    assert "must be a finite number >= 0 and <= 100" in found.live_message.value
    assert calls == []
    assert found.picture.value == before


def test_a_failing_run_is_told_in_words_and_leaves_the_dashboard_usable(frontier, live, monkeypatch):
    def broken(dataset, **settings):
        raise RuntimeError("a worker died")

    found, _ = live
    monkeypatch.setattr(privlab.leakage, "leakage_vs_accuracy", broken)
    before = found.picture.value
    found.live_button.click()
    assert found.caption.value == "noise 1.5 was not computed: a worker died"
    assert not found.live_button.disabled
    assert found.picture.value == before
    found.noise.value = 0.7
    assert found.picture.value != before


def test_a_result_on_another_grid_is_refused_in_words(frontier, live, monkeypatch):
    found, _ = live
    other = replace(frontier, false_positive_rates=(0.1, 1.0))
    monkeypatch.setattr(privlab.leakage, "leakage_vs_accuracy", lambda *_, **__: other)
    found.live_button.click()
    assert "other false-positive rates" in found.caption.value
    assert len(found.noise.options) == len(frontier.points)
