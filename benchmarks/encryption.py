"""Saving and loading locked weights against the bare cipher with plain files, and against pyrage, another age implementation.

Run ``python -m benchmarks.encryption``.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyrage
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from numpy.typing import NDArray

from benchmarks.measure import cpu_ratios, spread
from privlab.encryption import (
    Identity,
    decrypt_file,
    encrypt_file,
    load_checkpoint,
    open_checkpoint,
    save_checkpoint,
)
from privlab.encryption.age import write_age
from privlab.encryption.stream import CHUNK

BLOCK = 16 * CHUNK  # bytes written or read at a time by the references
THEIRS = pyrage.x25519.Identity.generate()
ADA = Identity.parse(str(THEIRS))  # one key, in both libraries
CIPHER = ChaCha20Poly1305(os.urandom(32))
STATUS = Path("/proc/self/status")  # has the peak of the resident memory, on Linux


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=256, help="float32 weights")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where files are written; the system's temporary folder by default")
    args = parser.parse_args(arguments)
    weights = np.random.default_rng(0).standard_normal((args.mebibytes << 8, 1024), dtype=np.float32)
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=args.folder) as folder:
        memory(weights, Path(folder) / "checkpoint")
        print(f"Median, smallest and largest ratio of CPU time over {args.pairs} pairs, {args.mebibytes} MiB")
        saving_and_loading(weights, Path(folder), args.pairs)
        against_pyrage(weights, Path(folder), args.pairs)
        one_row(Path(folder) / "checkpoint", args.pairs)


def report(text: str, work: Callable[[], object], reference: Callable[[], object], pairs: int) -> None:
    """Print one line."""
    print(f"  {text:64} {spread(cpu_ratios(work, reference, pairs))}")


def saving_and_loading(weights: NDArray, folder: Path, pairs: int) -> None:
    """The bare cipher over 64 KiB chunks, plus the same bytes written to or read from a plain file in blocks of 1 MiB."""
    plain, sealed, buffer = weights.reshape(-1).view(np.uint8).data, bytearray(CHUNK + 16), bytearray(BLOCK)

    def encipher() -> None:
        for nonce, chunk in chunks(plain):
            CIPHER.encrypt_into(nonce, chunk, None, sealed)
        with open(folder / "plain", "wb", buffering=0) as file:
            for start in range(0, len(plain), BLOCK):
                file.write(plain[start : start + BLOCK])
            os.fsync(file.fileno())

    report(
        "save_checkpoint over cipher and plain write",
        lambda: save_checkpoint(folder / "checkpoint", {"w": weights}, ADA.recipient),
        encipher,
        pairs,
    )
    boxes = [(nonce, CIPHER.encrypt(nonce, chunk, None)) for nonce, chunk in chunks(plain)]

    def decipher() -> None:
        result = np.empty_like(weights).reshape(-1).view(np.uint8).data
        for number, (nonce, box) in enumerate(boxes):
            CIPHER.decrypt_into(nonce, box, None, result[number * CHUNK : (number + 1) * CHUNK])
        with open(folder / "plain", "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    report(
        "load_checkpoint over cipher and plain read",
        lambda: load_checkpoint(folder / "checkpoint", ADA),
        decipher,
        pairs,
    )


def chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield a nonce and a chunk of 64 KiB, until the end."""
    return ((start.to_bytes(12, "big"), view[start : start + CHUNK]) for start in range(0, len(view), CHUNK))


def against_pyrage(weights: NDArray, folder: Path, pairs: int) -> None:
    """The same format, X25519 recipient and all, in memory and from file to file."""
    plain, source, box = weights.reshape(-1).view(np.uint8).data, folder / "source", str(folder / "box.age")
    data, keys = bytes(plain), [THEIRS.to_public()]
    report(
        "pyrage over privlab, encrypting in memory",
        lambda: pyrage.encrypt(data, keys),
        lambda: write_age(Nowhere(), [ADA.recipient], (chunk for _, chunk in chunks(plain))),
        pairs,
    )
    source.write_bytes(data)
    report(
        "pyrage over privlab, encrypting a file",
        lambda: pyrage.encrypt_file(str(source), box, keys),
        lambda: encrypt_file(source, box, ADA.recipient),
        pairs,
    )
    report(
        "pyrage over privlab, decrypting a file",
        lambda: pyrage.decrypt_file(box, str(source), [THEIRS]),
        lambda: decrypt_file(box, source, ADA),
        pairs,
    )


class Nowhere:
    """A file that forgets."""

    def write(self, data: memoryview) -> int:
        """Take everything."""
        return len(data)


def one_row(path: Path, pairs: int) -> None:
    """Read rows of 4 KiB of an open checkpoint, each from another place; over reading and opening a chunk of 64 KiB each."""
    box, last = CIPHER.encrypt(bytes(12), bytes(CHUNK), None), path.stat().st_size // 4096 - 64
    places = np.random.default_rng(1).integers(0, last, 200).tolist()
    with open_checkpoint(path, ADA) as checkpoint, open(path, "rb", buffering=0) as file:

        def rows() -> None:
            for place in places:
                checkpoint.read("w", rows=slice(place, place + 1))

        def bare() -> None:
            for place in places:
                file.seek(4096 * place)
                file.read(CHUNK + 16)
                CIPHER.decrypt(bytes(12), box, None)

        report("4 KiB read over one chunk read and deciphered", rows, bare, pairs)


def memory(weights: NDArray, path: Path) -> None:
    """Print how far saving and loading raise the peak of the resident memory, beyond the weights themselves."""
    if not STATUS.exists():
        return
    before = resident("VmRSS")
    save_checkpoint(path, {"w": weights}, ADA.recipient)
    saving = resident("VmHWM") - before
    before = resident("VmRSS")
    loaded = load_checkpoint(path, ADA)["w"]
    loading = resident("VmHWM") - before - loaded.nbytes / 2**20
    print(f"Extra memory at the peak: saving {saving:.1f} MiB, loading {loading:.1f} MiB, ", end="")
    print(f"for {weights.nbytes / 2**20:.0f} MiB of weights")


def resident(field: str) -> float:
    """Return MiB of this process in memory, now (VmRSS) or at its peak (VmHWM)."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
