"""Trust "secure-sum": the server sees masked vectors and their sum; shards may be sealed, each opened by its own worker."""

from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest
from jobs import MODEL, SHARDS, X, Y, bits, trained
from scipy.stats import chi2

from privlab.encryption import DecryptionError, Identity, TamperError, seal_shards
from privlab.masking import PrivacyPlan
from privlab.masking.messages import Masked
from privlab.sharding import InProcess, SealedShards, secure, train_sharded
from privlab.sharding.secure import WholeSteps, once, respond
from privlab.sharding.sources import secret_of
from privlab.sharding.workers import Job, Unit, pack, unpack

ONE_ROUND = {"rounds": 1, "privacy": PrivacyPlan(2.0, 1.0, 0.2, 1)}


class Listening(InProcess):
    """The server's view: every message to and from workers. ``change`` may spoil one, or raise."""

    def __init__(self, change=lambda message, reply: reply):
        super().__init__()
        self.sent, self.received, self._change, self.secrets = [], [], change, {}

    def submit(self, fn, /, *args):
        future = Future()
        try:
            unit = unpack(args[0]).unit
            self.secrets[unit.shard] = secret_of(unit.home, unit.shard)
            reply = self._change(args[0], super().submit(fn, *args).result())
            self.sent.append(args[0])
            self.received.append(reply)
            future.set_result(reply)
        except Exception as error:
            future.set_exception(error)
        return future

    def masked(self):
        contents = [unpack(reply).content for reply in self.received]
        return [content for content in contents if isinstance(content, Masked)]


def close(left, right, tolerance):
    return all(np.abs(left.parameters[name] - right.parameters[name]).max() < tolerance for name in left.parameters)


@pytest.mark.parametrize("job", ["gradient", "local steps", "central"])
def test_central_and_secure_sums_agree_to_quantisation(job):
    """The noise of a private run is keyed by the parameters' bits, so later rounds draw other noise: one round is compared."""
    settings = ONE_ROUND if job == "central" else {}
    run = trained(job, trust="secure-sum", **settings)
    assert close(run, trained(job, **settings), 1e-6)
    assert run.ledger == trained(job, **settings).ledger
    assert not np.isfinite(run.history[0].loss), "no one sees it"


def test_the_servers_view_is_masked_vectors_and_sums():
    """16 classes of 7 x 650 masked words: false alarm 1e-6. The clear words fail the same test."""
    view = Listening()
    trained("central", executor=view, trust="secure-sum", **ONE_ROUND)
    masked = view.masked()
    assert len(masked) == len(SHARDS)

    def statistic(words):
        counts = np.bincount(words >> 28, minlength=16)
        return float(((counts - words.size / 16) ** 2 / (words.size / 16)).sum())

    limit = chi2.isf(1e-6, 15)
    assert statistic(np.concatenate([sent.words for sent in masked])) < limit

    job = Job(MODEL, True, 1, 10, 0.5, 0.0, ONE_ROUND["privacy"], 0)
    encoding = WholeSteps.for_job(job, [(Unit(0, None, 0, 500, 0, 500, 1.0, ""),)] * len(SHARDS))
    gradient = MODEL.clipped_gradient(MODEL.init(0), X[SHARDS[0]], Y[SHARDS[0]], 1.0)
    clear = encoding.encode(np.concatenate([array.ravel() for array in gradient.values()]), None)
    assert statistic(np.tile(clear, len(SHARDS))) > 10 * limit

    everything = b"".join([*view.sent, *view.received])
    assert len(view.secrets) == len(SHARDS)
    assert not any(secret in everything for secret in view.secrets.values())
    assert {type(unpack(reply).content).__name__ for reply in view.received} == {
        "Advert", "Envelopes", "Masked", "Confirmation", "Opening",
    }  # fmt: skip


