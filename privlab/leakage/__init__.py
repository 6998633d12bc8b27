"""Attacks and measures."""

from privlab.leakage.architecture import Width, last_width, relu_units, sizes_from_length, sizes_from_shapes
from privlab.leakage.attributes import (
    AttributeInference,
    Guesses,
    attribute_inference,
    impute_attribute,
    infer_attribute,
)
from privlab.leakage.audit import Audit, audit
from privlab.leakage.canaries import (
    Canary,
    deduplicate,
    exposure,
    exposure_ceiling,
    plant,
    rank_exposure,
    skew_normal_exposure,
)
from privlab.leakage.exhibits import EXHIBITS, Exhibit
from privlab.leakage.extraction import Extraction, candidate_losses, extract, secret_losses
from privlab.leakage.frontier import ATTACKS, AttackResult, Frontier, FrontierPoint, leakage_vs_accuracy
from privlab.leakage.game import GRANTED, Release, commitment, publish, receive, referee, submit
from privlab.leakage.inversion import Inversion, closed_form, invert_gradient, pair_up, psnr, recover_labels
from privlab.leakage.map import advantage, fact, verdict
from privlab.leakage.membership import confidence, lira, loss_threshold, rmia, separation
from privlab.leakage.memorisation import Memorisation, Memorised, memorisation
from privlab.leakage.museum import CHECKS, Row, museum, visit
from privlab.leakage.one_run import audit_scores, guesses_for, one_run_epsilon
from privlab.leakage.recoveries import Recoveries, recover
from privlab.leakage.roc import Roc, bootstrap_band, roc
from privlab.leakage.sequences import ALPHABET, encode, sequence_scores, windows
from privlab.leakage.shadows import Recipe, Shadows, shadow_models
from privlab.leakage.specimen import dp_sgd
from privlab.leakage.stealing import Oracle, Theft, distil, steal_softmax, without_shift
from privlab.leakage.text_recipe import Moment, TextRecipe, bits_per_character, learn_secret
from privlab.leakage.training_audit import audit_training
from privlab.leakage.wiretap import Wiretap, message_gradient

__all__ = [
    "ALPHABET",
    "ATTACKS",
    "CHECKS",
    "EXHIBITS",
    "GRANTED",
    "AttackResult",
    "AttributeInference",
    "Audit",
    "Canary",
    "Exhibit",
    "Extraction",
    "Frontier",
    "FrontierPoint",
    "Guesses",
    "Inversion",
    "Memorisation",
    "Memorised",
    "Moment",
    "Oracle",
    "Recipe",
    "Recoveries",
    "Release",
    "Roc",
    "Row",
    "Shadows",
    "TextRecipe",
    "Theft",
    "Width",
    "Wiretap",
    "advantage",
    "attribute_inference",
    "audit",
    "audit_scores",
    "audit_training",
    "bits_per_character",
    "bootstrap_band",
    "candidate_losses",
    "closed_form",
    "commitment",
    "confidence",
    "deduplicate",
    "distil",
    "dp_sgd",
    "encode",
    "exposure",
    "exposure_ceiling",
    "extract",
    "fact",
    "guesses_for",
    "impute_attribute",
    "infer_attribute",
    "invert_gradient",
    "last_width",
    "leakage_vs_accuracy",
    "learn_secret",
    "lira",
    "loss_threshold",
    "memorisation",
    "message_gradient",
    "museum",
    "one_run_epsilon",
    "pair_up",
    "plant",
    "psnr",
    "publish",
    "rank_exposure",
    "receive",
    "recover",
    "recover_labels",
    "referee",
    "relu_units",
    "rmia",
    "roc",
    "secret_losses",
    "separation",
    "sequence_scores",
    "shadow_models",
    "sizes_from_length",
    "sizes_from_shapes",
    "skew_normal_exposure",
    "steal_softmax",
    "submit",
    "verdict",
    "visit",
    "windows",
    "without_shift",
]
