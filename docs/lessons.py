"""What the offline pages, the slides and the gallery read from a lesson: its cells, title, question and pictures."""

import re
from base64 import b64decode
from functools import cached_property
from pathlib import Path
from struct import unpack
from typing import NamedTuple

import nbformat

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


class Picture(NamedTuple):
    """A picture of a cell's output, with the text that stands for it where it cannot be seen."""

    png: bytes
    alt: str
    width: int | None  # in the page, in CSS pixels

    @property
    def aspect(self) -> float:
        """Width over height."""
        width, height = unpack(">II", self.png[16:24])
        return width / height


class Lesson:
    """A notebook.

    Parameters
    ----------
    path : Path
        The notebook's file, ``NN_name.ipynb``.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.number = path, path.name[:2]

    @cached_property
    def cells(self) -> list[nbformat.NotebookNode]:
        """The cells, in order."""
        return nbformat.read(self.path, as_version=4).cells

    @property
    def title(self) -> str:
        """The only level-1 heading."""
        return re.findall(r"^# (.*)", self.cells[0].source)[0]

    @property
    def question(self) -> str:
        """The question that the first cell ends with."""
        return " ".join(self.cells[0].source.split("\n\n")[-1].split())


def tags(cell: nbformat.NotebookNode) -> set[str]:
    """Return the tags of a cell, by which authors mark its part in the lesson."""
    return set(cell.metadata.get("tags", ()))


def pictures(cell: nbformat.NotebookNode) -> list[Picture]:
    """Return the pictures in a cell's outputs.

    Raises
    ------
    ValueError
        If a picture has no alternative text.
    """
    found = []
    for output in cell.get("outputs", ()):
        if png := output.get("data", {}).get("image/png"):
            about = output.metadata.get("image/png", {})
            if not about.get("alt"):
                raise ValueError(f"cell {cell.id} has a picture without alternative text")
            found.append(Picture(b64decode(png), about["alt"], about.get("width")))
    return found
