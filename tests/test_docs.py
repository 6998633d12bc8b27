"""Links, anchors, glossary and teachers' guide: nothing points at what is not there, and every lesson is covered."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from privlab.classroom import exercises

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
READMES = ROOT / "README.md", ROOT / "privlab" / "package_data" / "README.md"
PAGES = [*READMES, *sorted((ROOT / "docs").rglob("*.md")), *LESSONS]
GUIDE, GLOSSARY = ROOT / "docs" / "guide", ROOT / "docs" / "glossary.md"
REGISTRIES = {"pypi", "pythonhosted", "anaconda", "npmjs", "crates"}
LINK = re.compile(r"\]\(<?([^)\s>]+)|^\[[^\]]+\]:\s*(\S+)|\b(?:href|src)=[\"']([^\"']+)", re.MULTILINE)
ENTRY = re.compile(r"^### (?P<english>.+)\n\n\*\*(?P<chinese>.+?)\*\* (?P<rest>[\s\S]+?)(?=\n#|\Z)", re.MULTILINE)
FENCE = re.compile(r"^(```+)[\s\S]*?^\1", re.MULTILINE)
HAN = re.compile(r"[\u4e00-\u9fff]")
LESSON_LINK = re.compile(r"\(\.\./notebooks/(\d\d_\w+\.ipynb)[#)]")
TABLE = re.compile(r"(?:^\|.*\|$\n?){3,}", re.MULTILINE)


def text(path: Path) -> str:
    """Markdown of a page, or of a notebook's text cells."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def without_code(markdown: str) -> str:
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", markdown))


