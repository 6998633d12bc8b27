"""Canaries: made-up secrets planted in a training text, to measure what a model has memorised of it.

Guarantees count windows: one record is one character with those before it in its line. A copy of a canary is a line of its own, and
the windows that hold any of its secret predict the secret's symbols and the line's end: ``length + 1`` records a copy, all of which
group privacy must cover. No window of another line is touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.leakage.extraction import candidate_losses, secret_losses
from privlab.leakage.sequences import ALPHABET, encode
from privlab.learning.models import Model
from privlab.masking import PrivacyPlan, tradeoff_curve
from privlab.randomness import stream

TEMPLATE = "my secret number is ######"
_SHARES = np.geomspace(1e-12, 1, 4097)


@dataclass(frozen=True)
class Canary:
    """A secret, and how often it is planted.

    Parameters
    ----------
    secret : str
        As many printable ASCII characters as the template has places.
    repetitions : int
        Copies in the text, at least 0.
    template : str
        A line that ends in places for the secret, each a ``#``.

    Raises
    ------
    ValueError
        If secret or template do not fit, or ``repetitions`` is negative.

    Examples
    --------
    >>> canary = Canary("281265", repetitions=3)
    >>> canary.line, canary.records
    ('my secret number is 281265', 21)
    """

    secret: str
    repetitions: int = 1
    template: str = TEMPLATE

    def __post_init__(self) -> None:
        arguments.whole("repetitions", self.repetitions, at_least=0)
        places = len(self.template) - len(self.prefix)
        if places == 0 or "#" in self.prefix or "\n" in self.template:
            raise ValueError(f"template is {self.template!r}, but must be a line with places ### at its end only")
        if len(self.secret) != places or not set(self.secret) <= {*ALPHABET[1:]}:
            raise ValueError(f"secret is {self.secret!r}, but must be {places} printable ASCII characters")

    @property
    def prefix(self) -> str:
        """What stands before the secret."""
        return self.template.rstrip("#")

    @property
    def line(self) -> str:
        """What is planted."""
        return self.prefix + self.secret

    @property
    def records(self) -> int:
        """Windows of all copies that hold some of the secret: the size of the group that must be protected."""
        return self.repetitions * (len(self.secret) + 1)


def plant(text: str, canaries: Sequence[Canary], *, seed: int = 0) -> str:
    """Insert each canary's copies as lines at random places between the lines of a text.

    Raises
    ------
    ValueError
        If ``seed`` is not a whole number of at least 0.

    Examples
    --------
    >>> sorted(plant("to be\\nor not\\n", [Canary("12", 2, "code ##")]).splitlines())
    ['code 12', 'code 12', 'or not', 'to be']
    """
    lines = text.splitlines()
    copies = [canary.line for canary in canaries for _ in range(canary.repetitions)]
    places = stream(seed, "canaries").integers(0, len(lines) + 1, len(copies)) - 0.5
    order = np.argsort(np.append(np.arange(len(lines)), places), kind="stable")
    return "".join(f"{(lines + copies)[i]}\n" for i in order)


def deduplicate(text: str, *, length: int = 25) -> str:
    """Remove every passage of at least ``length`` characters that has stood in the text before (Lee et al. 2022, section 4.1).

    Line ends stay, so that no lines are joined.

    Parameters
    ----------
    text : str
        Printable ASCII and line ends.
    length : int
        Shortest passage that counts as repeated, at least 1.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> deduplicate("the code is 12\\nno\\nthe code is 12\\nthe code is 34\\n", length=14)
    'the code is 12\\nno\\n\\nthe code is 34\\n'
    """
    tokens = encode(text).astype(np.uint8)
    if len(tokens) < arguments.whole("length", length):
        return text
    passages = np.lib.stride_tricks.sliding_window_view(tokens, length)
    _, first = np.unique(passages, axis=0, return_index=True)
    again = np.ones(len(passages), np.int64)
    again[first] = 0
    # A character goes where any of the passages that cover it has stood before.
    covered = (np.convolve(again, np.ones(length, np.int64)) > 0) & (tokens != 0)
    return "".join(ALPHABET[token] for token in tokens[~covered])


def exposure(
    model: Model, parameters: Mapping[str, NDArray], canary: Canary, candidates: Sequence[str] | None = None
) -> float:
    """Return a canary's exposure in bits: by how much the model shortens the search for it (Carlini et al. 2019, definition 2).

    ``log2(candidates) - log2(rank)`` of the secret by its loss, ties ranked before it: 0 to log2 of the number of candidates,
    1.44 on average for a secret that was never seen.

    Parameters
    ----------
    model, parameters
        A character model of tokens in `ALPHABET`.
    canary : Canary
    candidates : sequence of str, optional
        Other secrets of the same length, the randomness space or a sample of it, to which the canary is added. All strings of as
        many digits unless given, ranked exactly by `secret_losses`.

    Raises
    ------
    ValueError
        If candidates differ in length, or none are given and the secret has others than digits.

    Examples
    --------
    >>> from privlab.learning import char_model
    >>> model = char_model(96, context=8, hidden=8)
    >>> 0 <= exposure(model, model.init(0), Canary("12", template="code ##")) <= log2(100)
    True
    """
    if candidates is None:
        if not canary.secret.isdecimal():
            raise ValueError(f"secret is {canary.secret!r}, but must be digits where no candidates are given")
        losses = secret_losses(model, parameters, canary.prefix, length=len(canary.secret))
        return rank_exposure(losses[int(canary.secret)], losses)
    others = sorted({*candidates} - {canary.secret})
    losses = candidate_losses(model, parameters, canary.prefix, [canary.secret, *others])
    return rank_exposure(losses[0], losses)


def rank_exposure(loss: float, losses: ArrayLike) -> float:
    """Exposure in bits of a secret by its loss among ``losses``, its own included; ties rank before it.

    >>> rank_exposure(1.0, [1.0, 2.0, 3.0, 4.0]), rank_exposure(1.0, [1.0, 1.0, 3.0, 4.0])
    (2.0, 1.0)
    """
    values = arguments.finite_array("losses", losses, dimensions=1)
    rank = int(np.count_nonzero(values <= loss))
    if rank == 0:
        raise ValueError(f"losses has no value of at most {loss!r}, but must hold the secret's own")
    return log2(values.size) - log2(rank)


def skew_normal_exposure(loss: ArrayLike, losses: ArrayLike) -> NDArray[np.float64]:
    """Estimate exposure in bits beyond what a sample can rank (Carlini et al. 2019, section 5.3).

    A skew-normal distribution is fitted to the losses of a sample of other secrets; the estimate is minus log2 of its
    probability of a loss as low. It trusts the fit far below the lowest loss in the sample.

    Parameters
    ----------
    loss : array_like
        Of secrets, of any shape.
    losses : array_like, shape (n,)
        Of the sample, at least 8 different values.

    Returns
    -------
    ndarray
        Shaped like ``loss``.

    Raises
    ------
    ValueError
        If losses are not finite or too few.

    Examples
    --------
    >>> sample = np.random.default_rng(0).standard_normal(2000)
    >>> bool(8.5 < skew_normal_exposure(-3.0, sample) < 10.5)  # minus log2 of 0.00135 is 9.5
    True
    """
    values = arguments.finite_array("losses", losses, dimensions=1)
    if np.unique(values).size < 8:
        raise ValueError(f"losses has {np.unique(values).size} different values, but must have at least 8")
    tails = scipy.stats.skewnorm.cdf(arguments.finite_array("loss", loss), *scipy.stats.skewnorm.fit(values))
    return -np.log2(np.maximum(tails, np.finfo(np.float64).tiny))


def exposure_ceiling(plan: PrivacyPlan, records: int, *, candidates: int = 10**6, probability: float = 0.5) -> float:
    """Exposure in bits that a private run exceeds with at most this probability, whatever model and attack.

    Without the secret its rank is uniform, so ``P[rank <= share * candidates] <= share``. One record more or less takes any
    event of probability a to at most G(a), the run's trade-off curve, and a group of them to G(G(...G(a))) (Dong, Roth and Su
    2022, theorem 2.14). No (epsilon, delta) gives a lower ceiling: ``e^(records * epsilon) share + delta'`` is one line above
    that curve. The chance is over secret, sampling and noise; other canaries and the places of the copies may be known.

    Parameters
    ----------
    plan : PrivacyPlan
        Of independent noise, "poisson" or "full".
    records : int
        `Canary.records`: windows in all copies that hold some of the secret, at least 0.
    candidates : int
        Secrets that are possible, all equally likely, at least 2.
    probability : float
        In (0, 1); 0.5 bounds the median.

    Returns
    -------
    float
        At most ``log2(candidates)``, which promises nothing.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> plan = PrivacyPlan(noise_multiplier=5.0, clip_norm=1.0, sampling_rate=1.0, steps=1)
    >>> [round(exposure_ceiling(plan, records), 1) for records in (0, 7, 100)]
    [1.0, 3.7, 19.9]
    """
    arguments.whole("records", records, at_least=0)
    arguments.real("probability", probability, above=0, below=1)
    most = log2(arguments.whole("candidates", candidates, at_least=2))
    if plan.sampling not in ("poisson", "full") or plan.correlation is not None:
        raise ValueError(f"plan samples {plan.sampling!r}, but must be 'poisson' or 'full', without correlation")
    reached = tradeoff_curve(
        noise_multiplier=plan.noise_multiplier,
        sampling_rate=plan.sampling_rate,
        steps=plan.steps,
        false_positive_rates=_SHARES,
    )
    bound = _SHARES
    for _ in range(records):
        bound = reached[np.searchsorted(_SHARES, bound)]  # read at the next share up: a bound
    safe = _SHARES[bound <= probability]
    return min(most, -log2(safe[-1])) if safe.size else most
