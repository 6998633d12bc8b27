"""The black-box audit as a check."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from privlab.leakage import audit
from privlab.leakage.audit import Mechanism


def leak(
    mechanism: Mechanism, neighbours: Sequence[Any], epsilon: float, rng: np.random.Generator, *, delta: float = 0.0
) -> str:
    """Say by how much a mechanism breaks its claim, or nothing; 4,000 trials a side; a false word once in a million calls."""
    found = audit(mechanism, neighbours, trials=4000, delta=delta, confidence=1 - 1e-6, seed=int(rng.integers(2**32)))
    if found.epsilon <= epsilon:
        return ""
    return f"I can tell the neighbours apart with epsilon at least {found.epsilon:.1f}, you claimed {epsilon:.3g}."
