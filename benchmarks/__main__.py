"""Run every comparison, one after the other, and write what they found to ``benchmarks/RESULTS.md``.

Run ``python -m benchmarks`` with nothing else running.
"""

import multiprocessing
import os
import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.results import Comparison, measured

PAGE = Path(__file__).with_name("RESULTS.md")
SCRIPTS = (
    *("dp_sgd", "accountant", "shadow_training", "membership", "encryption", "secure_sum"),
    *("federated_averaging", "federated_averaging --clients 500 --rounds 4 --peers Flower"),
    *("sharding", "cost_curves", "start"),
)
HEAD = """# Side by side: what was measured

Written by `python -m benchmarks` on {cores} cores, Python {python}. Each ratio is a median over runs of both sides in turn on one
machine, with the smallest and the largest; linear algebra has one thread on both sides. Above 1 in "peer over privlab", privlab is
the quicker one. [README](README.md) says how to run this, and each section what is fair to say of both sides.

"""


def main() -> int:
    """Return 0 if every comparison came to its end; a target that was missed is a result, not a failure."""
    sections, failed = [], 0
    for name in SCRIPTS:
        print(f"\n{name}\n", file=sys.stderr)
        try:
            sections.append(apart(name).markdown())
        except Exception as error:
            failed += 1
            sections.append(f"## {name}\n\nNot measured: {type(error).__name__}.\n")
            print(f"{name} failed: {error!r}", file=sys.stderr)
    head = HEAD.format(cores=os.cpu_count(), python=platform.python_version())
    PAGE.write_text(head + "\n".join(sections), encoding="utf-8")
    return 1 if failed else 0


def apart(command: str) -> Comparison:
    """Run one comparison in a process of its own: peaks of memory, caches and imports are its own too."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, command).result()


if __name__ == "__main__":
    sys.exit(main())
