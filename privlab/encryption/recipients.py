"""Whom a file is for: public keys in the text forms of the age tools, and the stanza with which each wraps the file's key.

A file has one random 16-byte key; every recipient's *stanza* in its header holds that key encrypted (C2SP age v1, "Recipient
stanzas"; RSA as age's ssh-rsa recipients).
"""

import base64
import binascii
import hashlib
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from privlab.encryption import bech32
from privlab.encryption.errors import DecryptionError

RSA_READ = 2048  # bits, the least
SCRYPT_COST = 18  # log2 of the number of 1 KiB blocks: 256 MiB, about a second
X_WING = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
X_WING_SHARE = 1120  # bytes: ML-KEM-768 ciphertext and X25519 share
X_WING_INFO = b"age-encryption.org/mlkem768x25519"
RSA_PADDING = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"age-encryption.org/v1/ssh-rsa")
ZERO_NONCE = bytes(12)  # safe, because every wrapping key is used once


@dataclass(frozen=True)
class Stanza:
    """One wrapped file key: its type and arguments as words, its ciphertext."""

    words: tuple[str, ...]
    body: bytes


class Recipient(ABC):
    """A public key: whoever has it can lock, not open. ``str`` gives its standard text form."""

    kind: str

    @staticmethod
    def parse(text: str) -> "Recipient":
        """Read ``age1…`` (X25519), ``age1pq1…`` (post-quantum hybrid), ``ssh-rsa …`` or ``ssh-ed25519 …`` (a signer's).

        Raises
        ------
        ValueError
            If it is none of them, is damaged, or is an RSA key of less than 2048 bits.
        """
        text = text.strip()
        try:
            if text.startswith("ssh-"):
                return _from_ssh(text)
            prefix, data = bech32.decode(text)
            if prefix == "age" and len(data) == 32:
                return X25519Recipient(x25519.X25519PublicKey.from_public_bytes(data))
            if prefix == "age1pq" and len(data) == 1216:
                return XWingRecipient(data)
            raise ValueError("it must start with 'age1', 'age1pq1', 'ssh-rsa' or 'ssh-ed25519'")
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError(f"recipient is {_short(text)!r}, but cannot be read: {error}") from None

    @abstractmethod
    def wrap(self, file_key: bytes) -> Stanza:
        """Encrypt a file's key to this recipient."""

    @abstractmethod
    def __str__(self) -> str: ...

    def __repr__(self) -> str:
        return f"<Recipient {_short(str(self))}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipient) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class X25519Recipient(Recipient):
    """A point of Curve25519."""

    kind = "x25519"

    def __init__(self, public: x25519.X25519PublicKey):
        self.raw = public.public_bytes_raw()
        self._public = public

    def wrap(self, file_key: bytes) -> Stanza:
        """Encrypt under a key agreed between an ephemeral key pair and the recipient."""
        ephemeral = x25519.X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        try:
            secret = ephemeral.exchange(self._public)
        except ValueError:
            raise ValueError(f"recipient is {self!r}, but must not be a point of low order") from None
        lock = ChaCha20Poly1305(x25519_key(secret, share, self.raw))
        return Stanza(("X25519", encode(share)), lock.encrypt(ZERO_NONCE, file_key, None))

    def __str__(self) -> str:
        return bech32.encode("age", self.raw)


class XWingRecipient(Recipient):
    """ML-KEM-768 and X25519 in one: safe while either holds, hence against a quantum computer too."""

    kind = "x-wing"

    def __init__(self, raw: bytes):
        self.raw = raw
        self._public = hpke.MLKEM768X25519PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(raw[:-32]), x25519.X25519PublicKey.from_public_bytes(raw[-32:])
        )

    def wrap(self, file_key: bytes) -> Stanza:
        """Encrypt by HPKE (RFC 9180) with the hybrid key encapsulation."""
        sealed = X_WING.encrypt(file_key, self._public, X_WING_INFO)
        return Stanza(("mlkem768x25519", encode(sealed[:X_WING_SHARE])), sealed[X_WING_SHARE:])

    def __str__(self) -> str:
        return bech32.encode("age1pq", self.raw)


