"""nbgrader itself takes the lessons: it makes the students' copies, and grades a right, a wrong and an empty one.

Runs where the extra ``grading`` is installed: ``make grading``.
"""

import csv
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from privlab.classroom import exercises
from privlab.classroom.release import grade_id, strip

pytest.importorskip("nbgrader", reason="the extra grading is not installed")
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
QUICK = "04_noise_masks"  # nbgrader runs each copy whole


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of a course with two assignments, released: all lessons, and a quick one."""
    folder = tmp_path_factory.mktemp("course")
    for assignment, lessons in {"course": LESSONS, "quick": [QUICK]}.items():
        source = folder / "source" / assignment
        source.mkdir(parents=True)
        for lesson in lessons:
            (source / f"{lesson}.ipynb").write_bytes((NOTEBOOKS / f"{lesson}.ipynb").read_bytes())
        nbgrader(folder, "generate_assignment", assignment, "--create")
    return folder


def nbgrader(folder, *command):
    here = Path(sys.executable).parent  # it calls a program of its environment by name
    path = os.pathsep.join([str(here), os.environ.get("PATH", "")])
    full = [sys.executable, "-m", "nbgrader", *command]
    run = subprocess.run(
        full, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("lesson", LESSONS)
def test_nbgrader_makes_the_copy_that_the_kit_makes(folder, lesson):
    theirs = nbformat.read(folder / "release" / "course" / f"{lesson}.ipynb", as_version=4)
    ours = strip(nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4))
    assert [cell.source for cell in theirs.cells] == [cell.source for cell in ours.cells]
    assert "SOLUTION" not in nbformat.writes(theirs)
    points = [cell.metadata.nbgrader.points for cell in theirs.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert points == [1] * len(exercises(lesson[:2]))


def test_nbgrader_grades_a_right_a_wrong_and_an_empty_copy(folder):
    solved = solutions(nbformat.read(NOTEBOOKS / f"{QUICK}.ipynb", as_version=4))
    *_, last = exercises(QUICK[:2])
    old, new, _ = next(iter(last.wrong.values()))
    mistaken = solved | {grade_id(last): solved[grade_id(last)].replace(old, new)}
    for student, answers in {"right": solved, "wrong": mistaken, "empty": {}}.items():
        copy = nbformat.read(folder / "release" / "quick" / f"{QUICK}.ipynb", as_version=4)
        for cell in copy.cells:
            cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
        submitted = folder / "submitted" / student / "quick" / f"{QUICK}.ipynb"
        submitted.parent.mkdir(parents=True)
        nbformat.write(copy, submitted)
    nbgrader(folder, "autograde", "quick", "--create")
    nbgrader(folder, "export")
    with open(folder / "grades.csv", encoding="utf-8") as file:
        scores = {
            row["student_id"]: float(row["score"]) for row in csv.DictReader(file) if row["assignment"] == "quick"
        }
    full = len(exercises(QUICK[:2]))
    assert scores == {"right": full, "wrong": full - 1, "empty": 0}


def solutions(notebook):
    """Source of each solution cell, by its grade_id."""
    marked = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in marked}
