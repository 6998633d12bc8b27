"""The students' copy: no solution, no output, nbgrader's marks; and nbgrader itself takes it."""

import csv
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from privlab.classroom import exercises
from privlab.classroom.exercises import find
from privlab.classroom.release import grade_id, mark, release, strip

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted({exercise.lesson for exercise in exercises()})
TAIL = "    ### BEGIN SOLUTION\n{}\n    ### END SOLUTION"


def solved(*ids):
    """A small solved notebook: each solution between marks, then its check."""
    cells = [new_code_cell("import os\n\nimport numpy as np\n\nfrom privlab.classroom import check")]
    for exercise in map(find, ids):
        head = exercise.stub.replace("    raise NotImplementedError\n", "")
        body = exercise.solution[len(head) :].rstrip()
        cells.append(new_code_cell(head + TAIL.format(body), outputs=[new_output("stream", text="seen")]))
        cells.append(new_code_cell(f'assert check("{exercise.id}", {exercise.name})', execution_count=3))
    return new_notebook(cells=cells)


def test_the_copy_has_stubs_marks_and_no_outputs():
    source = solved("13.b", "07.b")
    copy = strip(mark(source, "13"))
    assert copy.cells[1].source == find("13.b").stub.replace(
        "    raise NotImplementedError\n", "    # YOUR CODE HERE\n    raise NotImplementedError()"
    )
    assert [cell.outputs for cell in copy.cells] == [[]] * 5
    assert [cell.execution_count for cell in copy.cells] == [None] * 5
    plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    assert copy.cells[1].metadata.nbgrader == plain | {"solution": True, "grade_id": "13-b"}
    assert copy.cells[2].metadata.nbgrader == plain | {
        "grade": True,
        "locked": True,
        "points": 1,
        "grade_id": "13-b-check",
    }
    assert "nbgrader" not in copy.cells[3].metadata  # of another lesson
    assert "BEGIN SOLUTION" in source.cells[1].source
    assert source.cells[1].outputs
    assert copy.metadata.privlab == {"lesson": "13"}


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_lesson_is_released_without_its_solutions(lesson, tmp_path):
    target = release(lesson, tmp_path / "out", NOTEBOOKS)
    text = target.read_text(encoding="utf-8")
    copy = nbformat.read(target, as_version=4)
    nbformat.validate(copy)
    marked = [cell.metadata.nbgrader.grade_id for cell in copy.cells if "nbgrader" in cell.metadata]
    assert sorted(marked) == sorted(
        name for each in exercises(lesson) for name in (grade_id(each), f"{grade_id(each)}-check")
    )
    assert "SOLUTION" not in text
    assert text.count("YOUR CODE HERE") == len(exercises(lesson))
    with pytest.raises(ValueError, match="is there already"):
        release(lesson, tmp_path / "out", NOTEBOOKS)


def test_every_exercise_cell_of_a_lesson_is_registered():
    """A cell tagged "exercise" whose function is not in the registry would be released, and never graded."""
    faults = {}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        cells = [
            cell for cell in nbformat.read(path, as_version=4).cells if "exercise" in cell.metadata.get("tags", [])
        ]
        names = {name for cell in cells for name in re.findall(r"^def (\w+)\(", cell.source, re.MULTILINE)}
        known = {exercise.name for exercise in exercises(path.name[:2])}
        if known - names or len(known) != len(cells):
            faults[path.name] = (known, names)
    assert faults == {}


def test_an_unknown_lesson_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"lesson is '77', but .* holds 0 notebooks"):
        release("77", tmp_path, NOTEBOOKS)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nbgrader") is None, reason="the extra grading is not installed")
def test_nbgrader_releases_and_grades_the_same_file(tmp_path):
    source = tmp_path / "source" / "ps" / "lesson.ipynb"
    source.parent.mkdir(parents=True)
    notebook = mark(solved("13.b"), "13")
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, source)

    def nbgrader(*command):
        full = [sys.executable, "-m", "nbgrader", *command]
        run = subprocess.run(full, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert run.returncode == 0, run.stderr

    nbgrader("generate_assignment", "ps", "--create", "--force")
    released = nbformat.read(tmp_path / "release" / "ps" / "lesson.ipynb", as_version=4)
    assert released.cells[1].source == strip(notebook).cells[1].source
    answers = {"right": find("13.b").solution, "wrong": find("13.b").wrong_answer("rounded"), "empty": None}
    for student, answer in answers.items():
        submitted = tmp_path / "submitted" / student / "ps" / "lesson.ipynb"
        submitted.parent.mkdir(parents=True)
        copy = nbformat.from_dict(released)
        before = copy.cells[1].source
        copy.cells[1].source = answer or before
        nbformat.write(copy, submitted)
        copy.cells[1].source = before
    nbgrader("autograde", "ps", "--create", "--force")
    nbgrader("export")
    with open(tmp_path / "grades.csv", encoding="utf-8") as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert scores == {"right": 1, "wrong": 0, "empty": 0}
