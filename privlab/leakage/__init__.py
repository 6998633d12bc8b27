"""Attacks and measures."""

from privlab.leakage.canaries import (
    Canary,
    deduplicate,
    exposure,
    exposure_ceiling,
    plant,
    rank_exposure,
    skew_normal_exposure,
)
from privlab.leakage.extraction import Extraction, candidate_losses, extract, secret_losses
from privlab.leakage.frontier import ATTACKS, AttackResult, Frontier, FrontierPoint, leakage_vs_accuracy
from privlab.leakage.inversion import Inversion, closed_form, invert_gradient, pair_up, psnr, recover_labels
from privlab.leakage.membership import confidence, lira, loss_threshold, rmia, separation
from privlab.leakage.memorisation import Memorisation, Memorised, memorisation
from privlab.leakage.recoveries import Recoveries, recover
from privlab.leakage.roc import Roc, bootstrap_band, roc
from privlab.leakage.sequences import ALPHABET, encode, sequence_scores, windows
from privlab.leakage.shadows import Recipe, Shadows, shadow_models
from privlab.leakage.text_recipe import Moment, TextRecipe, bits_per_character, learn_secret
from privlab.leakage.wiretap import Wiretap, message_gradient

__all__ = [
    "ALPHABET",
    "ATTACKS",
    "AttackResult",
    "Canary",
    "Extraction",
    "Frontier",
    "FrontierPoint",
    "Inversion",
    "Memorisation",
    "Memorised",
    "Moment",
    "Recipe",
    "Recoveries",
    "Roc",
    "Shadows",
    "TextRecipe",
    "Wiretap",
    "bits_per_character",
    "bootstrap_band",
    "candidate_losses",
    "closed_form",
    "confidence",
    "deduplicate",
    "encode",
    "exposure",
    "exposure_ceiling",
    "extract",
    "invert_gradient",
    "leakage_vs_accuracy",
    "learn_secret",
    "lira",
    "loss_threshold",
    "memorisation",
    "message_gradient",
    "pair_up",
    "plant",
    "psnr",
    "rank_exposure",
    "recover",
    "recover_labels",
    "rmia",
    "roc",
    "secret_losses",
    "separation",
    "sequence_scores",
    "shadow_models",
    "skew_normal_exposure",
    "windows",
]
