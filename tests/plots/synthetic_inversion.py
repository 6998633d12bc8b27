"""Made-up recoveries: real pictures under noise that grows with the batch and the noise on the gradient."""

import numpy as np

from privlab.data import load_digits
from privlab.leakage.recoveries import Recoveries

BATCHES, NOISES = (1, 2, 8), (0.0, 0.001, 0.01, 0.1)


def recoveries(batch_sizes=BATCHES, noises=NOISES):
    truth = load_digits().x_train[:8].astype(np.float64)
    draw = np.random.default_rng(0).standard_normal(truth.shape)
    guesses = {(b, noise): np.clip(truth[:b] + 3 * b * noise * draw[:b], 0, 1) for b in batch_sizes for noise in noises}
    return Recoveries(truth, (8, 8), guesses)
