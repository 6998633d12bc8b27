"""``python -m privlab doctor``: can the kit run here, and if not, what mends it?"""

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

REINSTALL = f"{sys.executable} -m pip install --editable . (in the folder of the project)"


@dataclass(frozen=True)
class Finding:
    """What one check found, and how to mend it; nothing is wrong where ``fix`` is empty."""

    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"FAIL  {self.what}\n      fix: {self.fix}" if self.fix else f"OK    {self.what}"


def python() -> Iterator[Finding]:
    """The version of Python against the project's own metadata."""
    from packaging.specifiers import SpecifierSet

    needed = metadata.metadata("privlab")["Requires-Python"]
    version = ".".join(map(str, sys.version_info[:3]))
    fits = SpecifierSet(needed).contains(version, prereleases=True)
    yield Finding(f"Python {version} (needs {needed})", "" if fits else "make a new environment with a newer Python")


def packages() -> Iterator[Finding]:
    """The version of each package that the project's own metadata asks for."""
    from packaging.requirements import Requirement

    for line in metadata.requires("privlab") or []:
        needed = Requirement(line)
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            version = "missing"
        fits = version != "missing" and needed.specifier.contains(version, prereleases=True)
        fix = "" if fits else f'{sys.executable} -m pip install "{needed.name}{needed.specifier}"'
        yield Finding(f"{needed.name} {version} (needs {needed.specifier})", fix)


def widgets_in_lab() -> Iterator[Finding]:
    """JupyterLab's half of the widgets: without it a slider shows as text."""
    from jupyter_core.paths import jupyter_path

    folders = [Path(p, "@jupyter-widgets", "jupyterlab-manager") for p in jupyter_path("labextensions")]
    found = any((folder / "package.json").is_file() for folder in folders)
    fix = "" if found else f"{sys.executable} -m pip install --force-reinstall jupyterlab_widgets"
    yield Finding(f"JupyterLab {'shows' if found else 'does not show'} widgets", fix)


def cores_and_threads() -> Iterator[Finding]:
    """Cores, and the threads that linear algebra takes: more threads than cores stand in each other's way."""
    import numpy  # noqa: F401  threadpoolctl sees only the libraries that are loaded
    from threadpoolctl import threadpool_info

    cores = os.cpu_count() or 1
    yield Finding(f"{cores} processor core{'s' * (cores > 1)}")
    for library in threadpool_info():
        if library["user_api"] == "blas":
            what = f"{library['internal_api']} uses {library['num_threads']} threads"
            fix = f"set OPENBLAS_NUM_THREADS, MKL_NUM_THREADS and OMP_NUM_THREADS to {cores} or less"
            yield Finding(what, fix if library["num_threads"] > cores else "")


def processes(seconds: float = 20.0) -> Iterator[Finding]:
    """A pool of two new processes answers within ``seconds``."""
    start = time.monotonic()
    pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    try:
        answers = set(pool.map(_own_id, [0.2, 0.2], timeout=seconds))
        fix = "" if len(answers) == 2 else "only one of two processes works: look at limits on processes"
        yield Finding(f"{len(answers)} worker processes answered in {time.monotonic() - start:.1f} s", fix)
    except (OSError, RuntimeError, TimeoutError) as error:
        what = f"no answer from two worker processes in {seconds:g} s ({type(error).__name__})"
        yield Finding(what, "close other programs, or look at limits on memory and processes; workers=None needs none")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.kill()


def temporary_files() -> Iterator[Finding]:
    """The folder for temporary files takes files."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(bytes(1 << 20))
        yield Finding("temporary files can be written")
    except OSError as error:
        yield Finding(f"temporary files cannot be written: {error}", "set TMPDIR to a folder that has room")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    *(python, packages, widgets_in_lab, cores_and_threads, processes, temporary_files),
)


def report(checks: tuple[Callable[[], Iterator[Finding]], ...] = CHECKS) -> int:
    """Print what each check finds.

    Parameters
    ----------
    checks : tuple of functions
        Each yields its findings.

    Returns
    -------
    int
        0 where nothing is wrong, else 1.

    Examples
    --------
    >>> report((temporary_files,))
    OK    temporary files can be written
    0
    """
    wrong = False
    for check in checks:
        for finding in _survived(check):
            print(finding, flush=True)
            wrong |= bool(finding.fix)
    return int(wrong)


def _survived(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    # The doctor is called where something is broken, so a check may break as well, and the others still count.
    try:
        yield from check()
    except Exception as error:
        yield Finding(f"{check.__name__}: {type(error).__name__}: {error}", REINSTALL)


def _own_id(seconds: float) -> int:
    # The pause keeps the first process busy until the second has started too.
    time.sleep(seconds)
    return os.getpid()
