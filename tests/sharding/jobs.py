"""Small jobs of sharded training, one of each kind, for the tests of rounds and of engines."""

from privlab.data import load_digits
from privlab.learning import softmax_regression
from privlab.masking import PrivacyPlan
from privlab.sharding import partition, train_sharded

DIGITS = load_digits()
X, Y = DIGITS.x_train, DIGITS.y_train
MODEL = softmax_regression(64, 10)
SHARDS = partition(Y, 7, how="dirichlet", alpha=0.5)
BATCH = round(0.2 * len(X))
JOBS = {
    "gradient": {"rounds": 4, "local_steps": 1, "batch_size": 32},
    "local steps": {"rounds": 3, "local_steps": 4, "batch_size": 16, "proximal": 0.1},
    "central": {
        "rounds": 4, "local_steps": 1, "batch_size": BATCH, "privacy": PrivacyPlan(2.0, 1.0, 0.2, 4), "noise_seed": 5,
    },
    "local": {
        "rounds": 2, "local_steps": 3, "batch_size": BATCH, "privacy": PrivacyPlan(2.0, 1.0, 0.2, 6), "noise_seed": 5,
        "trust": "local",
    },
    "secure sum": {"rounds": 2, "local_steps": 2, "batch_size": 16, "trust": "secure-sum"},
    "asynchronous": {
        "rounds": 2, "local_steps": 3, "batch_size": BATCH, "privacy": PrivacyPlan(2.0, 1.0, 0.2, 6), "noise_seed": 5,
        "trust": "local", "mode": "asynchronous", "speeds": (1.0, 1.0, 0.25), "buffer": 2,
    },
}  # fmt: skip


def trained(job, shards=SHARDS, model=MODEL, *, x=X, y=Y, **other):
    return train_sharded(model, x, y, shards, **{"learning_rate": 0.5, **JOBS[job], **other})


def bits(run):
    return [array.tobytes() for array in run.parameters.values()], [str(ledger) for ledger in run.ledgers]
