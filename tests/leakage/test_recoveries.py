"""A grid of attacks, on small pictures."""

from dataclasses import replace

import numpy as np
import pytest

from privlab.data import load_breast_cancer, load_digits
from privlab.leakage.inversion import psnr
from privlab.leakage.recoveries import Recoveries, recover
from privlab.learning import mlp

DIGITS, MODEL = load_digits(), mlp([64, 40, 10], "tanh")
GRID = {"batch_sizes": [1, 3], "noises": [0.0, 1e-3, 1.0]}


@pytest.fixture(scope="module")
def found():
    return recover(MODEL, MODEL.init(0), DIGITS, [5, 6, 7], **GRID)


def test_every_batch_is_attacked_at_every_noise(found):
    assert (found.batch_sizes, found.noises) == ([1, 3], [0.0, 1e-3, 1.0])
    np.testing.assert_allclose(found.truth, DIGITS.x_train[5:8])
    for (b, noise), guess in found.guesses.items():
        np.testing.assert_allclose(found.quality[b, noise], psnr(found.truth[:b], guess))
        np.testing.assert_allclose(guess, np.clip(guess, 0, 1))
    assert found.quality[3, 0.0].min() > 60
    for b in (1, 3):
        means = [found.quality[b, noise].mean() for noise in found.noises]
        assert means[0] > means[1] > 30 > 15 > means[2]


def test_guesses_stand_at_their_records(found):
    for row, guess in enumerate(found.guesses[3, 0.0]):
        assert ((found.truth - guess) ** 2).sum(-1).argmin() == row


def test_the_same_seed_gives_the_same_grid_and_another_other_noise(found):
    again, other = (recover(MODEL, MODEL.init(0), DIGITS, [5, 6, 7], **GRID, seed=seed) for seed in (0, 1))
    assert all(np.array_equal(found.guesses[key], again.guesses[key]) for key in found.guesses)
    assert not np.allclose(found.guesses[1, 1e-3], other.guesses[1, 1e-3], atol=1e-9)


def test_the_blind_guess_is_the_best_single_grey(found):
    greys = [
        psnr(found.truth.reshape(1, -1), np.full((1, found.truth.size), grey))[0] for grey in np.linspace(0, 1, 101)
    ]
    assert max(greys) <= found.blind < max(greys) + 0.01


def test_words_say_what_was_recovered(found):
    assert found.describe(3, 0.0) == "batch of 3, noise 0: recovered at over 80 dB; 3 of 3 look like the original"
    low, high = found.quality[3, 1.0].min(), found.quality[3, 1.0].max()
    assert found.describe(3, 1.0).startswith(f"batch of 3, noise 1: recovered at {low:.0f} dB")
    assert f"{high:.0f} dB; 0 of 3 look" in found.describe(3, 1.0)


def test_what_does_not_fit_is_named(found):
    with pytest.raises(ValueError, match="dataset is 'breast cancer', but must be one of pictures"):
        recover(MODEL, MODEL.init(0), load_breast_cancer(), [0], **GRID)
    with pytest.raises(ValueError, match="batch_sizes has 3, but there are 2 records"):
        recover(MODEL, MODEL.init(0), DIGITS, [0, 1], **GRID)
    with pytest.raises(ValueError, match="noises is -1"):
        recover(MODEL, MODEL.init(0), DIGITS, [0], batch_sizes=[1], noises=[-1.0])
    with pytest.raises(ValueError, match="each batch size with each noise"):
        replace(found, guesses={key: found.guesses[key] for key in [(1, 0.0), (3, 1.0)]})
    with pytest.raises(ValueError, match=r"guesses of \(1, 0.0\) has shape \(2, 64\), but must be \(1, 64\)"):
        Recoveries(found.truth, (8, 8), {(1, 0.0): found.truth[:2]})
    with pytest.raises(ValueError, match="truth has shape"):
        replace(found, image_shape=(8, 9))
    with pytest.raises(ValueError, match=r"records and noise are \(2, 0.0\)"):
        found.describe(2, 0.0)
