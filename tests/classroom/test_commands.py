"""``python -m privlab release`` and ``grade``."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from privlab.__main__ import main
from privlab.classroom.exercises import find

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def test_a_lesson_is_released_and_a_submission_graded(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "privlab", "release", "13", "out", "--source", NOTEBOOKS],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout == f"wrote {Path('out', '13_scaling_out.ipynb')}\n"
    cells = [new_code_cell(find("13.b").solution)]
    nbformat.write(new_notebook(cells=cells), tmp_path / "13_ada.ipynb")
    command = [sys.executable, "-m", "privlab", "grade", "13_ada.ipynb"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        "13_ada.ipynb: lesson 13, 1 of 2 passed; runs to its end",
        "  13.a missing: there is no submit",
        "  13.b passed",
        "wrote grades.json",
    ]
    graded = json.loads((tmp_path / "grades.json").read_text())
    assert [verdict["status"] for verdict in graded[0]["verdicts"]] == ["missing", "passed"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["release", "77", "out"], "lesson is '77'"),
        (["grade", "lost.ipynb"], "lost.ipynb"),
        (["grade", "13_lost.ipynb"], "13_lost.ipynb"),
        (["grade", "13_lost.ipynb", "--json", "nowhere/a.json"], "nowhere"),
    ],
)
def test_bad_input_ends_with_a_message_and_no_traceback(given, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(given)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
