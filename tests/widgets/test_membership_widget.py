import numpy as np
import pytest
from panels import WORLD, parts

from privlab.widgets.membership import explorer, ranks


def test_the_start_and_the_words():
    found = parts(explorer(*WORLD))
    assert (found.noise.value, found.attack.value, found.record.label) == (0.0, "LiRA online", "rank 1")
    assert [label for label, _ in found.noise.options] == ["0 (no privacy)", "1 (ε 11)", "5.6 (ε 1.2)"]
    assert len(found.caption.value) <= 130, "one line under the picture"


@pytest.mark.parametrize("count", [2, 10, 60, 1348, 100_000])
def test_the_stops_rise_from_the_first_rank_to_the_last(count):
    stops = ranks(count)
    assert (stops[0], stops[-1]) == (1, count)
    assert (np.diff(stops) > 0).all()
    assert len(stops) <= 31


def test_what_the_figure_refuses_the_widget_refuses():
    dataset, levels, frontier = WORLD
    with pytest.raises(ValueError, match="not among"):
        explorer(dataset, {3.3: levels[0.0]}, frontier)
