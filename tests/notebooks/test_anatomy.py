"""Every lesson has the same anatomy. Authors work from this page; the tests below hold it.

Cells carry **tags** (JupyterLab: Property Inspector > Cell Tags). The tags appear for the first time in the order of
this table; a cell may carry several, a tag may come again later, and cells without a tag may stand anywhere between.

==========  ========  ==================================================================================================
tag         cell      what it holds
==========  ========  ==================================================================================================
(first)     Markdown  ``# Title``, the only level-1 heading, and the lesson's question, ending in ``?``
objectives  Markdown  a list of 3-5 items, each opening with a verb in bold (``- **Measure** how ...``); how many
                      ``minutes`` the lesson takes; the word ``Prerequisites`` and what they are
threats     Markdown  who sees what: a table with at least two rows
setup       code      at most three lines: imports
predict     Markdown  a question (``?``) to answer before running on
plain       code      the version without protection
hole        either    the private version with one hole, ``name = "???"`` (assignment or keyword argument): code that
                      runs all the same, or a fenced block in text. A later code cell sets that name
definition  Markdown  a block quote ``> **Definition ...`` with a formula between ``$``; one of the next two cells is
                      code with the formula's names
exercise    code      one function: ``def``, docstring, stub or solution. The next code cell has an ``assert`` about
                      that function (``raises-exception`` where the stub is left open). The text right before the stub
                      or right after the assertion has a hint in ``<details>``
figure      code      a static picture in its saved output
widget      code      a widget in its saved output, with the still picture in the same output
attack      any       can you still tell? At least one cell with this tag is code
limits      Markdown  what this does **not** protect (the word ``not`` is there)
summary     Markdown  one or more cells, the last of the lesson: summary, ``Notation`` and ``Sources``
==========  ========  ==================================================================================================

Sizes: 30-60 cells; text cells 20-80 words on average and none over 120, save those tagged objectives, threats,
definition or summary; code cells up to 25 lines. ``00_start_here`` may be shorter (from 12 cells) and leave out
``hole`` and ``attack``.

Further tags: ``timing`` for a cell whose output differs from run to run (with ``nbval-ignore-output``, which
test_hygiene asks for) and ``raises-exception`` for a cell that shall fail. How long a lesson may run (60 s, 10 s a
cell) is held by ``notebooks/execute.py``.
"""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

LESSONS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
START = "00_start_here"
MARKDOWN = ("objectives", "threats", "predict", "definition", "limits", "summary")
CODE = ("setup", "plain", "exercise", "figure", "widget")
ORDER = (
    *("objectives", "threats", "setup", "predict", "plain", "hole", "definition"),
    *("exercise", "figure", "widget", "attack", "limits", "summary"),
)
OPTIONAL_AT_START = {"hole", "attack"}
LONG_TEXT_ALLOWED = {"objectives", "threats", "definition", "summary"}
WIDGET = "application/vnd.jupyter.widget-view+json"


class Lesson:
    """A notebook with the questions that the rules ask of it."""

    def __init__(self, name: str, notebook: nbformat.NotebookNode) -> None:
        self.name, self.cells = name, notebook.cells

    def at(self, tag: str) -> list[int]:
        return [i for i, cell in enumerate(self.cells) if tag in tags(cell)]

    def text(self, tag: str) -> str:
        return "\n".join(self.cells[i].source for i in self.at(tag))

    def first_code_after(self, index: int) -> str:
        return next((cell.source for cell in self.cells[index + 1 :] if cell.cell_type == "code"), "")

    def mime_types(self, index: int) -> list[set[str]]:
        return [set(output.get("data", {})) for output in self.cells[index].get("outputs", [])]


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def title(lesson: Lesson) -> Iterator[str]:
    first = lesson.cells[0]
    if first.cell_type != "markdown" or not re.match(r"# \S", first.source) or not re.search(r"\?\s*$", first.source):
        yield "the first cell is not '# Title' with a question that ends the cell"
    headings = [cell for cell in lesson.cells if cell.cell_type == "markdown" and _level_1(cell.source)]
    if len(headings) != 1:
        yield f"{len(headings)} cells have a level-1 heading"