def test_two_rounds_mask_differently():
    view = Listening()
    trained("gradient", executor=view, trust="secure-sum", learning_rate=1e-9, rounds=2, batch_size=10_000)
    masked = view.masked()
    first, second = masked[: len(SHARDS)], masked[len(SHARDS) :]
    for left, right in zip(first, second, strict=True):
        assert left.client == right.client
        difference = (left.words - right.words).astype(np.int32)
        assert np.abs(difference.astype(float)).mean() > 2**29, (
            "the difference of the same update twice is still masked"
        )


def failing(phase, shard, times):
    left = [times]

    def change(message, reply):
        step = unpack(message)
        if step.unit.shard == shard and len(step.received) == 1 + secure.PHASES.index(phase) and left[0]:
            left[0] -= 1
            raise OSError("the line is dead")
        return reply

    return Listening(change)


@pytest.mark.parametrize("phase", secure.PHASES)
def test_a_retry_opens_a_new_round_of_the_protocol_and_changes_nothing(phase):
    view = failing(phase, 2, 1)
    run = trained("central", executor=view, trust="secure-sum", faults="retry", **ONE_ROUND)
    assert bits(run) == bits(trained("central", trust="secure-sum", **ONE_ROUND))
    rounds = [unpack(message).received[0].id for message in view.sent]
    assert len(set(rounds)) == 2, "a fresh round, hence fresh keys and masks"
    with pytest.raises(OSError, match="the line is dead"):
        trained("central", executor=failing(phase, 2, 1), trust="secure-sum", **ONE_ROUND)


def test_a_shard_that_is_lost_is_left_out_and_named():
    settings = {"rounds": 1, "batch_size": 10_000, "trust": "secure-sum"}
    with pytest.warns(UserWarning, match=r"1 update\(s\) were not used: mask: the line is dead"):
        run = trained("gradient", executor=failing("mask", 2, 1), faults="drop", **settings)
    assert [fault.shard for fault in run.faults] == [2]
    others = [[] if shard == 2 else rows for shard, rows in enumerate(SHARDS)]
    assert close(run, trained("gradient", others, rounds=1, batch_size=10_000), 1e-6)


def test_too_few_shards_left_is_no_sum():
    def dead(message, reply):
        if unpack(message).task is not None and unpack(message).unit.shard > 1:
            raise OSError("the line is dead")
        return reply

    with pytest.raises(ValueError, match="survive, but threshold is 4: no sum"):
        trained("gradient", executor=Listening(dead), faults="drop", trust="secure-sum", rounds=1)


def test_an_update_over_its_bound_never_leaves_the_worker():
    with pytest.raises(
        FloatingPointError, match=r"the update of shard \d in round 0 has norm .*, but norm_bound is 0.01"
    ):
        trained("gradient", trust="secure-sum", norm_bound=0.01)


def test_a_client_answers_the_same_step_twice_only_if_it_is_the_same(tmp_path):
    once(tmp_path / "a", b"what")
    once(tmp_path / "a", b"what")
    with pytest.raises(ValueError, match="it was answered before, to another message"):
        once(tmp_path / "a", b"other")


def test_a_server_that_asks_again_for_something_else_gets_nothing():
    """A replayed step gives the very same message; the same round for other parameters, or other survivors, is refused."""
    tried = []

    def curious(message, reply):
        step = unpack(message)
        if step.task is not None and step.unit.shard == 0:
            assert unpack(respond(message)).content.words.tobytes() == unpack(reply).content.words.tobytes()
            moved = {name: array + 1 for name, array in step.task.parameters.items()}
            other = SimpleNamespace(**{**vars(step), "task": type(step.task)(step.task.job, step.task.units, 0, moved)})
            with pytest.raises(ValueError, match="update of a secure sum is refused"):
                respond(pack(secure.Step(other.unit, other.received, other.task)))
            tried.append("parameters")
        if len(step.received) == 4 and step.unit.shard == 0:
            survivors = step.received[3][:-1]
            with pytest.raises(ValueError, match="confirm of a secure sum is refused"):
                respond(pack(secure.Step(step.unit, (*step.received[:3], survivors), None)))
            tried.append("survivors")
        return reply

    trained("gradient", executor=Listening(curious), trust="secure-sum", rounds=1)
    assert tried == ["parameters", "survivors"]


