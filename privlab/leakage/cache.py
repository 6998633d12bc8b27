"""Shadow results on disk."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privlab.data import Dataset
from privlab.files import source_digest
from privlab.leakage.shadows import Recipe, Shadows
from privlab.masking import Ledger


class ShadowCache:
    """A folder of shadow results. The key hashes everything that they depend on, so a stale file is never read."""

    def __init__(
        self,
        folder: str | PathLike[str] | None,
        dataset: Dataset,
        recipe: Recipe,
        members: NDArray[np.bool_],
        seed: int,
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.dataset, self.recipe, self.members, self.seed = dataset, recipe, members, seed

    @cached_property
    def key(self) -> str:
        """Digest of data, settings and code; computed only where there is a folder."""
        dataset, members = self.dataset, self.members
        digest = hashlib.sha256(repr((self.recipe, members.shape, self.seed)).encode())
        for array in (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test, members):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(source_digest("learning", "masking", "leakage", "randomness.py").encode())
        return digest.hexdigest()

    def load(self, levels: Sequence[float]) -> dict[float, Shadows]:
        """Return the results that are there."""
        found = {}
        for level in levels if self.folder else ():
            path = self._path(level)
            if path.exists():
                with np.load(path, allow_pickle=False) as file:
                    record = {name: file[name] for name in file.files}
                found[level] = Shadows(**record | {"ledger": Ledger.from_record(json.loads(str(record["ledger"])))})
        return found

    def store(self, shadows: Mapping[float, Shadows]) -> None:
        """Write results; each file is replaced only when complete."""
        for level, result in shadows.items() if self.folder else ():
            record = {name: getattr(result, name) for name in Shadows.__dataclass_fields__}
            record["ledger"] = np.array(json.dumps(result.ledger.as_record()))
            path = self._path(level)
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".unfinished.npz")
            np.savez_compressed(unfinished, **record)
            unfinished.replace(path)

    def _path(self, level: float) -> Path:
        name = hashlib.sha256(f"{self.key} {level!r}".encode()).hexdigest()[:32]
        return (self.folder or Path()) / f"shadows-{name}.npz"
