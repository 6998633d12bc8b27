"""privlab: teach, and experiment with, privacy in the training of large models.

Subpackages are imported by name (``from privlab.masking import epsilon``); importing ``privlab`` alone loads none of them.
"""

__version__ = "0.1.0"
