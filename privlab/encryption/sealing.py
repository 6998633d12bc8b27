"""One array, or bytes, under one symmetric key: AES-256 in Galois/counter mode.

There is no nonce and no mode to choose, because there is one safe choice: a fresh random nonce for every box. A box is a kind
(one byte: bytes or array), the nonce (12), the ciphertext and the tag (16). An array is encrypted in NumPy's ``.npy`` format.
"""

import io
import math
import os

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM
from numpy.lib import format as npy
from numpy.typing import NDArray

from privlab.encryption.errors import DecryptionError, TamperError

KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
BYTES, ARRAY = b"b", b"a"


def generate_key() -> bytes:
    """Return a new 256-bit key from the operating system."""
    return os.urandom(KEY_BYTES)


def seal(data: bytes | NDArray, key: bytes, *, context: bytes = b"") -> bytes:
    """Encrypt and authenticate bytes or an array (AES-256-GCM, NIST SP 800-38D).

    Parameters
    ----------
    data : bytes or ndarray
        At most 64 GiB. Dtype, shape and memory order of an array are encrypted and authenticated with it.
    key : bytes, 32 of them
        From `generate_key`. Seal fewer than 2**32 boxes with one key: the nonces are random.
    context : bytes
        What the box is for, such as ``b"layer 1, round 3"``. It is authenticated, not stored: only who names the same context can
        open the box, so boxes cannot be swapped.

    Returns
    -------
    bytes
        29 bytes longer than ``data``; for an array about 157 longer.

    Raises
    ------
    ValueError
        If the key has another length, the context is not bytes, or the array holds Python objects.

    Examples
    --------
    >>> key = generate_key()
    >>> unseal(seal(b"weights", key, context=b"round 1"), key, context=b"round 1")
    b'weights'
    """
    kind, header, body = _plain(data)
    nonce = os.urandom(NONCE_BYTES)
    cipher = Cipher(AES256(_checked(key, context)), GCM(nonce)).encryptor()
    cipher.authenticate_additional_data(kind + context)
    start = len(kind + nonce)
    box = _room(start + len(header) + body.nbytes + TAG_BYTES)
    with box.getbuffer() as view:
        view[:start] = kind + nonce
        after = start + cipher.update_into(header, view[start:])
        cipher.update_into(body.data, view[after:])
        cipher.finalize()
        view[-TAG_BYTES:] = cipher.tag
    return box.getvalue()


def unseal(box: bytes, key: bytes, *, context: bytes = b"") -> bytes | NDArray:
    """Return what was sealed, bytes or an array, if nothing was changed.

    Parameters
    ----------
    box : bytes
        From `seal`.
    key : bytes, 32 of them
    context : bytes
        The one given to `seal`.

    Raises
    ------
    TamperError
        If the box was changed, or sealed with another key or context: the three cannot be told apart.
    DecryptionError
        If it is too short to be a box.
    ValueError
        If the key has the wrong length.
    """
    if len(box) < 1 + NONCE_BYTES + TAG_BYTES:
        raise DecryptionError(f"the box has {len(box)} bytes, fewer than an empty one")
    kind, nonce, sealed = box[:1], box[1 : 1 + NONCE_BYTES], memoryview(box)[1 + NONCE_BYTES : -TAG_BYTES]
    cipher = Cipher(AES256(_checked(key, context)), GCM(nonce, box[-TAG_BYTES:])).decryptor()
    cipher.authenticate_additional_data(kind + context)
    plain = _room(len(sealed))
    with plain.getbuffer() as view:
        cipher.update_into(sealed, view)
    try:
        cipher.finalize()
    except InvalidTag:
        raise TamperError("the box was changed, or sealed with another key or context") from None
    return plain.getvalue() if kind == BYTES else _array(np.frombuffer(plain.getbuffer(), np.uint8))


def _room(size: int) -> io.BytesIO:
    """Writable memory that becomes bytes without a copy: of large boxes, fresh memory costs several times the cipher."""
    room = io.BytesIO()
    if size:
        room.seek(size - 1)
        room.write(b"\0")
    return room


def _checked(key: bytes, context: bytes) -> bytes:
    if not isinstance(key, bytes | bytearray) or len(key) != KEY_BYTES:
        given = f"{len(key)} bytes" if isinstance(key, bytes | bytearray) else f"a {type(key).__name__}"
        raise ValueError(f"key is {given}, but must be {KEY_BYTES} bytes from generate_key()")
    if not isinstance(context, bytes):
        raise ValueError(f"context is {context!r}, but must be bytes")
    return bytes(key)


def _plain(data: bytes | NDArray) -> tuple[bytes, bytes, NDArray[np.uint8]]:
    """Kind, header and body of what is encrypted, the body without a copy where the array's memory is in one piece."""
    if isinstance(data, bytes | bytearray | memoryview):
        return BYTES, b"", np.frombuffer(data, np.uint8)
    if not isinstance(data, np.ndarray | np.generic):
        raise ValueError(f"data is a {type(data).__name__}, but must be bytes or a NumPy array")
    array = np.asarray(data)
    if array.dtype.hasobject:
        raise ValueError("data holds Python objects, but must be an array of plain numbers or characters")
    header = io.BytesIO()
    description = npy.header_data_from_array_1_0(array)
    npy.write_array_header_1_0(header, description)
    flat = np.ravel(array, order="F" if description["fortran_order"] else "C")
    return ARRAY, header.getvalue(), flat.view(np.uint8) if flat.size else np.empty(0, np.uint8)


def _array(plain: NDArray[np.uint8]) -> NDArray:
    stream = io.BytesIO(plain[:65_536].tobytes())  # a header of version 1.0 is at most that long
    npy.read_magic(stream)
    shape, fortran_order, dtype = npy.read_array_header_1_0(stream)
    flat = plain[stream.tell() :].view(dtype) if math.prod(shape) else np.empty(0, dtype)
    return flat.reshape(shape, order="F" if fortran_order else "C")
