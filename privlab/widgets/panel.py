"""What every widget is made of: labelled controls, and a panel that redraws its picture and caption as they change.

A widget is a function that makes a live picture (`privlab.plots.live.Picture`), says how to draw it at a setting, and
names its controls; the names are the arguments of the drawing function and, after ``privlab-``, the CSS classes::

    def bell() -> Panel:
        picture = bell_picture()

        def draw(noise: float, mechanism: str) -> tuple[bytes, str]:
            return picture.png(mechanism, noise), describe(mechanism=mechanism, scale=noise)

        return Panel(
            draw,
            "A bell over the true count.",
            noise=slider("noise scale", (0.5, 1.0, 2.0), 1.0, ends=("more accurate", "more private")),
            mechanism=choice("mechanism", MECHANISMS),
        )

Words that a control shows instead of its values are given as pairs, ``[("1 %", 0.01), ("10 %", 0.1)]``.
"""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

from privlab.plots.style import epsilon_text, in_words
from privlab.widgets.access import access

WIDE = {"description_width": "8em"}


class Panel:
    """A picture under controls, with a still and its description for GitHub, paper and readers who do not see it.

    Parameters
    ----------
    draw : callable
        Takes the controls' values by name; returns the picture as PNG and its caption, one sentence with its figures.
    alt : str
        What the picture shows, in words; the first caption is added.
    controls : HBox
        Made by `slider`, `choice` or `button`, by name.

    Attributes
    ----------
    still : bytes
        The first picture.

    Raises
    ------
    ValueError
        If `alt` has no words.

    >>> panel = Panel(lambda n: (bytes(24), f"n is {n}"), "Zeros.", n=slider("n", (1, 2)))
    >>> panel.controls["n"].value = 2
    >>> panel.alt, panel.caption.value
    ('Zeros. n is 1', 'n is 2')
    """

    def __init__(self, draw: Callable[..., tuple[bytes, str]], alt: str, **controls: Any) -> None:
        self.draw, words = draw, in_words(alt)
        self.controls = {name: row.children[1] for name, row in controls.items()}
        self.picture, self.caption = widgets.Image(format="png"), widgets.Label()
        for name, part in (self.controls | {"picture": self.picture, "caption": self.caption}).items():
            part.add_class(f"privlab-{name}")
        for control in self.controls.values():
            control.observe(self.redraw, "value")
        self.redraw()
        self.still, self.alt = (
            bytes(self.picture.value),
            f"{words} {self.caption.value}",
        )  # the trait is a view of memory
        width = int.from_bytes(self.still[16:20], "big")  # as the header of the PNG says, in pixels
        self.picture.layout = widgets.Layout(width=f"{width}px", max_width="100%")
        self.widget = widgets.VBox([*controls.values(), self.picture, self.caption, access(words)])
        self.widget.add_class("privlab-panel")

    def redraw(self, _: Any = None) -> None:
        """Bring picture and caption up to the controls."""
        setting = {name: control.value for name, control in self.controls.items()}
        self.picture.value, self.caption.value = self.draw(**setting)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        view = self.widget._repr_mimebundle_(**kwargs)
        return {**view, "image/png": self.still, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}


def slider(description: str, options: Sequence[Any], value: Any = None, *, ends: tuple[str, str] = ("", "")) -> Any:
    """A slider over options, values or pairs of words and value, whose two ends say what they mean.

    >>> [part.value for part in slider("noise", (1, 2), 2, ends=("more accurate", "more private")).children]
    ['← more accurate', 2, 'more private →']
    """
    named = [option if isinstance(option, tuple) else (f"{option:g}", option) for option in options]
    control = widgets.SelectionSlider(
        options=named, description=description, tooltip=description, style=WIDE, layout=widgets.Layout(width="460px")
    )
    if value is not None:
        control.value = value
    return _row(control, *ends)


def choice(description: str, options: Sequence[Any]) -> Any:
    """A drop-down list, aligned with the sliders; it starts with the first option."""
    return _row(widgets.Dropdown(options=options, description=description, style=WIDE))


def button(description: str, tooltip: str) -> Any:
    """A button whose ``value`` counts the clicks.

    >>> again = button("again", "draw once more").children[1]
    >>> again.click()
    >>> again.value
    1
    """
    control = widgets.Button(description=description, tooltip=tooltip)
    control.add_traits(value=traitlets.Int(0))
    control.on_click(lambda _: setattr(control, "value", control.value + 1))
    return _row(control)


def noise_label(noise_multiplier: float, epsilon: float, note: str = "") -> str:
    """A stop of a noise slider.

    >>> noise_label(0.7, 20.6), noise_label(0, float("inf"))
    ('0.7 (ε 21)', '0 (no privacy)')
    """
    return f"{noise_multiplier:g}{note} ({epsilon_text(epsilon).replace('= ', '')})"


def _row(control: Any, low: str = "", high: str = "") -> Any:
    """A control between words, of the same width in every row."""
    words = (f"← {low}" if low else "", f"{high} →" if high else "")
    ends = [widgets.Label(text, layout=widgets.Layout(width="9em", margin="0 8px")) for text in words]
    return widgets.HBox([ends[0], control, ends[1]], layout=widgets.Layout(align_items="center"))
