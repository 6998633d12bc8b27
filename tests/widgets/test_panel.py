import pytest

from privlab.widgets.panel import Panel, button, choice, slider


def draw(**setting):
    return bytes(24), f"shown: {setting}"


def test_a_panel_is_live_and_still_and_described():
    panel = Panel(draw, "A picture.", n=slider("n", (1, 2)))
    data, metadata = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["image/png"] == bytes(24)
    assert data["text/plain"] == metadata["image/png"]["alt"] == "A picture. shown: {'n': 1}"


@pytest.mark.parametrize("alt", ["", " ", None])
def test_a_panel_without_words_is_refused(alt):
    with pytest.raises(ValueError, match="alt is"):
        Panel(draw, alt)


def test_controls_go_by_their_names_and_values_and_each_change_redraws_once():
    settings = []

    def watch(**setting):
        settings.append(setting)
        return draw(**setting)

    rows = {"size": slider("size", [("small", 1), ("big", 2)], 2), "kind": choice("kind", ("a", "b"))}
    panel = Panel(watch, "A picture.", **rows, again=button("again", "once more"))
    assert [row.children[1] for row in rows.values()] == [panel.controls["size"], panel.controls["kind"]]
    assert [control._dom_classes for control in panel.controls.values()] == [
        ("privlab-size",),
        ("privlab-kind",),
        ("privlab-again",),
    ]
    panel.controls["size"].value = 1
    panel.controls["kind"].value = "b"
    panel.controls["again"].click()
    seen = [tuple(setting.values()) for setting in settings]
    assert seen == [(2, "a", 0), (1, "a", 0), (1, "b", 0), (1, "b", 1)]
    assert panel.caption.value == "shown: {'size': 1, 'kind': 'b', 'again': 1}"
    assert panel.alt.endswith("{'size': 2, 'kind': 'a', 'again': 0}"), "that of the still"
