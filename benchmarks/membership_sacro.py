"""LiRA by SACRO-ML; run by `benchmarks.membership` in the peer's environment."""

import logging
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from sacroml.attacks.likelihood_attack import LIRAAttack
from sacroml.attacks.target import Target
from sklearn.neural_network import MLPClassifier

from benchmarks.peers import serve


def attack(folder: str, shadows: int, hidden: int, passes: int, batch_size: int, learning_rate: float) -> dict:
    """Train the target and attack it; no report is written."""
    with np.load(Path(folder) / "digits.npz", allow_pickle=False) as arrays:
        x, y, members, x_test, y_test = (arrays[n] for n in ("x_train", "y_train", "members", "x_test", "y_test"))
    # In single precision its log-odds of a sure model are infinite, and it stops.
    x, x_test = x.astype(np.float64), x_test.astype(np.float64)
    start = time.process_time()
    # The settings of privlab's recipe; it has no weight decay and does not stop early.
    network = MLPClassifier(
        (hidden,),
        solver="sgd",
        alpha=0.0,
        batch_size=batch_size,
        learning_rate_init=learning_rate,
        momentum=0.9,
        nesterovs_momentum=False,
        max_iter=passes,
        n_iter_no_change=passes + 1,
    ).fit(x[members], y[members])
    target = Target(model=network, X_train=x[members], y_train=y[members], X_test=x[~members], y_test=y[~members])
    with tempfile.TemporaryDirectory() as output:
        lira = LIRAAttack(output, write_report=False, n_shadow_models=shadows, mode="online-carlini")
        lira.attack(target)
    seconds = time.process_time() - start
    found = lira.attack_metrics[0]
    return {
        "cpu_seconds": seconds,
        "accuracy": network.score(x_test, y_test),
        "auc": float(found["AUC"]),
        "tpr": float(np.max(found["tpr"][np.asarray(found["fpr"]) <= 0.01])),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    serve(attack, "sacroml")
