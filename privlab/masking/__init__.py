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
from privlab.masking.aggregation import SecureSum, secure_sum
from privlab.masking.correlated import Correlation
from privlab.masking.graph import Neighbourhood, neighbourhood
from privlab.masking.messages import Round
from privlab.masking.noise import clip_factors, gaussian_mechanism, laplace_mechanism, randomized_response
from privlab.masking.parties import Client, Server
from privlab.masking.plan import PrivacyPlan, running_sum_errors
from privlab.masking.ring import FixedPoint
from privlab.masking.shares import Share, additive_shares, combine, split
from privlab.masking.skellam import NoisyFixedPoint, skellam, skellam_epsilon

__all__ = [
    "Client",
    "Correlation",
    "FixedPoint",
    "Ledger",
    "Neighbourhood",
    "NoisyFixedPoint",
    "PrivacyPlan",
    "Round",
    "SecureSum",
    "Server",
    "Share",
    "additive_shares",
    "clip_factors",
    "combine",
    "epsilon",
    "gaussian_epsilon",
    "gaussian_mechanism",
    "gaussian_noise_multiplier",
    "laplace_mechanism",
    "neighbourhood",
    "noise_multiplier",
    "randomized_response",
    "running_sum_errors",
    "secure_sum",
    "shuffle_epsilon_lower_bound",
    "skellam",
    "skellam_epsilon",
    "split",
    "tradeoff_curve",
]
