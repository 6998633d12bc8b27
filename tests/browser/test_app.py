"""``make app``: the dashboard as a page of Voila, without code and without a network.

Skips where voila is not installed, except where ``PRIVLAB_REQUIRE_APP=1``.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from browser.conftest import free_port, serving
from browser.pages import Visit

ROOT = Path(__file__).parents[2]
VOILA = Path(sys.executable).with_name("voila")
REQUIRED = os.environ.get("PRIVLAB_REQUIRE_APP") == "1"
IDLE = 15  # seconds until a kernel ends, here; above what a kernel needs to start on a busy machine
# Voila brings parts of JupyterLab 4.2, the extensions of the environment ask for those of a newer one, and go along.
OF_VOILA = re.compile(r"warning: (Unsatisfied version \S+ from _JUPYTERLAB|No satisfying version)")


def command(port: int, home: Path) -> list[str]:
    """What ``make app`` runs, on another port, without opening a browser, and with less patience."""
    printed = subprocess.run(["make", "--dry-run", "app"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (made,) = re.findall(r"^(JUPYTER_PATH=.*)$", printed.replace("\\\n", ""), re.MULTILINE)
    setting, _, *rest = shlex.split(re.sub(r"cull_interval=\d+", "cull_interval=1", made))
    rest = [re.sub(r"cull_idle_timeout=\d+", f"cull_idle_timeout={IDLE}", part) for part in rest]
    own = [f"--port={port}", "--no-browser", f"--Voila.connection_dir_root={home}"]
    return ["env", setting, str(VOILA), *rest, *own]


@pytest.fixture(scope="module")
def app(browser, tmp_path_factory):
    """The page with its panels, and the folder in which each living kernel has a file."""
    if not VOILA.exists():
        (pytest.fail if REQUIRED else pytest.skip)("voila is not installed: make app, once")
    home, port = tmp_path_factory.mktemp("app"), free_port()
    with serving(command(port, home), port, home):
        visit = Visit(browser)
        visit.page.goto(f"http://127.0.0.1:{port}/", wait_until="domcontentloaded")
        visit.page.locator("img.privlab-picture").nth(2).wait_for()
        yield visit, home


def test_the_page_has_a_title_and_no_code(app):
    page = app[0].page
    assert page.title() == page.locator("h1").inner_text().strip("¶") == "Leakage versus accuracy"
    assert page.locator(".jp-InputArea-editor").count() == 0
    assert "import" not in page.locator("#rendered_cells").inner_text()


def test_the_pictures_follow(app):
    for panel in app[0].panels():
        for slider in panel.sliders.all():
            panel.follows(lambda panel=panel, slider=slider: panel.step(slider))
        for dropdown in panel.root.locator("select").all():
            panel.follows(lambda panel=panel, dropdown=dropdown: panel.press(dropdown, "End"))


def test_the_page_asks_no_other_machine_and_does_not_complain(app):
    assert [complaint for complaint in app[0].complaints if not OF_VOILA.match(complaint)] == []


def test_the_kernel_ends_after_the_page_is_closed(app):
    visit, home = app
    assert len([*home.glob("voila_*/kernel-*.json")]) == 1
    visit.page.close()
    deadline = time.monotonic() + 3 * IDLE
    while [*home.glob("voila_*/kernel-*.json")]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
