"""The environment in which a peer lives, apart from ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOWER = "flwr[simulation]==1.41.*"
OURS = ("scipy", "threadpoolctl", "tqdm")  # what the function that both sides run imports, beyond the peer's own needs


def flower_python(given: Path | None) -> Path:
    """Return a Python that has Flower with its simulation engine, and `OURS`: the one given, or one made in ``build/flower``."""
    if given is not None:
        return given
    folder = ROOT / "build" / "flower"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        if shutil.which("uv") is None:
            raise RuntimeError(f"making an environment for {FLOWER} needs uv; or name one by --peer-python")
        print(f"Installing {FLOWER} into {folder.relative_to(ROOT)}: some minutes, about 1 GB", file=sys.stderr)
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, folder], check=True)
        subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, FLOWER, *OURS], check=True)
    return python


def environment() -> dict[str, str]:
    """Return this process's environment with our modules on the path, and with the peers' usage reports switched off."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
