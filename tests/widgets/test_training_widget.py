from dataclasses import replace

import numpy as np
import pytest
from panels import SWEEP, parts, pixels

from privlab.plots.style import png
from privlab.plots.training import learning_curves
from privlab.widgets.training import clip_and_noise, default_setting


def test_the_start_and_the_words_of_the_stops():
    found = parts(clip_and_noise(SWEEP))
    assert default_setting(SWEEP) == (found.clip.value, found.noise.value) == (0.9, 1.2)
    assert found.caption.value.startswith("clip norm 0.9, noise 1.2: ε = 3.2; accuracy 95 % without privacy, 80 % ")
    assert [label for label, _ in found.noise.options] == ["0 (no privacy)", "0.5 (ε 25)", "1.2 (ε 3.2)", "4 (ε 0.70)"]


def test_epsilon_moves_with_the_noise_and_not_with_the_clip_norm():
    found = parts(clip_and_noise(SWEEP))
    for _, clip in found.clip.options:
        found.clip.value = clip
        assert "ε = 3.2" in found.caption.value
    found.noise.value = 0.0
    assert "no privacy" in found.caption.value


def test_it_starts_where_it_is_told():
    panel = clip_and_noise(SWEEP, clip_norm=0.1, noise_multiplier=4.0)
    assert panel.alt.count("clip norm 0.1, noise 4:") == 1
    assert np.abs(pixels(png(learning_curves(SWEEP, 0.1, 4.0)[0])) - pixels(panel.still)).mean() < 1
    with pytest.raises(ValueError, match="clip_norm is 7, but must be one of"):
        clip_and_noise(SWEEP, clip_norm=7)


def test_a_sweep_that_only_clips_starts_without_noise():
    clipped = np.asarray(SWEEP.accuracy)[:, :1]
    bare = replace(SWEEP, noise_multipliers=(0.0,), epsilons=(np.inf,), accuracy=clipped)
    assert default_setting(bare) == (0.9, 0.0)
