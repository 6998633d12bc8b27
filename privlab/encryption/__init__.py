"""Locks for data and weights: one box, one file for many readers, one shard for each worker."""

from privlab.encryption.age import decrypt_file, encrypt_file
from privlab.encryption.checkpoint import (
    Checkpoint,
    Inspection,
    inspect,
    load_checkpoint,
    open_checkpoint,
    rewrap,
    save_checkpoint,
)
from privlab.encryption.errors import DecryptionError, TamperError
from privlab.encryption.keys import Identity, Recipient
from privlab.encryption.sealing import generate_key, seal, unseal
from privlab.encryption.shards import open_shard, seal_shards
from privlab.encryption.signing import sign, verify

__all__ = [
    "Checkpoint",
    "DecryptionError",
    "Identity",
    "Inspection",
    "Recipient",
    "TamperError",
    "decrypt_file",
    "encrypt_file",
    "generate_key",
    "inspect",
    "load_checkpoint",
    "open_checkpoint",
    "open_shard",
    "rewrap",
    "save_checkpoint",
    "seal",
    "seal_shards",
    "sign",
    "unseal",
    "verify",
]
