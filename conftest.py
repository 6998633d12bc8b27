"""pytest for the whole repository: one thread for linear algebra, and where nbval finds what it may ignore."""

import os

# Two cores run tests, kernels and worker processes: more threads would stand in each other's way. Read when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # In pyproject.toml a path would be relative to the folder that pytest is started from.
    if getattr(config.option, "nbval_sanitize_with", 0) is None:
        config.option.nbval_sanitize_with = str(config.rootpath / "tests" / "nbval_sanitize.cfg")
