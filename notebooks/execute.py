"""Run notebooks from the first cell to the last and save them with their outputs, the same bytes each time.

    python notebooks/execute.py                      all notebooks of this folder
    python notebooks/execute.py --check NOTEBOOK     report what would change, write nothing
    python notebooks/execute.py --timing PAGE        all, and a page with a table of what each took

Nothing of the moment is saved: no timestamps, no random widget ids, no widget state (each widget of the kit carries
a still picture), no version of Python. The exception are cells tagged ``timing``, whose outputs ``--check`` passes
over. A notebook that fails is left as it was. The exit status is 1 where a notebook failed, differs, or took longer
than a reader should wait. The metadata by which nbgrader knows exercises and their checks are written, too.
"""

import argparse
import copy
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

from privlab.classroom.release import mark

WIDGET = "application/vnd.jupyter.widget-view+json"
SECONDS_A_CELL, SECONDS_A_NOTEBOOK = 10, 60
TIMING = """# How long the lessons take

Seconds to run each lesson whole, and its slowest cell, on a machine with {cores} cores, as `make notebooks` measured them. A lesson
may take {notebook} s and a cell {cell} s; a lesson with its outputs may weigh 1,000 kB.

| lesson | cells | seconds | slowest cell | kB |
|---|--:|--:|--:|--:|
{rows}
| **all** | {cells} | {seconds:.0f} | {slowest:.1f} | {size} |
"""
# Encrypt the talk with the kernel where both ends can, and do not warn where they cannot.
KERNEL = Config(KernelManager={"transport_encryption": "auto"})


class Stopwatch(dict[int, float]):
    """Seconds that each cell took, by the cell's index."""

    def start(self, cell: nbformat.NotebookNode, cell_index: int) -> None:
        self[cell_index] = -time.perf_counter()

    def stop(self, cell: nbformat.NotebookNode, cell_index: int, execute_reply: dict) -> None:
        self[cell_index] += time.perf_counter()

    def complaints(self) -> Iterator[str]:
        for index, seconds in self.items():
            if seconds > SECONDS_A_CELL:
                yield f"cell {index} took {seconds:.0f} s, more than {SECONDS_A_CELL}"
        if sum(self.values()) > SECONDS_A_NOTEBOOK:
            yield f"took {sum(self.values()):.0f} s, more than {SECONDS_A_NOTEBOOK}"


def executed(notebook: nbformat.NotebookNode, folder: Path) -> tuple[nbformat.NotebookNode, Stopwatch]:
    """Return a copy of the notebook as a new kernel leaves it, and how long each cell took."""
    notebook, stopwatch = copy.deepcopy(notebook), Stopwatch()
    client = NotebookClient(
        notebook,
        config=KERNEL,
        timeout=10 * SECONDS_A_NOTEBOOK,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        on_cell_execute=stopwatch.start,
        on_cell_executed=stopwatch.stop,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return notebook, stopwatch


def normalised(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a copy without anything that another run, person or machine would change."""
    notebook = copy.deepcopy(notebook)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"},
            "language_info": {"name": "python"},
        }
    )
    widgets: dict[str, str] = {}
    for number, cell in enumerate(notebook.cells):
        cell.setdefault("id", f"cell-{number:02d}")
        for name in ("execution", "collapsed", "scrolled", "trusted", "ExecuteTime"):
            cell.metadata.pop(name, None)
        for output in cell.get("outputs", []):
            if view := output.get("data", {}).get(WIDGET):
                view["model_id"] = widgets.setdefault(view["model_id"], f"{len(widgets) + 1:032x}")
    return notebook


def comparable(notebook: nbformat.NotebookNode) -> str:
    """Return the notebook's text without the outputs of cells tagged ``timing``."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "timing" in cell.metadata.get("tags", []):
            cell.outputs = []
    return nbformat.writes(notebook)


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Replace the file in one step, so that a stopped run leaves the old notebook."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def page(took: dict[Path, Stopwatch]) -> str:
    """Return the page with the timing table."""
    rows = [
        (path, len(watch), sum(watch.values()), max(watch.values()), path.stat().st_size // 1000)
        for path, watch in took.items()
    ]
    _, cells, seconds, slowest, size = zip(*rows, strict=True)
    return TIMING.format(
        cores=os.cpu_count(),
        notebook=SECONDS_A_NOTEBOOK,
        cell=SECONDS_A_CELL,
        rows="\n".join(
            f"| [{path.stem}](../notebooks/{path.name}) | {count} | {total:.1f} | {most:.1f} | {kilobytes} |"
            for path, count, total, most, kilobytes in rows
        ),
        **{"cells": sum(cells), "seconds": sum(seconds), "slowest": max(slowest), "size": sum(size)},
    )


def refresh(path: Path, stopwatches: dict[Path, Stopwatch], *, check: bool) -> list[str]:
    """Execute one notebook, and write it unless ``check``; return what is wrong with it, and keep how long it took."""
    saved = nbformat.read(path, as_version=4)
    try:
        run, stopwatch = executed(saved, path.parent)
    except CellExecutionError as error:
        return [f"failed: {error}"]
    result, complaints = normalised(mark(run, path.name[:2])), [*stopwatch.complaints()]
    if not check:
        write(result, path)
    elif comparable(result) != comparable(saved):
        differing = [i for i, (a, b) in enumerate(zip(saved.cells, result.cells, strict=True)) if a != b]
        complaints.append(f"differs from its execution in the cells {differing} or in the metadata")
    print(f"{path.name}: {sum(stopwatch.values()):.1f} s", flush=True)
    stopwatches[path] = stopwatch
    return complaints


def main() -> int:
    """Handle the command line and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="report what would change, write nothing")
    parser.add_argument("--timing", type=Path, metavar="PAGE", help="write a table of what each took")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of this folder")
    arguments = parser.parse_args()
    stopwatches: dict[Path, Stopwatch] = {}
    faults = [
        f"{path.name} {fault}"
        for path in arguments.notebooks or sorted(Path(__file__).parent.glob("*.ipynb"))
        for fault in refresh(path, stopwatches, check=arguments.check)
    ]
    if arguments.timing and stopwatches:
        arguments.timing.write_text(page(stopwatches), encoding="utf-8")
    print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
