"""Noise masks and secret masks."""

from privlab.masking.accounting import (
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
from privlab.masking.ledger import Ledger
from privlab.masking.messages import Round
from privlab.masking.noise import (
    LEVELS,
    clip_factors,
    discrete_gaussian,
    discrete_laplace,
    gaussian_mechanism,
    laplace_mechanism,
    randomized_response,
    residue_attack,
)
from privlab.masking.parties import Client, Server
from privlab.masking.plan import PrivacyPlan, running_sum_errors
from privlab.masking.ring import FixedPoint
from privlab.masking.shares import Share, additive_shares, combine, split
from privlab.masking.skellam import NoisyFixedPoint, skellam, skellam_epsilon
from privlab.masking.structure import (
    add_decoys,
    align_units,
    canonical_form,
    permute_units,
    scale_units,
    strip_decoys,
)

__all__ = [
    "LEVELS",
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
    "add_decoys",
    "additive_shares",
    "align_units",
    "canonical_form",
    "clip_factors",
    "combine",
    "discrete_gaussian",
    "discrete_laplace",
    "epsilon",
    "gaussian_epsilon",
    "gaussian_mechanism",
    "gaussian_noise_multiplier",
    "laplace_mechanism",
    "neighbourhood",
    "noise_multiplier",
    "permute_units",
    "randomized_response",
    "residue_attack",
    "running_sum_errors",
    "scale_units",
    "secure_sum",
    "shuffle_epsilon_lower_bound",
    "skellam",
    "skellam_epsilon",
    "split",
    "strip_decoys",
    "tradeoff_curve",
]
