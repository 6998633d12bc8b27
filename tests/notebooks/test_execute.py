"""``notebooks/execute.py``: the same bytes twice, nothing of the moment, and a failed notebook stays as it was."""

import runpy
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

SCRIPT = Path(__file__).parents[2] / "notebooks" / "execute.py"
PANEL = """import ipywidgets
from IPython.display import display
slider = ipywidgets.IntSlider()
display(slider, slider, ipywidgets.Text())
display({"image/png": b"abc", "text/plain": "a picture"}, raw=True)"""


def execute(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)


def save(path: Path, *cells: nbformat.NotebookNode) -> bytes:
    nbformat.write(new_notebook(cells=[*cells]), path)
    return path.read_bytes()


def test_two_runs_give_the_same_bytes(tmp_path):
    path = tmp_path / "panel.ipynb"
    before = save(path, new_code_cell(PANEL), new_code_cell("import sys\nfor i in range(9): print(i, flush=True)"))
    assert execute(path).returncode == 0
    first = path.read_bytes()
    assert execute(path).returncode == 0
    assert path.read_bytes() == first != before
    assert [p.name for p in tmp_path.iterdir()] == ["panel.ipynb"]
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.language_info == {"name": "python"}
    assert "widgets" not in notebook.metadata
    views = [o.data["application/vnd.jupyter.widget-view+json"].model_id for o in notebook.cells[0].outputs[:3]]
    assert [int(view, 16) for view in views] == [1, 1, 2]
    assert len(notebook.cells[1].outputs) == 1
    assert not any("execution" in cell.metadata for cell in notebook.cells)


def test_check_reports_and_writes_nothing(tmp_path):
    path = tmp_path / "moment.ipynb"
    cell = new_code_cell("import time\ntime.time_ns()", metadata={"tags": ["timing"]})
    save(path, cell, new_code_cell("1 + 1"))
    assert execute(path).returncode == 0
    assert execute("--check", path).returncode == 0
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source = "1 + 2"
    nbformat.write(notebook, path)
    changed = path.read_bytes()
    result = execute("--check", path)
    assert (result.returncode, path.read_bytes()) == (1, changed)
    assert "moment.ipynb differs" in result.stderr
    assert "[0, 1]" in result.stderr


def test_a_failed_notebook_stays_as_it_was(tmp_path):
    path, other = tmp_path / "broken.ipynb", tmp_path / "whole.ipynb"
    before = save(path, new_code_cell("1 / 0"))
    untouched = save(other, new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]}))
    result = execute(path, other)
    assert result.returncode == 1
    assert "broken.ipynb failed" in result.stderr
    assert "ZeroDivisionError" in result.stderr
    assert "WARNING" not in result.stderr
    assert path.read_bytes() == before
    assert other.read_bytes() != untouched


@pytest.mark.parametrize(("seconds", "complaints"), [([9.0] * 6, 0), ([11.0], 1), ([9.0] * 7, 1), ([70.0], 2)])
def test_slow_notebooks_are_named(seconds, complaints):
    stopwatch = runpy.run_path(str(SCRIPT))["Stopwatch"](enumerate(seconds))
    assert len([*stopwatch.complaints()]) == complaints


def test_the_page_of_timings_adds_up(tmp_path):
    for name in ("04_one", "05_two"):
        save(tmp_path / f"{name}.ipynb", new_code_cell("1 + 1"), new_code_cell("2"))
    page = tmp_path / "timing.md"
    assert execute("--timing", page, *sorted(tmp_path.glob("*.ipynb"))).returncode == 0
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| [")]
    assert [row.split("]")[0][3:] for row in rows] == ["04_one", "05_two"]
    assert "| **all** | 4 |" in page.read_text(encoding="utf-8")
