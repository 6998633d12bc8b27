"""Noise in shares: each client adds a little integer noise before masking, and only the sum, with all of it, is ever seen.

Skellam noise (the difference of two Poisson variables) is closed under addition: the sum over clients of variance m each is exactly
Skellam of variance n m. The probabilities from which it is drawn are computed in integers, and the bits come from AES.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, inf, isqrt, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.masking.ring import BITS, LARGEST, FixedPoint, Keystream, blocks, round_at_random

_ORDERS = np.unique(np.geomspace(2, 1e7, 1500).astype(np.int64)).astype(np.float64)
FINEST = 2.0**24  # steps per L2 clip norm beyond which nothing is gained


def skellam_rdp(
    orders: NDArray[np.float64], *, variance: float, l2_sensitivity: float, l1_sensitivity: float
) -> NDArray:
    """Renyi divergence of integer vectors under Skellam noise, at integer orders above 1.

    ``a D2^2 / (2 v) + min(((2 a - 1) D2^2 + 6 D1) / (4 v^2), 3 D1 / (2 v))`` for variance ``v`` in each coordinate and integer
    shifts of at most D2 in L2 and D1 in L1 norm (Agarwal, Kairouz and Liu 2021, theorem 3.5).
    """
    square = l2_sensitivity**2
    excess = np.minimum(
        ((2 * orders - 1) * square + 6 * l1_sensitivity) / (4 * variance**2), 3 * l1_sensitivity / (2 * variance)
    )
    return orders * square / (2 * variance) + excess


def skellam_epsilon(
    *, variance: float, l2_sensitivity: float, l1_sensitivity: float, delta: float, releases: int = 1
) -> float:
    """Epsilon at ``delta`` of integer vectors released with Skellam noise in each coordinate: an upper bound.

    Parameters
    ----------
    variance : float
        Of the noise in one coordinate, at least 0.
    l2_sensitivity, l1_sensitivity : float
        Largest distances between the integer vectors of neighbours, at least 0.
    delta : float
        In (0, 1).
    releases : int
        How many such vectors are released, at least 1.

    Returns
    -------
    float
        In nats (conversion: Canonne, Kamath and Steinke 2020, proposition 12).

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> round(skellam_epsilon(variance=1e4, l2_sensitivity=100, l1_sensitivity=1000, delta=1e-5), 2)
    4.75
    """
    arguments.real("delta", delta, above=0, below=1)
    arguments.whole("releases", releases)
    l2 = arguments.real("l2_sensitivity", l2_sensitivity, at_least=0)
    l1 = arguments.real("l1_sensitivity", l1_sensitivity, at_least=0)
    if arguments.real("variance", variance, at_least=0) == 0:
        return inf
    spent = releases * skellam_rdp(_ORDERS, variance=variance, l2_sensitivity=l2, l1_sensitivity=l1)
    conversion = np.log1p(-1 / _ORDERS) - (np.log(delta) + np.log(_ORDERS)) / (_ORDERS - 1)
    return max(0.0, float((spent + conversion).min()))


def skellam(shape: int | tuple[int, ...], *, variance: int, stream: Keystream) -> NDArray[np.int64]:
    """Draw Skellam noise of mean 0, each number within total variation `skellam_error` of its law.

    Parameters
    ----------
    shape : int or tuple of int
    variance : int
        At least 1; time and memory for the first draw grow as its square root.
    stream : Keystream
        Where the 64 bits for each number come from.

    Returns
    -------
    ndarray of int64

    Examples
    --------
    >>> bool(abs(skellam(10_000, variance=9, stream=Keystream(bytes(16))).var() - 9) < 0.6)
    True
    """
    ends = _cumulative(arguments.whole("variance", variance))
    size = prod(shape) if isinstance(shape, tuple) else shape
    result = np.empty(size, np.int64)
    for part in blocks(2 * size):
        random = stream.words(part.stop - part.start).view("<u8")
        result[part.start // 2 : part.stop // 2] = np.searchsorted(ends, random, side="right")
    return (result - _reach(variance)).reshape(shape)


def skellam_error(variance: int) -> float:
    """Bound on the total variation distance between one number of `skellam` and its law: 2^-64 for each value it can take."""
    return (2 * _reach(variance) + 2) * 2.0**-64


@dataclass(frozen=True)
class NoisyFixedPoint(FixedPoint):
    """Fixed point whose vectors are clipped in L2 norm and carry Skellam noise: distributed differential privacy.

    Parameters
    ----------
    clip : float
        Bound on each coordinate's absolute value, above 0.
    scale : float
        Steps per unit, above 0.
    l2_clip : float
        Bound on a vector's L2 norm, above 0.
    variance : int
        Of one client's noise in each coordinate, in steps squared, at least 1.
    """

    l2_clip: float
    variance: int

    @classmethod
    def for_noise(
        cls, clients: int, dimension: int, *, clip: float, l2_clip: float, noise_multiplier: float, contributors: int
    ) -> "NoisyFixedPoint":
        """Return the encoding in which ``contributors`` clients together add noise of ``noise_multiplier * l2_clip``.

        The steps are fine enough that rounding adds about 1 % to the sensitivity and that a client's variance is at least 64.

        Raises
        ------
        ValueError
            If an argument is not allowed, or the sum and six standard deviations of noise do not fit into 32 bits.
        """
        clip, l2_clip = arguments.real("clip", clip, above=0), arguments.real("l2_clip", l2_clip, above=0)
        arguments.real("noise_multiplier", noise_multiplier, above=0)
        steps = max(8 * sqrt(dimension), 8 * sqrt(arguments.whole("contributors", contributors)) / noise_multiplier)
        variance = ceil((noise_multiplier * steps) ** 2 / contributors)
        encoding = cls(clip, steps / l2_clip, l2_clip, variance)
        if steps > FINEST or encoding.span(clients) > LARGEST:
            raise ValueError(
                f"noise_multiplier is {noise_multiplier!r}, but must be one for which {clients} vectors of {dimension} "
                f"coordinates and their noise fit into {BITS} bits"
            )
        return encoding

    def span(self, clients: int) -> float:
        """Return the largest absolute value of a sum over ``clients``, with six standard deviations of noise, in steps."""
        return clients * (min(self.clip, self.l2_clip) * self.scale + 1) + 6 * sqrt(clients * self.variance)

    def encode(self, vector: NDArray, stream: Keystream) -> NDArray[np.uint32]:
        """Clip, scale, round and add noise to a finite vector of shape (d,)."""
        rounded = self.quantise(vector, stream)
        rounded += skellam(vector.size, variance=self.variance, stream=stream)
        return rounded.astype(np.uint32)

    def quantise(self, vector: NDArray, stream: Keystream) -> NDArray[np.int64]:
        """Clip, scale and round, again and again until the squared L2 norm is at most `largest_square`."""
        exact = np.clip(vector, -self.clip, self.clip, dtype=np.float64)
        exact *= self.scale * min(1.0, self.l2_clip / max(float(np.linalg.norm(exact)), 1e-300))
        while True:  # at least 39 % of the roundings are short enough
            rounded = np.empty(vector.size, np.int64)
            for part in blocks(vector.size):
                rounded[part] = round_at_random(exact[part].copy(), stream)
            if int(rounded @ rounded) <= self.largest_square(vector.size):
                return rounded

    def largest_square(self, dimension: int) -> int:
        """Bound on the squared L2 norm of an encoded vector before noise (Kairouz, Liu and Steinke 2021, beta = e^-1/2)."""
        norm = self.l2_clip * self.scale
        return int(min((norm + sqrt(dimension)) ** 2, norm**2 + dimension / 4 + norm + sqrt(dimension) / 2))

    def epsilon(self, contributors: int, dimension: int, delta: float, releases: int = 1) -> float:
        """Epsilon of releasing the sum, for neighbours that differ in one client's vector, present or replaced by zeros.

        Parameters
        ----------
        contributors : int
            Clients whose noise is in the sum and unknown to the adversary.
        dimension : int
        delta : float
            In (0, 1). The sampler's distance from the exact law is charged to it. Wrapping costs accuracy, not privacy: it is done
            to the noisy sum, whoever does it.
        releases : int
            Rounds with such a sum, each with a vector of the same client.

        Returns
        -------
        float
            An upper bound; infinite where nobody contributes noise or ``delta`` does not pay for the sampler.
        """
        square = self.largest_square(dimension)
        error = releases * contributors * dimension * skellam_error(self.variance)

        def spent(delta: float) -> float:
            return skellam_epsilon(
                variance=contributors * self.variance,
                l2_sensitivity=sqrt(square),
                l1_sensitivity=min(sqrt(dimension * square), square),
                delta=delta,
                releases=releases,
            )

        if contributors < 1:
            return inf
        # Mechanisms within `error` of (eps, d)-private ones are (eps, d + (1 + e^eps) error)-private; half of delta bounds eps.
        cost = (1 + exp(min(spent(arguments.real("delta", delta, above=0, below=1) / 2), 700.0))) * error
        return spent(delta - cost) if cost <= delta / 2 else inf


def _reach(variance: int) -> int:
    """Largest absolute value drawn; by Bernstein's inequality larger ones have probability below 2^-65."""
    return 10 * (isqrt(variance) + 1) + 64


@lru_cache(maxsize=8)
def _cumulative(variance: int) -> NDArray[np.uint64]:
    """Distribution function in units of 2^-64, from -reach on.

    Skellam's law is P(k) = e^-v I_k(v). Miller's backward recurrence I_(k-1) = I_(k+1) + (2 k / v) I_k is stable, and runs here in
    integers; they are scaled by their sum, 1, and rounded down, with the rest given to 0.
    """
    weights = list(_bessel_downwards(variance))
    total = 2 * sum(weights) - weights[-1]
    tail = [(weight << 64) // total for weight in weights]
    tail[-1] += (1 << 64) - (2 * sum(tail) - tail[-1])
    ends, end = [], 0
    for probability in tail + tail[-2::-1]:
        end += probability
        ends.append(end)
    return np.array(
        [end for end in ends if end < 1 << 64], np.uint64
    )  # a word beyond all of these belongs to the next value


def _bessel_downwards(variance: int) -> Iterable[int]:
    """Multiples of I_k(variance), from k = reach, the smallest, to k = 0."""
    above, here = 0, 1 << 128
    for k in range(_reach(variance), 0, -1):
        yield here
        above, here = here, above + 2 * k * here // variance
    yield here
