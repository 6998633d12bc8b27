"""Correlated noise for DP-SGD: what one step adds, later steps partly take back (matrix factorisation, DP-FTRL).

Row t of G is step t's clipped gradient sum, A is the lower triangle of ones, so A G holds the running sums that training uses.
Split A = B C with C lower triangular. Adding row t of X = C^-1 Z to step t, with Z white noise, gives G + X = C^-1 (C G + Z): all
of training is computed from the ONE Gaussian release C G + Z, also where a gradient depends on earlier releases (Denisov et al.
2022, theorem 2.1). Its cost depends on the L2 norm by which one record can change C G; the running sums carry the noise B Z.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np
import scipy
from numpy.typing import NDArray

from privlab import arguments

NAMES = ("tree", "square-root", "banded-square-root", "one-step")


@dataclass(frozen=True)
class Correlation:
    """How the noise of a step depends on that of earlier steps: the matrix C, lower triangular, none of it negative.

    Parameters
    ----------
    name : {"tree", "square-root", "banded-square-root", "one-step"}
        "tree": running sums are put together from noisy nodes of a binary tree (Kairouz et al. 2021); row t of C adds up the steps
        of the one node that step t completes. "square-root": C C = A (Fichtenberger et al. 2023). "banded-square-root": the first
        ``bands`` diagonals of it (Kalinin & Lampert 2024). "one-step": ``x_t = z_t - decay z_(t-1)``; C holds powers of ``decay``.
    bands : int
        For "banded-square-root" at least 1, where 1 is white noise; else 0.
    decay : float
        For "one-step" in [0, 1], where 0 is white noise; else 0.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> Correlation("one-step", decay=0.5).matrix(3)
    array([[1.  , 0.  , 0.  ],
           [0.5 , 1.  , 0.  ],
           [0.25, 0.5 , 1.  ]])
    """

    name: str
    bands: int = 0
    decay: float = 0.0

    def __post_init__(self) -> None:
        arguments.choice("name", self.name, NAMES)
        arguments.real("decay", self.decay, at_least=0, at_most=1)
        arguments.whole("bands", self.bands, at_least=1 if self.name == "banded-square-root" else 0)
        for field, owner in (("bands", "banded-square-root"), ("decay", "one-step")):
            if self.name != owner and getattr(self, field) != 0:
                raise ValueError(f"{field} is {getattr(self, field)!r}, but must be 0 for {self.name!r}")

    @classmethod
    def suited(cls, name: str, steps: int, separation: int) -> "Correlation":
        """Return the named kind for a run of ``steps`` in which a record takes part every ``separation`` steps.

        "banded-square-root" gets one band per step of separation, so that one record's passes do not add up in any row of C;
        "one-step" the decay with the least error of running sums, to three decimals.
        """
        if name == "banded-square-root":
            return cls(name, bands=separation)
        if name != "one-step":
            return cls(name)

        def error(decay: float) -> float:
            one_step = cls(name, decay=decay)
            return one_step.sensitivity(steps, separation) * one_step.running_sum_error(steps)

        return cls(
            name, decay=round(float(scipy.optimize.minimize_scalar(error, bounds=(0, 1), method="bounded").x), 3)
        )

    def matrix(self, steps: int) -> NDArray[np.float64]:
        """Return C, shape (steps, steps)."""
        if self.name == "tree":
            end, start = np.arange(1, steps + 1)[:, None], _node_starts(steps)[:, None]
            step = np.arange(steps)
            return ((start <= step) & (step < end)).astype(np.float64)
        return np.tril(scipy.linalg.toeplitz(self._column(steps)))

    def sensitivity(self, steps: int, separation: int) -> float:
        """Return the largest L2 norm of C G that one record can bring about, in units of the clip norm: exact.

        Parameters
        ----------
        steps : int
            Steps released, at least 1.
        separation : int
            The record takes part in steps r, r + separation, r + 2 separation, … for one r below ``separation``.

        Returns
        -------
        float
            As C has no negative entry the worst gradients are equal and of full norm: the norm of the sum of the record's columns
            of C, at the worst r. For all but "tree" that is r = 0, the others being shifts of it cut short, and it holds for
            any pattern of this *minimal* separation (Kalinin & Lampert 2024, theorem 2).

        Examples
        --------
        >>> Correlation("tree").sensitivity(steps=64, separation=64) ** 2  # the first step is in 7 nodes
        7.000000000000001
        """
        steps, separation = arguments.whole("steps", steps), arguments.whole("separation", separation)
        return _sensitivity(self, steps, separation)

    def running_sum_error(self, steps: int) -> float:
        """Return the root mean square, over steps, of the running sums' noise B Z, where Z has standard deviation 1."""
        steps = arguments.whole("steps", steps)
        if self.name == "tree":
            return sqrt(np.bitwise_count(np.arange(1, steps + 1)).mean())  # nodes in a running sum: ones of t in binary
        if self.name == "one-step":  # the first column of B is 1, 1 - decay, 1 - decay, …
            return sqrt(1 + (steps - 1) / 2 * (1 - self.decay) ** 2)
        response = scipy.linalg.solve_toeplitz(
            (self._column(steps), np.zeros(steps)), np.ones(steps)
        )  # the first column of B
        return sqrt(np.cumsum(response**2).mean())

    def stream(self, fresh: Iterable[NDArray], steps: int) -> Iterator[NDArray]:
        """Turn each step's fresh noise z_t into x_t, row t of C^-1 Z, in place; yield the same arrays.

        Kept meanwhile, in vectors of one step's noise: "tree" ``log2(steps)``, "square-root" ``steps - 1``,
        "banded-square-root" ``bands - 1``, "one-step" 1.
        """
        if self.name == "tree":
            return _tree_stream(fresh)
        return self._one_step_stream(fresh) if self.name == "one-step" else self._toeplitz_stream(fresh, steps)

    def _one_step_stream(self, fresh: Iterable[NDArray]) -> Iterator[NDArray]:
        carried: NDArray | float = 0.0
        for noise in fresh:
            next_carried = self.decay * noise
            noise -= carried
            carried = next_carried
            yield noise

    def _toeplitz_stream(self, fresh: Iterable[NDArray], steps: int) -> Iterator[NDArray]:
        """Solve C X = Z row by row: ``x_t = z_t - c_1 x_(t-1) - c_2 x_(t-2) - …``, in a ring of past x."""
        past = self._column(steps)[1 : self.bands or None]
        ring = None
        for step, noise in enumerate(fresh):
            if ring is None:
                ring = np.zeros((len(past), noise.size), noise.dtype)
            if len(past):
                known = min(step, len(past))
                lag = (step - 1 - np.arange(known)) % len(past)  # less one: of the x in each row of the ring
                noise -= past[lag].astype(noise.dtype) @ ring[:known]
                ring[step % len(past)] = noise
            yield noise

    def _column(self, steps: int) -> NDArray[np.float64]:
        """First column of a Toeplitz C: not negative, not increasing, 1 at the top."""
        lags = np.arange(steps)
        if self.name == "one-step":
            return np.asarray(self.decay**lags, dtype=np.float64)
        ratios = (2 * lags - 1) / np.maximum(2 * lags, 1)
        column = np.cumprod(np.where(lags == 0, 1.0, ratios))
        return np.where(lags < (self.bands or steps), column, 0.0)

    def __str__(self) -> str:
        detail = (
            f" of {self.bands} bands" if self.bands else f" of decay {self.decay:g}" if self.name == "one-step" else ""
        )
        return self.name + detail


