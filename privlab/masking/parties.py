"""The two parties of a secure sum, client and server, as objects that exchange plain messages.

The protocol of Bell, Bonawitz, Gascon, Lepoint and Raykova (2020), on a complete graph that of Bonawitz et al. (2017). Each pair of
neighbours agrees on a mask that one adds and the other subtracts, and each client adds a self mask. Shares of what makes both masks
are left with holders: for a client that is lost they give back its pairwise masks, for a survivor its self mask, never both.

The server learns the sum of the survivors, who took part, and nothing else, as long as fewer than ``threshold`` holders of each
client collude with it. It can spoil a sum without being noticed; nothing here stops it, or a client that lies about its own vector.
"""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import ArrayLike, NDArray

from privlab import arguments
from privlab.masking.agreement import (
    advert_bytes,
    agree,
    check_adverts,
    check_signature,
    commitment,
    pair_key,
    sealing_key,
    self_key,
    survivor_bytes,
)
from privlab.masking.messages import Advert, Confirmation, Envelopes, Masked, Opening, Round
from privlab.masking.ring import Keystream, add_masks
from privlab.masking.shares import interpolate, polynomial_shares

PHASES = ("advertise", "share", "mask", "confirm", "unmask", "")


class Client:
    """One holder of a vector. Each method answers one message of the server and may be called once a round, in this order.

    Parameters
    ----------
    number : int
        The client's, from 0.
    signing_key : bytes
        Its long-term Ed25519 private key, 32 bytes.
    directory : mapping of int to bytes
        The long-term Ed25519 public keys of all clients, from a source that the server does not control.
    random : callable
        Number of bytes -> random bytes; the operating system's unless a run is to be reproducible, and then not private.

    Notes
    -----
    Every method raises `ValueError`, naming who is at fault, where a message is not what an honest server sends. The rounds that
    were seen are remembered by the object: a client that is restored from a copy must not take part in a round twice.
    """

    def __init__(
        self,
        number: int,
        signing_key: bytes,
        directory: Mapping[int, bytes],
        *,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.number = number
        self._signer = Ed25519PrivateKey.from_private_bytes(signing_key)
        self._directory = directory
        self._random = random
        self._rounds: set[bytes] = set()
        self._phase = PHASES[0]

    def advertise(self, round: Round) -> Advert:
        """Begin a round with fresh keys; a round that was seen before is refused."""
        if round.id in self._rounds:
            raise ValueError(f"round {round.id.hex()} is refused by client {self.number}, which took part in it before")
        self._rounds.add(round.id)
        self._round, self._holders = round, round.holders(self.number)
        self._seed = self._random(32)
        self._mask_key, self._seal_key = (X25519PrivateKey.from_private_bytes(self._random(32)) for _ in range(2))
        keys = self._mask_key.public_key().public_bytes_raw(), self._seal_key.public_key().public_bytes_raw()
        self._advert = Advert(self.number, *keys, self._signer.sign(advert_bytes(round, self.number, *keys)))
        self._phase = "share"
        return self._advert

    def share(self, adverts: Sequence[Advert]) -> Envelopes:
        """Check the keys of the holders, and seal a share of both secrets to each."""
        self._expect("share")
        self._adverts = {advert.client: advert for advert in adverts}
        self._enough(self._adverts, "advertised keys")
        if strangers := self._adverts.keys() - self._holders:
            raise ValueError(f"adverts has client(s) {sorted(strangers)}, no holder(s) for client {self.number}")
        check_adverts(self._round, [self._advert, *(a for a in adverts if a.client != self.number)], self._directory)
        holders = sorted(self._adverts)
        secret = self._seed + self._mask_key.private_bytes_raw()
        points = [holder + 1 for holder in holders]
        shares = dict(zip(holders, polynomial_shares(secret, points, self._round.threshold, self._random), strict=True))
        self._held = {self.number: shares.pop(self.number)} if self.number in shares else {}
        self._sealing = {peer: agree(self._seal_key, self._adverts[peer].seal_key, peer) for peer in shares}
        boxes = {peer: self._aead(self.number, peer).encrypt(bytes(12), share, None) for peer, share in shares.items()}
        self._phase = "mask"
        return Envelopes(self.number, boxes)

    def mask(self, boxes: Mapping[int, bytes], vector: ArrayLike) -> Masked:
        """Open the shares of others; encode the vector and mask it with every peer that sent one, and with the self mask."""
        self._expect("mask")
        values = client_vector(vector, self.number, self._round.dimension)
        held = dict(self._held)
        for peer, box in boxes.items():
            if peer not in self._sealing:
                raise ValueError(f"boxes has a share from client {peer}, which advertised no key to {self.number}")
            try:
                held[peer] = self._aead(peer, self.number).decrypt(bytes(12), box, None)
            except InvalidTag:
                raise ValueError(f"boxes has a share from client {peer} that was altered") from None
        self._enough(held, "shares")
        words = self._round.encoding.encode(values, Keystream(self._random(16)))
        self._held, self._phase = held, "confirm"  # before anything masked exists: the masks are for this vector alone
        pairs = {peer: pair_key(self._round, self._mask_key, self._adverts[peer], self.number) for peer in boxes}
        add_masks(
            words,
            add=[self_key(self._round, self._seed), *(key for peer, key in pairs.items() if peer > self.number)],
            subtract=[key for peer, key in pairs.items() if peer < self.number],
        )
        return Masked(self.number, words, commitment(self._round, self._seed))

    def confirm(self, survivors: Collection[int]) -> Confirmation:
        """Sign the set of survivors, the only one for which shares will be released."""
        self._expect("confirm")
        self._enough(survivors, "survivors")
        if self.number not in survivors:
            raise ValueError(f"survivors lacks client {self.number}, which is asked to confirm them")
        self._survivors = frozenset(survivors)
        self._phase = "unmask"
        return Confirmation(self.number, self._signer.sign(survivor_bytes(self._round, self._survivors)))

    def unmask(self, confirmations: Sequence[Confirmation]) -> Opening:
        """Release one share for each client: of the seed where it survived, of the mask key where it was lost."""
        self._expect("unmask")
        message = survivor_bytes(self._round, self._survivors)
        signers: set[int] = set()
        for sent in confirmations:
            if sent.client in self._holders & self._survivors and len(signers) < self._round.threshold:
                check_signature(self._directory, sent.client, sent.signature, message, "survivors")
                signers.add(sent.client)
        self._enough(signers, "confirmations")
        self._phase = ""
        seeds = {peer: share[:32] for peer, share in self._held.items() if peer in self._survivors}
        keys = {peer: share[32:] for peer, share in self._held.items() if peer not in self._survivors}
        return Opening(self.number, seeds, keys)

    def _expect(self, phase: str) -> None:
        if self._phase != phase:
            raise ValueError(
                f"{phase} is refused by client {self.number}, which expects {self._phase or 'a new round'}"
            )

    def _enough(self, clients: Collection[int], what: str) -> None:
        count, threshold = len(self._holders.intersection(clients)), self._round.threshold
        if count < threshold:
            raise ValueError(f"{what} come from {count} holders of client {self.number}, but threshold is {threshold}")

    def _aead(self, sender: int, receiver: int) -> AESGCM:
        """Cipher for one message in one direction, hence a fixed nonce."""
        peer = receiver if sender == self.number else sender
        return AESGCM(sealing_key(self._round, self._sealing[peer], sender, receiver))


class Server:
    """The party that adds up masked vectors. Each method takes the messages of one phase and returns what to send next.

    Parameters
    ----------
    round : Round
    directory : mapping of int to bytes
        The long-term Ed25519 public keys of all clients.

    Notes
    -----
    Clients may be lost between any two phases. Every method raises `ValueError` where too few are left.
    """

    def __init__(self, round: Round, directory: Mapping[int, bytes]) -> None:
        self._round, self._directory = round, directory

    def introduce(self, adverts: Sequence[Advert]) -> dict[int, tuple[Advert, ...]]:
        """Return, for each client, the signed keys of those who may hold its shares."""
        check_adverts(self._round, adverts, self._directory)
        self._adverts = {advert.client: advert for advert in sorted(adverts, key=lambda advert: advert.client)}
        return {
            client: tuple(self._adverts[peer] for peer in sorted(self._round.holders(client) & self._adverts.keys()))
            for client in self._adverts
        }

    def route(self, envelopes: Sequence[Envelopes]) -> dict[int, dict[int, bytes]]:
        """Return, for each client that sent shares, those sealed to it."""
        self._boxes = {sent.client: dict(sent.boxes) for sent in envelopes if sent.client in self._adverts}
        return {
            client: {peer: self._boxes[peer][client] for peer in sorted(self._peers(client))} for client in self._boxes
        }

    def collect(self, masked: Sequence[Masked]) -> tuple[int, ...]:
        """Add up the masked vectors and return the survivors: what arrives later is not in the sum."""
        received = {sent.client: sent for sent in masked if sent.client in self._boxes}
        self._sum = np.zeros(self._round.dimension, np.uint32)
        for client, sent in received.items():
            if sent.words.dtype != np.uint32 or sent.words.shape != self._sum.shape:
                raise ValueError(f"masked vector of client {client} is not uint32 of shape {self._sum.shape}")
            self._sum += sent.words
        self._commitments = {client: sent.commitment for client, sent in received.items()}
        self._survivors = tuple(sorted(received))
        for client in self._boxes:
            self._enough(client, self._survivors, "survive")
        return self._survivors

    def forward(self, confirmations: Sequence[Confirmation]) -> dict[int, tuple[Confirmation, ...]]:
        """Return, for each client, the signatures of its holders over the set of survivors."""
        signed = {sent.client: sent for sent in confirmations if sent.client in self._survivors}
        return {
            client: tuple(signed[peer] for peer in sorted(self._round.holders(client) & signed.keys()))
            for client in signed
        }

    def unmask(self, openings: Sequence[Opening]) -> NDArray[np.uint32]:
        """Remove the self masks of survivors and the pairwise masks of the lost; return the sum modulo 2^32, shape (d,)."""
        lost = self._boxes.keys() - set(self._survivors)
        seeds = {client: self._restore(client, [(o.client, o.seeds) for o in openings]) for client in self._survivors}
        keys = {client: self._restore(client, [(o.client, o.keys) for o in openings]) for client in sorted(lost)}
        for client, seed in seeds.items():
            if commitment(self._round, seed) != self._commitments[client]:
                raise ValueError(f"openings give a false seed for client {client}: one of its shares was altered")
        add: list[bytes] = []
        subtract = [self_key(self._round, seed) for seed in seeds.values()]
        for client, secret in keys.items():
            key = X25519PrivateKey.from_private_bytes(secret)
            if key.public_key().public_bytes_raw() != self._adverts[client].mask_key:
                raise ValueError(f"openings give a false key for client {client}: one of its shares was altered")
            for peer in sorted(self._peers(client).intersection(self._survivors)):
                # The survivor added this mask where the lost client's number is the larger, and subtracted it otherwise.
                (subtract if client > peer else add).append(pair_key(self._round, key, self._adverts[peer], client))
        result = self._sum.copy()
        add_masks(result, add=add, subtract=subtract)
        return result

    def _peers(self, client: int) -> frozenset[int]:
        return (self._round.holders(client) & self._boxes.keys()) - {client}

    def _restore(self, client: int, shares: list[tuple[int, Mapping[int, bytes]]]) -> bytes:
        holders = self._round.holders(client)
        held = {holder + 1: by[client] for holder, by in shares if holder in holders and len(by.get(client, b"")) == 32}
        self._enough(client, [point - 1 for point in held], "opened their shares")
        return interpolate(dict(list(held.items())[: self._round.threshold]))

    def _enough(self, client: int, clients: Collection[int], did: str) -> None:
        count, threshold = len(self._round.holders(client).intersection(clients)), self._round.threshold
        if count < threshold:
            raise ValueError(f"{count} holders of client {client} {did}, but threshold is {threshold}: no sum")


def client_vector(vector: ArrayLike, client: int, dimension: int) -> NDArray:
    """Return a client's vector as an array, or raise `ValueError` that names the client."""
    values = arguments.finite_array(f"vector of client {client}", vector, dimensions=1)
    if values.size != dimension:
        raise ValueError(f"vector of client {client} has {values.size} coordinates, but must have {dimension}")
    return values
