"""How many neighbours: the published sizes, the exact tail probabilities, logarithmic growth."""

from fractions import Fraction
from math import comb

import pytest

from privlab.masking import graph
from privlab.masking.graph import neighbourhood
from privlab.masking.messages import Round
from privlab.masking.ring import FixedPoint

# Neighbours and threshold at corruption and dropout rates of 5, 10 and 20 %; then, semi-malicious, of 5 and 10 %.
TABLE = {
    50: [(6, 3), (12, 6), (22, 11), (8, 6), (16, 11)],
    100: [(12, 6), (22, 11), (40, 21), (16, 11), (32, 22)],
    300: [(24, 14), (36, 21), (74, 41), (38, 27), (66, 46)],
    1_000: [(30, 17), (48, 27), (98, 54), (52, 37), (96, 67)],
    10_000: [(34, 20), (54, 31), (122, 67), (62, 44), (122, 85)],
}
SETTINGS = [(rate, "honest-but-curious") for rate in (0.05, 0.1, 0.2)] + [(r, "semi-malicious") for r in (0.05, 0.1)]


def ring_round(clients, neighbours, threshold=2, name=bytes(16)):
    return Round(name, clients, 1, neighbours, threshold, FixedPoint.for_clients(clients, 1.0))


@pytest.mark.parametrize("clients", TABLE)
def test_sizes_are_those_of_the_table(clients, monkeypatch):
    monkeypatch.setattr(graph, "FEWEST_SPARSE", 2)  # the bound itself holds for small graphs too
    found = [neighbourhood(clients, corrupt_rate=rate, dropout_rate=rate, server=server) for rate, server in SETTINGS]
    assert found == TABLE[clients]


def more_than(count, population, marked, drawn):
    """Exact P[more than ``count`` of ``drawn`` out of ``population`` are marked]."""
    ways = sum(comb(marked, m) * comb(population - marked, drawn - m) for m in range(count + 1, drawn + 1))
    return Fraction(ways, comb(population, drawn))


@pytest.mark.parametrize("clients", [100, 1_000, 10_000])
@pytest.mark.parametrize("rate", [0.05, 0.1])
def test_neighbourhoods_keep_both_promises_in_exact_arithmetic_and_two_neighbours_fewer_do_not(clients, rate):
    k, t = neighbourhood(clients, corrupt_rate=rate, dropout_rate=rate)
    marked = round(rate * clients)
    spied, lost = Fraction(1, 2**41 * clients), Fraction(1, 2**20 * clients)
    assert more_than(t - 1, clients, marked, k) <= spied
    assert more_than(k - t, clients, marked, k) <= lost
    assert not any(
        more_than(t - 1, clients, marked, k - 2) <= spied and more_than(k - 2 - t, clients, marked, k - 2) <= lost
        for t in range(2, k - 1)
    )


def test_neighbours_grow_with_the_logarithm_of_the_clients():
    """A hundred times as many clients need at most 25 neighbours more, not a hundred times as many."""
    degrees = [neighbourhood(clients)[0] for clients in (100, 300, 1_000, 3_000, 10_000, 30_000)]
    assert degrees == sorted(degrees)
    assert degrees[-2] <= degrees[0] + 25
    assert degrees[-1] - degrees[-2] <= 4


def test_few_clients_form_a_complete_graph_with_a_safe_threshold():
    for clients in range(2, 100):
        for server in graph.SERVERS:
            k, t = neighbourhood(clients, server=server)
            corrupt = int(0.05 * clients)
            assert k == clients - 1
            assert corrupt < t <= clients - int(0.05 * clients)
            assert 2 * t > clients + corrupt  # no two sets of t meet in corrupt clients alone


@pytest.mark.parametrize("clients", [20, 200])
def test_rates_that_leave_no_safe_threshold_are_refused(clients):
    with pytest.raises(ValueError, match="no safe threshold"):
        neighbourhood(clients, corrupt_rate=0.5, dropout_rate=0.6)
    with pytest.raises(ValueError, match="server is 'evil'"):
        neighbourhood(clients, server="evil")
    with pytest.raises(ValueError, match="clients is 65536"):
        neighbourhood(65_536)


@pytest.mark.parametrize(("clients", "neighbours"), [(10, 2), (11, 4), (101, 12), (7, 6), (8, 7)])
def test_neighbours_are_mutual_and_equally_many(clients, neighbours):
    round = ring_round(clients, neighbours)
    holders = [round.holders(client) for client in range(clients)]
    for client, around in enumerate(holders):
        assert len(around - {client}) == neighbours
        assert (client in around) == (neighbours == clients - 1)
        assert all(client in holders[peer] for peer in around)


def test_the_order_of_the_ring_depends_on_the_round():
    """Neighbours of client 0 among 1,000, in 50 rounds: all but a few of 50 * 4 differ (200 draws of 999 repeat 20 times)."""
    met = {peer for name in range(50) for peer in ring_round(1_000, 4, name=bytes(15) + bytes([name])).holders(0)}
    assert 150 < len(met) <= 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"neighbours": 3}, "neighbours is 3"),
        ({"neighbours": 10}, "neighbours is 10"),
        ({"threshold": 1}, "threshold is 1"),
        ({"threshold": 5}, "threshold is 5, but must be from 2 to 4"),
        ({"clients": 1}, "clients is 1"),
        ({"name": b"short"}, "id has 5 bytes"),
    ],
)
def test_rounds_that_cannot_be_run_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ring_round(**{"clients": 10, "neighbours": 4, **change})


def test_a_round_whose_sum_could_wrap_is_refused():
    point = FixedPoint.for_clients(4, 1.0)
    assert Round(bytes(16), 4, 1, 3, 2, point)
    with pytest.raises(ValueError, match="encoding"):
        Round(bytes(16), 5, 1, 4, 2, point)
