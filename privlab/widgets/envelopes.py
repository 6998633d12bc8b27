"""One file for many readers under sliders: what the envelopes cost in bytes and in time."""

from collections.abc import Mapping

from privlab.plots.envelopes import SIZES, Price, describe, envelope_picture, size_text
from privlab.widgets.panel import Panel, choice, slider

PEOPLE = (1, 2, 5, 10, 20, 40, 64)  # an age file of the kit has at most 64


def envelope(prices: Mapping[str, Price], rate: float) -> Panel:
    """Overhead and time of an age file, under controls for recipients, size, and kind of recipient.

    Parameters
    ----------
    prices : mapping from str to Price
        By kind of recipient, as measured; "x25519" is among them.
    rate : float
        Bytes that the cipher takes in a second, above 0.

    Examples
    --------
    >>> panel = envelope({"x25519": Price(1e-4, 5e-5, 97)}, 1e9)
    >>> panel.caption.value.split(";")[0]
    '10 MB for 5 x25519: header 555 bytes, overhead 0.03 %'
    """
    picture = envelope_picture(prices, rate)

    def draw(people: int, size: int, kind: str) -> tuple[bytes, str]:
        return picture.png(kind, people, size), describe(prices, rate, kind=kind, people=people, size=size)

    panel = Panel(
        draw,
        "Left, the overhead of a locked file, falling with its size to a floor; right, the time to lock and to open it.",
        people=slider("recipients", PEOPLE, 5, ends=("one reader", "many readers")),
        size=slider(
            "file size", [(size_text(size), size) for size in SIZES], 10**7, ends=("a short note", "a large model")
        ),
        kind=choice("recipients are", ["x25519", *(kind for kind in prices if kind != "x25519")]),
    )
    panel.controls["people"].add_class("privlab-noise")  # the main slider of each lesson has this class
    return panel
