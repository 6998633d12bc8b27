"""Shadow models as a stack of replicas, against loops over models by PyTorch and by scikit-learn.

Run ``python -m benchmarks.shadow_training``.
"""

import argparse
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.measure import profiled
from benchmarks.peers import beside
from benchmarks.records import save
from benchmarks.results import Comparison, Line, version
from privlab.data import Dataset, load_digits
from privlab.leakage.shadows import STACK, draw_members
from privlab.learning import mlp, train

HIDDEN, BATCH, RATE = 64, 64, 0.1
TARGET = 5  # times PyTorch's loop
FAIR = (
    "All train on independent halves of the records by batches of one size, drawn pass by pass, with the same number of steps "
    "and momentum 0.9, without privacy. PyTorch's loop indexes tensors in memory: its data loader would cost more.",
    "A stack is no secret of privlab's: the same idea written in PyTorch's batched products is the third peer here, for readers "
    "who have PyTorch.",
    "scikit-learn's network computes in double precision where its records do; here they are in single precision, as everywhere. "
    "It takes the last, smaller batch of a pass too.",
)


def main(arguments: Sequence[str] | None = None) -> Comparison:
    """Measure, print and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-peer", action="store_true", help="run only privlab and scikit-learn")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--looped", type=int, default=4, help="models that the loops train")
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args(arguments)
    digits = load_digits()
    members = draw_members(digits, STACK, seed=0)
    found: dict[str, list[float]] = defaultdict(list)
    versions, notes = version("privlab", "numpy", "scikit-learn"), list(FAIR)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        path = str(Path(folder) / "job.npz")
        save(path, digits, members=members)
        setting = {"hidden": HIDDEN, "steps": args.steps, "batch_size": BATCH, "learning_rate": RATE}
        with beside("torch", "benchmarks.shadow_training_torch", versions, notes, wanted=not args.no_peer) as peer:
            for how in ("loop", "stack") if peer else ():  # loads what is loaded when it is first needed
                peer.ask(path=path, how=how, count=2, **setting | {"steps": 2})
            for seed in range(args.pairs):
                spent, accuracy = replicas(digits, members, args.steps, seed)
                found["test accuracy of privlab's stack, %"].append(100 * accuracy)
                theirs = {"a loop by scikit-learn": scikit_learn(digits, members[: args.looped], args.steps)}
                for how, count in (("loop", args.looped), ("stack", STACK)) if peer else ():
                    answer = peer.ask(path=path, how=how, count=count, **setting)
                    theirs[f"a {how} by PyTorch"] = answer["cpu"], answer["accuracy"]
                for who, (seconds, accuracy) in theirs.items():
                    found[f"time for a model, {who} over privlab's stack"].append(seconds / spent)
                    found[f"test accuracy of {who}, %"].append(100 * accuracy)
    target = "time for a model, a loop by PyTorch over privlab's stack"
    comparison = Comparison(
        "Shadow models",
        f"{STACK} networks 64-{HIDDEN}-10 on the digits, {args.steps} steps of {BATCH} records each; the loops train "
        f"{args.looped} of them, one after the other. CPU time for a model, on one thread.",
        [Line(what, values, at_least=TARGET if what == target else None) for what, values in found.items()],
        versions,
        notes,
    )
    if not all(line.met for line in comparison.lines):
        where = profiled(lambda: replicas(digits, members, args.steps, 0))
        comparison = comparison.noting(f"Where privlab's time goes: {where}.")
    print(comparison.markdown())
    return comparison


def replicas(digits: Dataset, members: NDArray[np.bool_], steps: int, seed: int) -> tuple[float, float]:
    """CPU seconds for a model, and mean accuracy, by privlab."""
    model = mlp([64, HIDDEN, 10])
    start = time.process_time()
    run = train(
        model,
        digits.x_train,
        digits.y_train,
        steps=steps,
        batch_size=BATCH,
        learning_rate=RATE,
        optimizer="momentum",
        members=members,
        seed=seed,
    )
    logits = model.logits(run.parameters, digits.x_test)
    spent = time.process_time() - start
    return spent / len(members), float((logits.argmax(-1) == digits.y_test).mean())


def scikit_learn(digits: Dataset, members: NDArray[np.bool_], steps: int) -> tuple[float, float]:
    """CPU seconds for a model, and mean accuracy, by a loop over scikit-learn's networks."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    passes = max(1, round(steps / (members.sum(1).mean() / BATCH)))
    start, accuracies = time.process_time(), []
    for inside in members:
        network = MLPClassifier(
            (HIDDEN,),
            solver="sgd",
            alpha=0.0,
            batch_size=BATCH,
            learning_rate_init=RATE,
            momentum=0.9,
            nesterovs_momentum=False,
            max_iter=passes,
            n_iter_no_change=passes + 1,
        ).fit(digits.x_train[inside], digits.y_train[inside])
        accuracies.append(network.score(digits.x_test, digits.y_test))
    return (time.process_time() - start) / len(members), float(np.mean(accuracies))


if __name__ == "__main__":
    main()
