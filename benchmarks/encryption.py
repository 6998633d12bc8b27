"""Locked weights against the bare cipher with plain files, a copy in memory, and other libraries: pyrage, Fernet and Tink.

Run ``python -m benchmarks.encryption``.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyrage
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from numpy.typing import NDArray

from benchmarks.measure import cpu_ratios, cpu_seconds
from benchmarks.peers import Peer, beside
from benchmarks.results import Comparison, Line, version
from privlab.encryption import (
    Identity,
    decrypt_file,
    encrypt_file,
    generate_key,
    load_checkpoint,
    open_checkpoint,
    save_checkpoint,
    seal,
    unseal,
)
from privlab.encryption.age import write_age
from privlab.encryption.stream import CHUNK

BLOCK = 16 * CHUNK  # bytes written or read at a time by the references
THEIRS = pyrage.x25519.Identity.generate()
ADA = Identity.parse(str(THEIRS))  # one key, in both libraries
CIPHER = ChaCha20Poly1305(os.urandom(32))
Found = dict[str, list[float]]
SAVING = "save_checkpoint over cipher and plain write"
TARGETS = {SAVING: 1.2, f"{SAVING}, by the clock": 1.2}
STATUS = Path("/proc/self/status")  # has the peak of the resident memory, on Linux

FAIR = (
    "The bare cipher is ChaCha20-Poly1305 of the same library over chunks of 64 KiB in memory, plus a plain file written and "
    "flushed to disk, or read.",
    "pyrage (Rust) and privlab write the same age format and read each other's files. From file to file the two are close; "
    "below 1, pyrage is the faster. It does not flush, which counts against privlab. In memory it takes and returns whole "
    "bytes objects, while privlab writes chunks. Around age there are a command-line tool, plug-ins and an ecosystem, which the "
    "kit uses and does not replace.",
    "Fernet is AES-128-CBC with HMAC in base64, a third larger than its content, and cannot read a part of it. It needs no "
    "choices, as `seal`; Tink adds keysets, rotation and keys kept in clouds' vaults.",
    "Both `seal` and Tink's box are AES-256-GCM in C; no such box can be quicker than the processor's AES.",
)


def main(arguments: Sequence[str] | None = None) -> Comparison:
    """Measure, print and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-peer", action="store_true", help="leave out Tink, which has an environment of its own")
    parser.add_argument("--mebibytes", type=int, default=256, help="float32 weights in a checkpoint")
    parser.add_argument("--box", type=int, default=32, help="MiB of them in a box")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where files are written; the system's temporary folder by default")
    args = parser.parse_args(arguments)
    weights = np.random.default_rng(0).standard_normal((args.mebibytes << 8, 1024), dtype=np.float32)
    found: Found = defaultdict(list)
    versions, notes = version("privlab", "cryptography", "pyrage"), list(FAIR)
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=args.folder) as folder:
        notes += memory(weights, Path(folder) / "checkpoint")
        saving_and_loading(weights, Path(folder), args.pairs, found)
        against_pyrage(weights, Path(folder), args.pairs, found)
        one_row(Path(folder) / "checkpoint", args.pairs, found)
    part = weights[: args.box << 8]
    boxes(part, args.pairs, found)
    with beside("tink", "benchmarks.encryption_tink", versions, notes, wanted=not args.no_peer) as peer:
        if peer:
            against_tink(peer, part, args.pairs, found)
    comparison = Comparison(
        "Encryption",
        f"Checkpoints of {args.mebibytes} MiB of float32 weights for an X25519 recipient, boxes of {args.box} MiB in "
        "memory. CPU time.",
        [Line(what, values, at_most=TARGETS.get(what)) for what, values in found.items()],
        versions,
        notes,
    )
    print(comparison.markdown())
    return comparison


def saving_and_loading(weights: NDArray, folder: Path, pairs: int, found: Found) -> None:
    """The bare cipher over 64 KiB chunks, plus the same bytes written to or read from a plain file in blocks of 1 MiB."""
    plain, sealed, buffer = weights.reshape(-1).view(np.uint8).data, bytearray(CHUNK + 16), bytearray(BLOCK)

    def encipher() -> None:
        for nonce, chunk in chunks(plain):
            CIPHER.encrypt_into(nonce, chunk, None, sealed)
        with open(folder / "plain", "wb", buffering=0) as file:
            for start in range(0, len(plain), BLOCK):
                file.write(plain[start : start + BLOCK])
            os.fsync(file.fileno())

    def save() -> None:
        save_checkpoint(folder / "checkpoint", {"w": weights}, ADA.recipient)

    found[SAVING] = cpu_ratios(save, encipher, pairs)
    found[f"{SAVING}, by the clock"] = cpu_ratios(save, encipher, pairs, time.perf_counter)
    boxes = [(nonce, CIPHER.encrypt(nonce, chunk, None)) for nonce, chunk in chunks(plain)]

    def decipher() -> None:
        result = np.empty_like(weights).reshape(-1).view(np.uint8).data
        for number, (nonce, box) in enumerate(boxes):
            CIPHER.decrypt_into(nonce, box, None, result[number * CHUNK : (number + 1) * CHUNK])
        with open(folder / "plain", "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    found["load_checkpoint over cipher and plain read"] = cpu_ratios(
        lambda: load_checkpoint(folder / "checkpoint", ADA),
        decipher,
        pairs,
    )


def chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield a nonce and a chunk of 64 KiB, until the end."""
    return ((start.to_bytes(12, "big"), view[start : start + CHUNK]) for start in range(0, len(view), CHUNK))


def against_pyrage(weights: NDArray, folder: Path, pairs: int, found: Found) -> None:
    """The same format, X25519 recipient and all, in memory and from file to file."""
    plain, source, box = weights.reshape(-1).view(np.uint8).data, folder / "source", str(folder / "box.age")
    data, keys = bytes(plain), [THEIRS.to_public()]
    found["pyrage over privlab, encrypting in memory"] = cpu_ratios(
        lambda: pyrage.encrypt(data, keys),
        lambda: write_age(Nowhere(), [ADA.recipient], (chunk for _, chunk in chunks(plain))),
        pairs,
    )
    source.write_bytes(data)
    found["pyrage over privlab, encrypting a file"] = cpu_ratios(
        lambda: pyrage.encrypt_file(str(source), box, keys),
        lambda: encrypt_file(source, box, ADA.recipient),
        pairs,
    )
    found["pyrage over privlab, decrypting a file"] = cpu_ratios(
        lambda: pyrage.decrypt_file(box, str(source), [THEIRS]),
        lambda: decrypt_file(box, source, ADA),
        pairs,
    )


class Nowhere:
    """A file that forgets."""

    def write(self, data: memoryview) -> int:
        """Take everything."""
        return len(data)


def one_row(path: Path, pairs: int, found: Found) -> None:
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

        found["a row of 4 KiB read, over a chunk read and deciphered"] = cpu_ratios(rows, bare, pairs)


def boxes(part: NDArray, pairs: int, found: Found) -> None:
    """`seal` and `unseal` over a copy in memory, and Fernet over them."""
    data, key = bytes(part.reshape(-1).view(np.uint8).data), generate_key()
    box, fernet = seal(data, key), Fernet(Fernet.generate_key())
    token = fernet.encrypt(data)
    for name, ours, theirs in (
        ("seal", lambda: seal(data, key), lambda: fernet.encrypt(data)),
        ("unseal", lambda: unseal(box, key), lambda: fernet.decrypt(token)),
    ):
        found[f"{name} over a copy in memory"] = cpu_ratios(ours, lambda: bytearray(data), pairs)
        found[f"Fernet over {name}"] = cpu_ratios(theirs, ours, pairs)


def against_tink(peer: Peer, part: NDArray, pairs: int, found: Found) -> None:
    """Tink's AES-256-GCM over `seal` and `unseal`."""
    data, key = bytes(part.reshape(-1).view(np.uint8).data), generate_key()
    box = seal(data, key)
    peer.ask(size=len(data))  # loads what is loaded when it is first needed
    for _ in range(pairs):
        theirs = peer.ask(size=len(data))
        found["Tink over seal"].append(theirs["sealing"] / cpu_seconds(lambda: seal(data, key)))
        found["Tink over unseal"].append(theirs["opening"] / cpu_seconds(lambda: unseal(box, key)))


def memory(weights: NDArray, path: Path) -> list[str]:
    """Say how far saving and loading raise the peak of the resident memory, beyond the weights themselves."""
    if not STATUS.exists():
        return []
    before = resident("VmRSS")
    save_checkpoint(path, {"w": weights}, ADA.recipient)
    saving = resident("VmHWM") - before
    before = resident("VmRSS")
    loaded = load_checkpoint(path, ADA)["w"]
    loading = resident("VmHWM") - before - loaded.nbytes / 2**20
    return [
        f"Extra memory at the peak: {saving:.1f} MiB while a checkpoint is saved, {loading:.1f} MiB while it is loaded."
    ]


def resident(field: str) -> float:
    """Return MiB of this process in memory, now (VmRSS) or at its peak (VmHWM)."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
