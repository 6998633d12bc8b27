"""Attacks and measures."""

from privlab.leakage.frontier import ATTACKS, AttackResult, Frontier, FrontierPoint, leakage_vs_accuracy
from privlab.leakage.membership import confidence, lira, loss_threshold, rmia, separation
from privlab.leakage.roc import Roc, bootstrap_band, roc
from privlab.leakage.shadows import Recipe, Shadows, shadow_models

__all__ = [
    "ATTACKS",
    "AttackResult",
    "Frontier",
    "FrontierPoint",
    "Recipe",
    "Roc",
    "Shadows",
    "bootstrap_band",
    "confidence",
    "leakage_vs_accuracy",
    "lira",
    "loss_threshold",
    "rmia",
    "roc",
    "separation",
    "shadow_models",
]
