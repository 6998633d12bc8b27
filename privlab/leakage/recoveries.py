"""What gradient inversion recovers of batches of pictures, over batch sizes and noises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.data import Dataset
from privlab.leakage.inversion import invert_gradient, pair_up, psnr
from privlab.learning.models import Model
from privlab.randomness import stream

Array = NDArray[np.float64]

LIKE_THE_ORIGINAL = 30.0  # dB
CLEAR = 80.0  # dB; beyond, pixels are right to a ten-thousandth
MOST = 8  # pictures, as many as fit in a row


@dataclass(frozen=True, eq=False)
class Recoveries:
    """What gradient inversion made of batches of the same pictures, for every batch size and every noise. Make it by `recover`.

    Parameters
    ----------
    truth : ndarray, shape (records, d)
        The pictures, 1 to 8; a batch of size b has the first b.
    image_shape : tuple of int
    guesses : mapping of (int, float) to ndarray, shape (b, d)
        By batch size b and noise per coordinate: what was recovered, in the order of ``truth``.

    Raises
    ------
    ValueError
        If a shape does not fit, or a pair of a batch size and a noise is missing.
    """

    truth: Array
    image_shape: tuple[int, int]
    guesses: Mapping[tuple[int, float], Array]

    def __post_init__(self) -> None:
        records, d = np.shape(self.truth)
        if not 1 <= records <= MOST or np.prod(self.image_shape) != d:
            raise ValueError(f"truth has shape {(records, d)}, but must be 1 to {MOST} pictures of {self.image_shape}")
        if not self.guesses or set(self.guesses) != {(b, noise) for b in self.batch_sizes for noise in self.noises}:
            raise ValueError(f"guesses has {sorted(self.guesses)}, but must have each batch size with each noise")
        for (b, noise), guess in self.guesses.items():
            if guess.shape != (b, d) or b > records:
                raise ValueError(f"guesses of {(b, noise)} has shape {guess.shape}, but must be {(min(b, records), d)}")

    @property
    def batch_sizes(self) -> list[int]:
        """Rising."""
        return sorted({b for b, _ in self.guesses})

    @property
    def noises(self) -> list[float]:
        """Standard deviation on each coordinate of the mean gradient, rising."""
        return sorted({noise for _, noise in self.guesses})

    @cached_property
    def quality(self) -> dict[tuple[int, float], Array]:
        """PSNR of each record in dB, by batch size and noise."""
        return {key: psnr(self.truth[: key[0]], guess) for key, guess in self.guesses.items()}

    @cached_property
    def blind(self) -> float:
        """PSNR in dB of one grey for all pixels of all pictures, the best there is: what needs no gradient."""
        return float(-10 * np.log10(self.truth.var()))

    def describe(self, records: int, noise: float) -> str:
        """One sentence with the figures of a batch size and a noise; `ValueError` where they are not there."""
        if (records, noise) not in self.guesses:
            raise ValueError(
                f"records and noise are {(records, noise)}, but must be of {self.batch_sizes} and {self.noises}"
            )
        quality = self.quality[records, noise]
        span = " to ".join(dict.fromkeys(decibels(value) for value in (quality.min(), quality.max())))
        clear = int((quality > LIKE_THE_ORIGINAL).sum())
        return f"batch of {records}, noise {noise:g}: recovered at {span}; {clear} of {records} look like the original"


def recover(
    model: Model,
    parameters: Mapping[str, NDArray],
    dataset: Dataset,
    records: Sequence[int],
    *,
    batch_sizes: Sequence[int],
    noises: Sequence[float],
    seed: int = 0,
) -> Recoveries:
    """Attack the mean gradients of batches of training records, with normal noise on each coordinate.

    Parameters
    ----------
    model, parameters
        As for `invert_gradient`.
    dataset : Dataset
        Of pictures.
    records : sequence of int
        Training records, 1 to 8; a batch of size b has the first b.
    batch_sizes : sequence of int
    noises : sequence of float
        At least 0. All noises are multiples of the same draw.
    seed : int
        Of the noise and the attack.

    Raises
    ------
    ValueError
        If an argument is not allowed, or the dataset has no pictures.
    """
    if dataset.image_shape is None:
        raise ValueError(f"dataset is {dataset.name!r}, but must be one of pictures")
    if max(batch_sizes) > len(records):
        raise ValueError(f"batch_sizes has {max(batch_sizes)}, but there are {len(records)} records")
    scales = [arguments.real("noises", noise, at_least=0) for noise in noises]
    exact = {name: array.astype(np.float64) for name, array in parameters.items()}
    x, y = dataset.x_train[records].astype(np.float64), dataset.y_train[records]
    guesses = {}
    for b in batch_sizes:
        rng = stream(seed, "noise on a gradient", b)
        total, _ = model.gradient(exact, x[:b], y[:b])
        draw = {name: rng.standard_normal(array.shape) for name, array in total.items()}
        for noise in scales:
            sent = {name: array / b + noise * draw[name] for name, array in total.items()}
            guesses[b, noise] = pair_up(x[:b], invert_gradient(model, exact, sent, records=b, seed=seed).x)
    return Recoveries(x, dataset.image_shape, guesses)


def decibels(value: float) -> str:
    """A PSNR in words.

    >>> decibels(28.46), decibels(139.0)
    ('28 dB', 'over 80 dB')
    """
    return f"{value:.0f} dB" if value < CLEAR else f"over {CLEAR:.0f} dB"
