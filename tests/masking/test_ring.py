"""Masks and fixed point: published keystreams, what a mask costs, rounding without bias, and where sums wrap."""

import os
from time import process_time

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from privlab.masking.ring import BLOCK, FixedPoint, Keystream, add_masks
from privlab.randomness import keystream

KEY = bytes(range(16))


def reference(key, words):
    """Keystream by the cipher's plain interface."""
    return np.frombuffer(Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(4 * words)), "<u4")


def cpu_seconds(work, repeats=15):
    def once():
        start = process_time()
        work()
        return process_time() - start

    return min(once() for _ in range(repeats))


def test_keystream_is_that_of_the_published_counter_mode():
    """NIST SP 800-38A, F.5.1: AES-128 in counter mode."""
    stream = Keystream(
        bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), counter=bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    )
    plain = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    cipher = bytes.fromhex(
        "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
        "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"
    )
    words = np.concatenate([stream.words(12).copy(), stream.words(4)])
    assert np.bitwise_xor(np.frombuffer(plain, "<u4"), words).astype("<u4").tobytes() == cipher


def test_words_are_little_endian_on_every_machine():
    assert Keystream(KEY).words(4).dtype == np.dtype("<u4")
    assert Keystream(KEY).words(4).tolist() == [
        int.from_bytes(keystream(KEY)(16)[i : i + 4], "little") for i in (0, 4, 8, 12)
    ]


@pytest.mark.parametrize("size", [1, 3, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5])
def test_masks_are_whole_keystreams_added_and_subtracted(size):
    keys = [bytes([number]) * 16 for number in range(5)]
    target = np.arange(size, dtype=np.uint32)
    expected = target + reference(keys[0], size) + reference(keys[1], size) - sum(reference(k, size) for k in keys[2:])
    add_masks(target, add=keys[:2], subtract=keys[2:])
    assert (target == expected).all()
    add_masks(target, add=keys[2:], subtract=keys[:2])
    assert (target == np.arange(size)).all()


def test_a_mask_costs_at_most_twice_keystream_and_addition():
    """The least CPU time of 15 tries each, in turn; measured about 1.1, and generating masks with copies about 3."""
    size, keys = 1_000_000, [os.urandom(16) for _ in range(4)]
    zeros, space, target = bytes(4 * size), bytearray(4 * size + 15), np.zeros(size, np.uint32)
    words = np.frombuffer(space, "<u4", size)

    def bare():
        for key in keys:
            Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update_into(zeros, space)
            np.add(target, words, out=target)

    assert cpu_seconds(lambda: add_masks(target, add=keys)) < 2 * cpu_seconds(bare)


def test_masks_cost_linear_time():
    """CPU time for 8 times as many words, the least of 15 tries: between 4 and 16 times as long."""
    keys = [os.urandom(16) for _ in range(4)]
    small, large = (np.zeros(size, np.uint32) for size in (250_000, 2_000_000))
    ratio = cpu_seconds(lambda: add_masks(large, add=keys)) / cpu_seconds(lambda: add_masks(small, add=keys))
    assert 4 < ratio < 16


@settings(max_examples=50, deadline=None)
@given(
    clients=st.integers(1, 65_535),
    clip=st.floats(1e-6, 1e6),
    fractions=st.lists(st.floats(-2, 2), min_size=1, max_size=50),
)
def test_quantisation_stays_within_a_step_and_a_sum_of_extremes_within_the_ring(clients, clip, fractions):
    point = FixedPoint.for_clients(clients, clip)
    vector = np.array([*fractions, 1.0, -1.0]) * clip
    encoded = point.encode(vector, Keystream(os.urandom(16)))
    exact = np.clip(vector, -clip, clip)
    assert (np.abs(point.decode(encoded) - exact) * point.scale < 1 + 1e-6).all()
    assert clients * np.abs(encoded.view(np.int32).astype(np.int64)).max() < 2**31


def test_rounding_is_unbiased():
    """Mean of 200,000 roundings of 0.3: within 6 standard deviations (false alarm 2e-9); rounding to nearest is 290 off."""
    encoded = FixedPoint(clip=1.0, scale=1.0).encode(np.full(200_000, 0.3), Keystream(KEY))
    assert set(np.unique(encoded)) == {0, 1}
    assert abs(encoded.mean() - 0.3) < 6 * np.sqrt(0.3 * 0.7 / 200_000)
    negative = FixedPoint(clip=1.0, scale=1.0).encode(np.full(200_000, -0.3), Keystream(KEY)).view(np.int32)
    assert abs(negative.mean() + 0.3) < 6 * np.sqrt(0.3 * 0.7 / 200_000)


def test_the_widest_sum_that_fits_is_exact_and_one_client_more_is_refused():
    point = FixedPoint.for_clients(4, clip=1.0, bits=30)  # 4 * 2^30 is the ring
    for extreme in (1.0, -1.0):
        encoded = point.encode(np.full(8, extreme), Keystream(KEY))
        assert (point.decode(encoded * np.uint32(4)) == 4 * extreme).all()
        assert not np.allclose(point.decode(encoded * np.uint32(5)), 5 * extreme)  # the fifth would wrap
    with pytest.raises(ValueError, match=r"bits is 30, but must be <= 29: 5 \* 2\^30 exceeds 2\^32"):
        FixedPoint.for_clients(5, clip=1.0, bits=30)
    assert FixedPoint.for_clients(5, clip=1.0) == FixedPoint.for_clients(5, clip=1.0, bits=29)
