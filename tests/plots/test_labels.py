import numpy as np
import pytest

from privlab.plots.labels import place


def boxes(centres, sizes):
    return np.hstack([centres - sizes / 2, centres + sizes / 2])


def common(a, b):
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return np.clip(sides, 0, None).prod()


@pytest.mark.parametrize("seed", range(5))
def test_labels_of_a_crowd_cover_neither_each_other_nor_the_points_and_stay_inside(seed):
    rng = np.random.default_rng(seed)
    points = np.column_stack([np.linspace(100, 260, 8), 100 + rng.normal(0, 4, 8)])
    sizes = np.tile([44.0, 11.0], (8, 1))
    dots = np.hstack([points - 6, points + 6])
    placed = boxes(place(points, sizes, dots, (0, 0, 360, 240)), sizes)
    assert max(common(placed[i], placed[j]) for i in range(8) for j in range(i)) == 0
    assert max(common(label, dot) for label in placed for dot in dots) == 0
    assert placed.min() >= 0
    assert (placed[:, 2:] <= (360, 240)).all()


def test_a_label_is_nearest_to_its_own_point():
    points = np.array([[100.0, 100.0], [130.0, 100.0], [160.0, 100.0]])
    sizes = np.tile([40.0, 10.0], (3, 1))
    centres = place(points, sizes, np.hstack([points - 6, points + 6]), (0, 0, 300, 200))
    away = np.abs(centres[:, None] - points) - sizes[0] / 2
    assert (np.hypot(*np.maximum(away, 0).T).argmin(0) == [0, 1, 2]).all()


def test_a_point_in_the_corner_is_labelled_inside():
    centre = place(np.array([[0.0, 0.0]]), np.array([[30.0, 10.0]]), np.empty((0, 4)), (0, 0, 100, 100))[0]
    assert centre[0] >= 15
    assert centre[1] >= 5
