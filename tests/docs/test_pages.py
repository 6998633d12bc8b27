"""The whole course as HTML: complete, linked, described, and nothing in it comes from elsewhere."""

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lessons import NOTEBOOKS, ROOT, Lesson
from nbformat.v4 import new_markdown_cell
from pages import build, documents
from rendering import Renderer, anchor

QUOTED = {"pre", "code"}


class Reading(HTMLParser):
    """What a page loads, links to, names and says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = re.findall(r"url\(\s*[\"']?([^)]*)", html) + re.findall(r"@import.*", html)
        self.links: list[str] = []
        self.names: list[str] = []
        self.undescribed: list[str] = []
        self.said, self.inside = "", Counter()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.inside[tag] += 1
        self.loaded += [f"<{tag}>"] if tag in ("script", "link", "iframe", "object", "embed") else []
        self.loaded += [f"{name}=" for name in values if name.startswith("on") or name == "srcset"]
        self.loaded += [values["src"] or ""] if "src" in values else []
        self.undescribed += [tag] if tag == "img" and not (values.get("alt") or "").strip() else []
        self.links += [values["href"] or ""] if "href" in values else []
        self.names += [values["id"] or ""] if "id" in values else []

    def handle_endtag(self, tag: str) -> None:
        self.inside[tag] -= 1

    def handle_data(self, data: str) -> None:
        self.said += "" if any(self.inside[tag] > 0 for tag in QUOTED) else data

    @property
    def foreign(self) -> list[str]:
        return [address for address in self.loaded if not address.startswith("data:")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Every file that is built, and its text."""
    out = tmp_path_factory.mktemp("site")
    build(out, NOTEBOOKS)
    return {path: path.read_text(encoding="utf-8") for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def readings(site: dict[Path, str]) -> dict[Path, Reading]:
    return {path: Reading(html) for path, html in site.items()}


def test_every_lesson_has_a_page_and_slides(site):
    pages = {path.name for path in site if path.parent.name == "pages"}
    decks = {path.name for path in site if path.parent.name == "slides"}
    assert pages == {*documents().values()}
    assert decks == {f"{path.stem}.html" for path in NOTEBOOKS}
    assert {"index.html", "glossary.html", "gallery.html"} <= pages


def test_nothing_is_loaded_and_every_picture_is_described(readings):
    assert {path.name: found for path, page in readings.items() if (found := page.foreign)} == {}
    assert {path.name: found for path, page in readings.items() if (found := page.undescribed)} == {}


@pytest.mark.parametrize(
    "html",
    [
        '<script src="data:text/javascript,1"></script>',
        '<link rel="stylesheet" href="a.css">',
        '<img src="picture.png" alt="a">',
        '<style>@import "a.css";</style>',
        '<style>a { background: url("https://example.com/a.png") }</style>',
        '<p onclick="f()">a</p>',
    ],
)
def test_what_is_loaded_is_seen(html):
    assert Reading(html).foreign


def test_a_picture_without_a_description_is_seen():
    assert Reading('<img src="data:,a"><img src="data:,a" alt=" ">').undescribed == ["img", "img"]


def test_formulas_are_mathml(site, readings):
    for path in NOTEBOOKS:
        page = next(place for place in site if place.name == f"{path.stem}.html" and place.parent.name == "pages")
        text = "\n\n".join(cell.source for cell in Lesson(path).cells if cell.cell_type == "markdown")
        text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
        assert site[page].count("<math") == len(re.findall(r"\$\$.+?\$\$|\$.+?\$", text, re.DOTALL)) > 0
    assert {path.name for path, page in readings.items() if "$" in page.said or "\\" in page.said} == set()


def dangling(readings: dict[Path, Reading]) -> Iterator[str]:
    """Links to a file or a place that is not there."""
    for path, page in readings.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                continue
            target = (path.parent / parts.path).resolve() if parts.path else path
            if target not in readings or (parts.fragment and parts.fragment not in readings[target].names):
                yield f"{path.name}: {link}"


def test_links_lead_to_what_is_built(readings):
    assert [*dangling(readings)] == []
    index = next(page for path, page in readings.items() if path.name == "index.html")
    lessons = {f"{path.stem}.html" for path in NOTEBOOKS}
    assert {*index.links} >= lessons | {f"../slides/{name}" for name in lessons} | {"glossary.html", "gallery.html"}


@pytest.mark.parametrize("link", ["b.html", "a.html#nowhere", "#nowhere", "../notebooks/a.ipynb"])
def test_a_dangling_link_is_seen(link, tmp_path):
    readings = {tmp_path / "a.html": Reading(f'<h2 id="here">a</h2><a href="#here">a</a><a href="{link}">a</a>')}
    assert [*dangling(readings)] == [f"a.html: {link}"]


def test_names_are_unique(readings):
    for path, page in readings.items():
        assert [name for name, times in Counter(page.names).items() if times > 1] == [], path.name


def test_a_lesson_that_is_left_out_is_not_linked(tmp_path):
    build(tmp_path, NOTEBOOKS[5:6])
    assert [path.name for path in (tmp_path / "slides").iterdir()] == [f"{NOTEBOOKS[5].stem}.html"]
    readings = {path: Reading(path.read_text(encoding="utf-8")) for path in tmp_path.rglob("*.html")}
    assert [*dangling(readings)] == []


def test_solutions_are_folded(site):
    for path, html in site.items():
        open_text = re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)
        assert "SOLUTION" not in open_text, path.name
    assert any("BEGIN SOLUTION" in html for html in site.values())


def test_links_and_headings_of_a_source():
    source = ROOT / "docs" / "glossary.md"
    renderer = Renderer(source, {NOTEBOOKS[4]: "04.html", source: "glossary.html"})
    assert 'href="04.html#see-the-overlap"' in renderer.markdown(
        f"[a](../notebooks/{NOTEBOOKS[4].name}#See-the-overlap)"
    )
    assert 'href="glossary.html"' in renderer.markdown("[a](glossary.md)")
    assert 'href="#a-b"' in renderer.markdown("[a](#a-b)")
    assert 'href="https://example.com/"' in renderer.markdown("[a](https://example.com/)")
    assert "href" not in renderer.markdown("[a](../Makefile)")
    assert [re.findall('id="(.*?)"', renderer.markdown("## A *b*!")) for _ in range(2)] == [["a-b"], ["a-b-1"]]
    assert anchor("ε, δ and `code`") == "ε-δ-and-code"


def test_chinese_words_are_marked():
    words = Renderer(ROOT / "README.md", {}).cell(new_markdown_cell("noise (噪声, 隐私谜语) **加密**"))
    assert re.findall(r'<span lang="zh-Hans">(.*?)</span>', words) == ["噪声", "隐私谜语", "加密"]
