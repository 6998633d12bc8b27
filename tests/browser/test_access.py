"""Each panel without a mouse and without eyes: keys reach and move its controls, and a screen reader has words for them."""

from browser.pages import Panel

CONTROLS = ".noUi-handle, select, input, button"
FOCUSED = """element => {
  const {outlineStyle, outlineWidth} = getComputedStyle(element);
  return document.activeElement === element && outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2;
}"""
ROLES = {"slider", "combobox", "textbox", "spinbutton", "button"}


def told(panel: Panel) -> list[dict[str, str]]:
    """What Chromium tells a screen reader of a panel, part by part in reading order: role, name, whether it is live."""
    panel.root.evaluate("root => { window.panelToRead = root; }")
    session = panel.page.context.new_cdp_session(panel.page)
    root = session.send("Runtime.evaluate", {"expression": "window.panelToRead"})["result"]["objectId"]
    tree = session.send("Accessibility.queryAXTree", {"objectId": root})["nodes"]
    session.detach()
    parts = []
    for node in (node for node in tree if not node["ignored"]):
        live = {of["name"]: of["value"].get("value") for of in node["properties"]}.get("live", "")
        parts.append({name: str(node.get(name, {}).get("value", "")) for name in ("role", "name")} | {"live": live})
    return parts


def test_tab_goes_from_each_control_to_the_next_and_focus_shows(lesson):
    for panel in lesson.panels():
        controls = [control for control in panel.root.locator(CONTROLS).all() if control.is_visible()]
        assert len(controls) >= 2
        controls[0].focus()
        for control in controls:
            assert control.evaluate(FOCUSED), control
            lesson.page.keyboard.press("Tab")
        assert not panel.root.evaluate("root => root.contains(document.activeElement)")


def test_a_panel_keeps_its_keys(lesson):
    """JupyterLab would cut the cell at an x and leave a list at an arrow."""
    count = "() => window.jupyterapp.shell.currentWidget.content.widgets.length"
    cells = lesson.page.evaluate(count)
    for panel in lesson.panels():
        for control in panel.root.locator(".noUi-handle, select, button:not(.privlab-train)").all():
            for key in ("x", "ArrowDown", "ArrowUp"):
                panel.press(control, key)
                assert control.evaluate(FOCUSED)
    assert lesson.page.evaluate(count) == cells


def test_each_part_has_a_name_of_its_own_and_says_its_value(lesson):
    for panel in lesson.panels():
        caption, _ = panel.state()
        parts = told(panel)
        names = [part["name"] for part in parts if part["role"] in ROLES]
        assert len(names) == sum(control.is_visible() for control in panel.root.locator(CONTROLS).all())
        assert all(names)
        assert len({*names}) == len(names)
        # Not from the tree: there Chromium leaves the words of a value empty, whatever the page says.
        values = [slider.get_attribute("aria-valuetext") for slider in panel.sliders.all()]
        assert values == panel.root.locator(".widget-readout").all_inner_texts()
        (picture,) = (part["name"] for part in parts if part["role"] == "image")
        assert picture.endswith(caption)
        assert len(picture) > len(caption) + 20
        assert "polite" in {part["live"] for part in parts if part["role"] == "status"}


def test_the_words_follow_the_slider(lesson):
    panel = lesson.panels()[0]
    slider = panel.sliders.first
    before = slider.get_attribute("aria-valuetext")
    caption = panel.follows(lambda: panel.step(slider))
    value, alt = slider.get_attribute("aria-valuetext"), panel.picture.get_attribute("alt")
    assert value == panel.root.locator(".widget-readout").first.inner_text() != before
    assert alt.endswith(caption)
