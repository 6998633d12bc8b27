import runpy

import ipywidgets as widgets
import numpy as np
from panels import PLOTS, descendants, parts, pixels

from privlab.leakage import text_recipe
from privlab.plots import png
from privlab.plots.canaries import learning
from privlab.widgets import canaries
from privlab.widgets.canaries import explorer, typed_secret

RESULT = runpy.run_path(str(PLOTS / "synthetic_canaries.py"))["memorised"]()


def test_the_start_and_the_words_of_the_stops():
    found = parts(explorer(RESULT))
    assert (found.copies.value, found.noise.value) == (4, 0.0)
    assert [label for label, _ in found.noise.options] == ["0 (no privacy)", "0.5 (ε 8.0)", "1.5 (ε 1.0)"]
    assert [label for label, _ in found.copies.options] == ["0", "1", "4", "16"]
    assert len(found.caption.value) <= 130, "one line under the picture"


def test_a_typed_secret_starts_with_the_still_of_nothing_learnt():
    panel = typed_secret()
    assert np.abs(pixels(panel.still) - pixels(png(learning("", ())[0]))).mean() < 1
    assert not any(isinstance(part, widgets.Output) for part in descendants(panel.widget))
    assert parts(panel).secret.description == "your secret"
    assert parts(panel).train.description


def test_a_click_trains_and_the_model_says_the_secret(monkeypatch):
    found = parts(panel := typed_secret())
    captions, pictures = [], []
    found.caption.observe(lambda change: captions.append(change.new), "value")
    found.picture.observe(lambda change: pictures.append(bytes(change.new)), "value")
    monkeypatch.setattr(canaries, "MOMENTS", 4)
    found.copies.value = 16
    captions.clear(), pictures.clear()
    found.secret.value = " 394178 "
    found.train.click()
    assert len(pictures) == len(captions) == 5, "before training, and after each part"
    assert captions[0].startswith("0 % of training done, no privacy: exposure ")
    assert captions[-1].startswith(
        "100 % of training done, no privacy: exposure 19.9 bits; the model says 394178, your secret"
    )
    assert max(map(len, captions)) <= 130
    assert not found.train.disabled
    found.copies.value = 8
    assert found.picture.value == panel.still, "another setting: nothing learnt yet"
    assert found.caption.value == "type six digits and press the button"


def test_settings_reach_the_training(monkeypatch):
    asked = []
    monkeypatch.setattr(
        canaries, "learn_secret", lambda secret, **settings: asked.append((secret, settings)) or iter(())
    )
    found = parts(typed_secret())
    found.copies.value, found.protection.value = 32, 8.0
    found.train.click()
    assert asked == [("281265", {"copies": 32, "epsilon": 8.0, "moments": canaries.MOMENTS})]


def test_what_is_no_secret_is_said_in_the_caption(monkeypatch):
    monkeypatch.setattr(text_recipe, "train", None)  # nothing is trained
    found = parts(panel := typed_secret())
    for wrong in ("", "12345", "1234567", "12345a", "²³4567"):
        found.secret.value = wrong
        found.train.click()
        assert found.caption.value.startswith(f"secret is {wrong!r}, but must be")
        assert found.picture.value == panel.still
        assert not found.train.disabled
