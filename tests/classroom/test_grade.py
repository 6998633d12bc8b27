"""Submissions of every kind are graded, none stops the others; runs in kernels end at their limits."""

import copy
import json
from functools import lru_cache
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from privlab.classroom import exercises
from privlab.classroom.exercises import find
from privlab.classroom.grade import executed, grade, report
from privlab.classroom.release import mark, strip

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SOURCES = {path.name[:2]: path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if exercises(path.name[:2])}
QUICK = ("01", "02", "06", "07", "08", "09", "10", "11", "12", "13")  # whose checks take milliseconds
LIMITS = {"seconds": 30, "memory": 2**28, "run": False}


def test_the_solved_notebooks_pass_as_they_stand():
    grades = grade(SOURCES.values(), **LIMITS)
    assert [str(found) for each in grades for found in each.verdicts if not found] == []
    assert [each.lesson for each in grades] == [*SOURCES]


def body_of(exercise, body):
    return exercise.stub.replace("    raise NotImplementedError", f"    {body}")


ANSWERS = {
    "correct": (lambda e: e.solution, "passed"),
    "wrong": (
        lambda e: e.wrong_answer(next(name for name, (_, new, _) in e.wrong.items() if "import" not in new)),
        "mistake",
    ),
    "untouched": (lambda e: e.stub, "not attempted"),
    "raises": (lambda e: body_of(e, "return 1 / 0"), "mistake"),
    "syntax": (lambda e: e.solution.replace("(", "((", 1), "mistake"),
    "endless": (lambda e: body_of(e, "while True: pass"), "too slow"),
    "endless in C": (lambda e: body_of(e, "sum(iter(int, 1))"), "too slow"),
    "hog": (lambda e: body_of(e, "return bytes(2**34)"), "too much memory"),
    "slow hog": (lambda e: body_of(e, "a = [0]\n    while True: a += a"), "too much memory"),
    "exits": (lambda e: body_of(e, "import os; os._exit(0)"), "crashed"),
    "quits": (lambda e: body_of(e, "raise SystemExit"), "crashed"),
    "deleted": (lambda e: "", "missing"),
    "no function": (lambda e: f"{e.name} = 3", "mistake"),
}


@lru_cache
def released(lesson):
    return strip(mark(nbformat.read(SOURCES[lesson], as_version=4), lesson))


def submit(lesson, answer, number, folder):
    """The students' copy of a lesson with one kind of answer in its exercises, its cells deleted, split or moved."""
    notebook = copy.deepcopy(released(lesson))
    for cell in notebook.cells:
        for exercise in exercises(lesson):
            if cell.metadata.get("nbgrader", {}).get("grade_id") == exercise.id.replace(".", "-"):
                before, at, _ = cell.source.partition(f"def {exercise.name}(")
                assert at
                cell.source = before + ANSWERS[answer][0](exercise)
    if number % 4 == 1:  # the checks are deleted, and the ids with them
        notebook.cells = [cell for cell in notebook.cells if not cell.metadata.get("nbgrader", {}).get("grade")]
        for cell in notebook.cells:
            cell.metadata.pop("nbgrader", None)
    if number % 4 == 2:  # the last come first
        notebook.cells.reverse()
    if number % 4 == 3:  # each function is split after its first line
        notebook.cells = [
            new_code_cell(part) if "nbgrader" in cell.metadata else cell
            for cell in notebook.cells
            for part in (
                cell.source.split("\n", 1) if cell.metadata.get("nbgrader", {}).get("solution") else [cell.source]
            )
        ]
    path = folder / f"{number:03}.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.mark.parametrize("number", [20, pytest.param(98, marks=pytest.mark.slow)])
def test_submissions_of_all_kinds_get_their_verdicts(number, tmp_path):
    """A hundred in the slow run, the endless loops among them."""
    kinds = [kind for kind in ANSWERS if "endless" not in kind]
    plan = [(QUICK[i % len(QUICK)], kinds[i % len(kinds)]) for i in range(number)]
    plan += [("02", "endless"), ("13", "endless in C")]
    paths = [submit(lesson, answer, i, tmp_path) for i, (lesson, answer) in enumerate(plan)]
    grades = [*grade(paths[:-2], **LIMITS), *grade(paths[-2:], **{**LIMITS, "seconds": 1})]
    wrong = [
        (plan[i], str(found))
        for i, each in enumerate(grades)
        for found in each.verdicts
        if found.status != ANSWERS[plan[i][1]][1]
    ]
    assert wrong == []
    assert [each.lesson for each in grades] == [lesson for lesson, _ in plan]
    assert {kind for _, kind in plan} == {*ANSWERS}


def test_the_report_is_json_and_text(tmp_path):
    path = submit("13", "wrong", 0, tmp_path)
    (found,) = grade([path], **LIMITS)
    assert json.loads(report([found]))[0]["verdicts"][1] == vars(found.verdicts[1])
    first, *lines = str(found).splitlines()
    assert first == f"{path}: lesson 13, 0 of 2 passed; not run"
    assert [line.split()[:2] for line in lines] == [["13.a", "mistake:"], ["13.b", "mistake:"]]


def test_a_file_that_is_no_notebook_is_missing_everything(tmp_path):
    path = tmp_path / "07_lost.ipynb"
    path.write_text("{", encoding="utf-8")
    (found,) = grade([path])
    assert found.run == "cannot be read"
    assert {verdict.status for verdict in found.verdicts} == {"missing"}
    nameless = path.rename(tmp_path / "lost.ipynb")
    with pytest.raises(ValueError, match="tells no lesson"):
        grade([nameless])


@pytest.mark.parametrize(
    ("source", "ends"),
    [
        ("print(1)", "runs to its end"),
        ("%matplotlib inline\n1 / 0", "cell 1 raises ZeroDivisionError: division by zero"),
        ("a = [0]\nwhile True: a += a", "cell 1 raises MemoryError: "),
        ("import os; os._exit(3)", "the kernel died"),
        ("while True: pass", "stopped after 8 s"),
    ],
)
def test_a_run_ends_at_its_limits(source, ends, tmp_path):
    notebook = new_notebook(cells=[new_code_cell(source), new_code_cell("print(2)")])
    assert executed(notebook, tmp_path, 8, 2**29) == ends


@pytest.mark.slow
def test_small_submissions_are_run_and_judged(tmp_path):
    """All kinds of answers, each in a kernel: what a cell does when it is run does not change the verdict."""
    exercise = find("13.b")
    for number, (answer, _) in enumerate(ANSWERS.values()):
        cells = [new_code_cell("import numpy as np"), new_code_cell(answer(exercise)), new_code_cell("fastest(4, 1)")]
        notebook = new_notebook(cells=cells, metadata={"privlab": {"lesson": "13"}})
        nbformat.write(notebook, tmp_path / f"{number:02}.ipynb")
    grades = grade(sorted(tmp_path.glob("*.ipynb")), seconds=2, run_seconds=8, memory=2**29)
    assert [each.verdicts[1].status for each in grades] == [status for _, status in ANSWERS.values()]
    runs = dict(zip(ANSWERS, [each.run for each in grades], strict=True))
    assert runs["correct"] == runs["wrong"] == "runs to its end"
    assert runs["endless"] == runs["endless in C"] == "stopped after 8 s"
    assert runs["exits"] == "the kernel died"
    assert "NameError" in runs["deleted"]
    assert "MemoryError" in runs["hog"]