def order(lesson: Lesson) -> Iterator[str]:
    optional = OPTIONAL_AT_START if lesson.name == START else set()
    missing = [tag for tag in ORDER if not lesson.at(tag) and tag not in optional]
    if missing:
        yield f"no cell is tagged {', '.join(missing)}"
    present = [tag for tag in ORDER if lesson.at(tag)]
    found = sorted(present, key=lambda tag: (lesson.at(tag)[0], ORDER.index(tag)))
    if found != present:
        yield f"the tags come in the order {found}"
    if lesson.at("summary") and lesson.at("summary")[-1] != len(lesson.cells) - 1:
        yield "the last cell is not tagged summary"


def cell_types(lesson: Lesson) -> Iterator[str]:
    for kind, names in (("markdown", MARKDOWN), ("code", CODE)):
        for tag in names:
            if any(lesson.cells[i].cell_type != kind for i in lesson.at(tag)):
                yield f"a cell tagged {tag} is not a {kind} cell"


def objectives(lesson: Lesson) -> Iterator[str]:
    text = lesson.text("objectives")
    items = re.findall(r"^[-*] .*", text, re.MULTILINE)
    if not 3 <= len(items) <= 5 or not all(re.match(r"[-*] \*\*\w+\*\* ", item) for item in items):
        yield f"the objectives are not 3-5 items opening with one verb in bold: {items}"
    if not re.search(r"\d+ minutes", text):
        yield "the objectives do not say how many minutes the lesson takes"
    if "prerequisites" not in text.lower():
        yield "the objectives do not name the prerequisites"


def threats(lesson: Lesson) -> Iterator[str]:
    if not re.search(r"^\|.*\|\n\|[ :|-]+\|\n(\|.*\|\n?){2,}", lesson.text("threats"), re.MULTILINE):
        yield "the threats are not a table with two rows or more"


def setup(lesson: Lesson) -> Iterator[str]:
    lines = [line for line in lesson.text("setup").splitlines() if line.strip()]
    if len(lines) > 3:
        yield f"the set-up has {len(lines)} lines, more than three"


def predict(lesson: Lesson) -> Iterator[str]:
    if "?" not in lesson.text("predict"):
        yield "nothing is asked where the reader shall predict"


def hole(lesson: Lesson) -> Iterator[str]:
    for i in lesson.at("hole"):
        cell = lesson.cells[i]
        name = re.search(r"""(\w+) ?= ?["']\?\?\?["']""", cell.source)
        if name is None:
            yield 'a cell tagged hole has no name = "???"'
            continue
        if cell.cell_type == "code" and "raises-exception" in tags(cell):
            yield "a hole in code raises: whoever runs all cells would meet an error"
        if cell.cell_type == "markdown" and "```" not in cell.source:
            yield "a hole in text does not stand in a fenced block"
        later = [c.source for c in lesson.cells[i + 1 :] if c.cell_type == "code" and "???" not in c.source]
        if not any(re.search(rf"\b{name[1]} ?=(?!=)", source) for source in later):
            yield f"no later code cell fills the hole {name[1]}"


def definition(lesson: Lesson) -> Iterator[str]:
    for i in lesson.at("definition"):
        quote = "\n".join(re.findall(r"^>.*", lesson.cells[i].source, re.MULTILINE))
        if not quote.startswith("> **Definition") or not re.search(r"\$[^$]+\$", quote):
            yield "a definition is not a block quote '> **Definition ...' with a formula"
        if all(cell.cell_type != "code" for cell in lesson.cells[i + 1 : i + 3]):
            yield "no code follows within two cells of a definition"


def exercise(lesson: Lesson) -> Iterator[str]:
    for i in lesson.at("exercise"):
        name = re.search(r"^def (\w+)\(", lesson.cells[i].source, re.MULTILINE)
        check = next((j for j in range(i + 1, len(lesson.cells)) if lesson.cells[j].cell_type == "code"), i)
        if name is None:
            yield "an exercise defines no function"
        elif not re.search(r"^\s*assert\b", lesson.cells[check].source, re.MULTILINE) or not re.search(
            rf"\b{name[1]}\b", lesson.cells[check].source
        ):
            yield f"the code cell after the exercise {name[1]} asserts nothing about it"
        around = [lesson.cells[i - 1], *lesson.cells[i + 1 : check + 2]]
        if not any(cell.cell_type == "markdown" and "<details>" in cell.source for cell in around):
            yield "an exercise has no hint in <details> beside it"


