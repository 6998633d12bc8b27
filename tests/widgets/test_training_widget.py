import io
import time
from statistics import median
from types import SimpleNamespace

import ipywidgets as widgets
import numpy as np
import pytest
from PIL import Image

from privlab.plots.style import png
from privlab.plots.training import Sweep, learning_curves
from privlab.widgets.training import clip_and_noise, default_setting

CLIPS, NOISES, EPSILONS = (0.1, 0.9, 10.0), (0.0, 0.5, 1.2, 4.0), (np.inf, 25.0, 3.2, 0.7)


@pytest.fixture(scope="module")
def sweep():
    steps = np.arange(10, 301, 10)
    rise = 1 - np.exp(-steps / 50)
    final = 0.9 - 0.1 * np.arange(3)[:, None] - 0.05 * np.arange(4)
    seeds = np.linspace(-0.02, 0.02, 5)[:, None]
    return Sweep(
        steps, CLIPS, NOISES, EPSILONS, final[..., None, None] * rise + seeds * rise, 0.95 * rise + seeds * rise
    )


def descendants(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from descendants(child)


def controls(panel):
    """The parts of the panel by their class, as a browser test finds them."""
    names = {name: widget for widget in descendants(panel.widget) for name in widget._dom_classes}
    return SimpleNamespace(**{name.removeprefix("privlab-"): widget for name, widget in names.items()})


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_the_start_is_the_still_and_its_words(sweep):
    panel = clip_and_noise(sweep)
    found = controls(panel)
    assert default_setting(sweep) == (found.clip.value, found.noise.value) == (0.9, 1.2)
    assert found.picture.value == panel.still
    assert type(panel._repr_mimebundle_()[0]["image/png"]) is bytes, "what a kernel can send"
    assert panel.alt.endswith(found.caption.value)
    assert found.caption.value.startswith("clip norm 0.9, noise 1.2: ε = 3.2; accuracy 95 % without privacy, 80 % ")


def test_the_picture_is_that_of_the_static_twin(sweep):
    live = pixels(clip_and_noise(sweep).still)
    twin = pixels(png(learning_curves(sweep, 0.9, 1.2)[0]))
    assert twin.shape == live.shape
    assert live.shape[1] <= 840
    assert np.abs(twin - live).mean() < 1, "axes under, not over, what moves; fewer colours"
    other = pixels(png(learning_curves(sweep, 10.0, 4.0)[0]))
    assert np.abs(other - live).mean() > 2


@pytest.mark.parametrize("name", ["noise", "clip"])
def test_each_slider_changes_picture_and_words_and_back(sweep, name):
    panel = clip_and_noise(sweep)
    found = controls(panel)
    slider = getattr(found, name)
    start, seen = slider.value, {}
    for _, value in slider.options:
        slider.value = value
        seen[value] = found.picture.value, found.caption.value
    assert len({picture for picture, _ in seen.values()}) == len({words for _, words in seen.values()}) == len(seen)
    slider.value = start
    assert found.picture.value == panel.still


def test_epsilon_moves_with_the_noise_and_not_with_the_clip_norm(sweep):
    found = controls(clip_and_noise(sweep))
    for _, clip in found.clip.options:
        found.clip.value = clip
        assert "ε = 3.2" in found.caption.value
    found.noise.value = 0.0
    assert "no privacy" in found.caption.value
    assert [label for label, _ in found.noise.options] == ["0 (no privacy)", "0.5 (ε 25)", "1.2 (ε 3.2)", "4 (ε 0.70)"]


def test_both_ends_of_both_sliders_speak(sweep):
    panel = clip_and_noise(sweep)
    labels = {widget.value for widget in descendants(panel.widget) if isinstance(widget, widgets.Label)}
    assert {"← less noise", "more private →", "← cuts more off", "lets more noise in →"} <= labels
    assert all(slider.description for slider in (controls(panel).noise, controls(panel).clip))


def test_a_redraw_takes_less_than_a_tenth_of_a_second(sweep):
    slider, spent = controls(clip_and_noise(sweep)).clip, []
    for i in range(20):
        start = time.process_time()
        slider.value = CLIPS[i % 2]
        spent.append(time.process_time() - start)
    assert median(spent) < 0.1


def test_it_starts_where_it_is_told(sweep):
    panel = clip_and_noise(sweep, clip_norm=0.1, noise_multiplier=4.0)
    assert panel.alt.count("clip norm 0.1, noise 4:") == 1
    assert np.abs(pixels(png(learning_curves(sweep, 0.1, 4.0)[0])) - pixels(panel.still)).mean() < 1
    with pytest.raises(ValueError, match="clip_norm is 7, but must be one of"):
        clip_and_noise(sweep, clip_norm=7)


def test_a_sweep_that_only_clips_starts_without_noise(sweep):
    clipped = np.asarray(sweep.accuracy)[:, :1]
    assert default_setting(Sweep(sweep.steps, CLIPS, (0.0,), (np.inf,), clipped, sweep.plain)) == (0.9, 0.0)