def test_whole_steps_sum_exactly_and_never_wrap():
    job = Job(MODEL, False, 2, 10, 0.5, 0.0, None, 0, norm_bound=10.0)
    units = [(Unit(i, None, 0, 100, 0, 100, 0.01, ""),) for i in range(100)]
    encoding = WholeSteps.for_job(job, units)
    assert np.log2(encoding.scale) % 1 == 0
    largest = encoding.encode(np.array([encoding.clip, -encoding.clip, 9e9]), None)
    total = np.zeros(3, np.uint32)
    for _ in units:
        total += largest
    expected = 100 * encoding.clip * np.array([1, -1, 1])
    assert np.abs(encoding.decode(total) - expected).max() <= 50 / encoding.scale
    with pytest.raises(ValueError, match="fewer than two shards"):
        trained("gradient", [np.arange(50)], trust="secure-sum")


@pytest.fixture
def sealed(tmp_path):
    """The digits, each shard locked for one worker; identities in files of their own."""
    author, owners = Identity.generate("ed25519"), [Identity.generate() for _ in SHARDS]
    seal_shards(tmp_path / "data", {"x": X, "y": Y}, SHARDS, [o.recipient for o in owners], author, name="digits")
    keys = [tmp_path / f"{i}.key" for i in range(len(owners))]
    for key, owner in zip(keys, owners, strict=True):
        owner.write(key)
    return SealedShards(tmp_path / "data", keys, author.recipient, "digits")


def run_sealed(shards, **settings):
    return train_sharded(
        MODEL, None, None, shards, **{"rounds": 2, "local_steps": 2, "batch_size": 16, "learning_rate": 0.5, **settings}
    )


def test_sealed_shards_train_as_plain_ones_do(sealed, tmp_path):
    plain = trained("local steps", rounds=2, local_steps=2, proximal=0.0)
    assert bits(run_sealed(sealed)) == bits(plain)
    assert bits(run_sealed(sealed, workers=2)) == bits(plain)
    masked = run_sealed(sealed, trust="secure-sum", scratch=tmp_path)
    assert close(masked, plain, 1e-6)
    private = {
        "privacy": PrivacyPlan(2.0, 1.0, 0.2, 2),
        "local_steps": 1,
        "batch_size": round(0.2 * len(X)),
        "noise_seed": 1,
    }
    assert run_sealed(sealed, **private).ledger == trained("central", **private, rounds=2).ledger


def test_a_worker_opens_only_its_own(sealed):
    swapped = SealedShards(sealed.folder, [sealed.keys[1], sealed.keys[0], *sealed.keys[2:]], sealed.author, "digits")
    with pytest.raises(DecryptionError, match="none of the identities"):
        run_sealed(swapped)
    with pytest.raises(ValueError, match="keys has 2 files, but must have one for each of 7 shards"):
        SealedShards(sealed.folder, sealed.keys[:2], sealed.author, "digits")
    with pytest.raises(ValueError, match="must be None where the shards are sealed"):
        train_sharded(MODEL, X, Y, sealed, rounds=1, local_steps=1, batch_size=1, learning_rate=1.0)


def test_a_swapped_shard_or_author_is_noticed(sealed, tmp_path):
    with pytest.raises(TamperError):
        SealedShards(sealed.folder, sealed.keys, Identity.generate("ed25519").recipient, "digits")
    with pytest.raises(TamperError, match="the manifest is of 'digits', not of 'letters'"):
        run_sealed(SealedShards(sealed.folder, sealed.keys, sealed.author, "letters"))
    first = tmp_path / "data" / "shard-0000.age"
    first.write_bytes((tmp_path / "data" / "shard-0001.age").read_bytes())
    with pytest.raises(TamperError, match="is not the file in the manifest"):
        run_sealed(sealed)
