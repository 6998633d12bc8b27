"""Features that need no training: computed from one picture at a time, so they cost no privacy.

On small data a linear model on such features is more accurate, at the same epsilon, than a network trained on pixels:
there is less to learn, so less to hide (Tramer & Boneh 2021, "Differentially private learning needs better features").
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privlab import arguments

BLOCK = 2  # cells on a side of the blocks that are normalised together
FAINT = 0.1  # gradient below which a block's contrast is not amplified, in units of brightness summed over its pixels


def hog(
    x: ArrayLike, image_shape: Sequence[int], *, cells: int = 5, bins: int = 8, signed: bool = True
) -> NDArray[np.float32]:
    """Histograms of oriented gradients: where in a picture brightness rises, and in which direction.

    Each pixel votes with the length of its brightness gradient, shared between the two nearest directions and between
    the nearest cells. Blocks of 2 x 2 cells overlap; a block's votes become the roots of their shares ("L1-sqrt"). From
    a picture's features their own mean is subtracted, which every picture has in common, and the rest is scaled to L2
    norm 1: no record has more weight than another, and clipping its gradient costs little.

    Parameters
    ----------
    x : array_like, shape (n, rows * columns)
        Pictures, brightness in [0, 1] or thereabouts.
    image_shape : (rows, columns)
        Of a picture, in pixels.
    cells : int
        Cells down and across, from 2 to the shorter side. They need not divide it: cells are triangular windows.
    bins : int
        Directions told apart, at least 2. Direction 0 is brightening to the right, then clockwise.
    signed : bool
        Whether brightening and darkening are different directions, of a full turn; if not, of half a turn.

    Returns
    -------
    ndarray of float32, shape (n, (cells - 1) * (cells - 1) * bins * 2 * 2)
        Ordered as (block row, block column, direction, cell row, cell column). Rows of L2 norm 1; of a picture without
        gradients, 0. A row depends on its own picture alone.

    Raises
    ------
    ValueError
        If an argument is not allowed or does not fit the pictures.

    References
    ----------
    N. Dalal, B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005, section 6.

    Examples
    --------
    >>> from privlab.data import load_digits
    >>> digits = load_digits()
    >>> hog(digits.x_train, digits.image_shape).shape
    (1348, 512)
    """
    pictures = _pictures(x, image_shape, arguments.whole("cells", cells, at_least=BLOCK))
    arguments.whole("bins", bins, at_least=2)
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), mode="edge")
    down, right = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1], padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    length, direction = np.hypot(down, right), np.arctan2(down, right) * (bins / (2 * np.pi if signed else np.pi))
    rows, columns = (_windows(size, cells) for size in pictures.shape[1:])
    votes = [rows @ (length * _vote(direction, k, bins)) @ columns.T for k in range(bins)]
    blocks = np.lib.stride_tricks.sliding_window_view(np.stack(votes, -1), (BLOCK, BLOCK), axis=(1, 2))
    shares = np.sqrt(blocks / (blocks.sum((-3, -2, -1), keepdims=True) + np.float32(FAINT))).reshape(len(pictures), -1)
    shares -= shares.mean(-1, keepdims=True)
    return shares / np.maximum(np.linalg.norm(shares, axis=-1, keepdims=True), np.finfo(np.float32).tiny)


def _pictures(x: ArrayLike, image_shape: Sequence[int], cells: int) -> NDArray[np.float32]:
    flat = arguments.finite_array("x", x, dimensions=2)
    if len(image_shape) != 2 or cells > min(shape := [arguments.whole("image_shape", side) for side in image_shape]):
        raise ValueError(f"image_shape is {image_shape!r}, but must be two numbers of at least {cells}, the cells")
    if flat.shape[1] != shape[0] * shape[1]:
        raise ValueError(f"x has {flat.shape[1]} columns, but must have {shape[0] * shape[1]}, the pixels of a picture")
    return flat.astype(np.float32).reshape(-1, *shape)


def _windows(pixels: int, cells: int) -> NDArray[np.float32]:
    """Share of each pixel in each cell along one axis, (cells, pixels): linear between the cells' centres."""
    centres = (np.arange(cells) + 0.5) * pixels / cells - 0.5
    return np.maximum(0, 1 - np.abs(np.arange(pixels) - centres[:, None]) * cells / pixels).astype(np.float32)


def _vote(direction: NDArray, k: int, bins: int) -> NDArray:
    """Share of each pixel's vote that goes to direction k: linear, around the circle of ``bins`` directions."""
    return np.maximum(0, 1 - np.abs((direction - k + bins / 2) % bins - bins / 2))
