import matplotlib.pyplot as plt
import numpy as np
import pytest

from privlab.plots.locking import CRC, SixFiles, equal_bits, flip, flip_picture, prices
from privlab.plots.style import SERIES, png

NOTICE = {"Fernet": "InvalidToken", "AES-GCM (seal)": "TamperError", "age checkpoint": "TamperError"}
PARAMETERS = {
    "weight": np.array([[0.5, -0.25, 2.0], [0.75, 0.0, -0.125]], np.float32),
    "bias": np.array([0.5, -1.0], np.float32),
}


def kept(parameters):
    """The share of the parameters that are as they were."""
    return np.mean(np.concatenate([np.ravel(parameters[name] == PARAMETERS[name]) for name in PARAMETERS]))


@pytest.fixture(scope="module")
def files():
    return SixFiles(PARAMETERS)


@pytest.mark.parametrize("bit", [0, 9, 22, 23, 30, 31])
@pytest.mark.parametrize("weight", [0, 4, 7])
def test_a_disk_error_is_noticed_by_the_checksum_and_by_every_tag(files, weight, bit):
    damaged, verdicts = files.after_flip(weight, bit, "disk error")
    assert verdicts == {"plain": "", "AES-CTR": "", CRC: "checksum", **NOTICE}
    changed = damaged.view(np.uint32) ^ files.weights.view(np.uint32)
    assert changed[weight] == 1 << bit
    assert np.count_nonzero(changed) == 1


@pytest.mark.parametrize(("weight", "bit"), [(0, 0), (3, 12), (7, 31)])
def test_an_attacker_mends_the_checksum_and_no_tag(files, weight, bit):
    _, verdicts = files.after_flip(weight, bit, "attacker")
    assert verdicts == {"plain": "", "AES-CTR": "", CRC: "", **NOTICE}


def test_every_loader_returns_an_untouched_file(files):
    for original, load, _ in files.files.values():
        assert load(original) == files.weights.tobytes()


def test_a_file_of_several_chunks_is_flipped_where_it_should():
    large = SixFiles({"weight": np.ones(40_000, np.float32)})
    for weight in (16_384, 39_999):
        assert large.after_flip(weight, 31, "disk error")[1]["age checkpoint"] == "TamperError"
        original, _, place = large.files["age checkpoint"]
        assert len(original) - 16 - 4 * (40_000 - weight) - 2 * 16 <= place(4 * weight) < len(original) - 16


def test_bars_and_words_say_who_returns_what():
    _, (page, bars) = flip(PARAMETERS, kept, weight=3, bit=31)
    assert [bar.get_width() for bar in bars.patches] == [7 / 8, 7 / 8, 0, 0, 0, 0]
    assert [text.get_text() for text in bars.texts[:3]] == ["returned, no warning"] * 2 + ["refused: checksum"]
    assert page.get_title(loc="left") == "weight 3: 0.75 became -0.75"
    assert bars.get_title(loc="left") == "disk error, bit 31 (sign): accuracy 87.5 %"
    assert bars.lines[0].get_xdata()[0] == 1, "the accuracy before"


def test_damage_is_ringed_and_drawn_even_where_it_is_no_number():
    _, (page, _) = flip(PARAMETERS, kept, weight=7, bit=30)  # the exponent of -1 becomes that of infinity
    image, (ring,) = page.images[0].get_array(), page.lines
    row, column = int(ring.get_ydata()[0]), int(ring.get_xdata()[0])
    assert row * image.shape[1] + column == 7
    assert image[row, column] == -2, "the edge of the colours"
    assert page.get_title(loc="left") == "weight 7: -1 became -inf"


def test_the_caption_counts_the_loaders():
    picture = flip_picture(PARAMETERS, kept)
    picture.update(0, 24, "attacker")
    assert picture.scenes[0].words_below == (
        "attacker at weight 0, bit 24 (exponent): 0.5 became 0.125; 3 of 6 loaders return it, accuracy 87.5 %"
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"weight": 8}, "weight is 8, but must be below 8"),
        ({"weight": -1}, "weight is -1, but must be a whole number >= 0"),
        ({"bit": 32}, "bit is 32, but must be below 32"),
        ({"who": "cat"}, "who is 'cat', but must be one of"),
    ],
)
def test_what_is_not_there_is_named(setting, message):
    with pytest.raises(ValueError, match=message):
        flip(PARAMETERS, kept, **setting)


def test_equal_bits_are_counted_from_the_sign():
    xor = {"a": np.array([[0, 1], [2**31, 2**22]], np.uint32), "b": np.array([[2**23]], np.uint32)}
    figure, axes = equal_bits({"same": xor, "fresh": xor})
    np.testing.assert_array_equal(axes[0, 0].images[0].get_array(), [[32, 31], [0, 9]])
    assert axes[1, 1].images[0].get_array() == [[8]]
    assert [panel.get_title(loc="left") for panel in axes.flat] == ["a", "b", "", ""]
    assert [panel.get_ylabel() for panel in axes.flat] == ["same", "", "fresh", ""]
    assert figure.axes[-1].get_title(loc="left") == "equal bits"


def test_prices_are_drawn_where_they_are_and_told_apart():
    sizes, costs = [2**10, 2**19, 2**26], {"Fernet": [1e-5, 1e-3, 0.1], "seal": [1e-5, 1e-4, 0.02]}
    figure, both = prices(sizes, costs, {"Fernet": [400, 200_000, 2**24], "seal": [29] * 3})
    for name, line in zip(costs, both[0].lines, strict=True):
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([sizes, costs[name]]))
    assert both[1].lines[1].get_ydata().tolist() == [29] * 3
    assert {axes.get_xscale() + axes.get_yscale() for axes in both} == {"loglog"}
    assert [label.get_text() for label in both[0].get_xticklabels()] == ["1 KiB", "512 KiB", "64 MiB"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Fernet", "seal"]
    assert len({line.get_linestyle() for line in both[0].lines}) == 2


def test_other_locks_in_seconds_than_in_bytes_are_refused():
    with pytest.raises(ValueError, match=r"seconds names \['a'\], added \['b'\]"):
        prices([1024], {"a": [1]}, {"b": [1]})
    many = {str(i): [1] for i in range(len(SERIES) + 1)}
    with pytest.raises(ValueError, match="the same 1 to 5 locks"):
        prices([1024], many, many)


def test_same_input_same_picture_whatever_the_keys_and_no_figure_left_open():
    assert png(flip(PARAMETERS, kept)[0]) == png(flip(PARAMETERS, kept)[0])
    assert plt.get_fignums() == []
