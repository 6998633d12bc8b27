"""How the records of a run are laid out for its workers, and cut into units of work."""

import hashlib
import heapq
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.files import replacing
from privlab.learning.models import Model
from privlab.sharding.sources import SECRETS, PlainShards, SealedShards, Source, forget
from privlab.sharding.workers import Job, Unit

PIECE = 4096  # expected rows of a batch in one unit; fixed, so that the bits do not depend on the number of workers


@dataclass(frozen=True)
class Data:
    """Records and their shards, checked; of sealed shards only how many records each has.

    Parameters
    ----------
    sizes : tuple of int
        Records of each shard.
    sealed : SealedShards or None
    x, y, rows : arrays, and sequence of index arrays
        Empty where the shards are sealed.
    """

    sizes: tuple[int, ...]
    sealed: SealedShards | None
    x: NDArray
    y: NDArray
    rows: tuple[NDArray[np.intp], ...]

    @classmethod
    def checked(
        cls, model: Model, x: ArrayLike | None, y: ArrayLike | None, shards: Sequence[ArrayLike] | SealedShards
    ) -> "Data":
        """Raise `ValueError` where records do not fit the model or each other, or shards are no parts of them."""
        if isinstance(shards, SealedShards):
            if x is not None or y is not None:
                raise ValueError("x and y are given, but must be None where the shards are sealed")
            return cls(shards.sizes, shards, np.empty(0), np.empty(0), ())
        if x is None or y is None:
            raise ValueError("x or y is None, but records must be given unless the shards are sealed")
        x = model.examples(arguments.finite_array("x", x, dimensions=2))
        x = x.astype(np.float32, copy=False) if x.dtype.kind == "f" else x
        y = model.labels(arguments.finite_array("y", y, dimensions=1))
        if len(x) != len(y):
            raise ValueError(f"x and y hold {len(x)} and {len(y)} records, but must hold the same number")
        rows = tuple(np.asarray(shard, dtype=np.intp) for shard in shards)
        used = np.concatenate([*rows, np.array([], np.intp)])
        if not used.size or used.min() < 0 or used.max() >= len(x) or np.bincount(used).max() > 1:
            raise ValueError(f"shards must hold rows from 0 to {len(x) - 1}, none of them twice, and at least one")
        return cls(tuple(map(len, rows)), None, x, y, rows)

    @property
    def records(self) -> int:
        """All records, those in no shard too."""
        return sum(self.sizes) if self.sealed else len(self.x)

    def contents(self) -> list[bytes | NDArray]:
        """What identifies the data."""
        return [self.sealed.digest] if self.sealed else [self.x, self.y, *self.rows]

    @contextmanager
    def laid_out(self, secret: bytes, scratch: str | Path | None) -> Iterator[str]:
        """Write records (unless sealed) and the secrets of the shards to a folder of the owner's alone; remove it in the end."""
        with tempfile.TemporaryDirectory(prefix="privlab-", dir=scratch, ignore_cleanup_errors=True) as folder:
            if not self.sealed:
                order = np.concatenate(self.rows)
                for name, array in (("x", self.x), ("y", self.y)):
                    np.save(Path(folder) / f"{name}.npy", array[order], allow_pickle=False)
            keys = [hashlib.sha256(secret + f"shard {shard}".encode()).digest() for shard in range(len(self.sizes))]
            with replacing(Path(folder) / SECRETS, 0o600) as file:
                file.write(b"".join(keys))
            try:
                yield folder
            finally:
                forget()

    def source(self, folder: str) -> Source:
        """Where workers find the records."""
        return self.sealed or PlainShards(folder)

    def units(self, job: Job, folder: str, *, whole: bool) -> list[Unit]:
        """Shards that have records, weighted by size; cut in pieces where a sum of gradients is wanted and a batch is large.

        The cut is exact. With ``whole`` there is none, and every shard has the weight 1.
        """
        total, start, units = sum(self.sizes), 0, []
        for shard, size in enumerate(self.sizes):
            expected = job.privacy.sampling_rate * size if job.privacy else min(job.batch_size, size)
            pieces = max(1, -int(-expected // PIECE)) if job.gradients and not whole else 1
            for first, last in pairwise(round(size * piece / pieces) for piece in range(pieces + 1)) if size else ():
                weight = 1.0 if whole else size / total
                units.append(Unit(shard, self.source(folder), start, start + size, first, last, weight, folder))
            start += 0 if self.sealed else size
        return units


def grouped(units: Sequence[Unit], number: int) -> list[tuple[Unit, ...]]:
    """Put units together in so many tasks of about equal size: a task for every small shard would cost more than its work."""
    heap: list[tuple[int, int, list[Unit]]] = [(0, i, []) for i in range(min(number, len(units)))]
    for unit in sorted(units, key=lambda unit: -unit.rows):
        rows, i, group = heap[0]
        group.append(unit)
        heapq.heapreplace(heap, (rows + unit.rows, i, group))
    return [tuple(group) for _, _, group in sorted(heap, key=lambda item: item[1])]


def by_shard(units: Sequence[Unit]) -> list[tuple[Unit, ...]]:
    """Put the units of each shard together, and no others."""
    return [tuple(unit for unit in units if unit.shard == shard) for shard in sorted({unit.shard for unit in units})]
