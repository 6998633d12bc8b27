import io
from itertools import combinations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from privlab.plots.style import ALLOWED, SERIES, Still, encode, figure, png, styled


def luminance(colour):
    """Relative luminance of WCAG 2.2: what remains of a colour in grey."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(a, b):
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("a", "b"), list(combinations(SERIES, 2)))
def test_two_series_differ_without_colour(a, b):
    assert a[1] != b[1], "line style"
    assert a[2] != b[2], "marker"


def test_every_series_stands_out_from_paper_and_the_first_from_the_allowed_region():
    assert min(contrast(colour, "white") for colour, _, _ in SERIES) > 2
    assert min(contrast(colour, ALLOWED) for colour, _, _ in SERIES[:2]) > 3


def test_the_users_settings_neither_change_nor_matter():
    def draw():
        with styled():
            picture = figure(2, 2)
            picture.subplots().plot([0, 1])
        return png(picture)

    plain = draw()
    with matplotlib.rc_context({"lines.linewidth": 9, "axes.facecolor": "black", "xtick.major.size": 20}):
        before = dict(matplotlib.rcParams)
        assert draw() == plain
        assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == []


def test_a_picture_holds_no_date_and_no_software():
    assert Image.open(io.BytesIO(png(figure(1, 1)))).info.keys() <= {"dpi"}


def test_encoding_keeps_the_colours_of_a_chart():
    pixels = np.full((40, 60, 4), 255, np.uint8)
    pixels[10:20, :, :3] = (0, 114, 178)
    pixels[30:, :, :3] = (213, 94, 0)
    back = np.asarray(Image.open(io.BytesIO(encode(pixels))).convert("RGB")).astype(int)
    assert np.abs(back - pixels[..., :3]).max() <= 4
    assert (back[0] == 255).all(), "paper stays white"


def test_a_still_carries_its_words():
    data, metadata = Still(figure(3, 2), alt="two lines that cross")._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/png"]["alt"] == "two lines that cross"
    assert Image.open(io.BytesIO(data["image/png"])).width == 2 * metadata["image/png"]["width"] == 600


@pytest.mark.parametrize("alt", ["", "  ", None])
def test_a_still_without_words_is_refused(alt):
    with pytest.raises(ValueError, match="alt is"):
        Still(figure(1, 1), alt=alt)
