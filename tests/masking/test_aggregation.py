"""Secure sums: exact for every set of dropouts that leaves enough, closed below, uniform in every single row."""

import hashlib
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from privlab.masking import aggregation
from privlab.masking.aggregation import secure_sum
from privlab.masking.messages import canonical
from privlab.masking.ring import FixedPoint


def integers_that_are_steps(clients, dimension, seed=0):
    """Vectors and a clip for which one step of the ring is 1: encoding them rounds nothing, so sums are exact integers."""
    largest = round(FixedPoint.for_clients(clients, 1.0).scale)
    vectors = np.random.default_rng(seed).integers(-largest, largest, (clients, dimension), endpoint=True)
    vectors[:, 0], vectors[:, -1] = largest, -largest
    return vectors, float(largest)


def subsets(clients):
    return (set(some) for size in range(clients + 1) for some in combinations(range(clients), size))


@pytest.mark.parametrize(("clients", "threshold"), [(2, 2), (3, 2), (3, 3), (5, 2), (5, 3), (5, 5)])
def test_sum_is_exact_for_every_set_of_dropouts_that_leaves_the_threshold_and_refused_below(clients, threshold):
    vectors, clip = integers_that_are_steps(clients, 5)
    for lost in subsets(clients):
        left = sorted(set(range(clients)) - lost)
        if len(left) >= threshold:
            result = secure_sum(vectors, clip=clip, threshold=threshold, dropouts=lost)
            assert (result.total == vectors[left].sum(axis=0)).all()
            assert result.survivors == tuple(left)
        else:
            with pytest.raises(ValueError, match=f"threshold is {threshold}: no sum"):
                secure_sum(vectors, clip=clip, threshold=threshold, dropouts=lost)


def test_sum_is_exact_on_a_ring_for_every_set_of_dropouts_that_leaves_every_client_the_threshold():
    vectors, clip = integers_that_are_steps(6, 3)
    settings = {"clip": clip, "neighbours": 4, "threshold": 2, "seed": 1}
    holders = secure_sum(vectors, **settings).round.holders  # one seed, one round, the same holders
    enough = {False: 0, True: 0}
    for lost in subsets(6):
        left = sorted(set(range(6)) - lost)
        possible = all(len(holders(client).intersection(left)) >= 2 for client in range(6))
        enough[possible] += 1
        if possible:
            result = secure_sum(vectors, dropouts=lost, **settings)
            assert (result.total == vectors[left].sum(axis=0)).all()
        else:
            with pytest.raises(ValueError, match="threshold is 2: no sum"):
                secure_sum(vectors, dropouts=lost, **settings)
    assert min(enough.values()) > 20


