"""The dashboard of a frontier over shards and trusts."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest
from panels import SHARDED, parts, pixels, values

import privlab.leakage
from privlab.widgets import dashboard

DATASET = SimpleNamespace(name="digits")


def test_every_setting_has_its_own_picture_and_words():
    found = parts(dashboard(SHARDED))
    assert values(found.trust) == ["central", "secure-sum", "local"]
    assert values(found.shards) == [1, 4]
    assert [label for label, _ in found.noise.options] == [
        "0 (no privacy)",
        "0.5 (ε 37)",
        "1 (ε 11)",
        "2 (ε 4.0)",
        "4 (ε 1.8)",
    ]
    pictures, words = set(), set()
    for trust, shards, noise in itertools.product(values(found.trust), values(found.shards), values(found.noise)):
        found.trust.value, found.shards.value, found.noise.value = trust, shards, noise
        pictures.add(bytes(found.picture.value))
        words.add(found.caption.value)
    assert len(pictures) == len(words) == len(SHARDED.points) == 30


def test_with_a_trusted_server_shards_change_the_strip_and_nothing_below_it():
    found = parts(dashboard(SHARDED))
    one = pixels(found.picture.value)
    found.shards.value = 4
    four = pixels(found.picture.value)
    assert (one != four)[:105].any()
    assert not (one != four)[105:].any()
    assert found.caption.value.startswith("4 shards, noise 1 by a trusted server: ε = 11.2, accuracy 93.5 %")


def test_a_secure_sum_changes_the_strip_and_nothing_below_it():
    found = parts(dashboard(SHARDED))
    found.shards.value = 4
    central = pixels(found.picture.value)
    found.trust.value = "secure-sum"
    masked = pixels(found.picture.value)
    assert (central != masked)[:105].any()
    assert not (central != masked)[105:].any()
    assert found.caption.value.startswith(
        "4 shards, noise 1 by a server that sees the total: ε = 11.2, accuracy 93.5 %"
    )


def test_with_local_trust_shards_move_the_point():
    found = parts(dashboard(SHARDED))
    found.trust.value = "local"
    one = pixels(found.picture.value)
    found.shards.value = 4
    assert (one != pixels(found.picture.value))[105:].any()
    assert found.caption.value.startswith("4 shards, noise 1 in each: ε = 11.2 (model alone: 4), accuracy 91.3 %")


def test_one_control_only_where_one_thing_varies():
    local = replace(SHARDED, points=tuple(point for point in SHARDED.points if point.trust == "local"))
    found = parts(dashboard(local))
    assert not hasattr(found, "trust")
    assert found.caption.value.startswith("1 shard, noise 1 in each")
    found.shards.value = 4
    assert found.caption.value.startswith("4 shards, noise 1 in each")


def test_a_gap_in_the_settings_is_named():
    with pytest.raises(ValueError, match=r"no point at trust, shards, noise \('local', 4, 4\.0\)"):
        dashboard(replace(SHARDED, points=SHARDED.points[:-1]))


def test_a_live_run_computes_every_shard_count_and_trust_and_keeps_the_chosen(monkeypatch):
    asked = []

    def experiment(dataset, **settings):
        asked.append((settings["noise_multipliers"], settings["shards"], settings["trust"]))
        new = [replace(point, noise_multiplier=1.5) for point in SHARDED.points if point.noise_multiplier == 1]
        # Its models have a noise that the frontier has not, so they need a place of their own.
        return replace(SHARDED, points=tuple(replace(point, accuracy=0.93) for point in new))

    monkeypatch.setattr(privlab.leakage, "leakage_vs_accuracy", experiment)
    found = parts(dashboard(SHARDED, DATASET))
    found.trust.value, found.shards.value = "local", 4
    found.live_wish.value = 1.5
    found.live_button.click()
    assert asked == [((1.5,), [1, 4], ["central", "secure-sum", "local"])]
    assert values(found.noise) == [0, 0.5, 1, 1.5, 2, 4]
    assert found.caption.value.startswith("4 shards, noise 1.5 in each: ε = 11.2")
    found.trust.value, found.shards.value = "central", 1
    assert found.caption.value.startswith("1 shard, noise 1.5 by a trusted server")
