"""Pictures that move: drawn once, then brought to another setting within milliseconds.

A scene draws on empty axes when it is made and lists in ``layers`` what its ``update`` moves, from what changes seldom
to what changes often; all else stands still::

    class Bell:
        def __init__(self, axes):
            self.axes = axes
            axes.set(xlim=(-5, 5), ylim=(0, 1))  # fixed
            self.curve = axes.plot([], [])[0]
            self.layers = [[self.curve]]

        def update(self, scale):
            self.curve.set_data(x, np.exp(-0.5 * (x / scale) ** 2))

A `Picture` of scenes is a figure of the kit (`still`) and the picture of a widget (`png`).
"""

from collections.abc import Iterable
from itertools import chain, zip_longest
from typing import Any, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure

from privlab.plots.style import encode, styled

_SHEET: Any = RendererAgg  # as most of matplotlib, it has no type hints
_PARTS = 4  # of a pixel: as near as this a text is put where it belongs
_TEXTS = 500  # kept, some kilobytes each


class Picture:
    """A figure whose scenes move together: what stands below them is restored as pixels, not drawn again.

    Parameters
    ----------
    figure : Figure
        Complete, in its final size.
    scenes
        Objects with ``axes`` (or a tuple of them), ``layers`` and ``update``, which all take the same setting.

    >>> from types import SimpleNamespace
    >>> from privlab.plots.style import figure
    >>> axes = figure(1, 1).add_axes((0, 0, 1, 1))
    >>> line = axes.axhline(0)
    >>> picture = Picture(axes.figure, SimpleNamespace(axes=axes, layers=[[line]], update=line.set_linewidth))
    >>> picture.png(1) == picture.png(2)
    False
    """

    def __init__(self, figure: Figure, *scenes: Any) -> None:
        self.figure, self.scenes = figure, scenes
        self._below: list[Any] = []  # the pixels under each layer, once it is live

    def update(self, *setting: Any) -> None:
        """Show a setting in all scenes."""
        for scene in self.scenes:
            scene.update(*setting)

    def still(self, *setting: Any) -> tuple[Figure, Any]:
        """The figure at a setting, and the axes of its scenes."""
        self.update(*setting)
        self._below.clear()  # saving draws the figure: what then counts as drawn is not on the live canvas
        axes = [scene.axes for scene in self.scenes]
        return self.figure, tuple(axes) if len(axes) > 1 else axes[0]

    def png(self, *setting: Any) -> bytes:
        """The picture at a setting; the layers before the first that has changed are not drawn again."""
        self.update(*setting)
        if not self._below:
            self._draw_what_stays()
        changed = (i for i, layer in enumerate(self._layers) if any(artist.stale for artist in layer))
        del self._below[next(changed, len(self._layers)) + 1 :]
        self._canvas.restore_region(self._below[-1])
        for layer in self._layers[len(self._below) - 1 : -1]:
            self._draw(layer)
            self._below.append(self._canvas.copy_from_bbox(self.figure.bbox))
        self._draw(self._layers[-1])
        return encode(np.asarray(self._canvas.buffer_rgba()))

    def _draw_what_stays(self) -> None:
        levels = zip_longest(*(scene.layers for scene in self.scenes), fillvalue=())
        self._layers = [sorted(chain(*level), key=lambda artist: artist.get_zorder()) for level in levels]
        for artist in chain(*self._layers):
            artist.set_animated(True)
        self._canvas = cast(Any, _Canvas(self.figure))  # its methods have no type hints
        with styled():
            self._canvas.draw()
        self._below = [self._canvas.copy_from_bbox(self.figure.bbox)]

    def _draw(self, layer: Iterable[Artist]) -> None:
        for artist in layer:
            artist.draw(self._canvas.renderer)


class _Canvas(FigureCanvasAgg):
    """Draws with a `_Printer`."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self._printer = _Printer(*self.get_width_height(), figure.dpi)

    def get_renderer(self) -> RendererAgg:
        return self._printer


class _Printer(RendererAgg):
    """Draws a text once and then prints its pixels, at whole pixels: letters take most of the time of a picture."""

    def __init__(self, *size: float) -> None:
        cast(Any, super()).__init__(*size)
        self._printed: dict[Any, tuple[int, int, Any]] = {}

    def draw_text(self, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, *how: Any, **more: Any) -> None:
        column, row = round(_PARTS * x), round(_PARTS * y)
        part = column % _PARTS / _PARTS, row % _PARTS / _PARTS
        key = s, hash(prop), angle, gc.get_rgb(), part
        if key not in self._printed:
            if len(self._printed) == _TEXTS:
                self._printed.clear()
            self._printed[key] = self._letters(gc, part, s, prop, angle, *how, **more)
        left, top, letters = self._printed[key]
        if letters.size:
            bottom = round(self.height) - row // _PARTS - top - len(letters)
            self.draw_image(self.new_gc(), column // _PARTS + left, bottom, letters)

    def _letters(
        self, gc: Any, part: tuple[float, float], s: str, prop: Any, angle: float, *how: Any, **more: Any
    ) -> tuple[int, int, Any]:
        """Where a text begins, from its anchor to the right and down, and its pixels from the bottom up."""
        width, height, _ = cast(Any, self).get_text_width_height_descent(s, prop, False)
        across, down = (round(side) + 9 for side in ((width, height) if angle == 0 else (width + height,) * 2))
        sheet, look = _SHEET(2 * across, 2 * down, self.dpi), self.new_gc()  # the anchor in the middle
        look.copy_properties(gc)
        look.set_clip_rectangle(None)
        sheet.draw_text(look, across + part[0], down + part[1], s, prop, angle, *how, **more)
        pixels = np.asarray(sheet.buffer_rgba())
        inked = [np.flatnonzero(pixels[..., 3].any(axis=axis)) for axis in (1, 0)]
        rows, columns = (slice(place[0], place[-1] + 1) if place.size else slice(0, 0) for place in inked)
        return columns.start - across, rows.start - down, pixels[rows, columns][::-1].copy()
