"""Real data that needs no network: two sets of pictures, two tables, one play.

Every feature is scaled to [0, 1] by constants that stand in this file, never by the minimum, maximum, mean or deviation
of the records: a scale computed from the records is a release about them, and no noise added later would cover it.
Origin and licence of what the package ships stand in ``package_data/README.md``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.randomness import stream

TEXTS = ("hamlet",)

_Table = tuple[NDArray[Any], NDArray[Any]]

# Upper ends of the ten measures' mean, standard error and worst value; all lower ends are 0. They are round figures in
# the measures' own units (pixels of a digitised slide, ratios), chosen once; a record beyond them is clipped.
_TUMOUR_MEASURES = {
    "radius": (30, 2, 40),
    "texture": (40, 5, 50),
    "perimeter": (200, 15, 250),
    "area": (2500, 200, 4000),
    "smoothness": (0.2, 0.02, 0.25),
    "compactness": (0.4, 0.1, 1),
    "concavity": (0.5, 0.2, 1.2),
    "concave points": (0.2, 0.05, 0.3),
    "symmetry": (0.4, 0.06, 0.6),
    "fractal dimension": (0.1, 0.02, 0.2),
}

# The answers that the questionnaire allowed, from the lowest code to the highest.
_SURVEY_ANSWERS = {
    "rate_marriage": (1, 5),
    "age": (17.5, 42),
    "yrs_married": (0.5, 23),
    "children": (0, 5.5),
    "religious": (1, 4),
    "educ": (9, 20),
    "occupation": (1, 6),
    "occupation_husb": (1, 6),
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Records with labels, split into a training and a test part. The arrays are read-only.

    Attributes
    ----------
    name : str
        Which data set it is.
    x_train, x_test : ndarray of float32, shape (n, d)
        Features in [0, 1].
    y_train, y_test : ndarray of int64, shape (n,)
        Labels 0 ... classes - 1.
    classes : int
        Number of labels.
    image_shape : tuple of int, or None
        Rows and columns of a record that is a picture, else None.
    features : tuple of str, or None
        Names of the d columns, or None for pictures.
    """

    name: str
    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    classes: int
    image_shape: tuple[int, int] | None = None
    features: tuple[str, ...] | None = None


