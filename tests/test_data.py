"""The data sets: shapes, ranges, splits that depend on the seed alone, and scales that no record can move."""

import numpy as np
import pytest

from privlab import data

LOADERS = {
    "digits": (data.load_digits, 1797, 64, 10),
    "breast cancer": (data.load_breast_cancer, 569, 30, 2),
    "mnist5k": (data.load_mnist5k, 5000, 784, 10),
    "survey": (data.load_survey, 6366, 8, 2),
}
each = pytest.mark.parametrize(("name", "load", "records", "columns", "classes"), [(k, *v) for k, v in LOADERS.items()])


@each
def test_shapes_types_and_ranges(name, load, records, columns, classes):
    dataset = load(test_size=0.2, seed=3)
    assert (dataset.name, dataset.classes) == (name, classes)
    assert dataset.x_test.shape == (round(0.2 * records), columns)
    assert dataset.x_train.shape == (records - round(0.2 * records), columns)
    for x, y in ((dataset.x_train, dataset.y_train), (dataset.x_test, dataset.y_test)):
        assert (x.dtype, y.dtype, len(x)) == (np.float32, np.int64, len(y))
        assert 0 <= x.min() < 0.1
        assert 0.9 < x.max() <= 1
        assert set(y) == set(range(classes))


@each
def test_the_seed_alone_decides_the_split(name, load, records, columns, classes):
    first, again, other = load(seed=1), load(seed=1), load(seed=2)
    np.testing.assert_array_equal(first.x_train, again.x_train)
    np.testing.assert_array_equal(first.y_test, again.y_test)
    assert (first.x_test != other.x_test).any()


@each
def test_a_split_loses_and_repeats_no_record(name, load, records, columns, classes):
    def table(seed):
        parts = load(seed=seed)
        x = np.concatenate([parts.x_train, parts.x_test])
        rows = np.column_stack([x, np.concatenate([parts.y_train, parts.y_test])])
        return rows[np.lexsort(rows.T)]

    np.testing.assert_array_equal(table(0), table(5))


@each
def test_arrays_are_read_only(name, load, records, columns, classes):
    dataset = load()
    for array in (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    "bad", [{"test_size": 0}, {"test_size": 1.0}, {"test_size": float("nan")}, {"seed": -1}, {"seed": 0.5}]
)
@each
def test_bad_arguments_are_named(name, load, records, columns, classes, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        load(**bad)


def test_an_empty_part_is_refused():
    with pytest.raises(ValueError, match="test_size is 1e-06"):
        data.load_digits(test_size=1e-6)


def test_pictures_have_a_shape_and_tables_have_names():
    assert data.load_digits().image_shape == (8, 8)
    assert data.load_mnist5k().image_shape == (28, 28)
    survey = data.load_survey()
    assert survey.image_shape is None
    assert len(survey.features) == survey.x_train.shape[1]


def test_scikit_learn_agrees_on_the_columns_of_breast_cancer():
    datasets = pytest.importorskip("sklearn.datasets")
    raw, ours = datasets.load_breast_cancer(), data.load_breast_cancer()
    assert ours.features == tuple(raw.feature_names)
    # A scaled column keeps the order of the raw one: no column was divided by another's constant.
    clipped = (np.concatenate([ours.x_train, ours.x_test]) == 1).mean(axis=0)
    assert clipped.max() < 0.02
    assert np.concatenate([ours.x_train, ours.x_test]).max(axis=0).min() > 0.7


@pytest.mark.parametrize("load", [data.load_digits, data.load_breast_cancer])
def test_the_scale_does_not_depend_on_the_records(load, monkeypatch):
    """Neighbouring tables: with one extreme record more, every other record keeps its features."""
    from sklearn import datasets

    name = f"load_{load.__name__.removeprefix('load_')}"
    x, y = getattr(datasets, name)(return_X_y=True)
    before = load(test_size=0.5)
    monkeypatch.setattr(datasets, name, lambda **_: (np.vstack([x, 16 + 0 * x[:1]]), np.append(y, 0)))
    after = load(test_size=0.5)

    def rows(dataset):
        return {row.tobytes() for row in np.concatenate([dataset.x_train, dataset.x_test])}

    assert rows(before) <= rows(after)
    assert len(rows(after)) == len(rows(before)) + 1


def test_the_survey_is_scaled_by_the_allowed_answers():
    survey = data.load_survey()
    religious = survey.x_train[:, survey.features.index("religious")]
    np.testing.assert_allclose(np.unique(religious), [0, 1 / 3, 2 / 3, 1], rtol=1e-6)
    assert 0.3 < survey.y_train.mean() < 0.35


def test_the_digits_look_like_digits():
    """A nearest-mean rule reads most of them: pixels, labels and their order belong together."""
    for dataset in (data.load_digits(), data.load_mnist5k()):
        means = np.stack([dataset.x_train[dataset.y_train == label].mean(axis=0) for label in range(10)])
        distances = ((dataset.x_test[:, None] - means) ** 2).sum(axis=-1)
        assert (distances.argmin(axis=1) == dataset.y_test).mean() > 0.75


def test_hamlet_is_plain_text():
    text = data.load_text()
    assert text.startswith("Hamlet\n\nACT I\n")
    assert "To be, or not to be: that is the question:" in text
    assert not {*"*_#\\\r\t"} & {*text}
    with pytest.raises(ValueError, match="name is 'macbeth', but must be one of 'hamlet'"):
        data.load_text("macbeth")
