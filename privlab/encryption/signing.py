"""Who wrote a file: a detached Ed25519 signature. Encryption does not say: anyone with the public keys can write a valid file."""

import hashlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature

from privlab.encryption.age import PathLike
from privlab.encryption.errors import TamperError
from privlab.encryption.keys import Identity, SigningIdentity
from privlab.encryption.recipients import Recipient, Signer
from privlab.files import replacing


def sign(path: PathLike, identity: Identity) -> Path:
    """Sign the SHA-256 of a whole file into a file of 64 bytes beside it.

    Every recipient of an encrypted file can write another one under the same key, with the same tags: so it is the ciphertext's
    hash that is signed.

    Parameters
    ----------
    path : str or path
    identity : Identity of kind "ed25519"

    Returns
    -------
    pathlib.Path
        ``path`` with ``.sig`` added.

    Raises
    ------
    ValueError
        If the identity is of another kind.

    Examples
    --------
    >>> import tempfile
    >>> author, file = Identity.generate("ed25519"), Path(tempfile.mkdtemp()) / "model.age"
    >>> _ = file.write_bytes(b"any file")
    >>> sign(file, author).name
    'model.age.sig'
    >>> verify(file, author.recipient)
    """
    if not isinstance(identity, SigningIdentity):
        raise ValueError(f"identity is {identity!r}, but must be of kind 'ed25519': Identity.generate('ed25519')")
    with replacing(signature_path(path)) as file:
        file.write(identity.sign(file_digest(path)))
    return signature_path(path)


def verify(path: PathLike, signer: Recipient) -> None:
    """Return if ``path`` is exactly what the signer signed.

    Parameters
    ----------
    path : str or path
        With its signature beside it.
    signer : Recipient of kind "ed25519"
        ``identity.recipient``, or ``Recipient.parse("ssh-ed25519 …")``.

    Raises
    ------
    TamperError
        If the signature is missing, of another signer, or of another content.
    ValueError
        If ``signer`` is of another kind.
    """
    if not isinstance(signer, Signer):
        raise ValueError(f"signer is {signer!r}, but must be of kind 'ed25519'")
    try:
        signer.public.verify(signature_path(path).read_bytes(), file_digest(path))
    except FileNotFoundError:
        raise TamperError(f"{signature_path(path).name} is missing: nobody vouches for the file") from None
    except InvalidSignature:
        raise TamperError(f"{Path(path).name} is not what this signer signed") from None


def signature_path(path: PathLike) -> Path:
    """Where the signature of a file is."""
    return Path(f"{Path(path)}.sig")


def file_digest(path: PathLike) -> bytes:
    """SHA-256 of a whole file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
