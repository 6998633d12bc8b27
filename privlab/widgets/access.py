"""What ipywidgets leaves out for readers who use the keyboard or a screen reader, in a few lines of the browser's own."""

import html

import ipywidgets as widgets

from privlab.plots.style import BLUE

# Twice the class: ipywidgets forbids the outline of text fields, in a rule as specific as one class would make this.
FOCUS = f".privlab-panel.privlab-panel :focus-visible {{ outline: 3px solid {BLUE} !important; outline-offset: 2px; }}"

# A slider has no name, its value is announced as a place in a list, and its read-out can be typed into, to no avail;
# pictures have no alternative text. JupyterLab takes keys for its own: an x cuts the cell. It keeps Escape, to leave
# by, Shift+Enter, to run the cell, and whatever goes with Ctrl, Alt or Cmd.
SCRIPT = """
const panel = this.closest('.privlab-panel');
const all = chosen => [...panel.querySelectorAll(chosen)];
const set = (part, name, text) => { if (part.getAttribute(name) !== text) part.setAttribute(name, text); };
const speak = () => {
  for (const slider of all('.widget-slider')) {
    const [name, handle, readout] = slider.querySelectorAll('.widget-label, .noUi-handle, .widget-readout');
    set(handle, 'aria-label', name.textContent);
    set(handle, 'aria-valuetext', readout.textContent);
    set(readout, 'contenteditable', 'false');
  }
  const said = all('.privlab-caption, .privlab-live-message');
  said.forEach(words => set(words, 'role', 'status'));
  all('.privlab-picture').forEach(picture => set(picture, 'alt', this.dataset.words + ' ' + said[0].textContent));
};
panel.onkeydown = key => {
  const leaves = key.key === 'Escape' || (key.key === 'Enter' && key.shiftKey);
  if (!leaves && !key.ctrlKey && !key.altKey && !key.metaKey) key.stopPropagation();
};
new MutationObserver(speak).observe(panel, {subtree: true, childList: true, characterData: true});
speak();
"""


def access(words: str) -> widgets.HTML:
    """An unseen part of a panel: its controls are named and keep their keys, focus shows, changes are announced.

    Parameters
    ----------
    words : str
        What the picture shows; with the caption, its alternative text.

    >>> 'data-words="a &lt; b"' in access("a < b").value
    True
    """
    style = f'<style data-words="{html.escape(words)}" onload="{html.escape(SCRIPT)}">{FOCUS}</style>'
    return widgets.HTML(style, layout=widgets.Layout(display="none"))
