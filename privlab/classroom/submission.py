"""Find a student's function in a notebook, with all that it needs and nothing else, wherever the cells went."""

# mypy: allow-untyped-calls

import ast
import linecache
import symtable
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from privlab.classroom.exercises import Exercise


@dataclass(frozen=True)
class Statement:
    """One statement at the top of a cell, and the global names that it binds and uses."""

    node: ast.stmt
    file: str
    binds: frozenset[str]
    uses: frozenset[str]


class Submission:
    """The statements of a notebook's code cells.

    Cells are joined where a function was split between them; a cell that is no Python is left out.

    Parameters
    ----------
    cells : iterable of (str, str)
        Source and nbgrader's ``grade_id``, or "", of each code cell.
    """

    def __init__(self, cells: Iterable[tuple[str, str]]):
        self.units: list[tuple[str, str]] = []
        for source, name in cells:
            if _parses(source):
                self.units.append((source, name))
            elif self.units and _parses(joined := f"{self.units[-1][0]}\n{source}"):
                self.units[-1] = joined, self.units[-1][1]
            else:  # a line of shell, or a magic
                self.units.append((TransformerManager().transform_cell(source), name))
        self.broken = [text for text, _ in self.units if not _parses(text)]
        self.statements = [
            statement for number, (text, _) in enumerate(self.units) for statement in _statements(text, number)
        ]

    def name_of(self, exercise: Exercise) -> str | None:
        """Name under which the exercise's function stands here: its own, or that of the one like it in its cell."""
        if any(exercise.name in statement.binds for statement in self.statements):
            return exercise.name
        parameters = exercise.function.__code__.co_argcount
        for number, (text, name) in enumerate(self.units):
            if name == exercise.id.replace(".", "-"):
                nodes = [each.node for each in _statements(text, number)]
                functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
                alike = [node.name for node in functions if len(node.args.posonlyargs + node.args.args) == parameters]
                return alike[0] if len(alike) == 1 else None
        return None

    def needed(self, name: str) -> list[Statement]:
        """The last definition of a name, and every statement that binds what it uses, in the notebook's order."""
        last = max(i for i, statement in enumerate(self.statements) if name in statement.binds)
        chosen, open_names, done = {last}, set(self.statements[last].uses), {name}
        while open_names:
            wanted = open_names.pop()
            done.add(wanted)
            for i, statement in enumerate(self.statements):
                if wanted in statement.binds and i not in chosen:
                    chosen.add(i)
                    open_names |= statement.uses - done
        return [self.statements[i] for i in sorted(chosen)]

    def run(self, name: str) -> Any:
        """Execute what ``name`` needs in a clean namespace and return its value; what fails on the way is passed over."""
        namespace: dict[str, Any] = {"__name__": "submission"}
        for statement in self.needed(name):
            try:
                exec(compile(ast.Module([statement.node], []), statement.file, "exec"), namespace)
            except MemoryError:
                raise
            except Exception:
                continue  # the function's own error will name what is missing
        return namespace.get(name)


def _statements(text: str, number: int) -> Iterable[Statement]:
    if not _parses(text):
        return
    file = f"<cell {number}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    for node in ast.parse(text).body:
        table = symtable.symtable(ast.unparse(node), file, "exec")
        symbols = table.get_symbols()
        binds = {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
        uses = {symbol.get_name() for symbol in symbols if symbol.is_referenced()} | {*_globals(table)}
        yield Statement(node, file, frozenset(binds), frozenset(uses))


def _globals(table: symtable.SymbolTable) -> Iterable[str]:
    for inner in table.get_children():
        yield from (symbol.get_name() for symbol in inner.get_symbols() if symbol.is_global())
        yield from _globals(inner)


def _parses(text: str) -> bool:
    try:
        compile(text, "<cell>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
