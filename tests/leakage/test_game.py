"""The game: one file each way, nothing changed after the hash is out, nothing taken on trust."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from privlab.leakage.game import GRANTED, commitment, publish, receive, referee, submit
from privlab.leakage.roc import roc
from privlab.learning import softmax_regression, train
from privlab.masking import PrivacyPlan, tradeoff_curve
from privlab.randomness import stream

N, R, MODEL = 200, 4, softmax_regression(5, 3)
DRAW = stream(0, "game")
X, Y = DRAW.standard_normal((N, 5)), DRAW.integers(3, size=N)
X_TEST, Y_TEST = DRAW.standard_normal((60, 5)), DRAW.integers(3, size=60)
COINS = DRAW.random((R, N)) < 0.5
PLAN = PrivacyPlan(2.0, 1.0, 1.0, 3, sampling="full")
PARAMETERS = train(
    MODEL, X, Y, steps=3, batch_size=N // 2, learning_rate=1.0, privacy=PLAN, members=COINS, noise_seed=1
).parameters
ACCURACY = float((MODEL.logits(PARAMETERS, X_TEST).argmax(-1) == Y_TEST).mean())


def play(folder, scores=None, **changes):
    settings = {"plan": PLAN, "accuracy": ACCURACY, "recipe": {"learning_rate": 1.0}, "nonce": bytes(range(32))}
    release = publish(folder, "blue", PARAMETERS, COINS, **settings | changes)
    submit(folder, "red", release, DRAW.random((R, N)) if scores is None else scores, used=["parameters"])
    return release


def judge(folder, **changes):
    settings = {"model": MODEL, "x_test": X_TEST, "y_test": Y_TEST, "floor": 0.1}
    return referee(folder, "red", "blue", **settings | changes)


def test_a_release_comes_back_as_it_went_out_and_holds_no_coins(tmp_path):
    release = play(tmp_path)
    again = receive(tmp_path, "blue")
    assert (again.plan, again.recipe, again.records, again.models) == (PLAN, {"learning_rate": 1.0}, N, R)
    assert again.epsilon == PLAN.epsilon(1e-4)
    assert again.accuracy == ACCURACY
    assert all((again.parameters[name] == PARAMETERS[name]).all() for name in PARAMETERS)
    content = (tmp_path / "blue.model.safetensors").read_bytes()
    assert set(safetensors.numpy.load(content)) == set(PARAMETERS)
    assert np.packbits(COINS).tobytes() not in content
    assert COINS.tobytes() not in content
    assert release.commitment.encode() in content


def test_the_same_release_is_the_same_bytes_and_another_nonce_another_hash(tmp_path):
    first = play(tmp_path).commitment, (tmp_path / "blue.model.safetensors").read_bytes()
    assert (play(tmp_path).commitment, (tmp_path / "blue.model.safetensors").read_bytes()) == first
    assert play(tmp_path, nonce=None).commitment != play(tmp_path, nonce=None).commitment != first[0]
    assert commitment(COINS, bytes(32)) != commitment(COINS.reshape(2, -1), bytes(32)), "the shape is committed to"


def test_the_verdict_is_recomputed_from_the_files(tmp_path):
    scores = COINS + DRAW.normal(scale=2.0, size=(R, N))
    play(tmp_path, scores)
    found, curve = judge(tmp_path, false_positive_rate=0.1), roc(scores, COINS)
    assert (found.accuracy, found.epsilon, found.found) == (ACCURACY, PLAN.epsilon(1e-4), curve.tpr_at(0.1))
    assert (found.low, found.high) == tuple(float(end[0]) for end in curve.band([0.1]))
    assert found.allowed == tradeoff_curve(noise_multiplier=2.0, sampling_rate=1.0, steps=3, false_positive_rates=[0.1])
    assert found.floor_met
    assert not found.impossible
    assert "floor met" in str(found)
    assert "IMPOSSIBLE" not in str(found)


def test_a_floor_can_be_missed_and_a_guarantee_beaten(tmp_path):
    play(tmp_path, COINS + 0.0)
    found = judge(tmp_path, floor=0.99)
    assert not found.floor_met
    assert "floor missed" in str(found)
    assert found.found == 1
    assert found.impossible
    assert "IMPOSSIBLE" in str(found)


def test_without_noise_nothing_is_impossible(tmp_path):
    play(tmp_path, COINS + 0.0, plan=replace(PLAN, noise_multiplier=0.0))
    found = judge(tmp_path)
    assert found.allowed == 1
    assert found.epsilon == np.inf
    assert not found.impossible


def test_coins_that_were_changed_after_the_commitment_are_refused(tmp_path):
    play(tmp_path)
    secret = tmp_path / "blue.secret.safetensors"
    arrays = safetensors.numpy.load(secret.read_bytes())
    changed = arrays["members"].copy()
    changed[0, 0] ^= True
    secret.write_bytes(safetensors.numpy.save({**arrays, "members": changed}, {"privlab": "{}"}))
    with pytest.raises(ValueError, match="secret of blue does not fit the commitment"):
        judge(tmp_path)


def test_an_attack_on_an_earlier_release_is_refused(tmp_path):
    play(tmp_path)
    publish(tmp_path, "blue", PARAMETERS, ~COINS, plan=PLAN, accuracy=ACCURACY)
    with pytest.raises(ValueError, match="scores of red are for another release"):
        judge(tmp_path)


def test_a_false_claim_of_accuracy_is_refused(tmp_path):
    play(tmp_path, accuracy=min(1.0, ACCURACY + 0.01))
    with pytest.raises(ValueError, match="accuracy of blue is"):
        judge(tmp_path)


def test_what_was_not_granted_is_refused_by_both_sides(tmp_path):
    release = play(tmp_path)
    with pytest.raises(ValueError, match=r"used has \['members'\], but the red team is granted only parameters"):
        submit(tmp_path, "red", release, np.zeros((R, N)), used=["parameters", "members"])
    submit(tmp_path, "red", release, np.zeros((R, N)), used=GRANTED)
    path = tmp_path / "red-against-blue.scores.safetensors"
    path.write_bytes(path.read_bytes().replace(b"own models", b"the coins!"))
    with pytest.raises(ValueError, match=r"used has \['the coins!'\]"):
        judge(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nonce": b"short"}, "nonce has 5 bytes"),
        ({"accuracy": 1.2}, "accuracy is 1.2"),
        ({"delta": 0.0}, "delta is 0.0"),
        ({"plan": replace(PLAN, sampling="shuffle")}, "plan.sampling is 'shuffle'"),
    ],
)
def test_a_wrong_release_is_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        play(tmp_path, **changes)
    assert not list(tmp_path.iterdir()), "nothing was written"


def test_wrong_coins_scores_and_names_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"members has shape \(3, 200\)"):
        publish(tmp_path, "blue", PARAMETERS, COINS[:3], plan=PLAN, accuracy=ACCURACY)
    with pytest.raises(ValueError, match=r"team is '\.\./blue'"):
        publish(tmp_path, "../blue", PARAMETERS, COINS, plan=PLAN, accuracy=ACCURACY)
    with pytest.raises(ValueError, match=r"scores has shape \(1, 200\)"):
        play(tmp_path, np.zeros((1, N)))
    with pytest.raises(ValueError, match="scores has 1 NaN"):
        play(tmp_path, np.where(np.arange(R * N).reshape(R, N), 0.0, np.nan))


def test_a_damaged_file_is_refused(tmp_path):
    play(tmp_path)
    (tmp_path / "blue.model.safetensors").write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"blue\.model\.safetensors is damaged"):
        receive(tmp_path, "blue")
    (tmp_path / "blue.model.safetensors").write_bytes(safetensors.numpy.save(PARAMETERS))
    with pytest.raises(ValueError, match=r"blue\.model\.safetensors is damaged"):
        receive(tmp_path, "blue")
