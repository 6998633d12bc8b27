"""Grade submitted notebooks: run each in a fresh kernel, then check its functions, found by name, in processes of their own.

This executes what students wrote. The limits stop accidents, not attacks: grade in a container. They are
POSIX ones: this does not run on Windows.
"""

# mypy: allow-untyped-calls

import copy
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from traitlets.config import Config

from privlab.classroom.exercises import Verdict, exercises

LIMIT = "from privlab.classroom.judge import limit_memory\nlimit_memory({})"
KERNEL = Config(KernelManager={"transport_encryption": "auto"})


@dataclass(frozen=True)
class Grade:
    """One submission: the file, its lesson, how its run ended, and a verdict for each exercise."""

    file: str
    lesson: str
    run: str
    verdicts: tuple[Verdict, ...]

    def __str__(self) -> str:
        passed = f"{sum(map(bool, self.verdicts))} of {len(self.verdicts)} passed"
        return "\n  ".join([f"{self.file}: lesson {self.lesson}, {passed}; {self.run}", *map(str, self.verdicts)])


def grade(
    files: Iterable[str | Path],
    *,
    seconds: float = 30.0,
    run_seconds: float = 300.0,
    memory: int = 2**30,
    run: bool = True,
) -> list[Grade]:
    """Grade submitted notebooks.

    Functions are found by name in any cell, else by the cell's ``grade_id``, and checked together with the statements that they
    need: deleted, split and moved cells do no harm to others.

    Parameters
    ----------
    files : paths
        Notebooks. The lesson is told by their metadata, else by their name.
    seconds, run_seconds : float
        Limits for the check of one exercise, and for the run of one notebook.
    memory : int
        Bytes that student code may take.
    run : bool
        Also run each notebook as it is, to report where it stops. The verdicts do not depend on it.

    Returns
    -------
    list of Grade
        In the order of the files.

    Raises
    ------
    ValueError
        If a file is not there, or its lesson is not told.
    """
    paths = [Path(file) for file in files]
    if lost := [str(path) for path in paths if not path.is_file()]:
        raise ValueError(f"files has {lost}, but must name files that exist")
    notebooks = [_read(path) for path in paths]
    lessons = [_lesson(path, notebook) for path, notebook in zip(paths, notebooks, strict=True)]
    jobs = [
        {
            "cells": [
                (cell.source, cell.metadata.get("nbgrader", {}).get("grade_id", ""))
                for cell in (notebook.cells if notebook else [])
                if cell.cell_type == "code"
            ],
            "ids": [exercise.id for exercise in exercises(lesson)],
            "seconds": seconds,
            "memory": memory,
        }
        for notebook, lesson in zip(notebooks, lessons, strict=True)
    ]
    runs = [
        "cannot be read"
        if notebook is None
        else executed(notebook, path.parent, run_seconds, memory)
        if run
        else "not run"
        for path, notebook in zip(paths, notebooks, strict=True)
    ]
    # One BLAS thread: the judge forks, which threads do not survive.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "privlab.classroom.judge"]
    judged = subprocess.run(
        command, input=json.dumps(jobs), env=environment, text=True, capture_output=True, check=True
    )
    return [
        Grade(str(path), lesson, how, tuple(Verdict(**verdict) for verdict in verdicts))
        for path, lesson, how, verdicts in zip(paths, lessons, runs, json.loads(judged.stdout), strict=True)
    ]


def report(grades: Iterable[Grade]) -> str:
    """Return the grades as JSON."""
    return json.dumps([asdict(each) for each in grades], indent=1, ensure_ascii=False)


def executed(notebook: nbformat.NotebookNode, folder: Path, seconds: float, memory: int) -> str:
    """Run a notebook in a fresh kernel and say how far it came."""
    notebook, deadline = copy.deepcopy(notebook), time.monotonic() + seconds
    notebook.cells.insert(0, nbformat.v4.new_code_cell(LIMIT.format(memory)))
    client = NotebookClient(
        notebook,
        config=KERNEL,
        kernel_name="python3",
        allow_errors=True,
        timeout_func=lambda cell: max(1, int(deadline - time.monotonic())),
        shutdown_kernel="immediate",
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute()
    except CellTimeoutError:
        return f"stopped after {seconds:g} s"
    except DeadKernelError:
        return "the kernel died"
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return f"cell {number} raises {output.ename}: {output.evalue}"[:300]
    return "runs to its end"


def _read(path: Path) -> nbformat.NotebookNode | None:
    try:
        return nbformat.read(path, as_version=4)
    except (ValueError, KeyError, AttributeError, nbformat.ValidationError):
        return None


def _lesson(path: Path, notebook: nbformat.NotebookNode | None) -> str:
    told = (notebook.metadata if notebook else {}).get("privlab", {}).get("lesson")
    digits = re.match(r"(\d\d)(?!\d)", path.name)
    if not told and not digits:
        raise ValueError(f"{path} tells no lesson: neither its metadata, nor two digits in front of its name")
    return str(told or digits[1])  # type: ignore[index]
