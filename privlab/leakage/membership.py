"""Membership inference: was a record in the training set?

An attack turns what a model says about a record into a score, higher = "was a member". Confidences are
``log p_y / (1 - p_y)`` of the true class, which is close to normal over retrained models (Carlini et al. 2022, section VI.A).
"""

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from privlab import arguments

VARIANCES = ("shrunk", "shared", "per-example")


def confidence(logits: ArrayLike, y: ArrayLike) -> NDArray:
    """Log-odds of the true class, ``z_y - logsumexp_{j != y} z_j``: exact where ``log(p / (1 - p))`` would saturate.

    Parameters
    ----------
    logits : array_like, shape (..., n, classes)
    y : array_like of int, shape (n,)
        True classes.

    Returns
    -------
    ndarray, shape (..., n), float64

    Examples
    --------
    >>> confidence([[100.0, 0.0, 0.0]], [0]).round(2)
    array([99.31])
    """
    others = np.array(logits, dtype=np.float64)
    at_label = np.broadcast_to(np.asarray(y), others.shape[:-1])[..., None]
    true = np.take_along_axis(others, at_label, -1)[..., 0]
    np.put_along_axis(others, at_label, -np.inf, -1)
    return true - scipy.special.logsumexp(others, axis=-1)


def loss_threshold(losses: ArrayLike) -> NDArray:
    """Score by minus the loss: members fit better (Yeom et al. 2018, adversary 2).

    Parameters
    ----------
    losses : array_like
        Each record's loss under the model under attack, of any shape; none may be NaN.

    Returns
    -------
    ndarray
        Shaped like ``losses``.

    Raises
    ------
    ValueError
        If a loss is NaN.

    Examples
    --------
    >>> loss_threshold([0.1, 2.0])
    array([-0.1, -2. ])
    """
    scores = -np.asarray(losses, dtype=np.float64)
    if np.isnan(scores).any():
        raise ValueError(f"losses has {int(np.isnan(scores).sum())} NaN value(s), but all must be numbers")
    return scores


def lira(confidences: ArrayLike, members: ArrayLike, *, online: bool = True, variance: str = "shrunk") -> NDArray:
    """Likelihood-ratio attack, with every model in turn the target and the other K - 1 its shadow models.

    For each record, normal distributions of the confidence are fitted to the shadow models trained with it (IN) and without
    it (OUT). Online scores by the log-likelihood ratio (Carlini et al. 2022, algorithm 1), offline by how far the confidence
    lies above the OUT distribution (their eq. 4). All leave-one-out fits come from the same sums, at the cost of one.

    Parameters
    ----------
    confidences : array_like, shape (K, n)
        `confidence` of every record under every model, finite.
    members : array_like of bool, shape (K, n)
        Who was in whose training set.
    online : bool
        Whether to use the IN models too.
    variance : {"shrunk", "shared", "per-example"}
        "per-example" is each record's own, best with many models; "shared" pools all records, best with few; "shrunk" weighs
        the two as by a prior worth 8 models, and needs no choice.

    Returns
    -------
    ndarray, shape (K, n)
        Scores. A record without models to fit scores 0: nothing is known of it.

    Raises
    ------
    ValueError
        If shapes differ, a confidence is not finite, or there are fewer than 3 models.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> members = rng.random((32, 200)) < 0.5
    >>> from privlab.leakage import roc
    >>> roc(lira(rng.standard_normal((32, 200)) + 2 * members, members), members).auc > 0.85
    True
    """
    values, inside = _models_by_records("confidences", confidences, members, fewest=3)
    arguments.choice("variance", variance, VARIANCES)
    ins, outs = _LeaveOneOut(values, inside), _LeaveOneOut(values, ~inside)
    if not online:
        known = outs.count >= 1
        return np.where(known, (values - outs.mean) / np.sqrt(_variance(outs, variance)), 0.0)
    in_variance, out_variance = _variance(ins, variance), _variance(outs, variance)
    known = (ins.count >= 1) & (outs.count >= 1)
    return np.where(
        known, _log_normal(values, ins.mean, in_variance) - _log_normal(values, outs.mean, out_variance), 0.0
    )


