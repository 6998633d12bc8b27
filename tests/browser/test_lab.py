"""Each lesson in JupyterLab: run all cells, move each control by keys or mouse, and the picture follows.

A notebook with a panel keeps to these CSS classes: ``privlab-noise`` (slider, also dragged), ``privlab-picture`` (image)
and ``privlab-caption`` (label that states the values). It may have several; one with a button ``privlab-train`` is moved
by that.
"""

import pytest

from browser.conftest import save
from browser.pages import Visit


def test_the_picture_follows_the_controls(lesson):
    panels = lesson.panels()
    assert any(not panel.trains for panel in panels)
    for panel in panels:
        if panel.trains:
            panel.follows(lambda panel=panel: panel.press(panel.root.locator(".privlab-train"), "Space"))
            panel.root.locator(".privlab-caption", has_text="100 % of training done").wait_for()
            continue
        assert panel.state()[1].startswith("data:image/png")
        assert panel.sliders.count() >= 2
        for slider in panel.sliders.all():
            panel.follows(lambda panel=panel, slider=slider: panel.step(slider))
        captions = {
            panel.follows(lambda panel=panel, share=share: panel.drag("privlab-noise", share))
            for share in (0.1, 0.9, 0.5)
        }
        assert len(captions) == 3
        for dropdown in panel.root.locator(".widget-dropdown select").all():
            panel.follows(lambda panel=panel, dropdown=dropdown: panel.press(dropdown, "End"))
        for button in panel.root.locator("button.privlab-button").all():
            panel.redraws(lambda panel=panel, button=button: panel.press(button, "Enter"))


@pytest.mark.parametrize(
    ("source", "complaint"), [("1 / 0", "ZeroDivisionError"), ("import warnings\nwarnings.warn('late')", "late")]
)
def test_errors_and_warnings_are_seen(source, complaint, run_all, lab):
    save(source, lab[1] / "wrong.ipynb")
    with pytest.raises(AssertionError, match=complaint):
        run_all("wrong.ipynb")


def test_complaints_of_the_page_are_seen(browser):
    visit = Visit(browser)
    wrong = "console.error('lost'); setTimeout(() => { throw new Error('thrown'); });"
    visit.page.route("**/a.png", lambda route: route.abort())  # nothing leaves this machine
    visit.page.set_content(f'<script>{wrong}</script><img alt="a" src="http://elsewhere.invalid/a.png">')
    visit.page.wait_for_timeout(500)
    for complaint in ("error: lost", "uncaught: thrown", "asked http://elsewhere.invalid/a.png"):
        assert any(line.startswith(complaint) for line in visit.complaints), visit.complaints
    visit.page.close()
