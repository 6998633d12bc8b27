"""Keys that two parties agree on, and the bytes they sign: X25519, HKDF-SHA256, Ed25519.

Every key is derived for one purpose and one round: the round's digest is the salt, the purpose and the two clients are the info.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privlab.masking.messages import Advert, Round, canonical

PROTOCOL = "privlab/secagg/v1/"


def derive(secret: bytes, *, salt: bytes, info: bytes, length: int = 16) -> bytes:
    """HKDF-SHA256 (RFC 5869): ``length`` bytes for the purpose ``info``."""
    return HKDF(SHA256(), length, salt, info).derive(secret)


def agree(private: X25519PrivateKey, public: bytes, client: int) -> bytes:
    """X25519 (RFC 7748) with the public key of ``client``, which `ValueError` names where the key is of small order."""
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise ValueError(
            f"client {client} advertises {public.hex()}, a public key with which nothing is secret"
        ) from None


def self_key(round: Round, seed: bytes) -> bytes:
    """Key of the self mask."""
    return derive(seed, salt=round.digest, info=canonical(PROTOCOL + "self"))


def commitment(round: Round, seed: bytes) -> bytes:
    """Hash by which a restored seed is recognised; it says nothing about 32 random bytes."""
    return derive(seed, salt=round.digest, info=canonical(PROTOCOL + "commitment"), length=32)


def pair_key(round: Round, private: X25519PrivateKey, peer: Advert, client: int) -> bytes:
    """Key of the mask between ``client``, whose mask key is ``private``, and a peer: the same from both ends."""
    info = canonical((PROTOCOL + "pair", min(client, peer.client), max(client, peer.client)))
    return derive(agree(private, peer.mask_key, peer.client), salt=round.digest, info=info)


def sealing_key(round: Round, agreed: bytes, sender: int, receiver: int) -> bytes:
    """Key of the one message with shares from ``sender`` to ``receiver``."""
    return derive(agreed, salt=round.digest, info=canonical((PROTOCOL + "share", sender, receiver)))


def advert_bytes(round: Round, client: int, mask_key: bytes, seal_key: bytes) -> bytes:
    """What a client signs to say that these public keys are its own, in this round."""
    return canonical((PROTOCOL + "advert", round.digest, client, mask_key, seal_key))


def survivor_bytes(round: Round, survivors: Collection[int]) -> bytes:
    """What a client signs to say who it was told has survived."""
    packed = hashlib.sha256(np.array(sorted(survivors), "<u4").tobytes()).digest()
    return canonical((PROTOCOL + "survivors", round.digest, packed))


def check_signature(directory: Mapping[int, bytes], client: int, signature: bytes, message: bytes, what: str) -> None:
    """Raise `ValueError`, naming the client, where it did not sign the message with its long-term key."""
    if client not in directory:
        raise ValueError(f"client {client} is not in the directory")
    try:
        Ed25519PublicKey.from_public_bytes(directory[client]).verify(signature, message)
    except InvalidSignature:
        raise ValueError(f"client {client} did not sign these {what}") from None


def check_adverts(round: Round, adverts: Sequence[Advert], directory: Mapping[int, bytes]) -> None:
    """Raise `ValueError`, naming the client, where a signature is wrong or two public keys are the same."""
    owners: dict[bytes, int] = {}
    for advert in adverts:
        keys = advert.mask_key, advert.seal_key
        check_signature(
            directory, advert.client, advert.signature, advert_bytes(round, advert.client, *keys), "public keys"
        )
        for key in keys:
            if key in owners:
                raise ValueError(
                    f"client {advert.client} advertises a key of client {owners[key]}, but all must differ"
                )
            owners[key] = advert.client
