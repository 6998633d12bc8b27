import pytest

from privlab.plots.live import Picture
from privlab.plots.style import figure, png, styled


class Lines:
    """Two lines, each in a layer; the upper one only is set where nothing else changes."""

    def __init__(self, axes):
        self.axes = axes
        (self.slow,) = axes.plot([0, 1], [0, 0])
        (self.quick,) = axes.plot([0, 1], [1, 1], "--")
        axes.set(xlim=(0, 1), ylim=(-1, 2))
        self.layers = [[self.slow], [self.quick]]
        self.height = 0

    def update(self, height, tilt):
        if height != self.height:
            self.height = height
            self.slow.set_ydata([height, 0])
        self.quick.set_ydata([1 + tilt, 1 - tilt])


@pytest.fixture
def scene():
    with styled():
        return Lines(figure(2, 2).subplots())


@pytest.fixture
def picture(scene):
    return Picture(scene.axes.figure, scene)


def test_what_moved_is_redrawn_and_leaves_no_trace(picture):
    first = picture.png(0, 0)
    second = picture.png(0, 1)
    assert second != first
    assert picture.png(1, 1) not in (first, second)
    assert picture.png(0, 1) == second
    assert picture.png(0, 0) == first


def test_what_did_not_change_is_not_drawn_again(picture, scene, monkeypatch):
    drawn, draw = [], scene.slow.draw
    monkeypatch.setattr(scene.slow, "draw", lambda renderer: (drawn.append(1), draw(renderer)))
    for height, tilt in [(0, 0), (0, 1), (0, 2), (1, 2), (1, 0)]:
        picture.png(height, tilt)
    assert len(drawn) == 2, "at first, and with the new height"


def test_a_picture_is_still_and_live_in_turns(picture, scene):
    with styled():
        other = Lines(figure(2, 2).subplots())
    before = Picture(other.axes.figure, other).png(1, 1)
    picture.png(0, 0)
    drawn, axes = picture.still(1, 1)
    assert axes is scene.axes
    assert png(drawn) == png(other.axes.figure)
    assert picture.png(1, 1) == before


def test_scenes_move_together():
    with styled():
        picture = figure(4, 2)
        scenes = [Lines(axes) for axes in picture.subplots(1, 2)]
    _, axes = Picture(picture, *scenes).still(1, 2)
    assert axes == tuple(scene.axes for scene in scenes)
    assert [scene.slow.get_ydata() for scene in scenes] == [[1, 0]] * 2
