"""A reader's JupyterLab under Chromium, one lesson after the other, each opened and run once for all tests of it.

Needs Debian's ``chromium`` (or ``$CHROMIUM``) and skips without it, except where ``PRIVLAB_REQUIRE_BROWSER=1``.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, sync_playwright

from browser.pages import Visit

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
REQUIRED = os.environ.get("PRIVLAB_REQUIRE_BROWSER") == "1"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # no pop-up over the page
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight stay in the page
}

# Cells run only once the kernel is connected. The function returns plain data: a widget of Lab's would hang Playwright,
# and so would a promise that is never kept, hence the race.
RUN_ALL = """() => Promise.race([
  new Promise((_, reject) => setTimeout(() => reject(new Error('the notebook did not end in 120 s')), 120000)),
  (async () => {
    const app = window.jupyterapp;
    await app.restored;
    const panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    app.shell.activateById(panel.id);
    await app.commands.execute('notebook:run-all-cells');
    // Lab runs on after a cell that is meant to fail, but its promise ends there: wait for the last cell.
    const code = () => panel.content.widgets.map(cell => cell.model.toJSON()).filter(c => c.cell_type === 'code');
    const meant = code().some(c => (c.metadata.tags || []).includes('raises-exception'));
    while (meant && code().some(c => c.source.length && c.execution_count === null)) {
      await new Promise(resolve => setTimeout(resolve, 200));
    }
    const cells = code();
    const wrong = o => o.output_type === 'error' || o.name === 'stderr';
    return {
      skipped: cells.filter(c => c.source.length && c.execution_count === null).length,
      wrong: cells.filter(c => !(c.metadata.tags || []).includes('raises-exception'))
                  .flatMap(c => c.outputs.filter(wrong).map(o => o.ename ? o.ename + ': ' + o.evalue : o.text)),
    };
  })(),
])"""
# A slider and a picture with nothing to compute or draw: what Lab takes by itself.
BARE = """import io
import ipywidgets
from PIL import Image
pictures = []
for colour in ("white", "black"):
    file = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(file, "png")
    pictures.append(file.getvalue())
slider, picture = ipywidgets.IntSlider(max=20), ipywidgets.Image(value=pictures[0])
slider.observe(lambda _: setattr(picture, "value", pictures[slider.value % 2]), "value")
ipywidgets.VBox([slider, picture]).add_class("bare")"""
LEAVE = "() => window.jupyterapp.serviceManager.sessions.shutdownAll().then(() => 0)"  # or 14 kernels pile up


@contextmanager
def serving(command: list[str], port: int, home: Path) -> Iterator[None]:
    """A web server that reads and writes nothing of the user's, ready and on the given port of this machine."""
    folders = {
        **{"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"},
        **{"IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"},
    }
    environment = os.environ | {name: str(home / folder) for name, folder in folders.items()}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, cwd=NOTEBOOKS.parent, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 90  # the first start after an installation compiles everything
        while not _listens(port):
            if time.monotonic() > deadline or server.poll() is not None:
                pytest.fail(f"{command[:3]} did not start: {(home / 'log').read_text()[-3000:]}")
            time.sleep(0.1)
        yield
    finally:
        server.terminate()  # which makes the server end its kernels
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def save(source: str, path: Path) -> None:
    # Without a kernel's name Lab would ask the reader for one.
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(source)], metadata=kernel), path)


# For these tests, not for the session: Playwright keeps an event loop running, which the notebooks' kernels would
# stumble over. (That needs an __init__.py in this folder.)
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        (pytest.fail if REQUIRED else pytest.skip)("no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a JupyterLab, and its folder: a copy of the notebooks, for Lab saves them by itself."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, home / "root", ignore=shutil.ignore_patterns(".*"))
    for path in (home / "root").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells.append(new_code_cell(BARE))
        nbformat.write(notebook, path)
    for name, settings in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    port = free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", "--IdentityProvider.token=reader", f"--ServerApp.root_dir={home / 'root'}"),
        *("--LabApp.expose_app_in_browser=True", "--KernelManager.transport_encryption=auto"),
    ]
    with serving(command, port, home):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token=reader", timeout=60).close()
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token=reader&reset", home / "root"


@pytest.fixture(scope="package")
def run_all(browser: Browser, lab: tuple[str, Path]) -> Callable[[str], Visit]:
    """Function that opens a notebook, runs its cells and returns the visit."""

    def run(name: str) -> Visit:
        visit = Visit(browser)
        visit.page.goto(lab[0].format(name), wait_until="domcontentloaded")
        visit.page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        assert visit.page.evaluate(RUN_ALL) == {"skipped": 0, "wrong": []}
        return visit

    return run


@pytest.fixture(scope="package", params=sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")))
def opened(request: pytest.FixtureRequest, run_all: Callable[[str], Visit]) -> Iterator[Visit]:
    visit = run_all(request.param)
    yield visit
    visit.page.evaluate(LEAVE)
    visit.page.close()


@pytest.fixture
def lesson(opened: Visit) -> Iterator[Visit]:
    """A lesson that has been run; there must be nothing to complain of from its opening to the end of the test."""
    yield opened
    assert opened.complaints == []


LATENCIES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LATENCIES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[LATENCIES]:
        terminalreporter.write_line(line)
