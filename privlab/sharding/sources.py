"""Where the records and the secret of each shard lie: a task names the place, never what is there."""

import functools
import json
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privlab.encryption import Identity, Recipient, open_shard, verify
from privlab.encryption.shards import MANIFEST

SECRETS = "secrets"  # 32 bytes for each shard, one after the other


@dataclass(frozen=True)
class PlainShards:
    """Files ``x.npy`` and ``y.npy`` in a folder: the records of all shards, one shard after the other."""

    folder: str

    def records(self, shard: int) -> tuple[NDArray, NDArray]:
        """Map the records of all shards into memory; a worker does so once."""
        return _mapped(self.folder)


@dataclass(frozen=True)
class SealedShards:
    """Shards locked by their owners with `privlab.encryption.seal_shards`, columns "x" and "y": each worker opens only its own.

    Give it to `privlab.sharding.train_sharded` in the place of the shards, with None for the records. The driver reads the signed
    list of the shards and never a record; a worker keeps what it opened in memory and never writes it.

    Parameters
    ----------
    folder : str or path
        As given to `seal_shards`; like all paths here, as the workers see it.
    keys : sequence of path
        The file of each shard's identity (`Identity.write`).
    author : Recipient or str
        Of kind "ed25519": who signed.
    name : str
        The one given to `seal_shards`.

    Raises
    ------
    TamperError
        If the list of the shards is not the author's.
    ValueError
        If the number of keys is not that of the shards.
    """

    folder: str
    keys: tuple[str, ...]
    author: str
    name: str = ""

    def __init__(
        self, folder: str | PathLike[str], keys: list[str | PathLike[str]], author: Recipient | str, name: str = ""
    ):
        for field, value in (
            ("folder", fspath(folder)), ("keys", tuple(fspath(key) for key in keys)), ("author", str(author)), ("name", name)
        ):  # fmt: skip
            object.__setattr__(self, field, value)
        if len(self.keys) != len(self.sizes):
            raise ValueError(f"keys has {len(self.keys)} files, but must have one for each of {len(self.sizes)} shards")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Records of each shard: the manifest is public."""
        verify(self._manifest, Recipient.parse(self.author))
        return tuple(entry["records"] for entry in json.loads(self._manifest.read_bytes())["shards"])

    @property
    def digest(self) -> bytes:
        """What the manifest says, which fixes every byte of every shard."""
        return self._manifest.read_bytes()

    @property
    def _manifest(self) -> Path:
        return Path(self.folder) / MANIFEST

    def records(self, shard: int) -> tuple[NDArray, NDArray]:
        """Open one shard, in its worker."""
        return _opened(self, shard)


Source = PlainShards | SealedShards


@functools.lru_cache(maxsize=8)
def _mapped(folder: str) -> tuple[NDArray, NDArray]:
    x, y = (np.load(Path(folder) / name, mmap_mode="r", allow_pickle=False) for name in ("x.npy", "y.npy"))
    return np.asarray(x), np.asarray(y)  # slicing the subclass costs more than a small step


@functools.lru_cache(maxsize=64)
def _opened(source: SealedShards, shard: int) -> tuple[NDArray, NDArray]:
    identity = Identity.read(source.keys[shard])
    arrays = open_shard(source.folder, shard, identity, Recipient.parse(source.author), name=source.name)
    return arrays["x"], arrays["y"]


def secret_of(home: str, shard: int) -> bytes:
    """Secret of one shard, 32 bytes, from the file its worker has."""
    with open(Path(home) / SECRETS, "rb") as file:
        file.seek(32 * shard)
        return file.read(32)


def forget() -> None:
    """Close what this process has open."""
    for cache in (_mapped, _opened):
        cache.cache_clear()
