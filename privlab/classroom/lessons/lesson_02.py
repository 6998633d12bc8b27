"""Exercises of the lesson on locking data."""

# mypy: allow-untyped-defs, allow-untyped-calls

import os

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privlab.classroom.exercises import Exercise


def xor(a, b):
    return (np.frombuffer(a, np.uint8) ^ np.frombuffer(b, np.uint8)).tobytes()


def counter_mode(key, nonce, data):
    """AES-CTR as inside GCM, for a wrong answer: no tag."""
    return Cipher(algorithms.AES(key), modes.CTR(nonce + b"\0\0\0\2")).encryptor().update(data)


def lock(data, key, context=b""):
    """Nonce, ciphertext and tag, in this order, of bytes under AES-256-GCM; the context is authenticated."""
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, data, context)


def opened(box, key, context):
    try:
        return AESGCM(key).decrypt(box[:12], box[12:], context)
    except (InvalidTag, ValueError):
        return None


def check_lock(mine, rng):
    """Round trip, wrong key, wrong context, tampering, and 50 boxes with 50 nonces."""
    key, data, context = rng.bytes(32), rng.bytes(int(rng.integers(40, 80))), b"layer " + rng.bytes(8).hex().encode()
    box = mine(data, key, context)
    yield not isinstance(box, bytes), f"Bytes are wanted, not {type(box).__name__}."
    yield data in box, "The plaintext stands in the box."
    yield len(box) == len(data) + 16, "The nonce is missing: nobody can open this box. Put it in front."
    yield len(box) == len(data) + 12, "There is no tag: a flipped bit goes unnoticed. Counter mode alone is not enough."
    yield context in box, "The context stands in the box: it is only authenticated, the reader names it."
    yield box[:12] in key, "The nonce is a piece of the key: every box shows it."
    nonces = {mine(data, key, context)[:12] for _ in range(50)}
    yield len(nonces) < 50, f"{50 - len(nonces)} of 50 boxes reuse a nonce: draw it anew in the function, each time."
    yield opened(box, key, b"") == data, "The context is not bound: the box opens without it."
    yield opened(box, bytes(32), context) == data, "A wrong key opens the box: use the key that is given."
    yield opened(box, key, context) != data, "The box does not open: is the order nonce, ciphertext, tag?"
    yield opened(mine(data, key), key, b"") != data, "Without a context the box must open without one."
    flipped = bytearray(box)
    flipped[int(rng.integers(12, len(box)))] ^= 1 << int(rng.integers(8))
    yield opened(bytes(flipped), key, context) is not None, "A flipped bit goes unnoticed."


def recover(old_box, new_box, old_plain):
    """The new plaintext, from two ciphertexts of equal length under one keystream. Use xor(a, b)."""
    keystream = xor(old_box, old_plain)
    return xor(new_box, keystream)


def two_boxes(rng):
    old, new, keystream = (rng.bytes(48) for _ in range(3))
    return [(xor(old, keystream), xor(new, keystream), old)]


EXERCISES = (
    Exercise(
        "02.a",
        "fill the hole: the whole lock",
        lock,
        [
            "What does the reader need besides the key? Put it in front.",
            "`AESGCM(key).encrypt(nonce, data, context)` returns ciphertext and tag.",
        ],
        {
            "fixed nonce": ("os.urandom(12)", "bytes(12)", "50 boxes reuse a nonce"),
            "nonce from the key": ("os.urandom(12)", "key[:12]", "a piece of the key"),
            "no context": ("data, context)", "data, None)", "not bound"),
            "no nonce": ("nonce + AES", "AES", "The nonce is missing"),
            "no tag": (
                "AESGCM(key).encrypt(nonce, data, context)",
                "counter_mode(key, nonce, data)",
                "There is no tag",
            ),
            "another key": ("AESGCM(key)", "AESGCM(bytes(32))", "A wrong key opens the box"),
            "order": (
                "nonce + AESGCM(key).encrypt(nonce, data, context)",
                "AESGCM(key).encrypt(nonce, data, context) + nonce",
                "is the order nonce, ciphertext, tag?",
            ),
            "context inside": ("return nonce", "return nonce + context", "The context stands in the box"),
        },
        check=check_lock,
    ),
    Exercise(
        "02.b",
        "read the secret version",
        recover,
        ["What is a ciphertext XOR its own plaintext?", "The keystream of the old box opens the new one."],
        {
            "difference": (
                "keystream = xor(old_box, old_plain)",
                "keystream = old_box",
                "That is old XOR new, and you know the old one: one XOR is missing.",
            ),
            "keystream": (
                "xor(new_box, keystream)",
                "keystream",
                "That is the keystream. Now open the new box with it.",
            ),
            "wrong box": (
                "xor(old_box,",
                "xor(new_box,",
                "That is the old version, which you had: XOR it with the *old* box first.",
            ),
            "half way": (
                "return xor(new_box, keystream)",
                "return xor(new_box, old_plain)",
                "The keystream is hidden in the *old* box: XOR that with the old text.",
            ),
        },
        cases=two_boxes,
    ),
)
