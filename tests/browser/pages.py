"""A page in the browser with what goes wrong on it, and the panels on it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator

# A picture's address changes with each message, even to the same picture: its pixels tell.
PIXELS = """image => {
  const canvas = document.createElement('canvas');
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext('2d').drawImage(image, 0, 0);
  return canvas.toDataURL();
}"""


class Visit:
    """A page, and its complaints: errors and warnings of its scripts, and requests to other machines."""

    def __init__(self, browser: Browser) -> None:
        self.complaints: list[str] = []
        self.page = browser.new_page(viewport={"width": 1280, "height": 1000})
        self.page.set_default_timeout(60_000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _asked(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.complaints.append(f"asked {address}")

    def panels(self) -> list["Panel"]:
        return [Panel(self, root) for root in self.page.locator(".widget-vbox:has(> img.privlab-picture)").all()]


class Panel:
    """The controls of a panel, its picture and its caption."""

    def __init__(self, visit: Visit, root: Locator) -> None:
        self.visit, self.page, self.root = visit, visit.page, root
        self.picture, self.caption = root.locator("img.privlab-picture"), root.locator(".privlab-caption")
        self.sliders = root.locator(".widget-slider .noUi-handle")
        self.trains = root.locator(".privlab-train").count() > 0
        self.picture.scroll_into_view_if_needed()

    def state(self) -> tuple[str, str]:
        """Caption and pixels once they rest: during a drag the kernel sends frames, and the last one counts."""
        state, before = self._state(), None
        while state != before:
            self.page.wait_for_timeout(500)
            state, before = self._state(), state
        return state

    def _state(self) -> tuple[str, str]:
        return self.caption.inner_text(), self.picture.evaluate(PIXELS)

    def follows(self, move: Callable[[], Any]) -> str:
        """Assert that caption and picture of a panel at rest change after ``move``, and return the new caption."""
        caption = self.caption.inner_text()
        self.redraws(move)
        new_caption, _ = self.state()
        assert new_caption != caption
        return new_caption

    def redraws(self, move: Callable[[], Any]) -> None:
        """Assert that the picture changes after ``move``."""
        pixels = self.picture.evaluate(PIXELS)
        move()
        changed = f"([image, old]) => image.complete && image.naturalWidth > 0 && ({PIXELS})(image) !== old"
        self.page.wait_for_function(changed, arg=[self.picture.element_handle(), pixels])

    def press(self, control: Locator, key: str) -> None:
        control.focus()
        self.page.keyboard.press(key)

    def step(self, slider: Locator) -> None:
        at_the_end = slider.get_attribute("aria-valuenow") == slider.get_attribute("aria-valuemax")
        self.press(slider, "ArrowLeft" if at_the_end else "ArrowRight")

    def drag(self, name: str, share: float) -> None:
        handle = self.root.locator(f".{name} .noUi-handle").bounding_box()
        track = self.root.locator(f".{name} .noUi-base").bounding_box()
        height = handle["y"] + handle["height"] / 2
        self.page.mouse.move(handle["x"] + handle["width"] / 2, height)
        self.page.mouse.down()
        self.page.mouse.move(track["x"] + share * track["width"], height, steps=8)
        self.page.mouse.up()
