"""Figures: one file per pillar, one function per figure, each returns (figure, axes)."""

from privlab.plots.leakage import allowed_and_achieved, dashboard, default_point, describe, frontier
from privlab.plots.style import Still, png

__all__ = ["Still", "allowed_and_achieved", "dashboard", "default_point", "describe", "frontier", "png"]
