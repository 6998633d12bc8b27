"""Committed notebooks are what ``notebooks/execute.py`` saves, and run and read well on any machine.

nbval compares outputs, but passes a notebook that was saved without any; these rules close that hole and others.
"""

import ast
import base64
import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 1_000_000
MACHINE = re.compile(r"/(?:tmp|home|root|Users|private|var|work)/\w|[A-Z]:\\+Users|ipykernel_\d| at 0x[0-9a-f]{6,}")
ABSOLUTE = re.compile(r"""["'](?:/\w[\w.-]*/|~/|[A-Za-z]:[\\/])""")
NETWORK = re.compile(r"https?://|\b(?:urllib|requests|httpx|socket)\b|^\s*[!%]\s*(?:pip|conda|uv|curl|wget)\b", re.M)
GLOBAL_RANDOM = re.compile(
    r"\b(?:np|numpy)\.random\.(?!default_rng\(\w|Generator\b|SeedSequence\b)|^import random\b", re.M
)
LINK = re.compile(r"\]\((?!https?:|#|attachment:)([^)#\s]+)")
PROGRESS_TEXT = re.compile(r"\d+%\|| (?:it/s|s/it)\b")

normalised = runpy.run_path(str(ROOT / "notebooks" / "execute.py"))["normalised"]


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    return (output for cell in code_cells(notebook) for output in cell.outputs)


def words(output: nbformat.NotebookNode) -> str:
    """Everything in an output that a reader reads."""
    data = {kind: text for kind, text in output.get("data", {}).items() if not kind.startswith("image/")}
    return "\n".join(
        map(str, [output.get("text", ""), output.get("evalue", ""), *output.get("traceback", []), *data.values()])
    )


def executed_in_order(notebook: nbformat.NotebookNode) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(notebook) if cell.source.strip()]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the cells were executed in the order {counts}"