def load_digits(*, test_size: float = 0.25, seed: int = 0) -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels (UCI, in scikit-learn), divided by their largest possible value, 16.

    Parameters
    ----------
    test_size : float
        Share of the records in the test part, between 0 and 1.
    seed : int
        Which split; the same seed gives the same split on every machine.

    Returns
    -------
    Dataset
        10 classes, d = 64.

    Raises
    ------
    ValueError
        If ``test_size`` is not inside (0, 1) or leaves a part empty, or ``seed`` is not a whole number of at least 0.

    Examples
    --------
    >>> load_digits().x_train.shape
    (1348, 64)
    """

    def read() -> _Table:
        from sklearn import datasets  # a second of import that the other data sets do without

        x, y = datasets.load_digits(return_X_y=True)
        return x / 16, y

    return _load("digits", read, test_size, seed, classes=10, image_shape=(8, 8))


def load_breast_cancer(*, test_size: float = 0.25, seed: int = 0) -> Dataset:
    """569 tumours, 30 measures of a biopsy each (Wisconsin, UCI, in scikit-learn): malignant (0) or benign (1).

    Each measure is divided by a fixed round figure stated in this file and clipped to [0, 1].

    Parameters, errors and split are those of `load_digits`.

    Returns
    -------
    Dataset
        2 classes, d = 30, with `features`.

    Examples
    --------
    >>> load_breast_cancer().features[:2]
    ('mean radius', 'mean texture')
    """
    names = [(f"mean {m}", f"{m} error", f"worst {m}") for m in _TUMOUR_MEASURES]
    features = tuple(name for kind in zip(*names, strict=True) for name in kind)
    upper = np.array([*_TUMOUR_MEASURES.values()], dtype=float).T.ravel()

    def read() -> _Table:
        from sklearn import datasets

        x, y = datasets.load_breast_cancer(return_X_y=True)
        return np.clip(x / upper, 0, 1), y

    return _load("breast cancer", read, test_size, seed, classes=2, features=features)


def load_mnist5k(*, test_size: float = 0.25, seed: int = 0) -> Dataset:
    """5,000 handwritten digits of 28 x 28 pixels, 500 of each (MNIST), divided by their largest possible value, 255.

    Parameters, errors and split are those of `load_digits`.

    Returns
    -------
    Dataset
        10 classes, d = 784.

    Examples
    --------
    >>> load_mnist5k(test_size=0.2).x_test.shape
    (1000, 784)
    """

    def read() -> _Table:
        with _shipped("mnist_5k.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays["pixels"] / np.float32(255), arrays["labels"]

    return _load("mnist5k", read, test_size, seed, classes=10, image_shape=(28, 28))


def load_survey(*, test_size: float = 0.25, seed: int = 0) -> Dataset:
    """6,366 answers of married women to a magazine's survey, to tell who had an affair (1) from who had none (0).

    Scaled by the lowest and highest answer that the questionnaire allowed. The label is sensitive, and so is the column
    ``features.index("religious")`` (how religious, "not" to "strongly": 0, 1/3, 2/3, 1), the attribute that an attacker
    who knows the other columns tries to infer.

    Parameters, errors and split are those of `load_digits`.

    Returns
    -------
    Dataset
        2 classes, d = 8, with `features`.

    References
    ----------
    R. C. Fair, "A theory of extramarital affairs", Journal of Political Economy 86 (1978), 45-61.

    Examples
    --------
    >>> survey = load_survey()
    >>> np.unique(survey.x_train[:, survey.features.index("religious")] * 3).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    low, high = np.array([*_SURVEY_ANSWERS.values()]).T

    def read() -> _Table:
        with _shipped("survey.csv").open(encoding="utf-8") as file:
            table = np.loadtxt(file, delimiter=",", skiprows=1)
        return (table[:, :-1] - low) / (high - low), table[:, -1] > 0

    return _load("survey", read, test_size, seed, classes=2, features=tuple(_SURVEY_ANSWERS))


def load_text(name: str = "hamlet") -> str:
    """Return a corpus to train a language model on: Shakespeare's Hamlet, 176,350 characters of 64 kinds.

    Parameters
    ----------
    name : str
        ``"hamlet"``.

    Raises
    ------
    ValueError
        If ``name`` is not the name of a corpus.

    Examples
    --------
    >>> "To be, or not to be" in load_text()
    True
    """
    return _shipped(f"{arguments.choice('name', name, TEXTS)}.txt").read_text(encoding="utf-8")


def _shipped(file: str) -> Traversable:
    return resources.files("privlab") / "package_data" / file


def _load(
    name: str,
    read: Callable[[], _Table],
    test_size: float,
    seed: int,
    *,
    classes: int,
    image_shape: tuple[int, int] | None = None,
    features: tuple[str, ...] | None = None,
) -> Dataset:
    arguments.real("test_size", test_size, above=0, below=1)
    generator = stream(seed, "split", name)
    x, y = read()
    tested = round(test_size * len(y))
    if not 0 < tested < len(y):
        raise ValueError(f"test_size is {test_size!r}, but must leave some of the {len(y)} records in each part")
    rows = generator.permutation(len(y))
    train, test = rows[tested:], rows[:tested]
    x, y = x.astype(np.float32), y.astype(np.int64)
    x_train, y_train, x_test, y_test = x[train], y[train], x[test], y[test]
    for array in (x_train, y_train, x_test, y_test):
        array.setflags(write=False)
    return Dataset(name, x_train, y_train, x_test, y_test, classes, image_shape, features)
