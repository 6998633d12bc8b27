"""pytest for the whole repository: one thread for linear algebra, interrupts that arrive, and what nbval may ignore."""

import os
import signal

# Two cores run tests, kernels and worker processes: more threads would stand in each other's way. Read when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # A shell has what it starts in the background ignore interrupts, and some tests interrupt themselves.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # In pyproject.toml a path would be relative to the folder that pytest is started from.
    if getattr(config.option, "nbval_sanitize_with", 0) is None:
        config.option.nbval_sanitize_with = str(config.rootpath / "tests" / "nbval_sanitize.cfg")
