import matplotlib.pyplot as plt
import numpy as np
import pytest
from synthetic_inversion import BATCHES, NOISES, recoveries

from privlab.leakage.inversion import psnr
from privlab.plots import png
from privlab.plots.inversion import psnr_against_noise, recovered, recovery, recovery_picture


@pytest.fixture(scope="module")
def made():
    return recoveries()


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def picture_at(axes, row, column, rows, columns):
    """The pixels of one tile without its frame."""
    tiles = np.asarray(axes.images[0].get_array())
    height, width = tiles.shape[0] // rows, tiles.shape[1] // columns
    return tiles[row * height + 1 : row * height + 9, column * width + 1 : column * width + 9]


def test_recovered_pictures_stand_under_their_originals_with_their_figures(made):
    settings = [(2, 0.01), (8, 0.1)]
    _, axes = recovered(made, settings)
    for column in range(8):
        np.testing.assert_allclose(picture_at(axes, 0, column, 3, 8), made.truth[column].reshape(8, 8))
        np.testing.assert_allclose(picture_at(axes, 2, column, 3, 8), made.guesses[8, 0.1][column].reshape(8, 8))
    np.testing.assert_allclose(picture_at(axes, 1, 1, 3, 8), made.guesses[2, 0.01][1].reshape(8, 8))
    assert not picture_at(axes, 1, 2, 3, 8).any(), "no picture beyond the batch"
    values = [f"{value:.0f} dB" for key in settings for value in psnr(made.truth[: key[0]], made.guesses[key])]
    assert [text for text in texts(axes) if "dB" in text] == values
    assert [text for text in texts(axes) if "dB" not in text] == [
        "original",
        "batch of 2\nnoise 0.01",
        "batch of 8\nnoise 0.1",
    ]


def test_the_original_row_is_as_long_as_the_largest_batch(made):
    picture, axes = recovered(made, [(1, 0.0), (2, 0.0)])
    assert axes.get_xlim() == (0, 2)
    assert picture.get_figwidth() < recovered(made, [(8, 0.0)])[0].get_figwidth()
    assert texts(axes)[1:3] == ["batch of 1\nno noise", "over 80 dB"]


def test_what_was_not_attacked_is_named(made):
    for draw in (lambda: recovered(made, [(3, 0.01)]), lambda: recovery(made, 3, 0.01)):
        with pytest.raises(ValueError, match=r"records and noise are \(3, 0.01\), but must be of \[1, 2, 8\]"):
            draw()
    with pytest.raises(ValueError, match="settings is empty"):
        recovered(made, [])
    with pytest.raises(ValueError, match="at most 5"):
        psnr_against_noise(recoveries(batch_sizes=range(1, 7)))


def test_the_curves_are_the_medians_and_fall_through_thirty_decibels(made):
    _, axes = psnr_against_noise(made)
    assert axes.get_xscale() == "log"
    for b, line in zip(BATCHES, axes.lines[2:], strict=True):
        assert line.get_label() == f"batch of {b}"
        x, y = line.get_data()
        np.testing.assert_allclose(x, [1e-4, *NOISES[1:]])
        np.testing.assert_allclose(y[1:], [np.median(made.quality[b, noise]) for noise in NOISES[1:]])
        assert y[0] > axes.get_ylim()[1], "exact recovery lies beyond the axes"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.001", "0.01", "0.1"]
    assert set(axes.lines[0].get_ydata()) == {30.0}
    assert axes.lines[1].get_ydata()[0] == pytest.approx(
        psnr(made.truth, np.full((8, 64), made.truth.mean())).mean(), abs=1
    )
    assert len({line.get_linestyle() for line in axes.lines[2:]}) == 3
    band = axes.collections[2].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(min(made.quality[8, noise].min() for noise in NOISES))


def test_the_scene_shows_a_batch_its_figures_and_its_place_on_the_curve(made):
    scene = recovery_picture(made).scenes[0]
    for records, noise in ((8, 0.01), (2, 0.1), (1, 0.0)):
        scene.update(records, noise)
        sheet, _ = scene.axes
        np.testing.assert_allclose(picture_at(sheet, 0, records - 1, 2, 8), made.truth[records - 1].reshape(8, 8))
        guess = made.guesses[records, noise][records - 1]
        np.testing.assert_allclose(picture_at(sheet, 1, records - 1, 2, 8), guess.reshape(8, 8))
        assert len([text for text in texts(sheet) if "dB" in text]) == records
        ((x, y),) = scene.mark.get_xydata()
        assert x == (noise or 1e-4)
        assert y == pytest.approx(min(np.median(made.quality[records, noise]), 80))
        assert scene.band.get_xy()[:, 1].min() == pytest.approx(
            min(made.quality[records, other].min() for other in NOISES)
        )


def test_the_figure_starts_with_the_smallest_batch_and_the_least_noise(made):
    first = png(recovery(made)[0])
    assert png(recovery(made, 1, 0.0)[0]) == first
    assert png(recovery(made, 8)[0]) != first
    assert png(recovery(made, noise=0.1)[0]) != first
    assert plt.get_fignums() == []


def test_noise_without_zero_needs_no_place_for_it():
    _, axes = psnr_against_noise(recoveries(noises=(0.01, 0.1)))
    np.testing.assert_allclose(axes.lines[2].get_xdata(), [0.01, 0.1])
