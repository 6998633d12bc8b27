"""The pages and the slides, opened from their files without a network: nothing is asked for, formulas and pictures are drawn,
and no slide is higher than the screen."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
NAMES = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
DRAWN = """() => [...document.querySelectorAll('math, img')].filter(e => {
  const box = e.getBoundingClientRect();
  return !e.closest('details:not([open])') && !(box.width > 2 && box.height > 5 && (e.complete ?? true));
}).map(e => e.outerHTML.slice(0, 200))"""
# A slide's parts must end above its foot, within its sides, and below its top.
OVERFLOWING = """() => [...document.querySelectorAll('section')].filter(slide => {
  const foot = slide.querySelector('footer').getBoundingClientRect(), room = slide.getBoundingClientRect();
  return [...slide.querySelectorAll('.body *')].map(e => e.getBoundingClientRect()).some(box => box.height > 0 &&
    (box.bottom > foot.top + 1 || box.top < room.top - 1 || box.right > room.right + 1 || box.left < room.left - 1));
}).map(slide => slide.id + ': ' + slide.innerText.slice(0, 60))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, ROOT / "docs" / "pages.py", "--out", out], check=True)
    return out


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without a network, of which nothing may be complained at the end of the test."""
    complaints = []
    context = browser.new_context(viewport={"width": 1280, "height": 720}, offline=True)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    page.on("request", lambda request: complaints.append(request.url) if is_foreign(request.url) else None)
    yield page
    context.close()
    assert complaints == []


def is_foreign(address: str) -> bool:
    return not address.startswith(("file:", "data:"))


@pytest.mark.parametrize("name", NAMES)
def test_slides_fit_the_screen(name, site, page):
    page.goto((site / "slides" / f"{name}.html").as_uri())
    assert page.evaluate(OVERFLOWING) == []
    assert page.evaluate(DRAWN) == []
    assert min(page.evaluate("() => [...document.images].map(e => e.clientHeight)")) > 250


def test_a_slide_that_does_not_fit_is_seen(site, page):
    page.goto((site / "slides" / f"{NAMES[0]}.html").as_uri())
    page.locator("section .body").nth(2).evaluate("body => { body.innerHTML += '<p>more</p>'.repeat(40); }")
    assert [found.split(":")[0] for found in page.evaluate(OVERFLOWING)] == ["3"]


@pytest.mark.parametrize("name", [*NAMES, "index", "glossary", "gallery"])
def test_pages_are_drawn_and_fit_a_narrow_screen(name, site, page):
    page.goto((site / "pages" / f"{name}.html").as_uri())
    assert page.evaluate(DRAWN) == []
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 720})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_brackets_grow_with_what_they_hold(site, page):
    """They do so only where the embedded font has been taken."""
    page.goto((site / "pages" / f"{NAMES[8]}.html").as_uri())
    heights = page.locator("math mo").evaluate_all(
        "found => found.filter(e => '()'.includes(e.textContent)).map(e => e.getBoundingClientRect().height)"
    )
    assert max(heights) > 1.8 * min(heights) > 10


def test_keys_turn_the_slides(site, page):
    page.goto((site / "slides" / f"{NAMES[4]}.html").as_uri())
    for key, slide in (("Space", 2), ("PageDown", 3), ("ArrowDown", 4), ("ArrowUp", 3), ("Shift+Space", 2)):
        page.keyboard.press(key)
        page.wait_for_function(f"Math.abs(document.getElementById('{slide}').getBoundingClientRect().top) < 1")
        page.wait_for_timeout(300)  # a key that comes while the page still moves is lost


def test_each_slide_is_one_page_of_paper(site, page):
    page.goto((site / "slides" / f"{NAMES[4]}.html").as_uri())
    sheets = len(re.findall(rb"/Type /Page\b", page.pdf(prefer_css_page_size=True)))
    assert sheets == page.locator("section").count()


def test_from_the_index_to_a_lesson_its_slides_and_back(site, page):
    page.goto((site / "pages" / "index.html").as_uri())
    page.get_by_role("link", name="Noise masks", exact=True).first.click()
    page.get_by_role("link", name="Slides").click()
    page.get_by_role("link", name="04 Noise masks").first.click()
    page.get_by_role("link", name="Course").click()
    assert page.url == (site / "pages" / "index.html").as_uri()