def figure(lesson: Lesson) -> Iterator[str]:
    if not all(any("image/png" in types for types in lesson.mime_types(i)) for i in lesson.at("figure")):
        yield "a cell tagged figure has no picture in its output"


def widget(lesson: Lesson) -> Iterator[str]:
    if not all(any({WIDGET, "image/png"} <= types for types in lesson.mime_types(i)) for i in lesson.at("widget")):
        yield "a cell tagged widget has no widget with a still picture in its output"


def attack(lesson: Lesson) -> Iterator[str]:
    cells = [lesson.cells[i] for i in lesson.at("attack")]
    if cells and all(cell.cell_type != "code" for cell in cells):
        yield "no code cell is tagged attack"


def limits(lesson: Lesson) -> Iterator[str]:
    if not re.search(r"\bnot\b", lesson.text("limits")):
        yield "the limits do not say what is not protected"


def summary(lesson: Lesson) -> Iterator[str]:
    for word in ("notation", "sources"):
        if word not in lesson.text("summary").lower():
            yield f"the summary has no {word}"


def sizes(lesson: Lesson) -> Iterator[str]:
    fewest = 12 if lesson.name == START else 30
    if not fewest <= len(lesson.cells) <= 60:
        yield f"{len(lesson.cells)} cells, not {fewest}-60"
    words = [len(cell.source.split()) for cell in lesson.cells if cell.cell_type == "markdown"]
    if not 20 <= sum(words) / max(len(words), 1) <= 80:
        yield f"text cells have {sum(words) / max(len(words), 1):.0f} words on average, not 20-80"
    for cell in lesson.cells:
        opening = cell.source[:40]
        if cell.cell_type == "markdown" and len(cell.source.split()) > 120 and not LONG_TEXT_ALLOWED & {*tags(cell)}:
            yield f"a text cell of {len(cell.source.split())} words: {opening!r}"
        if cell.cell_type == "code" and len(cell.source.splitlines()) > 25:
            yield f"a code cell of {len(cell.source.splitlines())} lines: {opening!r}"


RULES: tuple[Callable[[Lesson], Iterator[str]], ...] = (
    *(title, order, cell_types, objectives, threats, setup, predict, hole, definition, exercise),
    *(figure, widget, attack, limits, summary, sizes),
)


def _level_1(source: str) -> bool:
    return bool(re.search(r"^# ", re.sub(r"```.*?```", "", source, flags=re.DOTALL), re.MULTILINE))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson(path, rule):
    assert not list(rule(Lesson(path.stem, nbformat.read(path, as_version=4))))


def specimen() -> nbformat.NotebookNode:
    """The smallest notebook that keeps every rule; `at` below counts its cells."""
    words = "plain words " * 15

    def text(source: str, *names: str) -> nbformat.NotebookNode:
        return new_markdown_cell(source, metadata={"tags": [*names]})

    def code(source: str, *names: str, data: dict | None = None) -> nbformat.NotebookNode:
        outputs = [new_output("display_data", data)] if data else []
        return new_code_cell(source, metadata={"tags": [*names]}, outputs=outputs)

    return new_notebook(
        cells=[
            text("# Noise\n\nHow much is enough?"),
            text(
                "- **Measure** it.\n- **Predict** it.\n- **Break** it.\n\n20 minutes. Prerequisites: none.",
                "objectives",
            ),
            text("| who | sees |\n|---|---|\n| server | all |\n| reader | answers |", "threats"),
            code("import numpy as np", "setup"),
            text("Will the two answers differ?", "predict"),
            code("total = 3", "plain"),
            code('scale = "???"', "hole"),
            text("> **Definition (scale).** $b = s / e$", "definition"),
            code("scale = 1 / 2"),
            code('def noise(scale):\n    """Draw."""\n    return scale', "exercise"),
            code("assert noise(1) == 1"),
            text("<details>Hint: divide.</details>"),
            code("plot()", "figure", data={"image/png": "iVBO"}),
            code("panel()", "widget", data={"image/png": "iVBO", WIDGET: {"model_id": "1"}}),
            code("guess()", "attack"),
            text("It does not hide the size.", "limits"),
            *[text(words) for _ in range(16)],
            text("Summary. Notation: b. Sources: one.", "summary"),
        ]
    )