@settings(max_examples=25, deadline=None)
@given(clients=st.integers(3, 24), data=st.data())
def test_sum_is_exact_for_larger_numbers_of_clients(clients, data):
    k = data.draw(st.sampled_from([clients - 1, *range(2, clients - 1, 2)]))
    t = data.draw(st.integers(2, max(2, k // 2)))
    lost = data.draw(st.sets(st.integers(0, clients - 1), max_size=clients // 3))
    vectors, clip = integers_that_are_steps(clients, 4, seed=clients)
    try:
        result = secure_sum(vectors, clip=clip, neighbours=k, threshold=t, dropouts=lost)
    except ValueError as error:
        assume("no sum" not in str(error))
        raise
    assert (result.total == vectors[sorted(set(range(clients)) - lost)].sum(axis=0)).all()


def test_forty_clients_with_100_000_parameters_are_exact_up_to_quantisation():
    vectors = np.random.default_rng(0).standard_normal((40, 100_000))
    result = secure_sum(vectors, clip=2.0, dropouts=[3, 17, 39])
    exact = np.clip(vectors, -2, 2)[list(result.survivors)].sum(axis=0)
    step = 2.0 / (2**25 - 2)  # 40 clients leave 26 of the 32 bits
    assert result.error_bound == pytest.approx(37 * step, rel=1e-12)
    errors = result.total - exact
    assert np.abs(errors).max() < result.error_bound
    # A rounding error has variance 1/6 of a step squared, where clipping has not left a whole step. Mean: 6 standard deviations.
    assert errors.std() == pytest.approx(np.sqrt((np.abs(vectors) < 2).mean() * 37 / 6) * step, rel=0.02)
    assert abs(errors.mean()) < 6 * errors.std() / np.sqrt(100_000)


@pytest.mark.parametrize("neighbours", [5, 4])
def test_what_one_client_sends_is_uniform_and_does_not_correlate_with_its_vector(neighbours):
    """Chi-square of all four bytes of each row, 6 rows: false alarm 2.4e-5 a run (seeded, so none from run to run).

    |corr| < 4/sqrt(d) has a false alarm of 6e-5 a row. The unmasked encoding fails both by far.
    """
    d = 50_000
    vectors = np.random.default_rng(1).standard_normal((6, d))
    result = secure_sum(vectors, clip=4.0, neighbours=neighbours, threshold=2, dropouts=[2], seed=4)

    def byte_test(row):
        return min(
            chisquare(np.bincount(column, minlength=256)).pvalue for column in row.view(np.uint8).reshape(d, 4).T
        )

    for row, vector in zip(result.masked, vectors, strict=True):
        assert byte_test(row) > 1e-6
        assert abs(np.corrcoef(row, vector)[0, 1]) < 4 / np.sqrt(d)
    bare = (vectors[0] * result.round.encoding.scale).astype(np.int32)
    assert byte_test(bare) < 1e-6
    assert np.corrcoef(bare, vectors[0])[0, 1] > 0.99


def test_rows_of_the_same_vector_differ_and_add_up_only_together():
    result = secure_sum(np.zeros((3, 1000)), clip=1.0)
    assert (result.total == 0).all()
    assert (result.masked[0] != result.masked[1]).mean() > 0.99
    again = secure_sum(np.zeros((3, 1000)), clip=1.0)
    assert (result.masked != again.masked).mean() > 0.99


def test_a_seeded_transcript_is_frozen():
    """Every byte that five clients and the server exchange: keys, shares, masks and signatures keep their meaning for ever."""
    result = secure_sum(np.arange(15).reshape(5, 3) / 16, clip=1.0, dropouts=[1], seed=7)
    assert hashlib.sha256(canonical(result.transcript)).hexdigest() == FROZEN
    assert not result.private
    other = secure_sum(np.arange(15).reshape(5, 3) / 16, clip=1.0, dropouts=[1], seed=8)
    assert canonical(other.transcript) != canonical(result.transcript)
    assert secure_sum(np.zeros((2, 1)), clip=1.0).private


FROZEN = "7f0b354054994145cbe47bd824d2e160ca0d642aa44130bcc399961f32a637ca"


def test_transcript_names_phases_senders_and_sizes():
    result = secure_sum(np.zeros((4, 100)), clip=1.0, dropouts=[2])
    phases = [message.phase for message in result.transcript]
    assert list(dict.fromkeys(phases)) == ["advertise", "share", "mask", "confirm", "unmask"]
    assert phases.count("mask") == 4  # the lost client's comes too late, but comes
    assert phases.count("unmask") == 3
    assert all(400 < message.size < 600 for message in result.transcript if message.phase == "mask")
    assert "words" not in repr(result)


def test_a_hundred_clients_have_few_neighbours_and_the_sum_is_right():
    vectors, clip = integers_that_are_steps(100, 2)
    result = secure_sum(vectors, clip=clip, dropouts=[10, 50, 51, 99])
    assert result.round.neighbours == 12
    assert (result.total == np.delete(vectors, [10, 50, 51, 99], axis=0).sum(axis=0)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_names_its_client_before_any_work(bad, monkeypatch):
    monkeypatch.setattr(aggregation, "_run", None)
    vectors = np.zeros((4, 3))
    vectors[2, 1] = bad
    with pytest.raises(ValueError, match="vector of client 2 has 1 NaN or infinite"):
        secure_sum(vectors, clip=1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": 0}, "clip is 0"),
        ({"threshold": 1}, "threshold is 1"),
        ({"threshold": 5}, "threshold is 5"),
        ({"neighbours": 1}, "neighbours is 1"),
        ({"neighbours": 4}, "neighbours is 4"),
        ({"dropouts": [4]}, "dropouts has client 4"),
        ({"dropouts": [-1]}, "dropouts is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"vectors": np.zeros((1, 3))}, "clients is 1"),
        ({"vectors": [[1.0, 2.0], [1.0]]}, "vector of client 1 has 1 coordinates, but must have 2"),
        ({"vectors": np.zeros((4, 3, 2))}, "vector of client 0 has shape"),
        ({"vectors": np.zeros((4, 0))}, "dimension is 0"),
        ({"l2_clip": 1.0}, "l2_clip is 1.0"),
        ({"noise_multiplier": 1.0}, "l2_clip is None"),
        ({"noise_multiplier": -1.0}, "noise_multiplier is -1"),
        ({"corrupt_rate": 1.0}, "corrupt_rate is 1"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(change, message):
    arguments = {"vectors": np.zeros((4, 3)), "clip": 1.0, **change}
    with pytest.raises(ValueError, match=message):
        secure_sum(arguments.pop("vectors"), **arguments)
