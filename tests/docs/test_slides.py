"""Which cells make a slide, and what of them it shows."""

import re
from base64 import b64encode
from struct import pack

import nbformat
import pytest
from lessons import NOTEBOOKS, ROOT, Lesson
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from rendering import Renderer
from slides import Slide, caption, slides, whole_sentences

HINT = "\n\n<details><summary>Hint</summary>\n\nsecret\n\n</details>"


def text(source: str, *tags: str) -> nbformat.NotebookNode:
    return new_markdown_cell(source, metadata={"tags": [*tags]})


def code(*outputs: nbformat.NotebookNode, tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    return new_code_cell("hidden = 1", outputs=[*outputs], metadata={"tags": [*tags]})


def picture(width: int = 800, height: int = 400, alt: str = "falls") -> nbformat.NotebookNode:
    png = b"\x89PNG\r\n\x1a\n" + pack(">I4sII", 13, b"IHDR", width, height)
    metadata = {"image/png": {"alt": alt}} if alt else {}
    return new_output("display_data", data={"image/png": b64encode(png).decode()}, metadata=metadata)


def printed(said: str) -> nbformat.NotebookNode:
    return new_output("stream", name="stdout", text=said)


def made(*cells: nbformat.NotebookNode) -> list[Slide]:
    return [*slides([text("# Title\n\nWhy?"), *cells], Renderer(ROOT / "README.md", {}))]


def test_the_title_comes_first():
    assert made() == [Slide('<h1 id="title">Title</h1>\n<p>Why?</p>\n', "title")]


@pytest.mark.parametrize("tag", ["threats", "predict", "limits"])
def test_some_parts_are_shown_whole_but_for_hints(tag):
    (_, slide) = made(text(f"## Heading\n\nFirst.\n\nSecond.{HINT}", tag))
    assert "Heading" in slide.html
    assert "Second" in slide.html
    assert "secret" not in slide.html


def test_of_other_text_each_heading_comes_with_its_first_paragraph():
    cell = text(
        "Before.\n\n## One\n\nFirst. Look at the code:\n\nMore.\n\n## Two\n\nIt is\n\n$$x$$\n\n## Three\n\nDo:\n\n- this"
    )
    (_, one, two, three) = made(cell, text("No heading."))
    assert re.sub("<[^>]*>", "", one.html).split() == ["One", "First."]
    assert "<math" in two.html
    assert "It is" in two.html
    assert re.sub("<[^>]*>", "", three.html).split() == ["Three", "Do:", "this"]


def test_of_a_definition_the_quote_is_shown():
    (_, slide) = made(text("Before.\n\n> **Definition.** $x$\n>\n> end\n\nAfter.", "definition"))
    assert "Definition" in slide.html
    assert "end" in slide.html
    assert "Before" not in slide.html
    assert "After" not in slide.html


def test_the_summary_ends_before_notation_and_sources():
    parts = (
        text("## Summary\n\nShort.\n\n**Notation**\n\n| a | b |\n|---|---|", "summary"),
        text("## Sources", "summary"),
    )
    (_, slide) = made(*parts)
    assert "Short" in slide.html
    assert "Notation" not in slide.html


def test_a_picture_is_shown_with_the_text_after_it_and_without_code():
    (_, wide, square) = made(code(picture()), text(f"It falls. Why:{HINT}"), code(picture(500, 400), tags=("widget",)))
    assert wide.kind == "above"
    assert "<p>It falls.</p>" in wide.html
    assert square.kind == "beside"
    assert "<p>falls</p>" in square.html
    assert "controls" in square.html
    assert "hidden" not in wide.html + square.html


def test_of_printed_text_only_an_attack_that_is_explained_is_shown():
    attack = code(printed("16 of 16"), tags=("attack",))
    (_, slide) = made(code(printed("a")), text("Said."), attack, text("All found."), attack, text("## Next"))[:2]
    assert "16 of 16" in slide.html
    assert "All found" in slide.html


def test_longer_text_is_smaller():
    kinds = [made(text("## Heading\n\n" + "word " * count, "limits"))[1].kind for count in (20, 110, 160, 250)]
    assert kinds == ["", "small", "smaller", "smallest"]
    assert made(text("| a | b |\n|---|---|\n" + "| word | word |\n" * 10, "threats"))[1].kind == "small"


@pytest.mark.parametrize(
    ("paragraph", "kept"),
    [
        ("One. Two:", "One."),
        ("Use `a.b` twice. Then `c.d` once:", "Use `a.b` twice."),
        ("Only this:", "Only this:"),
        ("One. Two.", "One. Two."),
    ],
)
def test_a_sentence_that_leads_over_to_code_is_left_out(paragraph, kept):
    assert whole_sentences(paragraph) == kept


def test_no_caption_comes_from_a_heading_a_quote_or_code():
    assert [caption(cell) for cell in (code(), text("## A"), text("> **Definition**"), text(HINT))] == [""] * 4


def test_a_picture_without_a_description_is_refused():
    with pytest.raises(ValueError, match="without alternative text"):
        made(code(picture(alt="")))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name[:2])
def test_each_lesson_is_a_talk(path):
    deck = [*slides(Lesson(path).cells, Renderer(path, {}))]
    assert 12 <= len(deck) <= 40
    assert sum("<figure>" in slide.html for slide in deck) >= 2
    assert sum("<blockquote>" in slide.html for slide in deck) >= 1
