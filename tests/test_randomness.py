"""Streams are keyed: the same key repeats, any other is independent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privlab.randomness import generator, new_secret, secret_stream, stream

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


@pytest.mark.parametrize("seed", [-1, 0.5, "0", True])
def test_bad_seeds_are_refused(seed):
    with pytest.raises(ValueError, match="seed is"):
        stream(seed)


def test_short_secrets_are_refused():
    with pytest.raises(ValueError, match="secret has 4 bytes"):
        secret_stream(b"1234")
