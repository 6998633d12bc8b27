"""The environments in which peers live, apart from ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOWER = "flwr[simulation]==1.41.*"
SACRO = "sacroml==2.0.*"
OURS = ("safetensors", "scipy", "threadpoolctl", "tqdm")  # what both sides import, beyond the peer's own needs


def flower_python(given: Path | None) -> Path:
    """Return a Python that has Flower with its simulation engine, and `OURS`: the one given, or one made in ``build/flower``."""
    return given or _made("flower", 1, FLOWER, *OURS)


def sacro_python(given: Path | None) -> Path:
    """Return a Python that has SACRO-ML: the one given, or one made in ``build/sacro``."""
    return given or _made("sacro", 7, SACRO)


def _made(name: str, gigabytes: int, *packages: str) -> Path:
    folder = ROOT / "build" / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        if shutil.which("uv") is None:
            raise RuntimeError(f"making an environment for {packages[0]} needs uv; or name one by --peer-python")
        place = folder.relative_to(ROOT)
        print(f"Installing {packages[0]} into {place}: some minutes, about {gigabytes} GB", file=sys.stderr)
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, folder], check=True)
        subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, *packages], check=True)
    return python


def environment() -> dict[str, str]:
    """Return this process's environment with our modules on the path, and with the peers' usage reports switched off."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
