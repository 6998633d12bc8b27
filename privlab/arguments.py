"""Checks of arguments: each error names the argument, the value given and what is allowed."""

import operator
from collections.abc import Collection
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

COMPARISONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def real(
    name: str,
    value: float,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> float:
    """Return ``value`` as a float, or raise `ValueError` where it is not a finite number inside the bounds.

    >>> real("delta", 2, above=0, below=1)
    Traceback (most recent call last):
    ...
    ValueError: delta is 2, but must be a finite number > 0 and < 1
    """
    bounds = [(">", above), (">=", at_least), ("<", below), ("<=", at_most)]
    number = isinstance(value, Real) and not isinstance(value, bool | np.bool_) and np.isfinite(value)
    if number and all(COMPARISONS[sign](value, bound) for sign, bound in bounds if bound is not None):
        return float(value)
    allowed = " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
    raise ValueError(f"{name} is {value!r}, but must be a finite number {allowed}".rstrip())


def whole(name: str, value: int, *, at_least: int = 1) -> int:
    """Return ``value`` as an int, or raise `ValueError` where it is not a whole number of at least ``at_least``."""
    if isinstance(value, Integral) and not isinstance(value, bool) and value >= at_least:
        return int(value)
    raise ValueError(f"{name} is {value!r}, but must be a whole number >= {at_least}")


def choice(name: str, value: str, allowed: Collection[str]) -> str:
    """Return ``value``, or raise `ValueError` where it is not one of ``allowed``."""
    if isinstance(value, str) and value in allowed:
        return value
    raise ValueError(f"{name} is {value!r}, but must be one of {', '.join(map(repr, allowed))}")


def finite_array(name: str, value: ArrayLike, *, dimensions: int | None = None) -> NDArray:
    """Return ``value`` as a numeric array, or raise `ValueError` where it has NaN, infinities or the wrong shape."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {array.dtype}, but must hold real numbers")
    if dimensions is not None and array.ndim != dimensions:
        raise ValueError(f"{name} has shape {array.shape}, but must have {dimensions} dimension(s)")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        count = int(array.size - np.isfinite(array).sum())
        raise ValueError(f"{name} has {count} NaN or infinite value(s), but all must be finite")
    return array
