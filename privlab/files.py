"""Writing files so that nothing is lost."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import numpy as np


@contextmanager
def replacing(path: str | os.PathLike[str], mode: int = 0o666) -> Iterator[FileIO]:
    """Open a new file that takes the place of ``path`` in one step when the ``with`` block ends well.

    Whatever goes wrong before, a crash included, leaves the old file as it was. A symbolic link is followed.

    Parameters
    ----------
    path : str or path
        The file to replace or to make.
    mode : int
        Permissions of the new file, less the umask.

    Yields
    ------
    io.FileIO
        Unbuffered, in the folder of ``path`` under a name of its own.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with FileIO(os.open(temporary, flags, mode), "w") as file:
            yield file
            os.fsync(file.fileno())  # or a power cut after the rename could leave an empty file
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def source_digest(*parts: str) -> str:
    """SHA-256 of the package's source in these subpackages and modules (such as "learning", "randomness.py") and NumPy's version.

    What was computed by other code is not what this code would compute.
    """
    total = hashlib.sha256(np.__version__.encode())
    package = Path(__file__).parent
    for source in sorted(package.rglob("*.py")):
        if source.relative_to(package).parts[0] in parts:
            total.update(source.read_bytes())
    return total.hexdigest()