class RsaRecipient(Recipient):
    """An RSA key of at least 2048 bits."""

    kind = "rsa"

    def __init__(self, public: rsa.RSAPublicKey):
        if public.key_size < RSA_READ:
            raise ValueError(f"it is an RSA key of {public.key_size} bits, where {RSA_READ} are the least")
        self._public = public

    @property
    def tag(self) -> str:
        """Start of the public key's hash; it shows everyone which files are for whom."""
        return encode(hashlib.sha256(base64.b64decode(str(self).split()[1])).digest()[:4])

    def wrap(self, file_key: bytes) -> Stanza:
        """Encrypt by RSA-OAEP (RFC 8017)."""
        return Stanza(("ssh-rsa", self.tag), self._public.encrypt(file_key, RSA_PADDING))

    def __str__(self) -> str:
        return _to_ssh(self._public)


class PassphraseRecipient(Recipient):
    """Whoever knows a passphrase. It must be a file's only recipient, or its other readers could forge for it."""

    kind = "passphrase"

    def __init__(self, passphrase: bytes):
        self._passphrase = passphrase

    def wrap(self, file_key: bytes) -> Stanza:
        """Encrypt under a key that takes 256 MiB of memory to compute."""
        salt = os.urandom(16)
        lock = ChaCha20Poly1305(scrypt_key(self._passphrase, salt, SCRYPT_COST))
        return Stanza(("scrypt", encode(salt), str(SCRYPT_COST)), lock.encrypt(ZERO_NONCE, file_key, None))

    def __str__(self) -> str:
        return "passphrase"

    __eq__ = object.__eq__  # the text form says nothing here
    __hash__ = object.__hash__


class Signer(Recipient):
    """An Ed25519 public key: it checks signatures, and locks nothing."""

    kind = "ed25519"

    def __init__(self, public: ed25519.Ed25519PublicKey):
        self.public = public

    def wrap(self, file_key: bytes) -> Stanza:
        """Refuse: one key, one purpose."""
        raise ValueError(f"recipient is {self!r}, but a signer's key locks nothing: use another kind")

    def __str__(self) -> str:
        return _to_ssh(self.public)


def x25519_key(secret: bytes, share: bytes, public: bytes) -> bytes:
    """Return the wrapping key of an X25519 stanza."""
    return HKDF(hashes.SHA256(), 32, share + public, b"age-encryption.org/v1/X25519").derive(secret)


def scrypt_key(passphrase: bytes, salt: bytes, cost: int) -> bytes:
    """Return the wrapping key of a passphrase stanza (RFC 7914 with N = 2**cost, r = 8, p = 1)."""
    return Scrypt(b"age-encryption.org/v1/scrypt" + salt, 32, 1 << cost, 8, 1).derive(passphrase)


def encode(data: bytes) -> str:
    """Base64 without padding, as in all of age's headers."""
    return base64.b64encode(data).decode().rstrip("=")


def decode(text: str, length: int | None = None) -> bytes:
    """Read `encode`'s text, and nothing else that stands for the same bytes.

    Raises
    ------
    DecryptionError
        If it is not canonical, or not of that many bytes.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        data = None
    if data is None or encode(data) != text or (length is not None and len(data) != length):
        raise DecryptionError("the header holds text that is not canonical base64 of the right length")
    return data


def _from_ssh(text: str) -> Recipient:
    public = load_ssh_public_key(text.encode())
    if isinstance(public, rsa.RSAPublicKey):
        return RsaRecipient(public)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return Signer(public)
    raise ValueError("of the ssh keys only ssh-rsa and ssh-ed25519 are supported")


def _to_ssh(public: rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> str:
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:30]}…{text[-10:]}"
