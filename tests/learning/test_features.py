"""Histograms of oriented gradients: the right direction, the right cell, one weight per picture, no picture of others."""

import numpy as np
import pytest

from privlab.data import load_digits
from privlab.learning.features import hog

CELLS, BINS = 4, 8
SHAPE = (12, 16)


def directions(picture, **options):
    """Features summed over blocks and cells, shape (bins,)."""
    features = hog(picture.reshape(1, -1), SHAPE, cells=CELLS, **options)
    return features.reshape(CELLS - 1, CELLS - 1, -1, 2, 2).sum((0, 1, 3, 4))


def slope(degrees):
    """Brightness rising evenly towards ``degrees``, clockwise from the right."""
    rows, columns = np.indices(SHAPE)
    angle = np.deg2rad(degrees)
    return 0.5 + 0.02 * (np.cos(angle) * columns + np.sin(angle) * rows)


@pytest.mark.parametrize("k", range(BINS))
def test_an_even_slope_votes_for_its_own_direction_only(k):
    votes = directions(slope(360 * k / BINS), bins=BINS)
    assert votes.argmax() == k
    others = np.delete(votes, k)
    assert np.ptp(others[np.abs(np.arange(1, BINS) - BINS / 2) <= 2]) < 0.25 * (votes[k] - others.max())


def test_between_two_directions_both_get_the_same():
    votes = directions(
        np.indices(SHAPE)[1] * 0.02 + np.indices(SHAPE)[0] * 0.02, bins=4
    )  # 45 degrees, between 0 and 90
    inner = hog(slope(45).reshape(1, -1), SHAPE, cells=CELLS, bins=4).reshape(CELLS - 1, CELLS - 1, 4, 2, 2)[1, 1]
    assert np.allclose(inner[0], inner[1], atol=1e-5)
    assert set(votes.argsort()[-2:].tolist()) == {0, 1}


def test_unsigned_directions_ignore_which_side_is_bright_and_signed_ones_turn_round():
    picture = np.random.default_rng(0).random((1, 192))
    dark = 1 - picture
    assert np.allclose(hog(picture, SHAPE, signed=False), hog(dark, SHAPE, signed=False), atol=1e-5)
    layout = (-1, 4, 4, BINS, 2, 2)
    signed, turned = hog(picture, SHAPE).reshape(layout), hog(dark, SHAPE).reshape(layout)
    assert np.allclose(np.roll(signed, BINS // 2, axis=3), turned, atol=1e-5)
    assert not np.allclose(signed, turned, atol=1e-2)


def test_half_a_turn_of_the_picture_turns_cells_and_directions():
    picture = np.random.default_rng(1).random(SHAPE)
    layout = (CELLS - 1, CELLS - 1, BINS, 2, 2)
    upright = hog(picture.reshape(1, -1), SHAPE, cells=CELLS).reshape(layout)
    turned = hog(picture[::-1, ::-1].reshape(1, -1), SHAPE, cells=CELLS).reshape(layout)
    expected = np.roll(upright[::-1, ::-1, :, ::-1, ::-1], BINS // 2, axis=2)
    assert np.allclose(turned, expected, atol=1e-5)


def test_a_mark_votes_in_its_own_cells():
    picture = np.zeros((12, 12))
    picture[1, 10] = 1.0  # top right
    blocks = hog(picture.reshape(1, -1), (12, 12), cells=4).reshape(3, 3, -1)
    spread = np.ptp(blocks, axis=-1)
    assert spread[0, 2] > 0.1
    assert spread[2, 0] < 1e-6


def test_rows_have_norm_one_and_no_mean_and_a_flat_picture_is_zero():
    digits = load_digits()
    features = hog(digits.x_train, digits.image_shape)
    assert features.dtype == np.float32
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    assert np.allclose(features.mean(1), 0, atol=1e-6)
    flat = hog(np.full((2, 64), 0.7), (8, 8))
    assert not flat.any()


def test_brightness_does_not_matter_and_contrast_hardly_does():
    picture = np.random.default_rng(2).random((3, 192)) * 0.5
    same = hog(picture, SHAPE)
    assert np.allclose(same, hog(picture + 0.25, SHAPE), atol=1e-4)
    assert np.abs(same - hog(picture * 2, SHAPE)).max() < 0.01


def test_a_row_depends_on_its_own_picture_alone():
    """It is what makes the features free: a neighbouring data set has the same rows, plus or minus one."""
    digits = load_digits()
    whole = hog(digits.x_test, digits.image_shape)
    assert np.array_equal(whole, hog(digits.x_test, digits.image_shape))
    assert np.allclose(whole[7:9], hog(digits.x_test[7:9], digits.image_shape), atol=1e-6)


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("x", {"x": np.zeros((2, 63))}),
        ("x", {"x": np.zeros(64)}),
        ("x", {"x": np.full((1, 64), np.nan)}),
        ("image_shape", {"image_shape": (8, 8, 1)}),
        ("image_shape", {"image_shape": (4, 16)}),
        ("image_shape", {"image_shape": (8.0, 8)}),
        ("cells", {"cells": 1}),
        ("bins", {"bins": 1}),
    ],
)
def test_what_does_not_fit_is_refused(argument, given):
    with pytest.raises(ValueError, match=f"^{argument} "):
        hog(**{"x": np.zeros((2, 64)), "image_shape": (8, 8), **given})
