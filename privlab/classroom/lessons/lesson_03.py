"""Exercises of the lesson on keys and envelopes."""

# mypy: allow-untyped-defs, allow-untyped-calls

import os
import tempfile
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privlab.classroom.exercises import Exercise
from privlab.encryption import (
    DecryptionError,
    Identity,
    inspect,
    load_checkpoint,
    open_checkpoint,
    rewrap,
    save_checkpoint,
)

oaep = padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
__all__ = ["EXERCISES", "os", "rewrap"]  # wrong answers use what the right ones do not


@lru_cache(maxsize=1)
def team():
    """Three readers, made once: RSA keys take long to find."""
    return [rsa.generate_private_key(65537, 2048) for _ in range(3)]


def lock_for_all(m, pks):
    """Lock the bytes m for the owner of each public key; return (list of envelopes, nonce, body)."""
    K, nonce = AESGCM.generate_key(256), os.urandom(12)
    body = AESGCM(K).encrypt(nonce, m, None)
    return [pk.encrypt(K, oaep) for pk in pks], nonce, body


def opened(lock, *box):
    """What a lock gives for a box, or None."""
    try:
        return lock.decrypt(*box)
    except (ValueError, InvalidTag):
        return None


def check_lock_for_all(mine, rng):
    """Round trip for each reader, wrong readers, and whether two calls share key or nonce."""
    readers, m = team(), rng.bytes(int(rng.integers(200, 300)))
    pks = [reader.public_key() for reader in readers]
    first, again = mine(m, pks), mine(m, pks)
    yield (
        not isinstance(first, tuple | list) or len(first) != 3,
        "Three things are wanted: list of envelopes, nonce, body.",
    )
    envelopes, nonce, body = first
    yield not isinstance(body, bytes), "You locked the weights for each reader: one body under one key serves all."
    yield m in body, "The body is not locked."
    yield len(envelopes) != 3, f"Three readers need three envelopes, not {len(envelopes)}."
    yield {len(each) for each in envelopes} != {256}, "An envelope is K under a public key: 256 bytes, not K itself."
    keys = [opened(reader, each, oaep) for reader, each in zip(readers, envelopes, strict=True)]
    yield None in keys, "Some envelope does not open with its reader's key: did each get their own public key?"
    yield len(set(keys)) > 1, "The envelopes hold different keys, but there is one body: draw K once."
    yield len(keys[0]) != 32, f"The envelope holds {len(keys[0])} bytes: put K in it, 32 bytes, and nothing else."
    yield opened(readers[0], again[0][0], oaep) == keys[0], "Two calls use one key: draw K inside, fresh each time."
    yield again[1] == nonce, "Two calls use one nonce: draw it inside, fresh each time."
    yield opened(AESGCM(keys[0]), nonce, body, None) != m, "The body does not open to m under K and the nonce."


def shut_out(path, identity, recipients):
    """Lock the checkpoint at path anew, under a fresh key, for these recipients only; identity can open the old one."""
    with open_checkpoint(path, identity) as checkpoint:
        arrays, metadata = dict(checkpoint), checkpoint.metadata
    save_checkpoint(path, arrays, recipients, metadata=metadata)


def opens(path, identity):
    try:
        return load_checkpoint(path, identity)
    except DecryptionError:
        return None


def check_shut_out(mine, rng):
    """Who can open the new file, the new payload behind the old header, and what lies beside it."""
    bo, femi, emil = (Identity.generate() for _ in range(3))
    arrays, metadata = {"bias": rng.standard_normal(5)}, {"round": str(rng.integers(100))}
    with tempfile.TemporaryDirectory() as folder:
        path, grafted = Path(folder, "trial.age"), Path(folder, "grafted.age")
        save_checkpoint(path, arrays, [bo.recipient, femi.recipient, emil.recipient], metadata=metadata)
        old = path.read_bytes()[: inspect(path).header_bytes]
        mine(path, bo, [bo.recipient, femi.recipient])
        left = sorted(each.name for each in Path(folder).iterdir() if each != path)
        yield left, f"You left {left} on the disk: is it locked?"
        yield opens(path, emil), "Emil still opens the file: it is locked for him too, or was not written at all."
        new = opens(path, femi)
        yield new is None, "Femi is to stay, but can no longer open the file: are all recipients in?"
        grafted.write_bytes(old + path.read_bytes()[inspect(path).header_bytes :])
        yield opens(grafted, emil), "Emil's old header opens the new file: rewrap keeps the key. Save it anew."
        yield (
            new.keys() != arrays.keys() or (new["bias"] != arrays["bias"]).any(),
            "The arrays in the new file are others.",
        )
        with open_checkpoint(path, femi) as checkpoint:
            yield checkpoint.metadata != metadata, "The metadata is lost: it was in the old file too."


EXERCISES = (
    Exercise(
        "03.a",
        "many readers, one body",
        lock_for_all,
        [
            "What differs between the readers is 256 bytes.",
            "Draw K and the nonce once, lock m once, wrap K for each reader.",
        ],
        {
            "a body each": (
                "nonce, body",
                "nonce, [AESGCM(K).encrypt(os.urandom(12), m, None) for pk in pks]",
                "one body under one key serves all",
            ),
            "bare key": ("pk.encrypt(K, oaep)", "K", "256 bytes, not K itself"),
            "more than the key": ("pk.encrypt(K, oaep)", "pk.encrypt(nonce + K, oaep)", "The envelope holds 44 bytes"),
            "one reader": ("pk.encrypt(K, oaep)", "pks[0].encrypt(K, oaep)", "did each get their own public key?"),
            "fixed key": ("AESGCM.generate_key(256)", "bytes(32)", "Two calls use one key"),
            "fixed nonce": ("os.urandom(12)", "bytes(12)", "Two calls use one nonce"),
            "a key each": ("pk.encrypt(K, oaep)", "pk.encrypt(AESGCM.generate_key(256), oaep)", "draw K once"),
        },
        check=check_lock_for_all,
    ),
    Exercise(
        "03.b",
        "shut a reader out",
        shut_out,
        [
            "Who saves a checkpoint draws a fresh key.",
            "What besides the arrays was in the old one? Leave no plaintext on the disk.",
        ],
        {
            "rewrap": (
                "save_checkpoint(path, arrays, recipients, metadata=metadata)",
                "rewrap(path, identity, recipients)",
                "rewrap keeps the key",
            ),
            "no metadata": (", metadata=metadata", "", "The metadata is lost"),
            "plain copy": (
                "save_checkpoint(path,",
                "np.save(path.with_name('plain.npy'), arrays['bias'])\n    save_checkpoint(path,",
                "plain.npy",
            ),
            "not written": (
                "save_checkpoint(path, arrays, recipients, metadata=metadata)",
                "return",
                "was not written at all",
            ),
            "one recipient": ("arrays, recipients", "arrays, recipients[:1]", "are all recipients in?"),
        },
        check=check_shut_out,
        returns=False,
    ),
)
