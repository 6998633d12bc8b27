"""What a talk shows of a lesson: title, threats, predictions, definitions, pictures, attacks, limits, summary; no code.

Which part of the lesson a cell is, its tags say. Of all other text, each heading comes with its first paragraph.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import nbformat
from lessons import Picture, pictures, tags
from nbformat.v4 import new_markdown_cell
from rendering import Renderer, figure, printed

WHOLE = {"threats", "predict", "limits"}
SIZES = ((950, "smallest"), (720, "smaller"), (480, "small"), (0, ""))  # from so many characters on
TABLE_ROW = 40  # characters that a row's empty space is worth


class Slide(NamedTuple):
    """What a slide shows, as HTML, and how it is laid out: a class of the style sheet."""

    html: str
    kind: str = ""


def slides(cells: list[nbformat.NotebookNode], renderer: Renderer) -> Iterator[Slide]:
    """Yield a lesson's slides."""
    yield Slide(renderer.markdown(cells[0].source), "title")
    for cell, after in pairwise([*cells[1:], new_markdown_cell()]):
        if cell.cell_type == "markdown":
            for text in texts(cell):
                yield Slide(renderer.markdown(text), _size(text))
            continue
        shown = pictures(cell)
        for picture in shown:
            words = renderer.markdown(caption(after) or picture.alt)
            words += '<p class="note">In JupyterLab this picture has controls.</p>' if "widget" in tags(cell) else ""
            yield Slide(figure(picture) + f'<div class="caption">{words}</div>', _layout(picture))
        if "attack" in tags(cell) and not shown and (words := caption(after)):
            yield Slide(f'{printed(cell)}<div class="caption">{renderer.markdown(words)}</div>')


def texts(cell: nbformat.NotebookNode) -> Iterator[str]:
    """Yield the Markdown of a text cell's slides."""
    source, part = without_hints(cell.source), tags(cell)
    if WHOLE & part:
        yield source
    elif "summary" in part:
        if summary := re.split(r"^(?:\*\*|#+ )(?:Notation|Sources)", source, maxsplit=1, flags=re.MULTILINE)[0].strip():
            yield summary
    else:
        blocks = [*re.split(r"\n\s*\n", source), "", ""]
        for heading, first, second in zip(blocks, blocks[1:], blocks[2:], strict=False):
            if re.match(r"##+ ", heading):
                paragraph = "" if first.startswith(("#", ">", "```")) else first
                said = (
                    f"{paragraph}\n\n{second}" if second.startswith(("$$", "- ", "1. ")) else whole_sentences(paragraph)
                )
                yield f"{heading}\n\n{said}"
        if "definition" in part:
            yield "\n".join(re.findall(r"^>.*", source, re.MULTILINE))


def caption(cell: nbformat.NotebookNode) -> str:
    """Return the first paragraph of the text after an output: what it shows."""
    text = without_hints(cell.source) if cell.cell_type == "markdown" else ""
    return "" if text.startswith(("#", ">")) else whole_sentences(text.split("\n\n")[0])


def without_hints(source: str) -> str:
    """Return Markdown without what opens only on a click."""
    return re.sub(r"<details>.*?</details>", "", source, flags=re.DOTALL).strip()


def whole_sentences(paragraph: str) -> str:
    """Return a paragraph without a last sentence that only leads over to the code below it.

    Examples
    --------
    >>> whole_sentences("Pages differ. Look at them one by one:")
    'Pages differ.'
    """
    sentences = re.split(r"(?<=[.?!])\s+", paragraph)
    return paragraph if len(sentences) == 1 or not paragraph.endswith(":") else " ".join(sentences[:-1])


def _layout(picture: Picture) -> str:
    return "beside" if picture.aspect < 1.55 else "above"


def _size(text: str) -> str:
    room = len(text) + TABLE_ROW * text.count("\n|")
    return next(name for least, name in SIZES if room >= least)
