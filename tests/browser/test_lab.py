"""A reader's JupyterLab in a real browser: run all cells, move each control, and the picture follows.

Needs Debian's ``chromium`` (or ``$CHROMIUM``) and skips without it, except where ``PRIVLAB_REQUIRE_BROWSER=1``.
A notebook with a panel keeps to these CSS classes: ``privlab-noise`` (slider, also dragged), ``privlab-fpr`` (slider),
``privlab-attack`` (dropdown), ``privlab-picture`` (image) and ``privlab-caption`` (label that states the values). It may have
several; one with a button ``privlab-train`` is moved by that.
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
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

sync_api = pytest.importorskip("playwright.sync_api")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
REQUIRED = os.environ.get("PRIVLAB_REQUIRE_BROWSER") == "1"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PANELS = ("demo.ipynb", *sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")))
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # no pop-up over the page
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight stay in the page
}
DEMO = """import io
import ipywidgets as w
from PIL import Image, ImageDraw
noise = w.SelectionSlider(options=[0.1 * i for i in range(20)], description="noise")
rate = w.FloatSlider(max=1, step=0.1, description="rate")
attack = w.Dropdown(options=["loss", "lira"], description="attack")
picture, caption = w.Image(layout=w.Layout(width="300px")), w.Label()
def draw(_=None):
    canvas = Image.new("RGB", (300, 80), "white")
    shape = (5, 5, 10 + 100 * noise.value, 20 + 50 * rate.value)
    ImageDraw.Draw(canvas).rectangle(shape, fill="blue" if attack.value == "loss" else "red")
    file = io.BytesIO()
    canvas.save(file, "png")
    picture.value = file.getvalue()
    caption.value = f"noise {noise.value:.1f}, rate {rate.value:.1f}, {attack.value}"
controls = {"noise": noise, "fpr": rate, "attack": attack, "picture": picture, "caption": caption}
for name, control in controls.items():
    control.add_class(f"privlab-{name}")
    control.observe(draw, "value") if name in ("noise", "fpr", "attack") else None
draw()
w.VBox([*controls.values()])"""

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
# A picture's address changes with each message, even to the same picture: its pixels tell.
PIXELS = """image => {
  const canvas = document.createElement('canvas');
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext('2d').drawImage(image, 0, 0);
  return canvas.toDataURL();
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a JupyterLab that reads and writes nothing of the user's: Lab saves notebooks by itself."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, home / "root", ignore=shutil.ignore_patterns(".*"))
    save(DEMO, home / "root" / "demo.ipynb")
    for name, settings in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    folders = {
        **{"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"},
        **{"IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"},
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", "--IdentityProvider.token=reader", f"--ServerApp.root_dir={home / 'root'}"),
        *("--LabApp.expose_app_in_browser=True", "--KernelManager.transport_encryption=auto"),
    ]
    with (home / "log").open("w") as log:
        environment = os.environ | {name: str(home / folder) for name, folder in folders.items()}
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/status?token=reader", server, home / "log")
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token=reader&reset"
    finally:
        server.terminate()  # which makes the server end its kernels
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def save(source: str, path: Path) -> None:
    # Without a kernel's name Lab would ask the reader for one.
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(source)], metadata=kernel), path)


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 90  # the first start after an installation compiles everything
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-3000:]}")


# Not for the session: Playwright keeps an event loop running, which the notebooks' kernels would stumble over.
@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    if CHROMIUM is None:
        (pytest.fail if REQUIRED else pytest.skip)("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def run_all(browser: sync_api.Browser, lab: str) -> Iterator[Callable[[str], sync_api.Page]]:
    """Function that opens a notebook, runs its cells and returns the page."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(60_000)

    def run(name: str) -> sync_api.Page:
        page.goto(lab.format(name), wait_until="domcontentloaded")
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        assert page.evaluate(RUN_ALL) == {"skipped": 0, "wrong": []}
        return page

    yield run
    page.close()


class Panel:
    """The controls of a notebook's panel, its picture and its caption."""

    def __init__(self, page: sync_api.Page, root: sync_api.Locator) -> None:
        self.page, self.root, self.picture = page, root, root.locator("img.privlab-picture")
        self.picture.scroll_into_view_if_needed()
        self.sliders = root.locator(".widget-slider .noUi-handle")

    def state(self) -> tuple[str, str]:
        """Caption and pixels once they rest: during a drag the kernel sends frames, and the last one counts."""
        state, before = self._state(), None
        while state != before:
            self.page.wait_for_timeout(500)
            state, before = self._state(), state
        return state

    def _state(self) -> tuple[str, str]:
        return self.root.locator(".privlab-caption").inner_text(), self.picture.evaluate(PIXELS)

    def follows(self, move: Callable[[], None]) -> str:
        """Assert that caption and picture change after ``move``, and return the new caption."""
        caption, pixels = self.state()
        move()
        changed = f"([image, old]) => image.complete && image.naturalWidth > 0 && ({PIXELS})(image) !== old"
        self.page.wait_for_function(changed, arg=[self.picture.element_handle(), pixels])
        new_caption, new_pixels = self.state()
        assert new_caption != caption
        assert new_pixels != pixels
        return new_caption

    def press(self, slider: sync_api.Locator) -> None:
        slider.focus()
        at_the_end = slider.get_attribute("aria-valuenow") == slider.get_attribute("aria-valuemax")
        self.page.keyboard.press("ArrowLeft" if at_the_end else "ArrowRight")

    def drag(self, name: str, share: float) -> None:
        handle = self.root.locator(f".{name} .noUi-handle").bounding_box()
        track = self.root.locator(f".{name} .noUi-base").bounding_box()
        height = handle["y"] + handle["height"] / 2
        self.page.mouse.move(handle["x"] + handle["width"] / 2, height)
        self.page.mouse.down()
        self.page.mouse.move(track["x"] + share * track["width"], height, steps=8)
        self.page.mouse.up()


@pytest.mark.parametrize("name", PANELS)
def test_the_picture_follows_the_controls(name, run_all):
    page = run_all(name)
    panels = [Panel(page, root) for root in page.locator(".widget-vbox:has(> img.privlab-picture)").all()]
    trained = [panel for panel in panels if panel.root.locator(".privlab-train").count()]
    assert len(panels) > len(trained)
    for panel in panels:
        if panel in trained:
            panel.follows(panel.root.locator(".privlab-train").click)
            panel.root.locator(".privlab-caption", has_text="100 % of training done").wait_for()
            continue
        assert panel.state()[1].startswith("data:image/png")
        assert panel.sliders.count() >= 2
        for slider in panel.sliders.all():
            panel.follows(lambda panel=panel, slider=slider: panel.press(slider))
        captions = {
            panel.follows(lambda panel=panel, share=share: panel.drag("privlab-noise", share))
            for share in (0.1, 0.9, 0.5)
        }
        assert len(captions) == 3
        for dropdown in panel.root.locator(".widget-dropdown select").all():
            options = dropdown.locator("option").all_inner_texts()
            panel.follows(lambda dropdown=dropdown, options=options: dropdown.select_option(options[-1]))


@pytest.mark.parametrize(
    ("source", "complaint"), [("1 / 0", "ZeroDivisionError"), ("import warnings\nwarnings.warn('late')", "late")]
)
def test_errors_and_warnings_are_seen(source, complaint, run_all, lab, tmp_path_factory):
    root = next(path for path in tmp_path_factory.getbasetemp().glob("lab*/root"))
    save(source, root / "wrong.ipynb")
    with pytest.raises(AssertionError, match=complaint):
        run_all("wrong.ipynb")
