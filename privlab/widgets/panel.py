"""What every widget needs: a still picture where no kernel is, a canvas that redraws fast, a slider with words."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, cast

import ipywidgets as widgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from privlab.plots.style import encode, styled


class Panel:
    """A widget that carries a still picture and its description, for GitHub, paper and readers who do not see it.

    Parameters
    ----------
    widget : Widget
        What a live notebook shows.
    still : bytes
        PNG, shown where there is no kernel.
    alt : str
        What the picture shows, in words.

    Raises
    ------
    ValueError
        If `alt` has no words.

    >>> sorted(Panel(widgets.Label("moving"), b"PNG", alt="a picture")._repr_mimebundle_()[0])
    ['application/vnd.jupyter.widget-view+json', 'image/png', 'text/plain']
    """

    def __init__(self, widget: widgets.Widget, still: bytes, alt: str) -> None:
        if not isinstance(alt, str) or not alt.strip():
            raise ValueError(f"alt is {alt!r}, but must say in words what the picture shows")
        self.widget, self.still, self.alt = widget, still, alt

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        view = self.widget._repr_mimebundle_(**kwargs)
        return {**view, "image/png": self.still, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}


class Canvas:
    """A figure of which only some artists move: what stands below them is restored as pixels, not drawn again.

    Parameters
    ----------
    figure : Figure
        Complete, in its final size.
    layers : sequence of iterables of Artist
        What changes from picture to picture, from what changes seldom to what changes often; all else is drawn now.

    >>> from privlab.plots.style import figure
    >>> canvas = Canvas(figure(1, 1), layers=[[]])
    >>> canvas.png() == canvas.png()
    True
    """

    def __init__(self, figure: Figure, layers: Sequence[Iterable[Artist]]) -> None:
        self.layers = [sorted(layer, key=lambda artist: artist.get_zorder()) for layer in layers]
        for artist in chain(*self.layers):
            artist.set_animated(True)
        self.canvas = cast(Any, FigureCanvasAgg(figure))  # its methods have no type hints
        with styled():
            self.canvas.draw()
        self.below = [self.canvas.copy_from_bbox(figure.bbox)]  # the pixels under each layer

    def png(self, changed: int = 0) -> bytes:
        """The picture as it stands now, where no layer before the number `changed` has changed since the last one."""
        self.below = self.below[: changed + 1]
        self.canvas.restore_region(self.below[-1])
        for layer in self.layers[len(self.below) - 1 : -1]:
            self._draw(layer)
            self.below.append(self.canvas.copy_from_bbox(self.canvas.figure.bbox))
        self._draw(self.layers[-1])
        return encode(np.asarray(self.canvas.buffer_rgba()))

    def _draw(self, layer: Iterable[Artist]) -> None:
        for artist in layer:
            artist.draw(self.canvas.renderer)


def between_words(low: str, slider: widgets.Widget, high: str) -> widgets.HBox:
    """A slider whose two ends say what they mean.

    >>> [child.value for child in between_words("more accurate", widgets.FloatSlider(), "more private").children]
    ['← more accurate', 0.0, 'more private →']
    """
    ends = [
        widgets.Label(text, layout=widgets.Layout(width="9em", margin="0 8px")) for text in (f"← {low}", f"{high} →")
    ]
    return widgets.HBox([ends[0], slider, ends[1]], layout=widgets.Layout(align_items="center"))
