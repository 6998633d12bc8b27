"""The texts of a live picture, drawn once and printed from then on, stand where they belong."""

import io

import numpy as np
import pytest
from PIL import Image

from privlab.plots import live
from privlab.plots.live import Picture
from privlab.plots.style import figure


class Words:
    """One text that moves and changes."""

    def __init__(self, axes, **style):
        self.axes = axes
        axes.set_axis_off()
        self.text = axes.text(0, 0, "", transform=axes.transAxes, **style)
        self.layers = [[self.text]]

    def update(self, x, y, words):
        self.text.set(x=x, y=y, text=words)


def words(**style):
    axes = figure(2, 1).add_axes((0, 0, 1, 1))
    return Picture(axes.figure, Words(axes, **style))


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png))).astype(int)


@pytest.mark.parametrize("style", [{}, {"rotation": 40}, {"rotation": 90, "va": "top"}, {"color": "red", "alpha": 0.5}])
@pytest.mark.parametrize("place", [(0.2, 0.3), (0.302, 0.411), (0.4, 0.5 / 3)])
def test_a_printed_text_is_nearly_where_it_would_be_drawn(style, place, monkeypatch):
    printed = words(**style)
    printed.png(0.1, 0.1, "at 1 %")
    shown = pixels(printed.png(*place, "at 1 %"))
    assert pixels(printed.png(0.1, 0.1, "")).min() == 255, "and leaves no trace"
    monkeypatch.setattr(live, "_Canvas", live.FigureCanvasAgg)
    drawn = pixels(words(**style).png(*place, "at 1 %"))
    ink = np.abs(drawn - 255).sum()
    assert ink > 10_000
    assert np.abs(shown - drawn).sum() < 0.4 * ink
    assert abs(np.abs(shown - 255).sum() / ink - 1) < 0.05


def test_old_texts_are_forgotten_and_drawn_again(monkeypatch):
    monkeypatch.setattr(live, "_TEXTS", 3)
    picture = words()
    first = picture.png(0.1, 0.5, "0")
    for number in range(1, 8):
        picture.png(0.1, 0.5, str(number))
    assert picture.png(0.1, 0.5, "0") == first
