"""Memorisation that was never trained: exposures rise with repetitions, the less the more noise."""

import math

import numpy as np

from privlab.leakage.memorisation import Memorisation, Memorised
from privlab.leakage.text_recipe import TextRecipe

REPETITIONS = (0, 1, 4, 16)
MOST = math.log2(10**6)


def run(noise, epsilon, *, deduplicated=False):
    slope = 1.2 if deduplicated else 6 / (1 + 4 * noise)
    bits = np.minimum(MOST, 1.0 + slope * np.arange(4)[:, None] + np.array([0.0, 0.3, 0.9]))
    exact, sampled, fitted = (
        tuple(map(tuple, values.tolist())) for values in (bits, np.minimum(bits, math.log2(4001)), 0.9 * bits)
    )
    ceilings = (1.0, 5.0, MOST, MOST) if noise else (MOST,) * 4
    listed = (("281265", 0.7, 16), ("141421", 1.6, 4), ("000000", 2.3, 0), ("314159", 3.0, 1))
    return Memorised(epsilon, noise, deduplicated, 2.5 + noise, exact, sampled, fitted, ceilings, listed, 139)


def memorised():
    runs = (run(0.0, math.inf), run(0.5, 8.0), run(1.5, 1.0), run(0.0, math.inf, deduplicated=True))
    return Memorisation(REPETITIONS, 10**6, 4000, 170_000, 7, 5e-6, 0, TextRecipe(), runs)
