"""Markdown and cells to HTML: formulas as MathML, pictures embedded, links from source to page."""

import re
from base64 import b64encode
from collections import Counter
from html import escape
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import unquote

import nbformat
from formulas import mathml
from lessons import Picture, pictures
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

CHINESE = re.compile(r"[\u4e00-\u9fff]+(?:[\u3000-\u303f\uff00-\uffef]+[\u4e00-\u9fff]+)*")


class Renderer(IPythonRenderer):
    """One page.

    Parameters
    ----------
    source : Path
        The page's Markdown file or notebook: links and pictures are relative to it.
    addresses : dict of Path to str
        Where the page of each source is found. A link to any other file is drawn as plain text: readers of the pages do not
        have it.
    """

    def __init__(self, source: Path, addresses: dict[Path, str]) -> None:
        super().__init__(escape=False)
        self.source, self.addresses = source, addresses
        self.anchors: Counter[str] = Counter()

    def markdown(self, text: str) -> str:
        """Return Markdown as HTML."""
        return MarkdownWithMath(self).render(text)

    def cell(self, cell: nbformat.NotebookNode) -> str:
        """Return a code cell's outputs, or a Markdown cell, as HTML."""
        if cell.cell_type == "markdown":
            return self.markdown(cell.source)
        return "".join(map(figure, pictures(cell))) + printed(cell)

    def text(self, text: str) -> str:
        """Mark Chinese words, for fonts and screen readers."""
        return CHINESE.sub(r'<span lang="zh-Hans">\g<0></span>', super().text(text))

    def inline_math(self, body: str) -> str:
        """Return a formula in a line."""
        return mathml(body)

    def block_math(self, body: str) -> str:
        """Return a formula on its own line."""
        return mathml(body, block=True)

    def heading(self, text: str, level: int, **attrs: object) -> str:
        """Return a heading that can be linked to; equal headings are counted."""
        name = anchor(re.sub("<[^>]*>", "", text))
        self.anchors[name] += 1
        name += f"-{self.anchors[name] - 1}" if self.anchors[name] > 1 else ""
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Return a link to the page of a source, to a place in it, or out into the world."""
        if re.match(r"[a-z]+:", url):
            return str(super().link(text, url, title))
        path, _, place = url.partition("#")
        target = self.addresses.get((self.source.parent / path).resolve()) if path else ""
        if target is None:
            return text
        return f'<a href="{target}{"#" if place else ""}{anchor(place)}">{text}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """Return a picture with its bytes in the page."""
        return _embedded((self.source.parent / url).read_bytes(), guess_type(url)[0] or "image/png", text)


def anchor(heading: str) -> str:
    """Return a heading's name in addresses, as GitHub forms it; JupyterLab's form gives the same.

    Examples
    --------
    >>> anchor("Who is in the batch?"), anchor("Who-is-in-the-batch%3F")
    ('who-is-in-the-batch', 'who-is-in-the-batch')
    """
    return re.sub(r"[^\w\- ]", "", unquote(heading).lower()).replace(" ", "-")


def figure(picture: Picture) -> str:
    """Return a picture as HTML."""
    return f"<figure>{_embedded(picture.png, 'image/png', picture.alt, picture.width)}</figure>\n"


def printed(cell: nbformat.NotebookNode) -> str:
    """Return what a cell printed, or returned without a picture, as HTML."""
    text = ""
    for output in cell.get("outputs", ()):
        if output.output_type == "stream":
            text += output.text
        elif output.output_type == "error":
            text += f"{output.ename}: {output.evalue}\n"
        elif "image/png" not in output.data:
            text += output.data.get("text/plain", "") + "\n"
    return f'<pre class="printed">{escape(text.rstrip())}</pre>\n' if text.strip() else ""


def _embedded(data: bytes, kind: str, alt: str, width: int | None = None) -> str:
    size = f' width="{width}"' if width else ""
    return f'<img src="data:{kind};base64,{b64encode(data).decode()}" alt="{escape(alt)}"{size}>'
