"""From the key on a slider to the new picture: what a panel adds to the time that Lab and this machine take by themselves.

Milliseconds by the clock differ from machine to machine and from hour to hour. So each page also has a bare slider with a bare
picture, moved in turn with the panel's; the table in the summary has both.
"""

import numpy as np

from browser.conftest import LATENCIES

MOVES = 12  # of each slider
FEWEST = 36  # of each panel
MEDIAN, SLOWEST = 60, 150  # milliseconds that a panel may add; the second for 95 %
# To the picture decoded, so that the next frame on the screen shows it.
WATCH = """picture => {
  window.latency = new Promise(resolve => {
    let start;
    window.addEventListener('keydown', key => { start = key.timeStamp; }, {capture: true, once: true});
    new MutationObserver((_, watch) => {
      watch.disconnect();
      picture.decode().then(() => resolve(performance.now() - start));
    }).observe(picture, {attributeFilter: ['src']});
  });
}"""


def moved(page, slider, picture, moves):
    """Milliseconds of each move, there and back again."""
    value, last = (int(float(slider.get_attribute(f"aria-value{name}"))) for name in ("now", "max"))
    step, times = 1, []
    slider.focus()
    for _ in range(moves):
        step = -step if not 0 <= value + step <= last else step
        value += step
        picture.evaluate(WATCH)
        page.keyboard.press("ArrowRight" if step > 0 else "ArrowLeft")
        times.append(page.evaluate("() => window.latency"))
        page.wait_for_timeout(100)  # the kernel rests, as it does between a reader's moves
    return times


def test_a_picture_follows_at_once(lesson, request):
    name, slow = request.node.callspec.params["opened"].removesuffix(".ipynb"), []
    bare = lesson.page.locator(".bare .noUi-handle"), lesson.page.locator(".bare img")
    for panel in (panel for panel in lesson.panels() if not panel.trains):
        sliders = panel.sliders.all()
        moves = max(MOVES, -(-FEWEST // len(sliders)))
        times = np.array([moved(lesson.page, slider, panel.picture, moves) for slider in sliders])
        floor = np.array(moved(lesson.page, *bare, FEWEST))
        (median, slowest), (least, most) = ((np.median(each), np.quantile(each, 0.95)) for each in (times, floor))
        row = f"{name:28} median {median:3.0f} ms, 95 % within {slowest:3.0f}; bare picture {least:3.0f}, {most:3.0f}"
        request.config.stash[LATENCIES].append(row)
        if median - least >= MEDIAN or slowest - most >= SLOWEST:
            slow.append(row)
    assert slow == []
