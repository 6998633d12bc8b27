import numpy as np
import pytest

from privlab.arguments import choice, finite_array, real, whole

KINDS = ("above", "at_least", "below", "at_most")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [int, float, np.float32, np.int64])
def test_bounds_hold_for_every_kind_of_number(kind, make):
    """An int against a float bound too: ``int.__lt__(float)`` is not a comparison but ``NotImplemented``, which is true."""
    inside, outside = (make(2), make(1)) if kind in ("above", "at_least") else (make(1), make(2))
    assert real("it", inside, **{kind: 1.5}) == inside
    with pytest.raises(ValueError, match=r"it is .*, but must be a finite number .* 1\.5"):
        real("it", outside, **{kind: 1.5})


@pytest.mark.parametrize("bad", [True, np.True_, np.nan, np.inf, -np.inf, "1", None, 1j, [1.0]])
def test_what_is_no_finite_number_is_named(bad):
    with pytest.raises(ValueError, match=r"it is .*, but must be a finite number"):
        real("it", bad)


@pytest.mark.parametrize("bad", [0, 1.0, True, "1", None])
def test_whole_numbers_are_whole(bad):
    assert whole("it", np.int8(3)) == 3
    with pytest.raises(ValueError, match=r"it is .*, but must be a whole number >= 1"):
        whole("it", bad)


def test_choices_and_arrays():
    assert choice("it", "a", ("a", "b")) == "a"
    with pytest.raises(ValueError, match="it is 'c', but must be one of 'a', 'b'"):
        choice("it", "c", ("a", "b"))
    for value, message in [([np.nan, 1.0], "1 NaN"), (["a"], "dtype <U1"), ([1.0], r"shape \(1,\)")]:
        with pytest.raises(ValueError, match=message):
            finite_array("it", value, dimensions=2 if value == [1.0] else None)
