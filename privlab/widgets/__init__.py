"""Sliders on top of the plots; every widget has a static twin."""

from privlab.widgets.leakage import dashboard
from privlab.widgets.panel import Panel

__all__ = ["Panel", "dashboard"]
