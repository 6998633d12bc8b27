"""Secret shares: the field, any enough shares, nothing from fewer, and altered shares named."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from privlab.masking.shares import (
    POLYNOMIAL,
    additive_shares,
    combine,
    interpolate,
    inverse,
    multiply,
    polynomial_shares,
    split,
)

ALL = np.arange(2**16, dtype=np.uint16)


def carry_less_product(a, b):
    """Product of polynomials over GF(2), then division by the field's polynomial: shift and add, no tables."""
    product = np.zeros(np.broadcast(a, b).shape, np.int64)
    for bit in range(16):
        product ^= np.where(b >> bit & 1, a.astype(np.int64) << bit, 0)
    for bit in range(31, 15, -1):
        product ^= np.where(product >> bit & 1, POLYNOMIAL << (bit - 16), 0)
    return product


def test_products_are_those_of_carry_less_multiplication():
    others = np.random.default_rng(0).integers(0, 2**16, ALL.size).astype(np.uint16)
    for other in (others, np.uint16(0) * others, np.uint16(2) + 0 * others):
        assert (multiply(ALL, other) == carry_less_product(ALL, other)).all()


def test_every_element_but_zero_has_its_inverse():
    assert (carry_less_product(ALL[1:], inverse(ALL[1:])) == 1).all()


@settings(max_examples=40, deadline=None)
@given(secret=st.binary(min_size=1, max_size=70), shares=st.integers(2, 12), data=st.data())
def test_any_enough_shares_give_the_secret(secret, shares, data):
    threshold = data.draw(st.integers(2, shares))
    parts = split(secret, shares=shares, threshold=threshold)
    chosen = data.draw(st.permutations(parts))[: data.draw(st.integers(threshold, shares))]
    assert combine(chosen) == secret


def test_every_subset_large_enough_gives_the_secret_and_no_smaller_one_is_accepted():
    for secret in (b"\x00", b"\x00\x00", b"even", b"odd", b"\x80", b"ends in zero\x00"):
        parts = split(secret, shares=5, threshold=3)
        assert {combine(some) for size in (3, 4, 5) for some in combinations(parts, size)} == {secret}
        for some in combinations(parts, 2):
            with pytest.raises(ValueError, match="holds 2, but at least threshold = 3"):
                combine(some)


def test_too_few_shares_are_exactly_uniform_whatever_the_secret():
    """Threshold 2: over all 65,536 coefficients every point takes every value once. No sampling, hence no false alarm."""
    for secret in (0, 1, 0xFFFF):
        constant = np.full(2**16, secret, "<u2").tobytes()
        for value in polynomial_shares(constant, [1, 2, 40_000], 2, lambda size: ALL.astype("<u2").tobytes()):
            assert (np.sort(np.frombuffer(value, "<u2")) == ALL).all()


def test_shares_below_the_threshold_fit_every_secret():
    """With t - 1 shares, each candidate secret has its polynomial: here the missing share is made up for a false secret."""
    values = dict(zip([1, 2, 3], polynomial_shares(b"true", [1, 2, 3], 3), strict=True))
    # Points 1, 2 and 0 fix a polynomial of degree 2; its value at 3 comes from shifting every point by 3.
    forged = interpolate({1 ^ 3: values[1], 2 ^ 3: values[2], 3: b"lies"})
    assert interpolate({**values, 3: forged}) == b"lies"
    assert interpolate(values) == b"true"


def test_shares_come_from_the_operating_system_afresh():
    first, second = (split(b"same", shares=3, threshold=2) for _ in range(2))
    assert all(a.value != b.value and a.dealer != b.dealer for a, b in zip(first, second, strict=True))


@given(position=st.integers(0, 3), bit=st.integers(0, 8 * 18 - 1))
def test_a_flipped_bit_is_detected_and_the_share_named(position, bit):
    parts = split(b"sixteen byte key", shares=5, threshold=4)[:4]
    value = bytearray(parts[position].value)
    value[bit // 8] ^= 1 << bit % 8
    parts[position] = replace(parts[position], value=bytes(value))
    with pytest.raises(ValueError, match=rf"^shares\[{position}\] was altered"):
        combine(parts)


@pytest.mark.parametrize("change", [{"index": 4}, {"index": 0}, {"index": 2**70}, {"threshold": 2}, {"signature": b""}])
def test_every_altered_field_is_named(change):
    parts = split(b"secret", shares=4, threshold=3)
    parts[2] = replace(parts[2], **change)
    with pytest.raises(ValueError, match=r"^shares\[2\] was altered"):
        combine(parts)


def test_a_share_of_another_split_is_named_by_majority():
    parts, others = (split(b"secret", shares=4, threshold=3) for _ in range(2))
    with pytest.raises(ValueError, match=r"^shares\[1\] come\(s\) from another split"):
        combine([parts[0], others[1], parts[2]])
    with pytest.raises(ValueError, match="come from 2 splits"):
        combine([*parts[:2], *others[2:]])
    with pytest.raises(ValueError, match=r"^shares\[3\] is given twice"):
        combine([*parts[:3], parts[0]])
    with pytest.raises(ValueError, match="is empty"):
        combine([])


def test_a_printed_share_does_not_show_its_value():
    share = split(b"secret", shares=2, threshold=2)[0]
    assert repr(share) == "Share(index=1, threshold=2)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"secret": b"", "shares": 3, "threshold": 2}, "secret"),
        ({"secret": "text", "shares": 3, "threshold": 2}, "secret is of str"),
        ({"secret": b"x", "shares": 3, "threshold": 1}, "threshold is 1"),
        ({"secret": b"x", "shares": 3, "threshold": 4}, "shares is 3"),
        ({"secret": b"x", "shares": 65_536, "threshold": 2}, "shares is 65536"),
    ],
)
def test_what_cannot_be_split_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        split(arguments.pop("secret"), **arguments)


def test_points_go_up_to_65535():
    points = [1, 40_000, 65_535]
    assert interpolate(dict(zip(points, polynomial_shares(b"many", points, 3), strict=True))) == b"many"


def test_additive_shares_add_up_modulo_the_ring():
    secret = np.array([[0, 1, -1], [2**31 - 1, -(2**31), 2**32 - 1]])
    shares = additive_shares(secret, 4)
    assert shares.shape == (4, 2, 3)
    assert shares.dtype == np.uint32
    assert (shares.sum(axis=0, dtype=np.uint32) == secret % 2**32).all()


def test_any_additive_shares_but_one_are_uniform():
    """Chi-square of 256 bins, 100,000 numbers, six tests: false alarm 6e-6; a bin three times as heavy is surely seen."""
    shares = additive_shares(np.full(100_000, 7), 3)
    for some in ([0], [1], [2], [0, 1], [0, 2], [1, 2]):
        seen = shares[some].sum(axis=0, dtype=np.uint32) >> 24
        assert chisquare(np.bincount(seen, minlength=256)).pvalue > 1e-6
    assert chisquare(np.bincount(np.append(seen, np.full(800, 9)), minlength=256)).pvalue < 1e-6


@pytest.mark.parametrize(
    ("array", "shares", "message"),
    [([0.5], 2, "integers"), ([2**32], 2, "array runs"), ([-(2**31) - 1], 2, "array runs"), ([1], 1, "shares is 1")],
)
def test_what_cannot_be_shared_additively_is_refused(array, shares, message):
    with pytest.raises(ValueError, match=message):
        additive_shares(array, shares)
