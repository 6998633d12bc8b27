import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from privlab.leakage.map import ADVERSARIES, ASSETS, DEFENCES, STATES, fact
from privlab.plots import png
from privlab.plots.leaks import LOOKS, ledger, map_picture, threat_map

ROWS = [
    {"adversary": "thief", "asset": "model", "defence": "encryption", "before": 1.0, "after": 0.0},
    {"adversary": "user", "asset": "model", "defence": "none of the four", "before": 0.9, "after": 0.9},
]


@pytest.mark.parametrize("defence", DEFENCES)
def test_each_cell_shows_the_fact_of_the_map(defence):
    picture = map_picture()
    picture.still("server", defence)
    cells = picture.scenes[0].cells
    assert {*cells} == {*itertools.product(ADVERSARIES, ASSETS)}
    for (adversary, asset), (box, state, sees) in cells.items():
        known = fact(adversary, asset, defence)
        fill, hatch, sign = LOOKS[known.state]
        assert box.get_facecolor()[:3] == pytest.approx(to_rgb(fill))
        assert (box.get_hatch() or "") == hatch
        assert state.get_text() == f"{sign} {known.state}"
        assert sees.get_text() == f"{known.sees} (lesson {known.lesson})"
    assert defence in picture.scenes[0].title.get_text()


def test_the_states_differ_without_colour():
    assert {*LOOKS} == {*STATES}
    greys = {state: float(np.dot(to_rgb(fill), (0.299, 0.587, 0.114))) for state, (fill, _, _) in LOOKS.items()}
    for one, other in itertools.combinations(LOOKS, 2):
        assert LOOKS[one][2] != LOOKS[other][2], "signs"
        assert abs(greys[one] - greys[other]) > 0.2 or LOOKS[one][1] != LOOKS[other][1], "greys or hatches"


def test_black_words_can_be_read_on_every_state():
    """Contrast of WCAG 2, at least 4.5 to 1."""
    for fill, _, _ in LOOKS.values():
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(fill)]
        assert (np.dot(linear, (0.2126, 0.7152, 0.0722)) + 0.05) / 0.05 > 4.5


def test_words_stay_in_their_cells_and_on_the_page():
    picture = map_picture()
    for defence in DEFENCES:
        figure, axes = picture.still("thief", defence)
        figure.canvas.draw()
        for box, *words in picture.scenes[0].cells.values():
            outer = box.get_window_extent()
            assert all(outer.x0 < word.get_window_extent().x0 for word in words)
            assert all(word.get_window_extent().x1 < outer.x1 for word in words)
        assert min(text.get_window_extent().x0 for text in axes.texts) > 0


def test_the_frame_is_around_the_adversary():
    picture = map_picture()
    for row, adversary in enumerate(ADVERSARIES):
        picture.still(adversary, "nothing")
        assert picture.scenes[0].frame.get_y() == row


def test_a_row_of_the_ledger_runs_from_before_to_after():
    _, axes = ledger(ROWS)
    filled, hollow = axes.lines[-2:]
    np.testing.assert_allclose(filled.get_xydata(), [[1.0, 0], [0.9, 1]])
    np.testing.assert_allclose(hollow.get_xydata(), [[0.0, 0], [0.9, 1]])
    assert filled.get_marker() != hollow.get_marker()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["thief: model", "user: model"]
    assert [text.get_text() for text in axes.texts] == ["encryption", "none of the four"]


def test_pictures_come_out_the_same_and_none_stays_open():
    assert png(threat_map()[0]) == png(threat_map()[0])
    assert png(ledger(ROWS)[0]) == png(ledger(ROWS)[0])
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: threat_map("spy"), "adversary is 'spy'"),
        (lambda: threat_map("thief", "hope"), "defence is 'hope'"),
        (lambda: ledger([]), "rows has 0 rows"),
        (lambda: ledger([ROWS[0] | {"before": 2.0}]), "before is 2.0"),
    ],
)
def test_what_cannot_be_drawn_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
