"""Who can open a file: identities, the secret halves of `privlab.encryption.recipients`."""

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from privlab import arguments
from privlab.encryption import bech32
from privlab.encryption.errors import DecryptionError
from privlab.encryption.recipients import (
    RSA_PADDING,
    X_WING,
    X_WING_INFO,
    X_WING_SHARE,
    ZERO_NONCE,
    PassphraseRecipient,
    Recipient,
    RsaRecipient,
    Signer,
    Stanza,
    X25519Recipient,
    XWingRecipient,
    decode,
    scrypt_key,
    x25519_key,
)

__all__ = ["Identity", "Recipient"]

RSA_MADE = 3072  # bits
SCRYPT_LIMIT = 20  # log2: a hostile file may cost a reader 1 GiB, not more
WRAPPED_BYTES = 16 + 16  # file key and tag


class Identity(ABC):
    """A secret key. ``str`` and ``repr`` show only its kind; pickling refuses: give a worker the path of a key file.

    Python cannot wipe memory: the key stays there until something happens to overwrite it.

    Attributes
    ----------
    kind : str
    recipient : Recipient
        The public half.

    Examples
    --------
    >>> identity = Identity.generate()
    >>> identity, str(identity.recipient)[:4]
    (<Identity of kind 'x25519', secret not shown>, 'age1')
    """

    kind: str
    recipient: Recipient

    @staticmethod
    def generate(kind: str = "x25519") -> "Identity":
        """Make a new identity from the operating system's source.

        Parameters
        ----------
        kind : {"x25519", "rsa", "x-wing", "ed25519"}
            "x25519": elliptic curve. "rsa": 3072 bits. "x-wing": ML-KEM-768 and X25519, safe while either holds, hence against
            a quantum computer too. "ed25519": signs, and opens nothing.

        Raises
        ------
        ValueError
            If the kind is none of these.
        """
        makers: dict[str, Callable[[], Identity]] = {
            "x25519": lambda: _X25519(os.urandom(32)),
            "rsa": lambda: _Rsa(rsa.generate_private_key(65537, RSA_MADE)),
            "x-wing": lambda: _XWing(os.urandom(32)),
            "ed25519": lambda: SigningIdentity(ed25519.Ed25519PrivateKey.generate()),
        }
        return makers[arguments.choice("kind", kind, makers)]()

    @staticmethod
    def parse(text: str) -> "Identity":
        """Read ``AGE-SECRET-KEY-…``, or an OpenSSH or PEM private key without a passphrase of its own.

        Raises
        ------
        ValueError
            If it is none of them. The message does not repeat the text.
        """
        text = text.strip()
        if text.startswith("-----BEGIN "):
            return _from_pem(text)
        prefix, data = bech32.decode(text)
        if text == text.upper() and len(data) == 32 and prefix == "age-secret-key-":
            return _X25519(data)
        if text == text.upper() and len(data) == 32 and prefix == "age-secret-key-pq-":
            return _XWing(data)
        raise ValueError("identity cannot be read: it must start with 'AGE-SECRET-KEY-' or '-----BEGIN'")

    @staticmethod
    def from_passphrase(text: str) -> "Identity":
        """Return the identity of a passphrase, which must be a file's only recipient (scrypt over 256 MiB).

        Raises
        ------
        ValueError
            If the passphrase is empty.
        """
        return _Passphrase(text)

    @staticmethod
    def read(path: str | os.PathLike[str]) -> "Identity":
        """Read a key file: an age identity among comment lines, or an OpenSSH or PEM private key.

        Raises
        ------
        ValueError
            If the file does not hold exactly one identity.
        """
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        if text.lstrip().startswith("-----BEGIN "):
            return Identity.parse(text)
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if len(lines) != 1:
            raise ValueError(f"path is {os.fspath(path)!r} with {len(lines)} lines of keys, but must hold one identity")
        return Identity.parse(lines[0])

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a key file that `read`, the age tools and ssh (RSA) understand, with permissions 0600.

        Raises
        ------
        FileExistsError
            If there is a file already: to overwrite a key may be to lose what it locks.
        ValueError
            If this is a passphrase, which is to be remembered.
        """
        text = self._text()
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    @abstractmethod
    def unwrap(self, stanza: Stanza) -> bytes | None:
        """Return the file key, or None where the stanza is for somebody else.

        Raises
        ------
        DecryptionError
            If the stanza is of this kind, but malformed.
        """

    @abstractmethod
    def _text(self) -> str: ...

    def __repr__(self) -> str:
        return f"<Identity of kind {self.kind!r}, secret not shown>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an identity cannot be pickled: pass the path of its key file, and read that there")


class _X25519(Identity):
    kind = "x25519"

    def __init__(self, secret: bytes):
        self._secret = x25519.X25519PrivateKey.from_private_bytes(secret)
        self.recipient: X25519Recipient = X25519Recipient(self._secret.public_key())

    def unwrap(self, stanza: Stanza) -> bytes | None:
        if stanza.words[0] != "X25519":
            return None
        share = decode(_argument(stanza), 32)
        try:
            secret = self._secret.exchange(x25519.X25519PublicKey.from_public_bytes(share))
        except ValueError:
            raise DecryptionError("an X25519 stanza holds a point of low order") from None
        return _unlock(x25519_key(secret, share, self.recipient.raw), stanza)

    def _text(self) -> str:
        return _age_text("age-secret-key-", self._secret.private_bytes_raw(), self.recipient)


class _XWing(Identity):
    kind = "x-wing"

    def __init__(self, seed: bytes):
        self._seed = seed
        expanded = hashlib.shake_256(seed).digest(96)  # X-Wing (draft-connolly-cfrg-xwing-kem), expandDecapsulationKey
        self._mlkem = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self._x25519 = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
        public = self._mlkem.public_key().public_bytes_raw() + self._x25519.public_key().public_bytes_raw()
        self.recipient = XWingRecipient(public)

    def unwrap(self, stanza: Stanza) -> bytes | None:
        if stanza.words[0] != "mlkem768x25519":
            return None
        share = decode(_argument(stanza), X_WING_SHARE)
        try:
            return X_WING.decrypt(
                share + stanza.body, hpke.MLKEM768X25519PrivateKey(self._mlkem, self._x25519), X_WING_INFO
            )
        except InvalidTag:
            return None

    def _text(self) -> str:
        return _age_text("age-secret-key-pq-", self._seed, self.recipient)


class _Rsa(Identity):
    kind = "rsa"

    def __init__(self, secret: rsa.RSAPrivateKey):
        self.recipient: RsaRecipient = RsaRecipient(secret.public_key())
        self._secret = secret

    def unwrap(self, stanza: Stanza) -> bytes | None:
        if stanza.words[0] != "ssh-rsa" or _argument(stanza, len(stanza.body)) != self.recipient.tag:
            return None
        try:
            return self._secret.decrypt(stanza.body, RSA_PADDING)
        except ValueError:
            return None

    def _text(self) -> str:
        return _openssh(self._secret)


class _Passphrase(Identity):
    kind = "passphrase"

    def __init__(self, passphrase: str):
        if not passphrase:
            raise ValueError("passphrase is empty, but must have at least one character")
        self._passphrase = passphrase.encode()
        self.recipient = PassphraseRecipient(self._passphrase)

    def unwrap(self, stanza: Stanza) -> bytes | None:
        if stanza.words[0] != "scrypt":
            return None
        if len(stanza.words) != 3 or not re.fullmatch("[1-9][0-9]?", stanza.words[2]):
            raise DecryptionError("the passphrase stanza is malformed")
        salt, cost = decode(stanza.words[1], 16), int(stanza.words[2])
        if cost > SCRYPT_LIMIT:
            raise DecryptionError(f"the passphrase would cost 2**{cost} KiB of memory, more than 2**{SCRYPT_LIMIT}")
        return _unlock(scrypt_key(self._passphrase, salt, cost), stanza)

    def _text(self) -> str:
        raise ValueError("identity is a passphrase, but only keys are written to files: remember it instead")


class SigningIdentity(Identity):
    """An Ed25519 secret key."""

    kind = "ed25519"

    def __init__(self, secret: ed25519.Ed25519PrivateKey):
        self.recipient = Signer(secret.public_key())
        self._secret = secret

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes (RFC 8032)."""
        return self._secret.sign(message)

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """Nothing is for a signer."""
        return None

    def _text(self) -> str:
        return _openssh(self._secret)