def test_the_specimen_keeps_every_rule():
    assert [fault for rule in RULES for fault in rule(Lesson("05_specimen", specimen()))] == []


def _set(cell: int, source: str) -> Callable[[list], None]:
    return lambda cells: cells[cell].update(source=source)


def _tag(cell: int, *names: str) -> Callable[[list], None]:
    return lambda cells: cells[cell].metadata.update(tags=[*names])


BREAKAGES = [
    (title, _set(0, "# Noise\n\nA statement.")),
    (title, _set(16, "# Another title")),
    (order, _tag(4)),
    (order, lambda cells: cells.insert(5, cells.pop(4))),
    (order, lambda cells: cells.append(cells.pop(16))),
    (cell_types, _tag(5, "plain", "limits")),
    (objectives, _set(1, "- **Measure** it.\n- **Predict** it.\n\n20 minutes. Prerequisites: none.")),
    (objectives, _set(1, "- Measure it.\n- Predict it.\n- Break it.\n\n20 minutes. Prerequisites: none.")),
    (objectives, _set(1, "- **Measure** a.\n- **Predict** b.\n- **Break** c.\n\nPrerequisites: none.")),
    (objectives, _set(1, "- **Measure** a.\n- **Predict** b.\n- **Break** c.\n\n20 minutes.")),
    (threats, _set(2, "The server sees everything.")),
    (threats, _set(2, "| who | sees |\n|---|---|\n| server | all |")),
    (setup, _set(3, "import os\nimport re\nimport sys\nimport io")),
    (predict, _set(4, "Here is the answer.")),
    (hole, _set(6, "scale = 2")),
    (hole, _tag(6, "hole", "raises-exception")),
    (hole, _set(8, "print(scale == 2)")),
    (hole, lambda cells: cells.__setitem__(6, new_markdown_cell('scale = "???"', metadata={"tags": ["hole"]}))),
    (definition, _set(7, "**Definition.** $b = s / e$")),
    (definition, _set(7, "> **Definition (scale).** in words")),
    (definition, lambda cells: cells.insert(15, cells.pop(7))),
    (exercise, _set(9, "noise = 1")),
    (exercise, _set(10, "noise(1)")),
    (exercise, _set(10, "assert True")),
    (exercise, _set(11, "No hint.")),
    (figure, lambda cells: cells[12].outputs.clear()),
    (widget, lambda cells: cells[13].outputs[0].data.pop("image/png")),
    (widget, lambda cells: cells[13].outputs[0].data.pop(WIDGET)),
    (attack, lambda cells: cells.__setitem__(14, new_markdown_cell("guess", metadata={"tags": ["attack"]}))),
    (limits, _set(15, "It protects everything.")),
    (summary, _set(32, "Summary. Sources: one.")),
    (summary, _set(32, "Summary. Notation: b.")),
    (sizes, lambda cells: cells.pop(20) and cells.pop(20) and cells.pop(20) and cells.pop(20)),
    (sizes, _set(20, "word " * 121)),
    (sizes, lambda cells: [cell.update(source="word " * 120) for cell in cells[16:32]]),
    (sizes, lambda cells: [cell.update(source="word") for cell in cells[16:32]]),
    (sizes, _set(5, "total = 3\n" * 26)),
    (sizes, lambda cells: cells.extend(copy.deepcopy(cells[16:32] * 2))),
]


@pytest.mark.parametrize(("rule", "breaks"), BREAKAGES)
def test_each_rule_can_fail(rule, breaks):
    notebook = specimen()
    breaks(notebook.cells)
    assert list(rule(Lesson("05_specimen", notebook)))


def test_every_rule_is_broken_once():
    assert {rule for rule, _ in BREAKAGES} == {*RULES}


def test_the_start_may_leave_out_hole_and_attack():
    notebook = specimen()
    for index in (14, 6):
        del notebook.cells[index]
    assert not list(order(Lesson(START, notebook)))
    assert list(order(Lesson("05_specimen", notebook)))
