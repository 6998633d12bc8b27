"""Noise masks and secret masks."""

from privlab.masking.accounting import (
    Ledger,
    epsilon,
    gaussian_epsilon,
    gaussian_noise_multiplier,
    noise_multiplier,
    shuffle_epsilon_lower_bound,
    tradeoff_curve,
)
from privlab.masking.noise import clip_factors, gaussian_mechanism, laplace_mechanism, randomized_response
from privlab.masking.plan import PrivacyPlan

__all__ = [
    "Ledger",
    "PrivacyPlan",
    "clip_factors",
    "epsilon",
    "gaussian_epsilon",
    "gaussian_mechanism",
    "gaussian_noise_multiplier",
    "laplace_mechanism",
    "noise_multiplier",
    "randomized_response",
    "shuffle_epsilon_lower_bound",
    "tradeoff_curve",
]