def _argument(stanza: Stanza, body: int = WRAPPED_BYTES) -> str:
    """The only argument of a stanza of this shape."""
    if len(stanza.words) != 2 or len(stanza.body) != body:
        raise DecryptionError(f"the {stanza.words[0]} stanza is malformed")
    return stanza.words[1]


def _unlock(key: bytes, stanza: Stanza) -> bytes | None:
    if len(stanza.body) != WRAPPED_BYTES:
        raise DecryptionError(f"the {stanza.words[0]} stanza is malformed")
    try:
        return ChaCha20Poly1305(key).decrypt(ZERO_NONCE, stanza.body, None)
    except InvalidTag:
        return None


def _age_text(prefix: str, secret: bytes, recipient: Recipient) -> str:
    return f"# public key: {recipient}\n{bech32.encode(prefix, secret).upper()}\n"


def _openssh(secret: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return secret.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def _from_pem(text: str) -> Identity:
    load = load_ssh_private_key if text.startswith("-----BEGIN OPENSSH") else load_pem_private_key
    try:
        secret = load(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"identity cannot be read as a private key without a passphrase: {error}") from None
    if isinstance(secret, rsa.RSAPrivateKey):
        return _Rsa(secret)
    if isinstance(secret, ed25519.Ed25519PrivateKey):
        return SigningIdentity(secret)
    raise ValueError("identity is a private key of another kind, but must be RSA or Ed25519")
