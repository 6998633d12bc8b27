"""Epsilon and calibrated noise of DP-SGD: time and tightness against dp-accounting and prv-accountant.

Run ``python -m benchmarks.accountant``.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.peers import ROOT, Peer, beside
from benchmarks.results import Comparison, Line, version
from privlab.masking import accounting, epsilon, noise_multiplier

REFERENCE = ROOT / "tests/data/accountant_reference.json"
TOLERANCE = 5e-4  # of the noise multiplier, near 1: what privlab's own search asks for
METHODS = ("PLD", "RDP")
FAIR = (
    "dp-accounting's PLD with its own interval of 1e-4, and PRV with an error of 0.01 in epsilon, as its authors suggest less; "
    "both can be asked for other precision, at other cost. privlab chooses its grid itself. Calibration by "
    "dp-accounting is told that the noise lies between 0.5 and 20; privlab finds that out.",
    "Every epsilon but PRV's estimate is an upper bound, so less is tighter. The script stops where one of privlab's is below "
    "PRV's lower bound.",
    "dp-accounting composes many more mechanisms (Laplace, discrete noise, matrix factorisation, sampling without "
    "replacement), and PRV composes any of its own; privlab's accountant knows Gaussian steps.",
)


def main(arguments: Sequence[str] | None = None) -> Comparison:
    """Measure, print and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-peer", action="store_true", help="run only privlab")
    parser.add_argument("--settings", type=int, default=12, help="how many of the settings")
    args = parser.parse_args(arguments)
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    # Whole runs, at an epsilon that PRV's precision can tell from 0.
    cases = [case for case in reference["cases"] if case.get("prv") and case["prv"][0] > 0 and case["T"] > 1]
    found: dict[str, list[float]] = defaultdict(list)
    versions, notes = version("privlab", "scipy"), list(FAIR)
    with beside("accounting", "benchmarks.accountant_peers", versions, notes, wanted=not args.no_peer) as peer:
        # Loads what is loaded when it is first needed.
        one_epsilon(peer, _run(cases[0]), cases[0]["sigma"], defaultdict(list))
        for case in cases[: args.settings]:
            one_epsilon(peer, _run(case), case["sigma"], found)
        for case in reference["dpsgd_calibration"][: args.settings]:
            one_noise(peer, _run(case), case["target_eps"], found)
    comparison = Comparison(
        "Accounting",
        f"{args.settings} settings of published and of the kit's own runs, CPU time; each value is one setting.",
        [Line(what, values) for what, values in found.items()],
        versions,
        notes,
    )
    print(comparison.markdown())
    return comparison


def excess(value: float, reference: float) -> float:
    """Return by how many percent a value lies above another."""
    return 100 * (value / reference - 1)


def ours(function: Callable[..., float], **arguments: Any) -> tuple[float, float]:
    """Return CPU seconds and the result of a first call: nothing is remembered of calls before."""
    accounting.spent.cache_clear()
    start = time.process_time()
    result = function(**arguments)
    return time.process_time() - start, result


def one_epsilon(peer: Peer | None, run: dict[str, Any], sigma: float, found: dict[str, list[float]]) -> None:
    """Add epsilons of one run and their times over ours."""
    own = {"noise_multiplier": sigma, "sampling_rate": run["rate"], "steps": run["steps"], "delta": run["delta"]}
    seconds, results = {}, {}
    for method in METHODS:
        seconds[method], results[method] = ours(epsilon, **own, method=method.lower())
        if peer:
            theirs = peer.ask(what="epsilon", method=method, sigma=sigma, **run)
            found[f"epsilon by {method}: time, dp-accounting over privlab"].append(theirs["cpu"] / seconds[method])
            found[f"epsilon by {method}: privlab's bound above dp-accounting's, %"].append(
                excess(results[method], theirs["result"][0])
            )
    found["epsilon: privlab's bound by RDP above its bound by PLD, %"].append(excess(results["RDP"], results["PLD"]))
    if peer:
        theirs = peer.ask(what="epsilon", method="PRV", sigma=sigma, **run)
        lower, estimate, _ = theirs["result"]
        found["epsilon by PLD: time, prv-accountant over privlab"].append(theirs["cpu"] / seconds["PLD"])
        found["epsilon by PLD: privlab's bound above prv-accountant's estimate, %"].append(
            excess(results["PLD"], estimate)
        )
        if results["PLD"] < lower:
            raise RuntimeError(f"epsilon {results['PLD']} of {own} is below the lower bound {lower}")


def one_noise(peer: Peer | None, run: dict[str, Any], target: float, found: dict[str, list[float]]) -> None:
    """Add noise multipliers for one target and their times over ours."""
    own = {"epsilon": target, "sampling_rate": run["rate"], "steps": run["steps"], "delta": run["delta"]}
    for method in METHODS:
        seconds, sigma = ours(noise_multiplier, **own, method=method.lower())
        if peer:
            theirs = peer.ask(what="noise", method=method, target=target, tolerance=TOLERANCE, **run)
            found[f"calibration by {method}: time, dp-accounting over privlab"].append(theirs["cpu"] / seconds)
            found[f"calibration by {method}: privlab's noise above dp-accounting's, %"].append(
                excess(sigma, theirs["result"][0])
            )


def _run(case: dict[str, Any]) -> dict[str, Any]:
    return {"rate": case["q"], "steps": case["T"], "delta": case["delta"]}


if __name__ == "__main__":
    main()
