"""The students' copy: no solution, no output, nbgrader's marks."""

import ast
import re
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


def test_a_copy_finds_the_results_that_it_loads(tmp_path):
    release("12", tmp_path / "out", NOTEBOOKS)
    loaded = (tmp_path / "out" / "results" / "museum.json").read_bytes()
    assert loaded == (NOTEBOOKS / "results" / "museum.json").read_bytes()
    release("13", tmp_path / "other", NOTEBOOKS)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["13_scaling_out.ipynb"]


def test_an_unknown_lesson_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"lesson is '77', but .* holds 0 notebooks"):
        release("77", tmp_path, NOTEBOOKS)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_committed_lessons_are_marked_and_hold_the_registered_solutions(path):
    """What readers see as the solution is what `solution` prints and what the wrong answers are edits of."""
    notebook, lesson = nbformat.read(path, as_version=4), path.name[:2]
    marks = [[cell.metadata.get("nbgrader") for cell in each.cells] for each in (notebook, mark(notebook, lesson))]
    assert marks[0] == marks[1], "run notebooks/execute.py, which marks"
    sources = [cell.source for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
    shown = {name: text for source in sources for name, text in functions(source).items()}
    assert [shown[each.name] for each in exercises(lesson)] == [
        functions(each.solution)[each.name] for each in exercises(lesson)
    ]
    checked = re.findall(r'assert check\("(\d\d\.\w)", (\w+)\)', "\n".join(cell.source for cell in notebook.cells))
    assert sorted(checked) == sorted((each.id, each.name) for each in exercises(lesson))


def functions(source):
    """Code of each function in a source, without comments."""
    return {node.name: ast.unparse(node) for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
