"""Streams are keyed: the same key repeats, any other is independent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from privlab.randomness import BLOCK, fill_normal, generator, keystream, new_secret, secret_stream, stream

KEYS = st.lists(st.one_of(st.integers(), st.text(max_size=5)), max_size=3).map(tuple)
SECRET = bytes(range(32))


@given(KEYS, KEYS)
def test_streams_repeat_for_equal_keys_only(one, other):
    for make in (lambda key: stream(3, *key), lambda key: secret_stream(SECRET, *key)):
        first, second = make(one).integers(2**63), make(other).integers(2**63)
        assert (first == second) == (repr(one) == repr(other))


def test_neighbouring_keys_and_seeds_are_uncorrelated():
    draws = np.array(
        [stream(seed, "x", key).standard_normal(5000) for seed in range(3) for key in range(3)]
        + [secret_stream(SECRET, key).standard_normal(5000) for key in range(3)]
    )
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlations).max() < 0.08  # 5.6 standard deviations


def test_secrets_are_fresh_and_decide_the_stream():
    assert new_secret() != new_secret()
    assert len(new_secret()) == 32
    assert secret_stream(SECRET, 1).random() != secret_stream(SECRET[::-1], 1).random()
    assert generator(None, "noise").random() != generator(None, "noise").random()
    assert generator(5, "noise").random() == stream(5, "noise").random()


class Words:
    """A generator whose 64-bit words are given."""

    def __init__(self, *calls):
        self.bit_generator, self.calls = np.random.Philox(), list(calls)

    def integers(self, high, *, size, dtype, endpoint):
        assert (high, size, dtype, endpoint) == (2**64 - 1, len(self.calls[0]), np.uint64, True)
        return np.array(self.calls.pop(0), np.uint64)


def test_protective_normal_numbers_are_normal_in_every_block_and_at_the_odd_end():
    """At 5 % more or less the distribution test would find out; false alarms below 1e-6 a block."""
    drawn = fill_normal(secret_stream(SECRET, "noise"), np.full(2 * BLOCK + 100_001, np.nan, np.float32))
    for part in (drawn[:BLOCK], drawn[BLOCK : 2 * BLOCK], drawn[2 * BLOCK :]):
        assert stats.kstest(part, "norm").pvalue > 1e-6
        assert all(stats.kstest(part * scale, "norm").pvalue < 1e-6 for scale in (0.95, 1.05))
    for lag in (1, BLOCK // 2, BLOCK):  # neighbours, the two of a pair, places of two blocks
        for power in (1, 2):
            assert abs(np.corrcoef(drawn[lag:] ** power, drawn[:-lag] ** power)[0, 1]) < 6 / np.sqrt(100_000)


def test_protective_normal_numbers_have_their_share_in_the_tails():
    rng, beyond, drawn = secret_stream(SECRET, "tails"), np.zeros(3), np.empty(4_000_000, np.float32)
    for _ in range(5):
        beyond += [(np.abs(fill_normal(rng, drawn)) > cut).sum() for cut in (3.5, 4.0, 4.5)]
    expected = 20_000_000 * 2 * stats.norm.sf([3.5, 4.0, 4.5])
    assert (np.abs(beyond - expected) < 6 * np.sqrt(expected)).all()


def test_the_smallest_words_reach_far_into_the_tails_and_none_is_infinite():
    for word, more, length in (
        (0, 0, 2**-64),
        (0, 2**63, 2**-33),
        (255, 2**63, 255.5 * 2**-32),
        (2**32 - 1, None, 1.0),
    ):
        pair = fill_normal(Words([word], [] if more is None else [more]), np.empty(2, np.float32))
        assert np.isfinite(pair).all()
        assert np.hypot(*pair) == pytest.approx(np.sqrt(-2 * np.log(length)), abs=1e-3)


def test_experiments_and_double_precision_draw_as_numpy_does():
    for make in (lambda: stream(1, "noise"), lambda: np.random.default_rng(1)):
        expected = make().standard_normal(7, np.float32)
        assert np.array_equal(fill_normal(make(), np.empty(7, np.float32)), expected)
    expected = secret_stream(SECRET, 1).standard_normal(7)
    assert np.array_equal(fill_normal(secret_stream(SECRET, 1), np.empty(7)), expected)


@pytest.mark.parametrize("seed", [-1, 0.5, "0", True])
def test_bad_seeds_are_refused(seed):
    with pytest.raises(ValueError, match="seed is"):
        stream(seed)


def test_short_secrets_are_refused():
    with pytest.raises(ValueError, match="secret has 4 bytes"):
        secret_stream(b"1234")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff"
            "5ae4df3edbd5d35e5b4f09020db03eab 1e031dda2fbe03d1792170a0f3009cee",
        ),
        (
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5"
            "2b0930daa23de94ce87017ba2d84988d dfc9c58db67aada613c2dd08457941a6",
        ),
    ],
)
def test_the_keystream_is_aes_in_counter_mode(key, expected):
    """NIST SP 800-38A, F.5.1 and F.5.5: the plaintext there is added, and the stream is read in uneven pieces."""
    plain = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    read = keystream(bytes.fromhex(key), start=bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"))
    stream_bytes = b"".join(read(length) for length in (1, 0, 15, 20, 28))
    assert bytes(a ^ b for a, b in zip(plain, stream_bytes, strict=True)).hex() == expected.replace(" ", "")


def test_bad_keys_are_refused():
    with pytest.raises(ValueError, match="key has 5 bytes"):
        keystream(b"short")
    with pytest.raises(ValueError, match="start has 0 bytes"):
        keystream(bytes(32), start=b"")
