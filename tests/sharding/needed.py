"""What the tests of an engine do where it is not installed."""

import importlib.util
import os

import pytest


def require(module: str) -> None:
    """Skip without an engine, except where ``PRIVLAB_REQUIRE_ENGINES=1``."""
    if importlib.util.find_spec(module) is None:
        unavailable(f"{module} is not installed: pip install 'privlab[engines]'")


def unavailable(reason: str) -> None:
    (pytest.fail if os.environ.get("PRIVLAB_REQUIRE_ENGINES") == "1" else pytest.skip)(reason)
