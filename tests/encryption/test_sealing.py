import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from privlab.encryption import DecryptionError, TamperError, generate_key, seal, unseal

KEY = generate_key()
DTYPES = st.sampled_from(["<f4", ">f8", "<i8", "u1", "?", "<c16", "<U3", "M8[s]"])


@given(hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)), st.booleans())
def test_arrays_come_back_as_they_were(array, fortran):
    array = np.asarray(array, order="F" if fortran else "C")
    back = unseal(seal(array, KEY), KEY)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()
    assert back.flags.writeable
    assert back.flags.f_contiguous == array.flags.f_contiguous


@given(st.binary(max_size=100), st.binary(max_size=20))
def test_bytes_come_back_as_they_were(data, context):
    assert unseal(seal(data, KEY, context=context), KEY, context=context) == data


def test_a_strided_view_is_sealed_as_its_values():
    array = np.arange(20).reshape(4, 5)[::2, ::-1]
    assert np.array_equal(unseal(seal(array, KEY), KEY), array)


def test_another_implementation_opens_a_box():
    box = seal(b"weights", KEY, context=b"round 1")
    assert AESGCM(KEY).decrypt(box[1:13], box[13:], b"b" + b"round 1") == b"weights"


def test_every_bit_of_a_box_is_protected():
    box = seal(np.arange(3.0), KEY, context=b"layer 1")
    for bit in range(8 * len(box)):
        changed = bytearray(box)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(TamperError):
            unseal(bytes(changed), KEY, context=b"layer 1")


def test_every_truncation_and_extension_is_refused():
    box = seal(b"weights", KEY)
    for length in range(len(box)):
        with pytest.raises(DecryptionError):
            unseal(box[:length], KEY)
    with pytest.raises(TamperError):
        unseal(box + b"\0", KEY)


def test_another_key_or_context_opens_nothing():
    box = seal(b"weights", KEY, context=b"layer 1")
    for key, context in [(generate_key(), b"layer 1"), (KEY, b"layer 2"), (KEY, b""), (KEY, b"blayer 1")]:
        with pytest.raises(TamperError):
            unseal(box, key, context=context)


def test_equal_arrays_make_boxes_with_nothing_in_common():
    boxes = {seal(np.zeros(4), KEY)[1:13] for _ in range(100)}
    assert len(boxes) == 100


@pytest.mark.parametrize("key", [b"", b"x" * 16, b"x" * 33, "x" * 32, None])
def test_a_wrong_key_is_named_and_not_shown(key):
    for work in (lambda: seal(b"weights", key), lambda: unseal(bytes(40), key)):
        with pytest.raises(ValueError, match=r"key is .*must be 32 bytes") as raised:
            work()
        assert "xxx" not in str(raised.value)


@pytest.mark.parametrize("data", [np.array([None]), np.array([{}], object), "text", [1.0]])
def test_objects_and_text_are_refused(data):
    with pytest.raises(ValueError, match="data "):
        seal(data, KEY)


def test_there_is_no_way_to_pass_a_nonce_or_a_mode():
    with pytest.raises(TypeError):
        seal(b"weights", KEY, nonce=bytes(12))
    with pytest.raises(ValueError, match="context"):
        seal(b"weights", KEY, context="text")
