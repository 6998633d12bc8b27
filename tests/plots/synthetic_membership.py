"""Shadow models that were never trained: records of known separation, three noise levels."""

import numpy as np

from privlab.data import Dataset
from privlab.leakage.shadows import Shadows
from privlab.masking import Ledger

MODELS, RECORDS = 24, 60
NOISE = (0.0, 1.0, 5.6)
GAPS = np.linspace(6, 0, RECORDS)  # record 0 leaks most


def dataset():
    rng = np.random.default_rng(0)
    x, y = rng.random((RECORDS, 64), dtype=np.float32), rng.integers(0, 10, RECORDS)
    return Dataset("digits", x, y, x, y, 10, (8, 8))


def shadows(strength=1.0):
    """Confidences N(gap * member, 1) per record, so that the separation is ``strength * GAPS``."""
    rng = np.random.default_rng(1)
    members = np.arange(MODELS)[:, None] % 2 == np.arange(RECORDS) % 2
    confidences = rng.standard_normal((MODELS, RECORDS)) + strength * GAPS * members
    population = np.logaddexp(0, -rng.standard_normal((MODELS, 40)))
    return Shadows(members, confidences, np.logaddexp(0, -confidences), population, np.full(MODELS, 0.9), Ledger())


def levels():
    return {noise: shadows(1 / (1 + noise)) for noise in NOISE}
