"""Memorised secrets under sliders, and a model that learns a secret typed by the reader."""

import math
from typing import Any

import ipywidgets as widgets

from privlab.leakage.memorisation import Memorisation
from privlab.leakage.text_recipe import Moment, learn_secret
from privlab.plots.canaries import explorer_picture, learning_picture, middle
from privlab.plots.style import epsilon_text
from privlab.widgets.panel import WIDE, Panel, choice, noise_label, slider

MOMENTS = 10


def explorer(result: Memorisation) -> Panel:
    """Rank and exposure of planted secrets, by copies and noise, from computed results.

    Parameters and errors are those of `privlab.plots.canaries.explorer`, whose default is the still picture.
    """
    picture = explorer_picture(result)
    (scene,) = picture.scenes

    def draw(copies: int, noise: float) -> tuple[bytes, str]:
        return picture.png(copies, noise), scene.words

    noises = [(noise_label(float(f"{noise:.2g}"), run.epsilon), noise) for noise, run in sorted(scene.runs.items())]
    return Panel(
        draw,
        "Secrets on a scale of ranks, over exposure against copies with what the guarantee allows.",
        copies=slider("copies", result.repetitions, middle(result), ends=("rare", "repeated")),
        noise=slider("noise multiplier", noises, ends=("more accurate", "more private")),
    )


def typed_secret() -> Panel:
    """Type six digits, press the button, and watch a model learn to say them: some seconds of training in the kernel.

    The still picture is `privlab.plots.canaries.learning` of nothing.

    Examples
    --------
    >>> typed_secret().caption.value
    'type six digits and press the button'
    """
    return _TypedSecret().panel


class _TypedSecret:
    """A panel, and a row with the secret and the button below it."""

    def __init__(self) -> None:
        self.picture = learning_picture()
        self.panel = Panel(
            lambda copies, protection: (self.picture.png("", ()), "type six digits and press the button"),
            "An empty chart of exposure during training, under the words that the model is to complete.",
            copies=slider("copies", (1, 2, 4, 8, 16, 32, 64), 8, ends=("rare", "repeated")),
            protection=choice("protection", [("none", math.inf), ("DP-Adam, ε = 8", 8.0), ("DP-Adam, ε = 1", 1.0)]),
        )
        self.secret = widgets.Text(
            value="281265", description="your secret", style=WIDE, layout=widgets.Layout(width="240px")
        )
        self.button = widgets.Button(description="train and ask", tooltip="plant the secret, train, and extract it")
        self.secret.add_class("privlab-secret")
        self.button.add_class("privlab-train")
        self.button.on_click(self._run)
        self.panel.widget.children += (widgets.HBox([self.secret, self.button]),)

    def _run(self, _: Any) -> None:
        settings = {name: control.value for name, control in self.panel.controls.items()}
        secret, moments = self.secret.value.strip(), []
        self.button.disabled = True
        try:
            watched = learn_secret(secret, copies=settings["copies"], epsilon=settings["protection"], moments=MOMENTS)
            for moment in watched:
                moments.append(moment)
                self.panel.picture.value = self.picture.png(secret, tuple(moments))
                self.panel.caption.value = _words(secret, moment)
        except ValueError as error:
            self.panel.caption.value = str(error)
        finally:
            self.button.disabled = False


def _words(secret: str, moment: Moment) -> str:
    answer = f"the model says {moment.said}" + (", your secret" if moment.said == secret else "")
    return (
        f"{100 * moment.done:.0f} % of training done, {epsilon_text(moment.epsilon)}: exposure {moment.exposure:.1f} bits; "
        f"{answer} ({moment.opened:,} nodes opened)"
    )
