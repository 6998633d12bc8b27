import matplotlib.pyplot as plt
import numpy as np
import pytest

from privlab.leakage.attributes import AttributeInference, Guesses
from privlab.plots import png
from privlab.plots.stealing import agreement, guessed_attributes, stolen_weights


def result(members):
    others = [Guesses(share, 0.02, share - 0.03, share + 0.04) for share in (members, 0.5, 0.56, 0.51)]
    return AttributeInference(*others, accuracy=0.65)


def test_stolen_weights_stand_over_the_true_ones_and_strays_on_the_edge():
    true = np.array([[1.0, -1.0], [0.5, 0.0]])
    _, panels = stolen_weights(true, {"exact": true, "rounded": np.add(true, [[0.1, 0], [0, 50.0]])})
    assert [axes.get_title(loc="left") for axes in panels] == ["exact", "rounded"]
    np.testing.assert_allclose(panels[0].lines[1].get_xydata(), np.column_stack([true.ravel(), true.ravel()]))
    assert panels[1].lines[1].get_ydata().tolist() == pytest.approx([1.1, -1.0, 0.5, 1.15])
    assert panels[0].get_xlim() == panels[0].get_ylim() == panels[1].get_xlim()


def test_agreement_is_drawn_with_its_band():
    bands = {"exact": [[0.9, 1.0, 1.0], [1, 1, 1]], "2 decimals": np.array([[0.2, 0.3, 0.5], [0.8, 0.9, 0.95]])}
    _, axes = agreement([65, 650], bands)
    np.testing.assert_allclose(axes.lines[1].get_xydata(), [[65, 0.3], [650, 0.9]])
    assert axes.collections[1].get_paths()[0].vertices[:, 1].max() == pytest.approx(0.95)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(bands)
    assert len({(line.get_linestyle(), line.get_marker()) for line in axes.lines[:2]}) == 2
    assert [label.get_text() for label in axes.get_xticklabels()] == ["65", "650"]


def test_bars_are_the_shares_with_their_bands_beside_the_baselines():
    picture, axes = guessed_attributes({"no privacy": result(0.68), "ε = 2": result(0.53)})
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([0.68, 0.53, 0.5, 0.5])
    bars, lines = axes.collections[0], axes.collections[-2:]
    np.testing.assert_allclose(bars.get_segments()[0][:, 1], [0.65, 0.72])
    assert [line.get_segments()[0][0, 1] for line in lines] == pytest.approx([0.56, 0.51])
    assert [text.get_text() for text in axes.texts[:2]] == ["68 %", "53 %"]
    assert [text.get_text() for text in picture.legends[0].get_texts()] == [
        "members",
        "non-members",
        "imputation",
        "majority",
    ]
    assert axes.patches[0].get_hatch() != axes.patches[2].get_hatch()
    assert axes.get_ylim()[0] == 0


def test_pictures_come_out_the_same_and_none_stays_open():
    assert png(guessed_attributes({"no privacy": result(0.68)})[0]) == png(
        guessed_attributes({"no privacy": result(0.68)})[0]
    )
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stolen_weights([1.0], {}), "stolen has 0 thefts"),
        (lambda: stolen_weights([1.0], {"a": [1.0, 2.0]}), r"stolen a has shape \(2,\), but must be \(1,\)"),
        (lambda: agreement([1], {}), "shares has 0 defences"),
        (lambda: agreement([1, 2], {"a": [[1, 1, 1]]}), r"shares of a has shape \(1, 3\), but must be \(2, 3\)"),
        (lambda: guessed_attributes({}), "results has 0"),
    ],
)
def test_what_cannot_be_drawn_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
