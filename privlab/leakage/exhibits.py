"""The museum's exhibits: each bug of the specimen with the setting that provokes it. Most have been found in real code."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privlab.leakage.specimen import Data
from privlab.masking import PrivacyPlan


@dataclass(frozen=True)
class Exhibit:
    """A bug, and the setting that provokes it.

    Attributes
    ----------
    bug : str
        The switch of `dp_sgd`; "" for none.
    wrong : str
        What goes wrong.
    harm : {"privacy", "accounting", "utility"}
        "privacy": more is released than the plan's noise covers. "accounting": the run is sound, its epsilon is not what is
        claimed. "utility": nobody is harmed, the model learns less.
    label : str
        The check that the museum names for it: "noise", "sampling", "sensitivity", "ledger" or "audit".
    plan : PrivacyPlan
        What is claimed.
    neighbours : pair of Data
        The data, and the data with one record more.
    batch_size : float
        Public divisor.
    look : callable
        What the attacker computes from the released updates, shape (steps, parameters): by default all of them.
    """

    bug: str
    wrong: str
    harm: str
    label: str
    plan: PrivacyPlan
    neighbours: tuple[Data, Data]
    batch_size: float = 1.0
    look: Callable[[NDArray], NDArray] = np.ravel


def _records(values: list[float], labels: list[int]) -> Data:
    return np.array(values).reshape(-1, 1), np.array(labels, dtype=int)


def _plan(noise_multiplier: float = 4.0, *, clip_norm: float = 1.0, rate: float = 1.0, steps: int = 1) -> PrivacyPlan:
    return PrivacyPlan(noise_multiplier, clip_norm, rate, steps)


NOBODY, SOMEBODY = _records([], []), _records([100.0], [0])
ZERO = _records([0.0], [0])  # its gradient lies in the bias alone
TIDE = [
    90.0,
    80.0,
    70.0,
    60.0,
    50.0,
    40.0,
    30.0,
    20.0,
]  # with alternating classes: pairs flip when they are shifted by one
ALTERNATING = [1, 0] * 4

EXHIBITS = (
    Exhibit(
        "shuffled batches",
        "batches are dealt out in passes, but epsilon is that of Poisson sampling",
        "accounting",
        "ledger",
        _plan(1.0, rate=0.1, steps=10),
        (NOBODY, SOMEBODY),
    ),
    Exhibit(
        "trained on",
        "training goes on after the planned steps, epsilon stays as it was",
        "accounting",
        "ledger",
        _plan(8.0, steps=4),
        (NOBODY, SOMEBODY),
    ),
    Exhibit(
        "rounded rate",
        "the loader samples with 1 / floor(n / batch size), the accountant with batch size / n",
        "privacy",
        "sampling",
        _plan(2.0, rate=0.4, steps=2),
        (NOBODY, SOMEBODY),
    ),
    Exhibit(
        "empty batch skipped",
        "a step without records releases nothing, not even noise, and so tells that nobody was there",
        "privacy",
        "audit",
        _plan(rate=0.5, steps=4),
        (NOBODY, SOMEBODY),
    ),
    Exhibit(
        "realised batch",
        "the noisy sum is divided by the number of records that were drawn: the noise's scale counts them",
        "privacy",
        "audit",
        _plan(8.0, steps=4),
        (ZERO, _records([0.0, 0.0], [0, 1])),
    ),
    Exhibit(
        "rounded divisor",
        "the divisor is the rate times the number of records, rounded: between neighbours it jumps, and the noise with it",
        "privacy",
        "audit",
        _plan(8.0, rate=0.5, steps=6),
        (_records([0.0, 0.0], [0, 1]), _records([0.0, 0.0, 0.0], [0, 1, 0])),
    ),
    Exhibit(
        "early stop",
        "training ends when the exact losses are low: its length is a release without noise",
        "privacy",
        "audit",
        _plan(8.0, steps=4),
        (_records([0.1], [0]), _records([0.1, 1000.0], [0, 0])),
        200.0,
        lambda released: released.any(axis=1).sum(),
    ),
    Exhibit(
        "loss in the log",
        "the exact training loss is printed beside each step",
        "privacy",
        "audit",
        _plan(8.0, steps=4),
        (NOBODY, SOMEBODY),
        1.0,
        lambda released: released[:, -1],
    ),
    Exhibit(
        "private normalisation",
        "features are standardised by the data's own mean and spread, which one outlier moves for everybody",
        "privacy",
        "sensitivity",
        _plan(),
        (_records([1.0, -1.0] * 20, [0, 1] * 20), _records([1.0, -1.0] * 20 + [1e4], [0, 1] * 20 + [0])),
    ),
    Exhibit(
        "NaN kept",
        "a record whose gradient overflows makes the whole sum NaN",
        "privacy",
        "audit",
        _plan(),
        (_records([1.0], [0]), _records([1.0, np.inf], [0, 0])),
    ),
    Exhibit(
        "bias left out of the norm",
        "the norm is taken over the weights, so that the bias's gradient is not bounded",
        "privacy",
        "sensitivity",
        _plan(clip_norm=0.05),
        (NOBODY, ZERO),
    ),
    Exhibit(
        "one layer unclipped",
        "the clip factor is applied to all layers but one",
        "privacy",
        "sensitivity",
        _plan(clip_norm=0.05),
        (NOBODY, ZERO),
    ),
    Exhibit(
        "mean clipped",
        "gradients are averaged first and clipped then: one record can turn the whole mean round",
        "privacy",
        "sensitivity",
        _plan(),
        (_records([30.0] * 20, [1] * 20), _records([30.0] * 20 + [1000.0], [1] * 20 + [0])),
    ),
    Exhibit(
        "microbatches",
        "means of pairs are clipped, one record more at the front shifts every pair",
        "privacy",
        "sensitivity",
        _plan(),
        (_records(TIDE, ALTERNATING), _records([100.0, *TIDE], [0, *ALTERNATING])),
    ),
    Exhibit(
        "private clip norm",
        "the clip norm is the median of the batch's norms, and the noise's scale shows it",
        "privacy",
        "audit",
        _plan(),
        (ZERO, _records([0.0, 1e4], [0, 0])),
    ),
    Exhibit(
        "rounded after clipping",
        "clipped gradients are rounded to a grid, which may lengthen them",
        "privacy",
        "sensitivity",
        _plan(),
        (NOBODY, SOMEBODY),
    ),
    Exhibit(
        "noise before clipping",
        "noise is added to each gradient and clipped with it; where there is no record there is no noise",
        "privacy",
        "audit",
        _plan(),
        (NOBODY, SOMEBODY),
    ),
    Exhibit(
        "a share of noise per worker",
        "each of 100 workers adds a hundredth of the noise, whose variances add up to a hundredth",
        "privacy",
        "noise",
        _plan(),
        (NOBODY, SOMEBODY),
    ),
    Exhibit(
        "all the noise from each worker",
        "each of 100 workers adds the noise of all",
        "utility",
        "noise",
        _plan(),
        (NOBODY, SOMEBODY),
    ),
    Exhibit(
        "noise of the mean on the sum",
        "noise is scaled to the mean's sensitivity and added to the sum",
        "privacy",
        "noise",
        _plan(),
        (NOBODY, SOMEBODY),
        16.0,
    ),
    Exhibit(
        "noise of the sum on the mean",
        "noise is scaled to the sum's sensitivity and added to the mean",
        "utility",
        "noise",
        _plan(),
        (NOBODY, SOMEBODY),
        16.0,
    ),
    Exhibit(
        "fixed seed",
        "every run adds the same noise, which whoever reads the code can subtract",
        "privacy",
        "audit",
        _plan(),
        (NOBODY, SOMEBODY),
    ),
    Exhibit(
        "noise reused",
        "all steps add the noise of the first: differences of updates are exact",
        "privacy",
        "audit",
        _plan(6.0, steps=2),
        (NOBODY, SOMEBODY),
        1.0,
        lambda released: released[1] - released[0],
    ),
    Exhibit(
        "one draw per row",
        "a shape is mistaken, classes share their noise: their differences are exact",
        "privacy",
        "audit",
        _plan(),
        (NOBODY, SOMEBODY),
        1.0,
        lambda released: released[0, ::2] - released[0, 1::2],
    ),
)
