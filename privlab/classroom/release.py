"""One solved notebook, and the students' copy of it: nbgrader's metadata and marks, so that nbgrader can use the same files."""

# mypy: allow-untyped-calls

import copy
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat

from privlab.classroom.exercises import Exercise, exercises

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION.*?### END SOLUTION[^\n]*", re.MULTILINE | re.DOTALL)
STUB = r"\1# YOUR CODE HERE\n\1raise NotImplementedError()"


def grade_id(exercise: Exercise) -> str:
    """nbgrader's name of an exercise: it allows no dot."""
    return exercise.id.replace(".", "-")


def mark(notebook: nbformat.NotebookNode, lesson: str) -> nbformat.NotebookNode:
    """Return a copy with nbgrader's metadata: on each exercise's solution cell, and on the code cell after it, which checks it."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata["privlab"] = {"lesson": lesson}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for exercise in exercises(lesson):
        for cell, check in zip(code, [*code[1:], None], strict=True):
            if re.search(rf"^def {exercise.name}\(", cell.source, re.MULTILINE) and SOLUTION.search(cell.source):
                _tell(cell, grade_id(exercise), solution=True)
                if check is not None:
                    _tell(check, f"{grade_id(exercise)}-check", grade=True, locked=True, points=1)
    return notebook


def strip(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a copy without solutions and outputs."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = SOLUTION.sub(STUB, cell.source)
            cell.outputs, cell.execution_count = [], None
    return notebook


def release(lesson: str, folder: str | Path, source: str | Path = "notebooks") -> Path:
    """Write the students' copy of a lesson, and beside it the results that it loads.

    Parameters
    ----------
    lesson : str
        Two digits, for example "05".
    folder : path
        Where the copy goes; made where it is missing.
    source : path
        The folder with the solved notebooks.

    Returns
    -------
    Path
        The copy, under the name of the source.

    Raises
    ------
    ValueError
        If ``source`` has no such lesson, or the copy would take the place of a file: it might be somebody's work.
    """
    found = sorted(Path(source).glob(f"{lesson}_*.ipynb"))
    if len(found) != 1:
        raise ValueError(f"lesson is {lesson!r}, but {str(source)!r} holds {len(found)} notebooks of that number")
    target = Path(folder) / found[0].name
    if target.exists():
        raise ValueError(f"folder is {str(folder)!r}, but {target.name} is there already")
    target.parent.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.read(found[0], as_version=4)
    nbformat.write(strip(mark(notebook, lesson)), target)
    if any('"results/' in cell.source for cell in notebook.cells if cell.cell_type == "code"):
        only_json = shutil.ignore_patterns("*.png")
        shutil.copytree(Path(source, "results"), Path(folder, "results"), dirs_exist_ok=True, ignore=only_json)
    return target


def _tell(cell: nbformat.NotebookNode, name: str, **values: Any) -> None:
    plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    cell.metadata["nbgrader"] = {**plain, **values, "grade_id": name}
