"""What membership inference costs: LiRA end to end against SACRO-ML's, and its scores against loops over records.

Run ``python -m benchmarks.membership``, with ``--peer-python`` if SACRO-ML is installed somewhere.
"""

import argparse
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.measure import cpu_ratios, spread
from benchmarks.peers import environment, sacro_python
from privlab.data import Dataset, load_digits
from privlab.leakage import Recipe, Shadows, lira, rmia, roc, shadow_models


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", type=Path, help="a Python with sacroml; one is made otherwise")
    parser.add_argument("--no-peer", action="store_true", help="run only privlab")
    parser.add_argument("--models", type=int, default=64, help="enough to have some with and without each record")
    parser.add_argument("--records", type=int, default=1348, help="of the digits, of which each model gets about half")
    parser.add_argument("--passes", type=int, default=60, help="over each model's training set")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args(arguments)
    digits = load_digits()
    digits = replace(digits, x_train=digits.x_train[: args.records], y_train=digits.y_train[: args.records])
    recipe = Recipe(steps=args.passes * (len(digits.x_train) // 2 // Recipe.batch_size))
    peer = None if args.no_peer else sacro_python(args.peer_python)
    shadows = end_to_end(digits, recipe, args.models, peer, args.repeats)
    against_loops(shadows, args.repeats)


def end_to_end(digits: Dataset, recipe: Recipe, models: int, peer: Path | None, repeats: int) -> Shadows:
    """Train models, attack one of them by the others, on both sides in turn; print, and return what privlab's models say."""
    ratios = []
    for seed in range(repeats):
        start = time.process_time()
        shadows = shadow_models(digits, count=models, seed=seed, workers=1, recipe=recipe, progress=False)
        scores = lira(shadows.confidences, shadows.members)
        ours = time.process_time() - start
        one, all_targets = roc(scores[0], shadows.members[0]), roc(scores, shadows.members)
        print("privlab: ", _words(shadows.accuracies[0], one.auc, one.tpr_at(0.01)))
        print(f"  all {models} targets:", _words(shadows.accuracies.mean(), all_targets.auc, all_targets.tpr_at(0.01)))
        if peer is not None:
            found = sacro(peer, digits, recipe, models, shadows.members[0])
            print("SACRO-ML", found["version"], _words(found["accuracy"], found["auc"], found["tpr"]))
            ratios.append(found["cpu_seconds"] / ours)
    if ratios:
        print(f"CPU of LiRA with {models} models on the digits, SACRO-ML's over privlab's:", spread(ratios, 1))
    return shadows


def sacro(peer: Path, digits: Dataset, recipe: Recipe, models: int, members: NDArray[np.bool_]) -> dict:
    """Let the peer attack a model trained on these members by models - 1 others."""
    with tempfile.TemporaryDirectory() as folder:
        names = ("x_train", "y_train", "x_test", "y_test")
        np.savez(Path(folder) / "digits.npz", members=members, **{name: getattr(digits, name) for name in names})
        passes = round(
            recipe.steps / math.ceil(members.sum() / recipe.batch_size)
        )  # it uses the last, smaller batch too
        settings = (folder, models - 1, recipe.hidden, passes, recipe.batch_size, recipe.learning_rate)
        command = [str(peer), "-m", "benchmarks.membership_sacro", *map(str, settings)]
        result = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(result.stdout.splitlines()[-1])


def against_loops(shadows: Shadows, repeats: int) -> None:
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
    fast, slow = (
        partial(lira, confidences, members, variance="per-example"),
        partial(lira_by_loops, confidences, members),
    )
    print(f"CPU of LiRA's scores of {size}, loop over privlab:", spread(cpu_ratios(slow, fast, repeats)))
    fast, slow = partial(rmia, log_p, members, population), partial(rmia_by_loops, log_p, members, population)
    print(
        f"CPU of RMIA's scores of {size} by {population.shape[1]} others, loop over privlab:",
        spread(cpu_ratios(slow, fast, repeats)),
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


def _words(accuracy: float, auc: float, tpr: float) -> str:
    return f"test accuracy {accuracy:.3f}, AUC {auc:.3f}, members found at 1 % false alarms {tpr:.1%}"


if __name__ == "__main__":
    main()
