"""How long a reader waits: for imports, for a lesson to run, for a slider to redraw its picture.

Run ``python -m benchmarks.start``.
"""

import argparse
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence

from benchmarks.measure import cpu_seconds, waited_for
from benchmarks.peers import ROOT, environment
from benchmarks.results import Comparison, Line, version
from privlab.data import load_digits
from privlab.leakage import Frontier
from privlab.widgets import leakage, leaks, noise, scaling, sharding, uneven
from privlab.widgets.panel import Panel

MODULES = ("data", "masking", "encryption", "learning", "sharding", "leakage", "plots", "widgets", "classroom")
TIMING = ROOT / "docs/timing.md"
REDRAW, LESSON, CELL = 100, 60, 10  # milliseconds, seconds and seconds that a reader may have to wait
FAIR = (
    "An import is the CPU time of a new interpreter over that of one that imports NumPy alone, files already in memory. A "
    "subpackage brings those below it.",
    "A redraw is the CPU time of the kernel from the new value to picture and words; what the browser does comes on top.",
)


def main(arguments: Sequence[str] | None = None) -> Comparison:
    """Measure, print and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", nargs="+", choices=MODULES, default=MODULES)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args(arguments)
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(args.repeats):
        numpy = importing("numpy")
        found["import numpy, milliseconds"].append(1000 * numpy)
        for module in ("privlab", *(f"privlab.{name}" for name in args.modules)):
            found[f"import {module} over import numpy"].append(importing(module) / numpy)
    lines = [Line(what, values) for what, values in found.items()]
    lines += [
        Line(f"{name}: a redraw, milliseconds", redraws(panel()), at_most=REDRAW) for name, panel in PANELS.items()
    ]
    comparison = Comparison(
        "Waiting",
        f"Imports in cold interpreters, {args.repeats} times; redraws of widgets at each value of each control; lessons from the "
        "page that `make notebooks` writes.",
        [*lines, *lessons()],
        version("privlab", "numpy", "matplotlib", "ipywidgets"),
        FAIR if TIMING.exists() else [*FAIR, "Lessons: no page of times yet; `make notebooks` writes it."],
    )
    print(comparison.markdown())
    return comparison


def importing(module: str) -> float:
    """CPU seconds of an interpreter that imports one module."""
    before = waited_for()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, env=environment())
    return waited_for() - before


PANELS: dict[str, Callable[[], Panel]] = {
    "threat map": leaks.threat_map,
    "noise": noise.overlap,
    "shards": lambda: sharding.what_if(load_digits().y_train),
    "uneven shards": uneven.race,
    "leakage versus accuracy": lambda: leakage.dashboard(
        Frontier.load(ROOT / "notebooks/results/digits_frontier.json"), load_digits()
    ),
    "scaling out": scaling.scaling,
}


def redraws(panel: Panel) -> list[float]:
    """Milliseconds of CPU time of the redraw at each value of each control that has a list of values."""
    spent = []
    for control in panel.controls.values():
        for _, value in getattr(control, "_options_full", ()):
            if value != control.value:
                spent.append(1000 * cpu_seconds(lambda: control.set_trait("value", value)))  # noqa: B023
    return spent


def lessons() -> list[Line]:
    """Return what lessons took, as `make notebooks` has written it down."""
    if not TIMING.exists():
        return []
    row = re.compile(r"^\|[^|*]+\| *\d+ \| *([\d.]+) \| *([\d.]+) \|", re.M)
    whole, slowest = zip(*(map(float, pair) for pair in row.findall(TIMING.read_text(encoding="utf-8"))), strict=True)
    return [
        Line("lessons run whole, seconds", whole),
        Line("the slowest lesson, seconds", [max(whole)], at_most=LESSON),
        Line("the slowest cell, seconds", [max(slowest)], at_most=CELL),
    ]


if __name__ == "__main__":
    main()
