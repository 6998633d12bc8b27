"""Formulas: MathML that browsers draw as TeX would, and a font that has all letters of it."""

import re
from base64 import b64decode
from html import unescape
from io import BytesIO

import pytest
from fontTools.ttLib import TTFont
from formulas import font_face, mathml
from lessons import NOTEBOOKS, Lesson
from rendering import Renderer


@pytest.mark.parametrize(
    ("latex", "part"),
    [
        (r"\mathcal L", "<mi>&#x2112;</mi>"),
        (r"\mathsf{T}", "<mi>&#x1D5B3;</mi>"),
        (r"\Delta", '<mi mathvariant="normal">&#x00394;</mi>'),
        (r"D \sim D'", "<mo>&#x0223C;</mo>"),
        ("D'", '<mi>D</mi><mo lspace="0" rspace="0">&#x02032;</mo>'),
        ("S'_k", '<msub><mrow><mi>S</mi><mo lspace="0" rspace="0">&#x02032;</mo></mrow><mi>k</mi></msub>'),
        (r"\log p", '<mo lspace="0.1em" rspace="0.1em">log</mo><mi>p</mi>'),
        (r"a < b", "&#x0003C;"),
        (r"\overline{ab}", "&#x0203E;"),
    ],
)
def test_corrections(latex, part):
    assert part in mathml(latex)


def test_a_formula_on_its_own_line_says_so():
    assert 'display="block"' in mathml("x", block=True)
    assert 'display="inline"' in mathml("x")


def letters(css: str) -> set[str]:
    data = re.findall(r"base64,([^)]*)", css)[0]
    return {*map(chr, TTFont(BytesIO(b64decode(data))).getBestCmap())}


def test_the_font_has_every_letter_of_the_course():
    html = "".join(
        Renderer(path, {}).cell(cell)
        for path in NOTEBOOKS
        for cell in Lesson(path).cells
        if cell.cell_type == "markdown"
    )
    formulas = "".join(re.findall(r"<math.*?</math>", html, re.DOTALL))
    drawn = {*unescape(re.sub("<[^>]*>", "", formulas))} - {" ", "\n"}
    assert len(drawn) > 50
    assert drawn <= letters(font_face(html))


def test_the_font_has_what_browsers_draw_and_little_else():
    css = font_face(mathml(r"\sqrt{x}"))
    assert {"√", "x", "\N{MATHEMATICAL ITALIC SMALL X}", "\N{PLANCK CONSTANT}"} <= letters(css)
    assert "∑" not in letters(css)
    assert len(css) < 100_000
    assert css == font_face(mathml(r"\sqrt{x}"))
