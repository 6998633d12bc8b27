"""A frontier of textbook curves: no training, yet shaped as the real ones are."""

import math
from dataclasses import replace

import numpy as np
from scipy.special import ndtr, ndtri

from privlab.leakage.frontier import ATTACKS, AttackResult, Frontier, FrontierPoint

NOISE = (0.0, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
EPSILON = (math.inf, 37.4, 20.6, 11.2, 6.7, 4.05, 2.64, 1.75, 1.21, 0.83)
ACCURACY = (0.962, 0.947, 0.942, 0.935, 0.926, 0.913, 0.893, 0.858, 0.802, 0.703)
STRENGTH = dict(zip(ATTACKS, (1.0, 0.8, 0.9, 0.5), strict=True))
GRID = tuple(float(rate) for rate in np.unique(np.round(np.geomspace(1e-4, 1, 81), 10)))
TRIALS = 86_208


def gaussian_rates(mu):
    """Phi(Phi^-1(a) + mu) on the grid: what the best test of N(0, 1) against N(mu, 1) reaches."""
    return ndtr(ndtri(np.array(GRID)) + mu)


def attack_result(mu, rng):
    scatter = np.sqrt(gaussian_rates(mu) / (TRIALS / 2))
    middle = np.clip(gaussian_rates(mu) + scatter * rng.normal(0, 0.3, len(GRID)), 0, 1)
    middle = np.maximum.accumulate(np.append(middle[:-1], 1.0))
    wide = 2 * scatter + 4 / TRIALS
    low, high = np.clip(middle - wide, 0, 1), np.clip(middle + wide, 0, 1)
    return AttackResult(
        float(ndtr(mu / math.sqrt(2))), float(2 * ndtr(mu / 2) - 1), *map(as_tuple, (middle, low, high))
    )


def as_tuple(values):
    return tuple(float(value) for value in values)


def point(noise, epsilon, accuracy, *, seed=0):
    rng = np.random.default_rng([seed, 1, round(10 * noise)])
    reached = 1.05 if noise == 0 else 0.16 / noise
    attacks = {name: attack_result(reached * strength, rng) for name, strength in STRENGTH.items()}
    allowed = np.ones(len(GRID)) if noise == 0 else gaussian_rates(1.9 / noise)
    best = attacks["LiRA online"]
    at_1, at_01 = (float(np.interp(rate, GRID, best.true_positive_rates)) for rate in (0.01, 0.001))
    spread = 0.004 + 0.0018 * noise
    promise = epsilon, as_tuple(allowed)
    figures = (epsilon, 1e-4, accuracy, spread, best.auc, at_1, at_01, promise[1], attacks)
    return FrontierPoint(noise, 1, "central", *figures, *promise)


def gaussian_frontier():
    points = [point(*row) for row in zip(NOISE, EPSILON, ACCURACY, strict=True)]
    return Frontier("digits", 64, TRIALS, GRID, tuple(points))


def sharded_frontier():
    """One shard and four, under all trusts; noises whose doubles are there, too."""
    models = {noise: point(noise, *row) for noise, *row in zip(NOISE, EPSILON, ACCURACY, strict=True)}
    points = []
    for trust, shards in ((trust, shards) for trust in ("central", "secure-sum", "local") for shards in (1, 4)):
        for noise in (0.0, 0.5, 1.0, 2.0, 4.0):
            model = models[2 * noise if (trust, shards) == ("local", 4) else noise]
            promise = {"epsilon": models[noise].epsilon, "allowed": models[noise].allowed}
            points.append(replace(model, noise_multiplier=noise, shards=shards, trust=trust, **promise))
    return replace(gaussian_frontier(), points=tuple(points))
