import runpy

import numpy as np
import pytest
from panels import PLOTS, parts, pixels

from privlab.plots import png
from privlab.plots.inversion import recovery as still_recovery
from privlab.widgets.inversion import recovery

RECOVERIES = runpy.run_path(str(PLOTS / "synthetic_inversion.py"))["recoveries"]()


def test_the_start_and_the_words():
    found = parts(recovery(RECOVERIES))
    assert (found.batch.value, found.noise.value) == (1, 0.0)
    assert [label for label, _ in found.noise.options] == ["0 (none)", "0.001", "0.01", "0.1"]
    assert found.caption.value == RECOVERIES.describe(1, 0.0)
    assert len(found.caption.value) <= 130, "one line under the picture"


@pytest.mark.parametrize(("batch", "noise"), [(8, 0.01), (2, 0.1)])
def test_a_setting_is_drawn_as_the_static_twin_and_said_in_words(batch, noise):
    panel = recovery(RECOVERIES)
    panel.controls["noise"].value = noise
    panel.controls["batch"].value = batch
    live, twin = pixels(panel.picture.value), pixels(png(still_recovery(RECOVERIES, batch, noise)[0]))
    assert np.abs(twin - live).mean() < 1
    assert np.abs(pixels(panel.still) - live).mean() > 2
    assert panel.caption.value == RECOVERIES.describe(batch, noise)
