"""Client and server: published vectors, what a client refuses, losses in every phase, and rounds across processes."""

import multiprocessing
import pickle
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from privlab.masking.agreement import advert_bytes, agree, derive, pair_key
from privlab.masking.messages import Round
from privlab.masking.parties import Client, Server
from privlab.masking.ring import FixedPoint, add_masks

CLIENTS, D = 5, 3
SIGNING = [bytes([number]) * 32 for number in range(CLIENTS)]
DIRECTORY = {
    number: Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
    for number, key in enumerate(SIGNING)
}
VECTORS = np.arange(CLIENTS * D).reshape(CLIENTS, D) - 7.0
POINT = FixedPoint(clip=16.0, scale=1.0)


def new_round(name=1, threshold=3, neighbours=CLIENTS - 1):
    return Round(bytes([name]) * 16, CLIENTS, D, neighbours, threshold, POINT)


def new_clients(vectors=VECTORS):
    return [Client(number, SIGNING[number], DIRECTORY) for number in range(len(vectors))]


def until(phase, clients, round, lost=()):
    """Run a round with everyone up to ``phase``; return the server and what it sends next."""
    server = Server(round, DIRECTORY)
    replies = server.introduce([client.advertise(round) for client in clients])
    if phase == "share":
        return server, replies
    replies = server.route([client.share(replies[client.number]) for client in clients])
    if phase == "mask":
        return server, replies
    masked = [client.mask(replies[client.number], VECTORS[client.number]) for client in clients]
    survivors = server.collect([sent for sent in masked if sent.client not in lost])
    if phase == "confirm":
        return server, survivors
    return server, server.forward([clients[number].confirm(survivors) for number in survivors])


def test_keys_are_agreed_as_in_rfc_7748():
    """Section 6.1."""
    alice = X25519PrivateKey.from_private_bytes(
        bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    )
    bob = X25519PrivateKey.from_private_bytes(
        bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    )
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    assert agree(alice, bob.public_key().public_bytes_raw(), 1).hex() == shared
    assert agree(bob, alice.public_key().public_bytes_raw(), 0).hex() == shared
    assert alice.public_key().public_bytes_raw().hex().startswith("8520f0098930a754748b7ddcb43ef75a")


