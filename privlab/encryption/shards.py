"""A data set cut into shards, each locked for one worker, with a signed list of what belongs together."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privlab.encryption.age import PathLike
from privlab.encryption.checkpoint import load_checkpoint, save_checkpoint
from privlab.encryption.errors import TamperError
from privlab.encryption.keys import Identity, SigningIdentity
from privlab.encryption.recipients import Recipient
from privlab.encryption.signing import file_digest, sign, verify
from privlab.files import replacing

MANIFEST = "manifest.json"


def seal_shards(
    folder: PathLike,
    arrays: Mapping[str, ArrayLike],
    shards: Sequence[ArrayLike],
    recipients: Sequence[Recipient],
    author: Identity,
    *,
    name: str = "",
) -> None:
    """Write one encrypted file for each shard, which only its worker can open, and a signed manifest.

    Parameters
    ----------
    folder : str or path
        Made if need be. Files of the same names are replaced, the manifest last.
    arrays : mapping from str to array, each of shape (records, ...)
        Such as ``{"x": x, "y": y}``.
    shards : sequence of index arrays
        Which records are in each, from `privlab.sharding.partition`.
    recipients : sequence of Recipient
        One for each shard.
    author : Identity of kind "ed25519"
        Signs the manifest: name, and file, records and SHA-256 of every shard.
    name : str
        What this is, such as "clinic, round 3": it keeps an old manifest from passing for a new one.

    Raises
    ------
    ValueError
        If an argument is not allowed, or the lengths do not agree.
    """
    columns = {key: np.asarray(array) for key, array in arrays.items()}
    lengths = {len(array) if array.ndim else 0 for array in columns.values()}
    if len(lengths) != 1:
        raise ValueError(f"arrays has columns of lengths {sorted(lengths)}, but all must have the same records")
    if len(shards) != len(recipients):
        raise ValueError(
            f"recipients has {len(recipients)} entries, but must have one for each of {len(shards)} shards"
        )
    chosen = [np.asarray(shard) for shard in shards]
    for shard in chosen:
        if shard.size and (shard.dtype.kind not in "iu" or shard.min() < 0 or shard.max() >= min(lengths)):
            raise ValueError(f"shards holds {shard!r}, but must hold indices of {min(lengths)} records")
    if not isinstance(author, SigningIdentity):
        raise ValueError(f"author is {author!r}, but must be of kind 'ed25519'")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, (records, recipient) in enumerate(zip(chosen, recipients, strict=True)):
        file = folder / f"shard-{number:04}.age"
        save_checkpoint(file, {key: array[records.astype(np.intp)] for key, array in columns.items()}, recipient)
        entries.append({"file": file.name, "records": len(records), "sha256": file_digest(file).hex()})
    with replacing(folder / MANIFEST) as manifest:
        manifest.write(json.dumps({"name": name, "shards": entries}, indent=1).encode())
    sign(folder / MANIFEST, author)


def open_shard(
    folder: PathLike, number: int, identities: Identity | Iterable[Identity], author: Recipient, *, name: str = ""
) -> dict[str, NDArray]:
    """Return the arrays of one shard, if it is the one the author put there.

    Parameters
    ----------
    folder : str or path
    number : int
        From 0.
    identities : Identity or iterable of Identity
        The worker's.
    author : Recipient of kind "ed25519"
        Who must have signed the manifest.
    name : str
        The one given to `seal_shards`.

    Raises
    ------
    TamperError
        If manifest or shard is not the author's, or has another name.
    DecryptionError
        If the shard is locked for another worker.
    ValueError
        If there is no shard of this number.
    """
    folder = Path(folder)
    verify(folder / MANIFEST, author)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    if manifest["name"] != name:
        raise TamperError(f"the manifest is of {manifest['name']!r}, not of {name!r}")
    if not 0 <= number < len(manifest["shards"]):
        raise ValueError(f"number is {number!r}, but must be 0 to {len(manifest['shards']) - 1}")
    entry = manifest["shards"][number]
    file = folder / entry["file"]
    if not file.exists():
        raise TamperError(f"{file.name} is missing")
    if file_digest(file).hex() != entry["sha256"]:
        raise TamperError(f"{file.name} is not the file in the manifest")
    return load_checkpoint(file, identities)
