import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from privlab.encryption import Identity, Recipient, encrypt_file, inspect
from privlab.plots import png
from privlab.plots.envelopes import FRAME, SIZES, Price, describe, envelope, envelope_picture, price_list

PRICES = {
    "x25519": Price(8e-5, 4e-5, 98),
    "rsa": Price(6e-5, 9e-4, 539, tagged=True),
    "x-wing": Price(1e-4, 1e-4, 1557),
}
RATE = 1e9


def recipient(kind):
    if kind != "rsa":
        return Identity.generate(kind).recipient
    public = rsa.generate_private_key(65537, 2048).public_key()  # quicker to make than the kit's 3072 bits
    return Recipient.parse(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


@pytest.mark.parametrize("kind", PRICES)
def test_the_bytes_are_those_of_real_files(kind, tmp_path):
    reader, source, target = recipient(kind), tmp_path / "plain", tmp_path / "locked"

    def added(people, size):
        source.write_bytes(bytes(size))
        encrypt_file(source, target, [reader] * people)
        return target.stat().st_size - size

    stanza = added(2, 0) - added(1, 0)
    assert inspect(target).header_bytes == FRAME + stanza
    assert stanza == PRICES[kind].stanza or kind == "rsa"
    for people, size in ((1, 0), (1, 1), (5, 65_536), (5, 65_537), (64, 200_000)):
        assert Price(0, 0, stanza).added(people, size) == added(people, size)


def test_who_is_named_tries_one_envelope_and_who_is_not_tries_all():
    for people in (1, 64):
        lock, unlock = PRICES["rsa"].seconds(people, 10**6, RATE)
        assert (lock, unlock) == (pytest.approx(1e-3 + people * 6e-5), pytest.approx(1e-3 + 9e-4))
        assert PRICES["x25519"].seconds(people, 10**6, RATE)[1] == pytest.approx(1e-3 + people * 4e-5)


def test_curves_and_marks_are_the_price():
    picture = envelope_picture(PRICES, RATE)
    (scene,) = picture.scenes
    picture.update("x-wing", 20, 10**5)
    for kind, curve in scene.overheads.items():
        sizes, share = curve.get_data()
        np.testing.assert_allclose(share * sizes, PRICES[kind].added(20, sizes))
        assert curve.get_linewidth() == (3 if kind == "x-wing" else 1.2)
    seconds = PRICES["x-wing"].seconds(20, sizes, RATE)
    np.testing.assert_allclose([curve.get_ydata() for curve in scene.times], seconds)
    here = [PRICES["x-wing"].added(20, 10**5) / 10**5, *PRICES["x-wing"].seconds(20, 10**5, RATE)]
    np.testing.assert_allclose([mark.get_xydata()[0] for mark in scene.marks], [(10**5, value) for value in here])


def test_every_setting_stays_inside_the_fixed_axes():
    _, (left, right) = envelope(PRICES, RATE)
    for price in PRICES.values():
        for people in (1, 64):
            assert left.get_ylim()[0] < min(price.added(people, SIZES) / SIZES)
            assert max(price.added(people, SIZES) / SIZES) < left.get_ylim()[1]
            assert max(map(max, price.seconds(people, SIZES, RATE))) < right.get_ylim()[1]


def test_the_words_have_the_figures_of_the_picture():
    _, (left, right) = envelope(PRICES, RATE, kind="x-wing", people=5, size=10**6)
    assert left.get_title(loc="left") == "5 x-wing: +8.1 kB on 1 MB"
    assert right.get_title(loc="left") == "lock 1.5 ms, open 1.5 ms"
    words = describe(PRICES, RATE, kind="x-wing", people=5, size=10**6)
    assert words.startswith("1 MB for 5 x-wing: header 7,855 bytes, overhead 0.81 %; locked in 1.5 ms")


def test_the_price_list_draws_what_was_measured_and_a_slow_method_ends_early():
    seconds, added = {"a": [1.0, 2.0], "b": [3.0]}, {"a": [28, 29], "b": [300]}
    _, (left, right) = price_list([100, 1000], seconds, added)
    for axes, values in ((left, seconds), (right, added)):
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        drawn = [line.get_xydata().tolist() for line in axes.lines]
        assert drawn == [[[100, values["a"][0]], [1000, values["a"][1]]], [[100, values["b"][0]]]]
    looks = [line.get_linestyle() + line.get_marker() for line in left.lines]
    assert len(set(looks)) == 2, "told apart in grey"


def test_same_input_same_bytes_and_no_figure_left_open():
    assert png(envelope(PRICES, RATE)[0]) == png(envelope(PRICES, RATE)[0])
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "dsa"}, "kind is 'dsa', but must be one of 'x25519', 'rsa', 'x-wing'"),
        ({"people": 0}, "people is 0"),
        ({"size": 0.5}, "size is 0.5"),
        ({"rate": math.inf}, "rate is inf"),
    ],
)
def test_a_wrong_setting_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        envelope(**{"prices": PRICES, "rate": RATE} | change)


@pytest.mark.parametrize("added", [{"a": [1]}, {"b": [1, 2]}, {"a": [1, 2, 3]}])
def test_a_price_list_with_gaps_is_refused(added):
    with pytest.raises(ValueError, match="added has lengths"):
        price_list([1, 2], {"a": [1.0, 2.0] if len(added.get("a", [])) < 3 else [1.0, 2.0, 3.0]}, added)
