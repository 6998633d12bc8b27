"""The map's facts, held against attacks on a world of eight workers in which each defence is really there."""

import numpy as np
import pytest

from privlab.leakage import closed_form
from privlab.leakage.map import ADVERSARIES, ASSETS, DEFENCES, STATES, advantage, describe, fact, verdict
from privlab.masking import secure_sum
from privlab.randomness import stream

GUESS = 1 / 12  # variance of a pixel that is uniform in [0, 1], the error of its mean as a guess


def messages(noise, crowd):
    """Of each of 300 rounds, gradients of `crowd` workers with one random page each, at weights 0 and label 0."""
    rng = stream(0, "map")
    pages = rng.random((300, crowd, 16))
    gradients = -0.5 * np.concatenate([pages, np.ones((300, crowd, 1))], axis=2)
    return pages[:, 0], gradients + noise * rng.standard_normal(gradients.shape)


def attack(noise, crowd):
    """Advantage on worker 0's page of whoever sees the sum over the crowd."""
    pages, sent = messages(noise, crowd)
    totals = sent.sum(1)
    rebuilt = np.array([closed_form(total[:16, None], total[16:]) for total in totals])
    return advantage(np.mean((np.clip(rebuilt, 0, 1) - pages) ** 2), GUESS)


@pytest.mark.parametrize(
    ("defence", "noise", "crowd"),
    [("distributed computing", 0, 1), ("secret mask", 0, 8), ("noise mask", 2, 1), ("all four", 2, 8)],
)
def test_what_the_server_rebuilds_is_what_the_map_says(defence, noise, crowd):
    """Seeded; the advantages, 1, about 0.12, 0 and 0, lie far from the limits of 0.05 and 0.5."""
    assert verdict(attack(noise, crowd)) == fact("server", "records", defence).state


def test_a_masked_message_alone_tells_nothing_but_the_sum_stays():
    """Seeded; a masked word is uniform, so the mean of 640 lies within 5 standard errors (false alarm 6e-7)."""
    _, sent = messages(0, 8)
    vectors = sent[:40].transpose(1, 0, 2).reshape(8, -1)
    masked = secure_sum(vectors, clip=1.0, seed=0)
    np.testing.assert_allclose(masked.total, vectors.sum(0), atol=1e-5)
    uniform = masked.masked[0] / 2.0**32
    assert abs(uniform.mean() - 0.5) < 5 * np.sqrt(1 / 12 / uniform.size)
    assert fact("server", "model", "secret mask").state == "exposed"


def test_every_cell_has_a_fact_that_fits_the_picture():
    for adversary in ADVERSARIES:
        for defence in DEFENCES:
            assert len(describe(adversary, defence)) <= 130, "one line under the picture"
            for asset in ASSETS:
                cell = fact(adversary, asset, defence)
                assert cell.state in STATES
                assert 0 < len(cell.sees) <= 28
                assert 1 <= int(cell.lesson) <= 11


def test_all_four_defences_are_no_worse_than_any_of_them():
    rank = STATES.index
    for adversary in ADVERSARIES:
        for asset in ASSETS:
            states = [rank(fact(adversary, asset, defence).state) for defence in DEFENCES]
            assert states[-1] == min(states)
            assert states[0] == max(states)


def test_no_two_defences_and_no_two_adversaries_read_alike():
    assert len({describe(adversary, defence) for adversary in ADVERSARIES for defence in DEFENCES}) == 24


@pytest.mark.parametrize(
    ("share", "state"), [(0, "protected"), (0.05, "protected"), (0.051, "partly"), (0.49, "partly"), (0.5, "exposed")]
)
def test_a_verdict_follows_from_the_advantage(share, state):
    assert verdict(share) == state


def test_the_advantage_is_that_of_membership_and_of_variance():
    assert advantage(0.5 * (0.2 + 0.6), 0.5) == pytest.approx(0.8 - 0.6)  # tpr - fpr
    assert advantage(0.0, 3.0) == 1
    assert advantage(3.1, 3.0) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fact("spy", "records", "nothing"), "adversary is 'spy', but must be one of 'thief'"),
        (lambda: fact("thief", "fame", "nothing"), "asset is 'fame'"),
        (lambda: fact("thief", "model", "hope"), "defence is 'hope'"),
        (lambda: advantage(-1, 1), "attack_error is -1"),
        (lambda: advantage(1, 0), "guess_error is 0"),
        (lambda: verdict(1.5), "advantage is 1.5"),
    ],
)
def test_what_is_not_on_the_map_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