def errors_are_meant(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for cell in code_cells(notebook):
        raised = any(output.output_type == "error" for output in cell.outputs)
        if raised != ("raises-exception" in cell.metadata.get("tags", [])):
            state = "raised without" if raised else "missing in spite of"
            yield f"an error is {state} the tag raises-exception: {cell.source!r}"


def outputs_are_kept(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for cell in code_cells(notebook):
        if shows_something(cell.source) and not cell.outputs:
            yield f"the output is missing: {cell.source!r}"


def shows_something(source: str) -> bool:
    try:
        statements = ast.parse(re.sub(r"^\s*[%!].*", "", source, flags=re.MULTILINE)).body
    except SyntaxError:
        return False
    calls = [s.value.func for s in statements if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
    return any(isinstance(function, ast.Name) and function.id in ("print", "display") for function in calls)


def no_machine_in_outputs(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for output in outputs(notebook):
        if match := MACHINE.search(words(output)):
            yield f"an output names a place on one machine or in its memory: {match[0]!r}"


def no_warnings(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for output in outputs(notebook):
        if output.get("name") == "stderr":
            yield f"an output has warnings or log lines: {output.text[:80]!r}"


def no_progress_as_text(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for output in outputs(notebook):
        if PROGRESS_TEXT.search(words(output)):
            yield "an output holds a progress bar as text"


def pictures_have_words(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for output in outputs(notebook):
        for kind in output.get("data", {}):
            if kind.startswith("image/") and not output.metadata.get(kind, {}).get("alt", "").strip():
                yield f"{kind} has no alternative text in its metadata"
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search(r"!\[\s*\]|<img(?![^>]*\balt=\"[^\"])", cell.source):
            yield f"a picture in text has no alternative text: {cell.source[:60]!r}"


def pictures_name_no_software(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for output in outputs(notebook):
        if b"Software\0" in base64.b64decode(output.get("data", {}).get("image/png", "")):
            yield "a picture names the version of the software that drew it"


def code_runs_anywhere(notebook: nbformat.NotebookNode) -> Iterator[str]:
    forbidden = {"an absolute path": ABSOLUTE, "the network": NETWORK, "NumPy's global random state": GLOBAL_RANDOM}
    for cell in code_cells(notebook):
        for name, pattern in forbidden.items():
            if match := pattern.search(cell.source):
                yield f"code uses {name}: {match[0]!r}"


def timing_is_not_compared(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        if "timing" in (tags := cell.metadata.get("tags", [])) and "nbval-ignore-output" not in tags:
            yield "a cell tagged timing is not tagged nbval-ignore-output"


def saved_by_the_script(notebook: nbformat.NotebookNode) -> Iterator[str]:
    if nbformat.writes(normalised(notebook)) != nbformat.writes(notebook):
        yield "the notebook was not saved by notebooks/execute.py (make notebooks)"


def links_are_alive(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        for target in LINK.findall(cell.source) if cell.cell_type == "markdown" else ():
            if not (ROOT / "notebooks" / target).exists():
                yield f"a link leads nowhere: {target}"


RULES: tuple[Callable[[nbformat.NotebookNode], Iterator[str]], ...] = (
    *(executed_in_order, errors_are_meant, outputs_are_kept, no_machine_in_outputs, no_warnings, no_progress_as_text),
    *(pictures_have_words, pictures_name_no_software, code_runs_anywhere, timing_is_not_compared, saved_by_the_script),
    links_are_alive,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, rule):
    assert not list(rule(nbformat.read(path, as_version=4)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_size_and_format(path):
    assert path.stat().st_size < LARGEST
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"


def specimen() -> nbformat.NotebookNode:
    picture = new_output("display_data", {"image/png": "iVBO"}, metadata={"image/png": {"alt": "a line"}})
    return normalised(
        new_notebook(
            cells=[
                new_markdown_cell("![a clinic](attachment:clinic.png)"),
                new_code_cell(
                    "print('x')", execution_count=1, outputs=[new_output("stream", name="stdout", text="x\n")]
                ),
                new_code_cell("show(np.random.default_rng(0))", execution_count=2, outputs=[picture]),
                new_code_cell(
                    "1 / 0",
                    execution_count=3,
                    outputs=[new_output("error", ename="ZeroDivisionError", evalue="division by zero")],
                    metadata={"tags": ["raises-exception"]},
                ),
            ]
        )
    )


def _source(text: str, cell: int = 2) -> Callable[[nbformat.NotebookNode], object]:
    return lambda notebook: notebook.cells[cell].update(source=text)


def _prints(text: str, name: str = "stdout") -> Callable[[nbformat.NotebookNode], object]:
    return lambda notebook: notebook.cells[1].outputs[0].update(text=text, name=name)


def _png(data: bytes) -> Callable[[nbformat.NotebookNode], object]:
    return lambda notebook: notebook.cells[2].outputs[0].data.update({"image/png": base64.b64encode(data).decode()})


BREAKAGES = [
    (executed_in_order, lambda n: n.cells[1].update(execution_count=None)),
    (executed_in_order, lambda n: n.cells.insert(1, n.cells.pop(2))),
    (errors_are_meant, lambda n: n.cells[3].metadata.update(tags=[])),
    (errors_are_meant, lambda n: n.cells[3].outputs.clear()),
    (outputs_are_kept, lambda n: n.cells[1].outputs.clear()),
    (no_machine_in_outputs, _prints("saved to /Users/ann/x.npz")),
    (no_machine_in_outputs, lambda n: n.cells[3].outputs[0].update(traceback=["ipykernel_12/3.py:1"])),
    (no_machine_in_outputs, _prints("<object at 0x7efd5aac7310>")),
    (no_warnings, _prints("UserWarning", name="stderr")),
    (no_progress_as_text, _prints(" 10%|#         | 1/10 [00:00<00:01,  9.00it/s]")),
    (pictures_have_words, lambda n: n.cells[2].outputs[0].metadata.clear()),
    (pictures_have_words, _source("![](attachment:clinic.png)", cell=0)),
    (pictures_have_words, _source('<img src="x.png">', cell=0)),
    (pictures_name_no_software, _png(b"\x89PNG tEXtSoftware\0Matplotlib")),
    (code_runs_anywhere, _source("np.random.seed(0)")),
    (code_runs_anywhere, _source("np.random.default_rng()")),
    (code_runs_anywhere, _source("import random")),
    (code_runs_anywhere, _source("open('/data/records.csv')")),
    (code_runs_anywhere, _source(r'open("C:\\data")')),
    (code_runs_anywhere, _source("import urllib.request")),
    (code_runs_anywhere, _source("x = 1\n!pip install numpy")),
    (code_runs_anywhere, _source("read('https://example.org/x.csv')")),
    (timing_is_not_compared, lambda n: n.cells[1].metadata.update(tags=["timing"])),
    (links_are_alive, _source("[lesson 99](99_nowhere.ipynb)", cell=0)),
    (saved_by_the_script, lambda n: n.metadata.language_info.update(version="3.11")),
    (saved_by_the_script, lambda n: n.cells[1].metadata.update(execution={"t": "2026"})),
]


def test_the_specimen_keeps_every_rule():
    assert [fault for rule in RULES for fault in rule(specimen())] == []


@pytest.mark.parametrize(("rule", "breaks"), BREAKAGES)
def test_each_rule_can_fail(rule, breaks):
    notebook = specimen()
    breaks(notebook)
    assert list(rule(notebook))


def test_every_rule_is_broken_once():
    assert {rule for rule, _ in BREAKAGES} == {*RULES}