def anchors(markdown: str) -> set[str]:
    """What GitHub makes of the headings: marks and punctuation go, spaces become hyphens, repeats get a number."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+)$", FENCE.sub("", markdown), re.MULTILINE):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"(?<!\w)_+|_+(?!\w)", "", shown).lower()).strip().replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found | set(re.findall(r"<a (?:id|name)=[\"']([^\"']+)", markdown))


def links(path: Path) -> list[str]:
    return ["".join(groups) for groups in LINK.findall(without_code(text(path)))]


def dead_links(path: Path) -> Iterator[str]:
    root = ROOT if path.is_relative_to(ROOT) else path.parent
    for link in links(path):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link.startswith("attachment:"):
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.is_relative_to(root) or not target.exists():
            yield f"{path.name}: {link} is not there"
        elif parts.fragment and unquote(parts.fragment) not in anchors(text(target)):
            yield f"{path.name}: {link} names no heading of {target.name}"


def doubtful_addresses(path: Path) -> Iterator[str]:
    for address in [*links(path), *re.findall(r"\bhttps?://[^\s)>\"'`]+", without_code(text(path)))]:
        parts = urlsplit(address)
        if (parts.scheme or parts.netloc) and parts.scheme not in ("https", "attachment"):
            yield f"{path.name}: {address} is not https"
        if REGISTRIES & {*(parts.hostname or "").split(".")}:
            yield f"{path.name}: {address} is a package registry"


def glossary_faults(markdown: str, lessons: set[str]) -> Iterator[str]:
    entries = [match.groupdict() for match in ENTRY.finditer(markdown)]
    for heading in set(re.findall(r"^### (.+)", markdown, re.MULTILINE)) - {entry["english"] for entry in entries}:
        yield f"{heading} is no heading with **Chinese** and a definition under it"
    for entry in entries:
        name, linked = entry["english"], LESSON_LINK.findall(entry["rest"])
        if not re.search("[A-Za-z]", name) or not HAN.search(entry["chinese"]):
            yield f"{name} is not in English and Chinese"
        if len(re.sub(r"\[\d\d\]\([^)]*\)", "", entry["rest"]).split()) < 10:
            yield f"{name} has no definition"
        if not linked or not lessons.issuperset(linked):
            yield f"{name} links no lesson, or one that is not there"
    for part in ("english", "chinese"):
        counts = Counter(entry[part].casefold() for entry in entries)
        yield from (f"{term} comes twice" for term, count in counts.items() if count > 1)
    yield from (f"{name} is taught by no term" for name in sorted(lessons - {*LESSON_LINK.findall(markdown)}))
    symbols = re.findall(r"^\| (?!symbol).*", markdown.partition("## Symbols")[2], re.MULTILINE)
    yield from (f"no lesson for the symbol {row}" for row in symbols if not LESSON_LINK.search(row))


def untold(lesson: str, code: str, guide: str) -> Iterator[str]:
    """Exercises of the lesson and predictions in its code that its guide page does not name."""
    wanted = {each.id for each in exercises(lesson)} | {*re.findall(r'predict\("(\d\d\.q\d)"', code)}
    yield from sorted(wanted - {*re.findall(r"\b\d\d\.(?:q\d|[a-z])\b", guide)})


def wrong_sums(markdown: str) -> Iterator[str]:
    """In tables with a row for the total, each column of minutes or points adds up to it."""
    for table in TABLE.findall(markdown):
        rows = [[cell.strip(" *") for cell in row.strip().strip("|").split("|")] for row in table.strip().splitlines()]
        for column in [i for i, head in enumerate(rows[0]) if head in ("minutes", "points") and "Total" in rows[-1]]:
            total, stated = sum(int(row[column]) for row in rows[2:-1]), int(rows[-1][column])
            if total != stated:
                yield f"{rows[0][column]} add up to {total}, not {stated}"


def overlong(markdown: str, stated: dict[str, int]) -> Iterator[str]:
    """Rows of tables that give lessons more minutes than these take."""
    for row in re.findall(r"^\| (?:\d+ \| )?\d+ \|.*\[\d\d\]\(.*", markdown, re.MULTILINE):
        minutes = re.match(r"\| (?:\d+ \| )?(\d+) ", row)[1]
        if int(minutes) > sum(stated[lesson] for lesson in set(re.findall(r"\[(\d\d)\]\(", row))):
            yield f"too many minutes: {row}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links(path):
    assert not [*dead_links(path), *doubtful_addresses(path)]


def test_the_glossary():
    assert not list(glossary_faults(text(GLOSSARY), {path.name for path in LESSONS}))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_guide_names_every_exercise_and_prediction(path):
    page = GUIDE / f"{path.stem}.md"
    assert page.exists()
    code = "".join("".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])
    assert not list(untold(path.name[:2], code, text(page)))


def test_the_front_page_of_the_guide():
    page = text(GUIDE / "README.md")
    minutes = {path.name[:2]: int(re.search(r"(\d+) minutes", text(path))[1]) for path in LESSONS}
    assert not [*wrong_sums(page), *overlong(page, minutes)]
    assert set(re.findall(r"^\| \*\*(\d+)\*\* \| \*\*Total", page, re.MULTILINE)) == {"90", "480"}
    assert set(re.findall(r"\b\d\d\.[a-z]\b", page)) == {each.id for each in exercises()}
    assert {f"{path.stem}.md" for path in LESSONS} <= set(links(GUIDE / "README.md"))


FINE = "### Noise\n\n**噪声** Random numbers that are added so that nobody can tell [05](../notebooks/05_a.ipynb)\n"
ONE = {"05_a.ipynb"}
BREAKAGES: list[tuple[Callable[[Path], object], str]] = [
    (dead_links, "[a](gone.md)"),
    (dead_links, "![a picture](gone.png)"),
    (dead_links, '<img src="gone.png">'),
    (dead_links, "[a][b]\n\n[b]: gone.md"),
    (dead_links, "# Here\n\n[a](#there)"),
    (dead_links, "# Here\n\n[a](page.md#Here)"),
    (dead_links, "```\n# in code\n```\n\n[a](#in-code)"),
    (dead_links, "[a](..)"),
    (doubtful_addresses, "[a](http://example.org)"),
    (doubtful_addresses, "[a](//example.org)"),
    (doubtful_addresses, f"see https://test.{min(REGISTRIES)}.org/simple"),
    (lambda path: glossary_faults(text(path), ONE), FINE.replace("噪声", "noise")),
    (lambda path: glossary_faults(text(path), ONE), FINE.replace("**", "")),
    (lambda path: glossary_faults(text(path), ONE), FINE.replace("numbers that are added so that", "")),
    (lambda path: glossary_faults(text(path), ONE), FINE.replace("(../notebooks/05_a.ipynb)", "")),
    (lambda path: glossary_faults(text(path), ONE), FINE + "\n" + FINE.replace("噪声", "杂音")),
    (lambda path: glossary_faults(text(path), ONE), FINE + "\n## Symbols\n\n| ε | limit | |\n"),
    (lambda path: glossary_faults(text(path), {"06_b.ipynb"}), FINE),
    (lambda path: glossary_faults(text(path), ONE | {"06_b.ipynb"}), FINE),
    (lambda path: untold("05", 'predict("05.q1", 1, 2)', text(path)), "05.a, 05.b"),
    (lambda path: untold("05", "", text(path)), "05.a and 04.b"),
    (lambda path: wrong_sums(text(path)), "| minutes | for |\n|---|---|\n| 5 | a |\n| **9** | **Total** |\n"),
    (lambda path: overlong(text(path), {"05": 75, "06": 75}), "| 80 | [05](05.ipynb), as in [05](05.ipynb) |"),
]


@pytest.mark.parametrize(("rule", "page"), BREAKAGES)
def test_each_rule_can_fail(rule, page, tmp_path):
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    assert list(rule(tmp_path / "page.md"))


def test_what_is_fine_passes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b`: c_d, ε?\n\n# A\n\n# A\n\n[1](#a-b-c_d-ε) [2](page.md#a-1) [3](https://example.org)", "utf-8"
    )
    assert not [*dead_links(page), *doubtful_addresses(page), *glossary_faults(FINE, ONE)]
    assert not [
        *untold("05", 'predict("05.q1", 1, 2)', "05.a 05.b 05.q1"),
        *overlong("| 1 | 75 | [05](a) |", {"05": 75}),
    ]
