"""What membership inference costs: LiRA end to end against SACRO-ML's, and its scores against loops over records.

Run ``python -m benchmarks.membership``.
"""

import argparse
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.measure import cpu_ratios
from benchmarks.peers import Peer, beside
from benchmarks.records import save
from benchmarks.results import Comparison, Line, version
from privlab.data import Dataset, load_digits
from privlab.leakage import Recipe, Shadows, lira, rmia, roc, shadow_models

Found = dict[str, list[float]]
FAIR = (
    "One of the networks is the target, the others its shadow models; all with the same steps, batch size, learning rate and "
    "momentum. With the same networks privlab makes each in turn the target, at no cost.",
    "SACRO-ML trains scikit-learn's networks one after the other, in double precision, as in single precision its log-odds are "
    "infinite, and writes each to disk; privlab trains 16 at a time in single precision. SACRO-ML attacks any classifier and "
    "writes reports for those who decide on release; no report is written here.",
    "The loops are the definitions, over targets and records, in NumPy and SciPy; the script stops unless they give the same "
    "scores: RMIA's counts exactly, LiRA's ratios to rounding.",
)


def main(arguments: Sequence[str] | None = None) -> Comparison:
    """Measure, print and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-peer", action="store_true", help="run only privlab")
    parser.add_argument("--models", type=int, default=32, help="enough to have some with and without each record")
    parser.add_argument("--records", type=int, default=1348, help="of the digits, of which each model gets about half")
    parser.add_argument("--passes", type=int, default=30, help="over each model's training set")
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args(arguments)
    digits, found = load_digits(), defaultdict(list)
    digits = replace(digits, x_train=digits.x_train[: args.records], y_train=digits.y_train[: args.records])
    recipe = Recipe(steps=args.passes * (len(digits.x_train) // 2 // Recipe.batch_size))
    versions, notes = version("privlab", "scipy"), list(FAIR)
    with beside("sacro", "benchmarks.membership_sacro", versions, notes, wanted=not args.no_peer) as peer:
        for seed in range(args.pairs):
            shadows = end_to_end(digits, recipe, args.models, peer, seed, found)
    against_loops(shadows, args.pairs, found)
    comparison = Comparison(
        "Membership inference",
        f"LiRA on {len(digits.x_train):,} digits with {args.models} networks of {recipe.hidden} hidden units, "
        f"{recipe.steps} steps; CPU time.",
        [Line(what, values) for what, values in found.items()],
        versions,
        notes,
    )
    print(comparison.markdown())
    return comparison


def end_to_end(digits: Dataset, recipe: Recipe, models: int, peer: Peer | None, seed: int, found: Found) -> Shadows:
    """Train models and attack one of them by the others, on both sides; return what privlab's models say."""
    start = time.process_time()
    shadows = shadow_models(digits, count=models, seed=seed, workers=1, recipe=recipe, progress=False)
    scores = lira(shadows.confidences, shadows.members)
    ours = time.process_time() - start
    found["AUC of one target, privlab"].append(roc(scores[0], shadows.members[0]).auc)
    found[f"AUC of all {models} targets, privlab"].append(roc(scores, shadows.members).auc)
    found["test accuracy of the target, privlab, %"].append(100 * shadows.accuracies[0])
    if peer is not None:
        theirs = sacro(peer, digits, recipe, models, shadows.members[0])
        found["AUC of one target, SACRO-ML"].append(theirs["auc"])
        found["test accuracy of the target, SACRO-ML, %"].append(100 * theirs["accuracy"])
        found["LiRA end to end: SACRO-ML over privlab"].append(theirs["cpu_seconds"] / ours)
    return shadows


def sacro(peer: Peer, digits: Dataset, recipe: Recipe, models: int, members: NDArray[np.bool_]) -> dict:
    """Let the peer attack a model trained on these members by models - 1 others."""
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "digits.npz", digits, members=members)
        return peer.ask(
            folder=folder,
            shadows=models - 1,
            hidden=recipe.hidden,
            # It uses the last, smaller batch of a pass too.
            passes=round(recipe.steps / math.ceil(members.sum() / recipe.batch_size)),
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
        )


def against_loops(shadows: Shadows, pairs: int, found: Found) -> None:
    """All targets' scores from the same models, against a loop over targets and records; the scores are compared."""
    confidences, members = shadows.confidences.astype(np.float64), shadows.members
    log_p, population = -shadows.losses, -shadows.population_losses
    fast_lira = lira(confidences, members, variance="per-example")
    if not np.allclose(fast_lira, lira_by_loops(confidences, members), rtol=1e-6, atol=1e-6):
        raise RuntimeError("LiRA's scores differ from the loop's")
    fast_rmia = rmia(log_p, members, population)
    if not np.array_equal(np.floor(fast_rmia * (population.shape[1] + 1)), rmia_by_loops(log_p, members, population)):
        raise RuntimeError("RMIA's scores differ from the loop's")
    size = f"{len(members)} targets and {members.shape[1]:,} records"
    found[f"LiRA's scores of {size}: a loop over privlab"] = cpu_ratios(
        partial(lira_by_loops, confidences, members),
        partial(lira, confidences, members, variance="per-example"),
        pairs,
    )
    found[f"RMIA's scores of {size}: a loop over privlab"] = cpu_ratios(
        partial(rmia_by_loops, log_p, members, population), partial(rmia, log_p, members, population), pairs
    )


def lira_by_loops(confidences: NDArray, members: NDArray[np.bool_]) -> NDArray:
    """Online LiRA as it is defined, target by target and record by record."""
    scores = np.zeros(confidences.shape)
    for target, record in np.ndindex(*confidences.shape):
        others = np.arange(len(members)) != target
        ins = confidences[others & members[:, record], record]
        outs = confidences[others & ~members[:, record], record]
        value = confidences[target, record]
        scores[target, record] = norm.logpdf(value, ins.mean(), ins.std(ddof=1))
        scores[target, record] -= norm.logpdf(value, outs.mean(), outs.std(ddof=1))
    return scores


def rmia_by_loops(log_p: NDArray, members: NDArray[np.bool_], population: NDArray) -> NDArray:
    """Number of population records that offline RMIA counts as beaten, target by target and record by record."""
    scores, p, p_population = np.zeros(log_p.shape), np.exp(log_p), np.exp(population)
    for target in range(len(members)):
        others = np.arange(len(members)) != target
        ratio_population = p_population[target] / ((p_population[others].mean(0) + 1) / 2)
        for record in range(members.shape[1]):
            reference = (p[others & ~members[:, record], record].mean() + 1) / 2
            scores[target, record] = (p[target, record] / reference / ratio_population >= 1).sum()
    return scores


if __name__ == "__main__":
    main()
