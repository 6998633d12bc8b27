"""Attribute inference: who knows the rest of a record and its label asks the model for the missing attribute.

A guess is only a leak where it beats what anybody could guess without the model: the most common value, and an imputation by what
public records show of how attributes hang together. Members beside non-members tell what the model remembers from what it learnt.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.data import Dataset
from privlab.learning import Model, Parameters, mlp, train
from privlab.masking import PrivacyPlan
from privlab.randomness import stream

LEAF = 20  # public records in a leaf of the imputing trees: smaller leaves guess worse


@dataclass(frozen=True)
class Guesses:
    """How often guesses of an attribute were right.

    Attributes
    ----------
    share, deviation : float
        Mean over models, and standard deviation between them.
    low, high : float
        95 % Clopper-Pearson interval of the share, every record counted once though many models were asked about it.
    """

    share: float
    deviation: float
    low: float
    high: float


@dataclass(frozen=True)
class AttributeInference:
    """What `attribute_inference` found.

    Attributes
    ----------
    members, non_members : Guesses
        Of the attack, on records in and out of the model's training set.
    imputation, majority : Guesses
        Of the guessers without a model, on the members.
    accuracy : float
        Mean over models of the share of the test records classified rightly.
    """

    members: Guesses
    non_members: Guesses
    imputation: Guesses
    majority: Guesses
    accuracy: float


def infer_attribute(
    model: Model, parameters: Parameters, x: ArrayLike, y: ArrayLike, column: int, prior: Mapping[float, float]
) -> NDArray:
    """Guess the value that the model and the prior together find most probable, ``argmax_v log p(y | x_v) + log prior(v)``.

    Source: Yeom et al. 2018, section 4; Mehnaz et al. 2022.

    Parameters
    ----------
    model, parameters
        The model under attack; a replica axis is kept.
    x : array_like, shape (n, features)
        Records; what stands in ``column`` is not looked at.
    y : array_like of int, shape (n,)
        Their true labels.
    column : int
        Of the attribute.
    prior : mapping of float to float
        Probability, above 0, of each value that the attribute can have.

    Returns
    -------
    ndarray, shape (..., n)
        Values.

    Raises
    ------
    ValueError
        If the column is not one of ``x``, or a probability is not above 0.

    Examples
    --------
    >>> model = mlp([2, 2])
    >>> parameters = {"dense_1.weight": np.array([[-4.0, 4.0], [0.0, 0.0]]), "dense_1.bias": np.array([2.0, -2.0])}
    >>> infer_attribute(model, parameters, np.zeros((2, 2)), [0, 1], 0, {0.0: 0.5, 1.0: 0.5})
    array([0., 1.])
    """
    records = np.array(arguments.finite_array("x", x, dimensions=2), np.float32)
    _check_column(column, records)
    scores = []
    for value, probability in prior.items():
        arguments.real("prior", probability, above=0, at_most=1)
        records[:, column] = value
        scores.append(np.log(probability) - model.losses(parameters, records, y))
    return np.array([*prior])[np.argmax(scores, axis=0)]


def impute_attribute(
    x_public: ArrayLike, y_public: ArrayLike, x: ArrayLike, y: ArrayLike, column: int, *, seed: int = 0
) -> NDArray:
    """Guess without the model: a random forest that learnt the attribute from the other columns and labels of public records.

    Parameters
    ----------
    x_public, y_public : array_like, shapes (m, features) and (m,)
        Records whose attribute is known.
    x, y : array_like, shapes (n, features) and (n,)
        Records whose attribute is to be guessed; what stands in ``column`` is not looked at.
    column : int
        Of the attribute.
    seed : int
        Public seed of the forest.

    Returns
    -------
    ndarray, shape (n,)
        Values.

    Raises
    ------
    ValueError
        If the column is not one of ``x``.
    """
    from sklearn.ensemble import RandomForestClassifier  # a second of import that the attack does without

    known, asked = (
        arguments.finite_array(name, array, dimensions=2) for name, array in (("x_public", x_public), ("x", x))
    )
    _check_column(column, asked)
    values, codes = np.unique(known[:, column], return_inverse=True)
    forest = RandomForestClassifier(100, min_samples_leaf=LEAF, random_state=arguments.whole("seed", seed, at_least=0))
    forest.fit(np.column_stack([np.delete(known, column, axis=1), y_public]), codes)
    return values[forest.predict(np.column_stack([np.delete(asked, column, axis=1), y]))]


def attribute_inference(
    dataset: Dataset,
    attribute: str,
    *,
    above: float = 0.5,
    members: int = 500,
    public: int = 500,
    models: int = 10,
    hidden: int = 128,
    steps: int = 2000,
    learning_rate: float = 0.01,
    privacy: PrivacyPlan | None = None,
    seed: int = 0,
) -> AttributeInference:
    """Train models of one recipe, each on its own half of the same records, and guess an attribute of both halves.

    Parameters
    ----------
    dataset : Dataset
        With named `features`; models train on its training part, and the first of its test part are the public records.
    attribute : str
        One of ``dataset.features``, in the models replaced by whether it is above ``above``.
    above : float
        Where the attribute is cut in two.
    members, public : int
        Records that a model trains on, on average; records that attacker and imputer learn frequencies from.
    models : int
        Number of models.
    hidden, steps, learning_rate
        Of a multi-layer perceptron with one hidden layer, trained by Adam, without privacy on batches of 64.
    privacy : PrivacyPlan or None
        Train privately; its steps are taken.
    seed : int
        Public seed. It draws the noise too: this is an experiment, not a release.

    Returns
    -------
    AttributeInference

    Raises
    ------
    ValueError
        If the attribute is none of the data set's, all public records are alike in it, or a number is not allowed.
    """
    count, known = 2 * arguments.whole("members", members), arguments.whole("public", public)
    if dataset.features is None or attribute not in dataset.features:
        raise ValueError(f"attribute is {attribute!r}, but must be one of {dataset.features}")
    if count > len(dataset.x_train) or known > len(dataset.x_test):
        most = len(dataset.x_train) // 2, len(dataset.x_test)
        raise ValueError(f"members and public are {members} and {public}, but must be at most {most[0]} and {most[1]}")
    column = dataset.features.index(attribute)
    x, x_test = (_cut(part, column, above) for part in (dataset.x_train[:count], dataset.x_test))
    y, y_test, truth = dataset.y_train[:count], dataset.y_test, x[:, column]
    share = float(x_test[:known, column].mean())
    if not 0 < share < 1:
        raise ValueError(f"above is {above!r}, but must part the public records")
    inside = stream(seed, "members").random((arguments.whole("models", models), count)) < 0.5
    model = mlp([x.shape[1], hidden, dataset.classes])
    run = train(
        model,
        x,
        y,
        steps=steps if privacy is None else privacy.steps,
        batch_size=min(64, members // 2 + 1) if privacy is None else max(1, round(privacy.sampling_rate * members)),
        learning_rate=learning_rate,
        optimizer="adam",
        privacy=privacy,
        members=inside,
        seed=seed,
        noise_seed=None if privacy is None else seed,
    )
    attacked = infer_attribute(model, run.parameters, x, y, column, {0.0: 1 - share, 1.0: share}) == truth
    imputed = impute_attribute(x_test[:known], y_test[:known], x, y, column, seed=seed) == truth
    common = truth == float(share > 0.5)
    return AttributeInference(
        _judge(attacked, inside),
        _judge(attacked, ~inside),
        _judge(np.broadcast_to(imputed, inside.shape), inside),
        _judge(np.broadcast_to(common, inside.shape), inside),
        float((model.logits(run.parameters, x_test).argmax(-1) == y_test).mean()),
    )


def _check_column(column: int, records: NDArray) -> None:
    if arguments.whole("column", column, at_least=0) >= records.shape[1]:
        raise ValueError(f"column is {column}, but must be below {records.shape[1]}")


def _cut(x: NDArray[np.float32], column: int, above: float) -> NDArray[np.float32]:
    cut = x.copy()
    cut[:, column] = x[:, column] > above
    return cut


def _judge(right: NDArray[np.bool_], asked: NDArray[np.bool_]) -> Guesses:
    """Judge guesses of shape (models, records), of which those in ``asked`` were made."""
    shares = (right & asked).sum(1) / asked.sum(1)
    records = right.shape[1]
    interval = scipy.stats.binomtest(round(float(shares.mean()) * records), records).proportion_ci(method="exact")
    deviation = float(shares.std(ddof=1)) if len(shares) > 1 else 0.0
    return Guesses(float(shares.mean()), deviation, float(interval.low), float(interval.high))
