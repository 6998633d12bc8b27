"""The environments in which peers live, apart from ours, and the scripts that answer from there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TORCH = "torch==2.13.0"
OURS = ("cryptography", "safetensors", "scipy", "threadpoolctl", "tqdm")  # what our half of a script imports
ENVIRONMENTS = {
    "torch": (TORCH, "opacus==1.6.*"),
    "accounting": ("dp-accounting==0.6.*", "prv-accountant==0.2.*"),
    "flower": (
        "flwr[simulation]==1.41.*",
        "safetensors",
        "scipy",
        "threadpoolctl",
        "tqdm",
    ),  # and what our half imports
    "pfl": ("pfl==0.6.*", *OURS),
    "sacro": (TORCH, "sacroml==2.0.*"),
    "tink": ("tink==1.16.*",),
}


class PeerMissing(RuntimeError):
    """A peer cannot be installed here; the message says why."""


def peer_python(name: str) -> Path:
    """Return the Python of ``build/NAME``, an environment that is made by pip if it is not there."""
    folder = ROOT / "build" / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if python.exists():
        return python
    print(f"Installing {', '.join(ENVIRONMENTS[name])} into build/{name}: some minutes", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *ENVIRONMENTS[name]]
    installing = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if installing.returncode:
        shutil.rmtree(folder)
        errors = [line for line in installing.stderr.splitlines() if line.startswith("ERROR")]
        raise PeerMissing(f"pip cannot install {name}: {errors[-1] if errors else 'no reason given'}")
    return python


def environment() -> dict[str, str]:
    """Return this process's environment with our modules on the path, and with the peers' usage reports switched off."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}


def installed(python: str | Path, package: str) -> str:
    """Return the version of a package in an environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


class Peer:
    """A script that runs in a peer's environment and answers requests, so that both sides can take turns.

    Parameters
    ----------
    name : str
        Of the environment.
    module : str
        One that calls `serve`.

    Attributes
    ----------
    versions : dict of str to str
        Of the packages that the script names.
    """

    def __init__(self, name: str, module: str) -> None:
        command = [peer_python(name), "-m", module]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment())
        self.versions: dict[str, str] = self._answer()

    def ask(self, **request: Any) -> Any:
        """Return what the script answers to these arguments."""
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End the script."""
        self.process.communicate()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with status {self.process.wait()}")
        return json.loads(line)


@contextmanager
def beside(
    name: str, module: str, versions: dict[str, str], notes: list[str], *, wanted: bool = True
) -> Iterator[Peer | None]:
    """Give a `Peer`, add its versions, and end it; give None where it is not wanted or, which is noted, not to be had."""
    peer = None
    try:
        peer = Peer(name, module) if wanted else None
    except PeerMissing as missing:
        notes.append(f"Not measured: {missing}.")
    if peer is None:
        yield None
        return
    versions |= peer.versions
    try:
        yield peer
    finally:
        peer.close()


def serve(answer: Callable[..., Any], *packages: str) -> None:
    """Be the other end of a `Peer`: write the packages' versions, then the answer to each request, a line each."""
    pipe, sys.stdout = sys.stdout, sys.stderr  # what a peer prints must not come between the answers
    print(json.dumps({name: metadata.version(name) for name in packages}), file=pipe, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), file=pipe, flush=True)
