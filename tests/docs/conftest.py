"""The scripts of the documentation import each other by their file names, as Python does for a script's own folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
