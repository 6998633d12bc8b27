"""Write the course as HTML that needs no network and no script: every lesson, its slides, the guide, the glossary, the gallery.

python docs/pages.py [--out FOLDER] [NOTEBOOK ...]
"""

import argparse
import re
from pathlib import Path

from formulas import font_face
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from lessons import NOTEBOOKS, ROOT, Lesson, tags
from pygments.formatters import HtmlFormatter
from rendering import Renderer
from slides import slides

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=True,
)
COLOURS = HtmlFormatter(style="sas").get_style_defs(".highlight")
FONT = "/* the font of the formulas */"  # chosen once all formulas are known


def documents() -> dict[Path, str]:
    """Return where each source's page goes: the lessons, and whatever Markdown lies in the documentation."""
    docs = ROOT / "docs"
    names = {path: f"{path.stem}.html" for path in [*NOTEBOOKS, *sorted(docs.glob("*.md"))]}
    names |= {path: f"guide_{path.stem}.html" for path in sorted((docs / "guide").glob("*.md"))}
    return {ROOT / "README.md": "index.html"} | names


def questions() -> dict[Path, str]:
    """Return the question of each lesson, from the course's table in the README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d\d \| \[.*?\]\((.*?)\) \| (.*?) \|$", readme, re.MULTILINE)
    return {ROOT / notebook: question for notebook, question in rows}


def title(path: Path) -> str:
    """Return a page's title: its level-1 heading."""
    if path.suffix == ".ipynb":
        return f"{path.name[:2]} {Lesson(path).title}"
    return re.findall(r"^# (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)[0]


def build(out: Path, notebooks: list[Path]) -> None:
    """Write the pages of the notebooks, their slides, the documents and the index.

    Parameters
    ----------
    out : Path
        The folder that gets the folders ``pages`` and ``slides``.
    notebooks : list of Path
        A link to a lesson that is not among them is drawn as plain text.
    """
    addresses = {path: name for path, name in documents().items() if path.suffix == ".md" or path in notebooks}
    from_slides = {path: f"../pages/{name}" for path, name in addresses.items()}
    links = {path: (name, title(path)) for path, name in addresses.items()}
    around = [None, *(links[path] for path in notebooks), None]
    written = {}
    for path, (name, heading) in links.items():
        page = {"title": heading, "name": name, "colours": COLOURS, "renderer": Renderer(path, addresses), "tags": tags}
        if path.suffix == ".ipynb":
            cells = Lesson(path).cells
            place = notebooks.index(path)
            page |= {"cells": cells, "before": around[place], "after": around[place + 2]}
            written[out / "pages" / name] = _filled("lesson.html", **page)
            page["sections"] = [*slides(cells, Renderer(path, from_slides))]
            written[out / "slides" / name] = _filled("slides.html", **page)
        elif path.name == "README.md":
            others = [link for source, link in links.items() if source.suffix == ".md" and source != path]
            rows = [(links[source], question) for source, question in questions().items() if source in links]
            written[out / "pages" / name] = _filled("index.html", **page, course=rows, others=others)
        else:
            text = path.read_text(encoding="utf-8")
            written[out / "pages" / name] = _filled("document.html", **page, text=text)
    face = font_face("".join(written.values()))
    for file, html in written.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(html.replace(FONT, face if "<math" in html else ""), encoding="utf-8")


def _filled(template: str, **values: object) -> str:
    return TEMPLATES.get_template(template).render(**values, font=FONT)


def main() -> None:
    """Handle the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="default: build")
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS, help="default: all lessons")
    arguments = parser.parse_args()
    build(arguments.out, [path.resolve() for path in arguments.notebooks])


if __name__ == "__main__":
    main()