def rmia(
    log_probabilities: ArrayLike,
    members: ArrayLike,
    population: ArrayLike,
    *,
    online: bool = False,
    gamma: float = 1.0,
    offline_weight: float = 0.0,
) -> NDArray:
    """Robust membership inference: how many population records does this record beat (Zarifzadeh et al. 2024)?

    Each record's probability under the target is divided by its mean probability under reference models; the score is the share of
    population records whose own ratio is at least ``gamma`` times smaller (their eq. 3 and 4). Ties, of which a share of few
    records has many, are broken by the ratio itself. Every model in turn is the target, the others are its references.

    Parameters
    ----------
    log_probabilities : array_like, shape (K, n)
        Log-probability of the true class of every record under every model, that is, minus the loss.
    members : array_like of bool, shape (K, n)
        Who was in whose training set.
    population : array_like, shape (K, m)
        The same for m records that no model was trained on.
    online : bool
        Use reference models trained with the record too; offline uses those without it.
    gamma : float
        At least 1.
    offline_weight : float
        The paper's a in [0, 1]: offline, the mean without the record is taken as ``((1 + a) mean + 1 - a) / 2``.

    Returns
    -------
    ndarray, shape (K, n)
        Scores. A record without reference models scores 0.

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> members = rng.random((4, 300)) < 0.5
    >>> losses = rng.exponential(size=(4, 300)) * np.where(members, 0.3, 1.0)
    >>> from privlab.leakage import roc
    >>> roc(rmia(-losses, members, -rng.exponential(size=(4, 200))), members).auc > 0.6
    True
    """
    values, inside = _models_by_records("log_probabilities", log_probabilities, members, fewest=2)
    others = arguments.finite_array("population", population, dimensions=2).astype(np.float64)
    if len(others) != len(values):
        raise ValueError(f"population has shape {others.shape}, but must be ({len(values)}, m)")
    arguments.real("gamma", gamma, at_least=1)
    arguments.real("offline_weight", offline_weight, at_least=0, at_most=1)
    probabilities = np.exp(values)
    outs = _LeaveOneOut(probabilities, ~inside)
    rest = _LeaveOneOut(np.exp(others), np.ones(others.shape, bool))
    if online:
        ins = _LeaveOneOut(probabilities, inside)
        reference = (ins.mean + outs.mean) / 2
        population_reference, known = rest.mean, (ins.count >= 1) & (outs.count >= 1)
    else:
        reference = ((1 + offline_weight) * outs.mean + 1 - offline_weight) / 2
        population_reference, known = ((1 + offline_weight) * rest.mean + 1 - offline_weight) / 2, outs.count >= 1
    tiny = np.finfo(float).tiny
    ratio = np.where(known, values - np.log(np.maximum(reference, tiny)), -np.inf)
    population_ratio = np.sort(others - np.log(np.maximum(population_reference, tiny)), axis=1)
    beaten = np.stack(
        [np.searchsorted(z, r - np.log(gamma), side="right") for z, r in zip(population_ratio, ratio, strict=True)]
    )
    # The share orders targets against each other; within one share the ratio, squeezed below one step, breaks the tie.
    squeezed = 0.5 + np.arctan(np.where(known, ratio, 0.0)) / np.pi
    return np.where(known, (beaten + squeezed) / (others.shape[1] + 1), 0.0)


def separation(confidences: ArrayLike, members: ArrayLike) -> NDArray:
    """How far apart each record's two bells lie, in standard deviations.

    Were both bells normal and equally wide, no attack on this record could beat ``tpr = Phi(Phi^-1(fpr) + separation)``
    (Dong, Roth and Su 2022, section 2).

    Parameters
    ----------
    confidences : array_like, shape (K, n)
        As for `lira`.
    members : array_like of bool, shape (K, n)
        Who was in whose training set.

    Returns
    -------
    ndarray, shape (n,)
        Mean of the models with the record minus mean of those without it, over the root mean of their two variances.

    Raises
    ------
    ValueError
        If shapes differ, a confidence is not finite, or a record has fewer than 2 models with it or without it.

    Examples
    --------
    >>> separation([[5.0], [3.0], [0.0], [-2.0]], [[True], [True], [False], [False]]).round(2)
    array([3.54])
    """
    values, inside = _models_by_records("confidences", confidences, members, fewest=2)
    fewest = min(inside.sum(0).min(), (~inside).sum(0).min())
    if fewest < 2:
        raise ValueError(f"members has a record with {fewest} models on one side, but each must have at least 2")
    groups = [np.where(chosen, values, np.nan) for chosen in (inside, ~inside)]
    within = np.mean([np.nanvar(group, axis=0, ddof=1) for group in groups], axis=0)
    return (np.nanmean(groups[0], axis=0) - np.nanmean(groups[1], axis=0)) / np.sqrt(np.maximum(within, 1e-12))


class _LeaveOneOut:
    """Per-record statistics over the chosen models, the target itself left out: arrays of shape (K, n)."""

    def __init__(self, values: NDArray, chosen: NDArray[np.bool_]) -> None:
        centre = values.mean(0)  # so that squares do not cancel
        kept = np.where(chosen, values - centre, 0.0)
        self.count = chosen.sum(0) - chosen
        total, square = kept.sum(0) - kept, (kept * kept).sum(0) - kept * kept
        mean = total / np.maximum(self.count, 1)
        self.mean = mean + centre
        self.residual = np.maximum(square - self.count * mean * mean, 0.0)


def _variance(group: _LeaveOneOut, kind: str, prior_models: float = 8.0) -> NDArray:
    """Variance of the confidence; pooling takes each record about its own mean."""
    freedom = np.maximum(group.count - 1, 0)
    pooled = group.residual.sum(-1, keepdims=True) / np.maximum(freedom.sum(-1, keepdims=True), 1)
    if kind == "shared":
        variance = np.broadcast_to(pooled, group.residual.shape)
    elif kind == "per-example":
        variance = np.where(freedom > 0, group.residual / np.maximum(freedom, 1), pooled)
    else:
        variance = (prior_models * pooled + group.residual) / (prior_models + freedom)
    return np.maximum(variance, 1e-12)


def _log_normal(values: NDArray, mean: NDArray, variance: NDArray) -> NDArray:
    return -0.5 * (np.log(variance) + (values - mean) ** 2 / variance)


def _models_by_records(
    name: str, values: ArrayLike, members: ArrayLike, *, fewest: int
) -> tuple[NDArray, NDArray[np.bool_]]:
    array = arguments.finite_array(name, values, dimensions=2).astype(np.float64)
    inside = np.asarray(members)
    if inside.dtype != bool or inside.shape != array.shape:
        raise ValueError(f"members has dtype {inside.dtype} and shape {inside.shape}, but must be bool {array.shape}")
    if len(array) < fewest:
        raise ValueError(f"{name} has {len(array)} model(s), but must have at least {fewest}")
    return array, inside