def _node_starts(steps: int) -> NDArray[np.intp]:
    """First step of the tree node that each step completes; the node of step t (from 1) spans t's lowest binary one."""
    end = np.arange(1, steps + 1)
    return end - (end & -end)


def _tree_stream(fresh: Iterable[NDArray]) -> Iterator[NDArray]:
    """A node that is completed replaces the smaller ones to its left: theirs is the noise that is taken back."""
    nodes: dict[int, NDArray] = {}
    for step, noise in enumerate(fresh, 1):
        level = (step & -step).bit_length() - 1
        node = noise.copy()
        for smaller in range(level):
            noise -= nodes[smaller]
        nodes[level] = node
        yield noise


@lru_cache(maxsize=256)
def _sensitivity(correlation: Correlation, steps: int, separation: int) -> float:
    if correlation.name == "tree":
        end, start = np.arange(1, steps + 1), _node_starts(steps)

        def visits(offset: int, first: NDArray[np.intp]) -> NDArray[np.intp]:
            return np.maximum(first - offset + separation - 1, 0) // separation  # of the record, in so many first steps

        counts = (visits(r, end) - visits(r, start) for r in range(min(separation, steps)))
        return sqrt(max(int((count**2).sum()) for count in counts))
    passes = -(-steps // separation)
    column = np.zeros(passes * separation)
    column[:steps] = correlation._column(steps)
    # Column 0 plus its shifts by whole passes: in each row, what stands there and one, two, … passes above.
    return float(np.linalg.norm(column.reshape(passes, separation).cumsum(0).ravel()[:steps]))
