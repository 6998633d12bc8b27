import ipywidgets as widgets
import pytest

from privlab.plots.style import figure, styled
from privlab.widgets.panel import Canvas, Panel, between_words


def test_a_panel_is_live_and_still_and_described():
    data, metadata = Panel(widgets.Label("x"), b"picture", alt="a picture")._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["image/png"] == b"picture"
    assert data["text/plain"] == metadata["image/png"]["alt"] == "a picture"


@pytest.mark.parametrize("alt", ["", " ", None])
def test_a_panel_without_words_is_refused(alt):
    with pytest.raises(ValueError, match="alt is"):
        Panel(widgets.Label(), b"", alt=alt)


def test_a_slider_between_words_keeps_the_slider():
    slider = widgets.IntSlider()
    assert between_words("less", slider, "more").children[1] is slider


@pytest.fixture
def drawing():
    with styled():
        picture = figure(2, 2)
        axes = picture.subplots()
        (slow,) = axes.plot([0, 1], [0, 0])
        (quick,) = axes.plot([0, 1], [1, 1], "--")
        axes.set(xlim=(0, 1), ylim=(-1, 2))
    return Canvas(picture, [[slow], [quick]]), slow, quick


def test_what_moved_is_redrawn_and_leaves_no_trace(drawing):
    canvas, slow, quick = drawing
    first = canvas.png()
    quick.set_ydata([2, 0])
    second = canvas.png(changed=1)
    assert second != first
    assert canvas.png() == second, "drawing all layers gives the same picture"
    slow.set_ydata([1, 0])
    third = canvas.png()
    assert third != second
    slow.set_ydata([0, 0])
    quick.set_ydata([1, 1])
    assert canvas.png() == first


def test_a_layer_said_to_be_unchanged_is_not_drawn_again(drawing):
    canvas, slow, _ = drawing
    first = canvas.png()
    slow.set_ydata([1, 0])
    assert canvas.png(changed=1) == first
