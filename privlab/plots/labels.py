"""Where to write the labels of crowded points so that they cover nothing."""

import numpy as np
from numpy.typing import NDArray

_RADII = (10.0, 16.0, 24.0, 34.0, 46.0)
_DIRECTIONS = 16


def place(
    points: NDArray[np.float64],
    sizes: NDArray[np.float64],
    obstacles: NDArray[np.float64],
    inside: tuple[float, float, float, float],
    *,
    sweeps: int = 3,
) -> NDArray[np.float64]:
    """Choose a centre for each label: near its point, off the obstacles and the other labels.

    Coordinate descent over a ring of candidates per label; deterministic, a few milliseconds for a dozen labels.

    Parameters
    ----------
    points : (n, 2) array
        What the labels belong to, in pixels.
    sizes : (n, 2) array
        Width and height of each label in pixels.
    obstacles : (m, 4) array
        Boxes not to be covered: left, bottom, right, top, in pixels.
    inside : tuple of float
        The box in which the labels must stay, likewise.
    sweeps : int
        How often each label may move again after the others have moved.

    Returns
    -------
    (n, 2) array
        The centres.

    >>> place(np.array([[50.0, 50.0]]), np.array([[20.0, 10.0]]), np.empty((0, 4)), (0, 0, 100, 100)).tolist()
    [[70.0, 50.0]]
    """
    angles = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    directions = np.round(np.stack([np.cos(angles), np.sin(angles)], 1), 9)
    gap = np.repeat(_RADII, _DIRECTIONS)
    # The label's box touches the ring from outside, whatever its shape: (n, candidates, 2).
    ring = np.tile(directions, (len(_RADII), 1))
    candidates = points[:, None] + ring * (gap[:, None] + sizes[:, None] / 2)
    half = sizes[:, None] / 2
    boxes = np.concatenate([candidates - half, candidates + half], 2)
    left, bottom, right, top = inside
    outside = np.maximum(0, np.array([left, bottom]) - boxes[..., :2]) + np.maximum(0, boxes[..., 2:] - (right, top))
    away = np.maximum(0, boxes[..., None, :2] - points) + np.maximum(0, points - boxes[..., None, 2:])
    distances = np.hypot(*np.moveaxis(away, -1, 0))  # of each candidate from each point: (n, candidates, n)
    nearest = np.where(np.eye(len(points), dtype=bool)[:, None], np.inf, distances).min(2)
    strange = np.maximum(0, gap + 3 - nearest)  # nearer to another point than to its own
    fixed = gap + 3 * strange + 50 * outside.sum(2) + np.stack([_overlap(own, obstacles).sum(1) for own in boxes])
    chosen = fixed.argmin(1)
    for _ in range(sweeps):
        for i in range(len(points)):
            others = np.array([boxes[j, chosen[j]] for j in range(len(points)) if j != i]).reshape(-1, 4)
            chosen[i] = (fixed[i] + 3 * _overlap(boxes[i], others).sum(1)).argmin()
    centres: NDArray[np.float64] = candidates[np.arange(len(points)), chosen]
    return centres


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Common area of each box of `a` (p, 4) with each of `b` (q, 4): (p, q)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.maximum(0, high - low)
    area: NDArray[np.float64] = common[..., 0] * common[..., 1]
    return area