@pytest.mark.parametrize(
    ("secret", "salt", "info", "output"),
    [
        (
            b"\x0b" * 22,
            bytes(range(0x0D)),
            bytes(range(0xF0, 0xFA)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x50)),
            bytes(range(0x60, 0xB0)),
            bytes(range(0xB0, 0x100)),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            b"\x0b" * 22,
            b"",
            b"",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_keys_are_derived_as_in_rfc_5869(secret, salt, info, output):
    """Appendix A.1 to A.3."""
    assert derive(secret, salt=salt, info=info, length=len(output) // 2).hex() == output


@pytest.mark.parametrize("lost", list(product(range(6), repeat=2)))
def test_clients_may_be_lost_in_any_phase(lost):
    """Clients 1 and 3 stop after 0 to 5 messages each: the sum is of those who sent a masked vector."""
    leaves = dict(zip((1, 3), lost, strict=True))

    def here(phase):
        return [client for client in clients if leaves.get(client.number, 5) > phase]

    round, clients = new_round(), new_clients()
    server = Server(round, DIRECTORY)
    adverts = server.introduce([client.advertise(round) for client in here(0)])
    boxes = server.route([client.share(adverts[client.number]) for client in here(1)])
    survivors = server.collect([client.mask(boxes[client.number], VECTORS[client.number]) for client in here(2)])
    signed = server.forward([client.confirm(survivors) for client in here(3)])
    total = server.unmask([client.unmask(signed[client.number]) for client in here(4)])
    assert (POINT.decode(total) == VECTORS[[client.number for client in here(2)]].sum(axis=0)).all()


def test_too_few_openings_give_no_sum():
    clients = new_clients()
    server, signed = until("unmask", clients, new_round(), lost=[0])
    openings = [clients[number].unmask(signed[number]) for number in (1, 2)]
    with pytest.raises(ValueError, match="2 holders of client 1 opened their shares, but threshold is 3: no sum"):
        server.unmask(openings)
    with pytest.raises(ValueError, match="2 holders"):
        server.unmask([*openings, openings[0]])  # the same holder twice is one holder


def test_a_client_never_releases_both_secrets_of_a_peer():
    clients = new_clients()
    _, survivors = until("confirm", clients, new_round(), lost=[4])
    client = clients[0]
    signed = [other.confirm(survivors) for other in clients[:4]]
    opening = client.unmask(signed)
    assert set(opening.seeds) == {0, 1, 2, 3}
    assert set(opening.keys) == {4}
    for again in (lambda: client.unmask(signed), lambda: client.confirm((0, 1, 2)), lambda: client.confirm(survivors)):
        with pytest.raises(ValueError, match="refused by client 0, which expects a new round"):
            again()
    with pytest.raises(ValueError, match="took part in it before"):
        client.advertise(new_round())
    client.advertise(new_round(name=2))
    with pytest.raises(ValueError, match="unmask is refused by client 0, which expects share"):
        client.unmask(signed)


def test_a_client_signs_one_set_of_survivors_and_opens_for_no_other():
    """A server that tells two halves different things gets signatures that fit neither: nothing is opened."""
    clients = new_clients()
    until("confirm", clients, new_round(), lost=[])
    told = [(0, 1, 2, 3, 4), (0, 1, 2, 3, 4), (0, 1, 2), (0, 2, 3, 4), (0, 2, 3, 4)]
    signed = [client.confirm(survivors) for client, survivors in zip(clients, told, strict=True)]
    for client in clients:
        with pytest.raises(ValueError, match="did not sign these survivors"):
            client.unmask(signed)
    with pytest.raises(ValueError, match="confirmations come from 2 holders of client 0, but threshold is 3"):
        clients[0].unmask([*signed[:2], signed[0]])
    with pytest.raises(ValueError, match="confirm is refused"):
        clients[0].confirm((0, 1, 2))


def test_a_client_confirms_no_set_without_itself_or_below_the_threshold():
    clients = new_clients()
    until("confirm", clients, new_round())
    with pytest.raises(ValueError, match="survivors lacks client 0"):
        clients[0].confirm((1, 2, 3))
    with pytest.raises(ValueError, match="survivors come from 2 holders of client 0"):
        clients[0].confirm((0, 1))


def test_masks_are_used_for_one_vector_only():
    clients = new_clients()
    _, boxes = until("mask", clients, new_round())
    with pytest.raises(ValueError, match="vector of client 0 has 1 NaN"):
        clients[0].mask(boxes[0], [0, np.nan, 0])
    clients[0].mask(boxes[0], VECTORS[0])
    with pytest.raises(ValueError, match="mask is refused by client 0"):
        clients[0].mask(boxes[0], VECTORS[1])


def test_public_keys_must_be_signed_differ_and_come_from_holders():
    round, clients = new_round(), new_clients()
    adverts = [client.advertise(round) for client in clients]
    signer = Ed25519PrivateKey.from_private_bytes(SIGNING[2])

    def signed(mask_key, seal_key):
        signature = signer.sign(advert_bytes(round, 2, mask_key, seal_key))
        return replace(adverts[2], mask_key=mask_key, seal_key=seal_key, signature=signature)

    forged = replace(adverts[2], mask_key=adverts[2].seal_key)
    copied = signed(adverts[0].mask_key, adverts[2].seal_key)
    twice = signed(adverts[2].mask_key, adverts[2].mask_key)
    small = signed(adverts[2].mask_key, bytes(32))
    cases = [(forged, "client 2 did not sign these public keys"), (twice, "client 2 advertises a key of client 2")]
    for bad, message in [*cases, (copied, "client (2|0) advertises a key of client (0|2)")]:
        with pytest.raises(ValueError, match=message):
            Server(round, DIRECTORY).introduce([*adverts[:2], bad])
        with pytest.raises(ValueError, match=message):
            clients[0].share([*adverts[:2], bad, *adverts[3:]])
    with pytest.raises(ValueError, match=r"client 2 advertises 0{64}, a public key with which nothing is secret"):
        clients[0].share([*adverts[:2], small, *adverts[3:]])
    with pytest.raises(ValueError, match="advertised keys come from 2 holders"):
        clients[0].share(adverts[:2])
    with pytest.raises(ValueError, match="client 2 did not sign"):  # signed for another round
        clients[0].share([*adverts[:2], Client(2, SIGNING[2], DIRECTORY).advertise(new_round(name=9)), adverts[3]])
    assert clients[0].share(adverts)


def test_shares_go_to_holders_only():
    round = new_round(threshold=2, neighbours=2)
    clients = new_clients()
    adverts = [client.advertise(round) for client in clients]
    stranger = min(set(range(1, CLIENTS)) - round.holders(0))
    with pytest.raises(ValueError, match=rf"adverts has client\(s\) \[{stranger}\], no holder"):
        clients[0].share([adverts[peer] for peer in (*round.holders(0), stranger)])


def test_altered_shares_are_noticed():
    clients = new_clients()
    server, boxes = until("mask", clients, new_round())
    for altered, message in [
        ({**boxes[0], 2: boxes[0][3]}, "share from client 2 that was altered"),
        ({**boxes[0], 0: boxes[0][3]}, "share from client 0, which advertised no key"),
        ({1: boxes[0][1]}, "shares come from 2 holders"),
    ]:
        with pytest.raises(ValueError, match=message):
            clients[0].mask(altered, VECTORS[0])
    survivors = server.collect([c.mask(boxes[c.number], VECTORS[c.number]) for c in clients[:4]])
    signed = server.forward([client.confirm(survivors) for client in clients[:4]])
    openings = [client.unmask(signed[client.number]) for client in clients[:4]]
    for field, victim in (("seeds", 1), ("keys", 4)):
        false = {**getattr(openings[0], field), victim: bytes(32)}
        with pytest.raises(ValueError, match=rf"false (seed|key) for client {victim}"):
            server.unmask([replace(openings[0], **{field: false}), *openings[1:]])


def test_a_late_vector_stays_masked_after_its_pairwise_masks_are_known():
    """Chi-square of 256 bins on 50,000 words, 255 degrees of freedom: above 400 with probability 2e-8.

    The vector is constant: once its self mask is gone as well, it shows in every word.
    """
    d = 50_000
    round = Round(bytes(16), CLIENTS, d, CLIENTS - 1, 3, POINT)
    clients, server = new_clients(), Server(round, DIRECTORY)
    adverts = server.introduce([client.advertise(round) for client in clients])
    boxes = server.route([client.share(adverts[client.number]) for client in clients])
    late = clients[2].mask(boxes[2], np.ones(d)).words.copy()
    keys = {peer: pair_key(round, clients[2]._mask_key, adverts[2][peer], 2) for peer in (0, 1, 3, 4)}
    add_masks(late, add=[keys[0], keys[1]], subtract=[keys[3], keys[4]])  # what the server can do once client 2 is lost
    counts = np.bincount(late >> 24, minlength=256)
    assert ((counts - d / 256) ** 2 / (d / 256)).sum() < 400
    add_masks(
        late,
        subtract=[derive(clients[2]._seed, salt=round.digest, info=b"t\0\0\0\0\0\0\0\x18'privlab/secagg/v1/self'")],
    )
    assert (late == 1).all()


def answer(number, pipe):
    """One client in a process of its own: answer each message with the method of its phase."""
    client = Client(number, SIGNING[number], DIRECTORY)
    for phase in ("advertise", "share", "mask", "confirm", "unmask"):
        message = pipe.recv()
        pipe.send(client.mask(message, VECTORS[number]) if phase == "mask" else getattr(client, phase)(message))


def test_a_round_runs_across_processes():
    """Client 0 lives in a process of its own, the server and client 1 here; client 2 is lost after sharing."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    worker = context.Process(target=answer, args=(0, theirs), daemon=True)
    worker.start()
    theirs.close()

    def remote(message):
        pipe.send(message)
        return pipe.recv()

    round = Round(bytes(16), 3, D, 2, 2, POINT)
    server, (_, one, two, *_) = Server(round, DIRECTORY), new_clients()
    adverts = server.introduce([remote(round), one.advertise(round), two.advertise(round)])
    boxes = server.route([remote(adverts[0]), one.share(adverts[1]), two.share(adverts[2])])
    survivors = server.collect([remote(boxes[0]), one.mask(boxes[1], VECTORS[1])])
    signed = server.forward([remote(survivors), one.confirm(survivors)])
    total = server.unmask([remote(signed[0]), one.unmask(signed[1])])
    assert (POINT.decode(total) == VECTORS[:2].sum(axis=0)).all()
    worker.join(timeout=60)
    assert worker.exitcode == 0


def test_messages_survive_serialisation_and_show_no_secret():
    clients = new_clients()
    server, boxes = until("mask", clients, new_round())
    copied = pickle.loads(pickle.dumps(boxes))
    assert server.collect([c.mask(copied[c.number], VECTORS[c.number]) for c in clients]) == (0, 1, 2, 3, 4)
    assert "0x" in repr(clients[0])  # the default: no keys
