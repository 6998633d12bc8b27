"""A driver that is killed goes on from its checkpoint: the same bits, the same ledger, no noise used twice."""

import hashlib
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from jobs import JOBS, SHARDS, X, Y, bits, trained

from privlab.encryption import DecryptionError, Identity
from privlab.masking import PrivacyPlan
from privlab.randomness import secret_stream
from privlab.sharding import asynchronous, server, workers

ROOT = Path(__file__).parents[2]


class Killed(BaseException):
    """Ends a driver as abruptly as a test can bear."""


def killed_after(job, rounds, path, **settings):
    """Run until so many rounds are done and noted, and the next is done and not noted."""
    done = []

    def evaluate(parameters):
        done.append(1)
        if len(done) > rounds:
            raise Killed
        return 0.0

    with pytest.raises(Killed):
        trained(job, checkpoint=path, evaluate=evaluate, **settings)


@pytest.mark.parametrize("job", JOBS)
def test_a_run_that_was_killed_after_any_round_ends_as_if_it_never_was(job, tmp_path):
    expected = bits(trained(job))
    for rounds in range(JOBS[job]["rounds"]):
        path = tmp_path / f"{job} {rounds}"
        killed_after(job, rounds, path)
        run = trained(job, checkpoint=path)
        assert bits(run) == expected
        assert len(run.history) == JOBS[job]["rounds"]
        again = trained(job, checkpoint=path)
        assert bits(again) == expected, "what is complete is returned"
        assert again.trace.events == run.trace.events


def test_noise_of_the_operating_system_survives_too(tmp_path):
    """Without a seed no run can be compared with another; but what was noted, and the ledger, do not change."""
    killed_after("local", 1, tmp_path / "run", noise_seed=None)
    run = trained("local", checkpoint=tmp_path / "run", noise_seed=None)
    assert run.ledger.noise_source == "operating system"
    assert run.epsilon(1e-4) == JOBS["local"]["privacy"].epsilon(1e-4)


DRIVER = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from jobs import trained, bits
done = []
def evaluate(parameters):
    done.append(1)
    if len(done) == 3 and {kill}:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.0
run = trained("central", workers=2, checkpoint={path!r}, evaluate=evaluate)
import hashlib
print(hashlib.sha256(repr(bits(run)).encode()).hexdigest())
"""


def test_a_driver_killed_by_a_signal(tmp_path):
    def drive(kill):
        code = DRIVER.format(tests=str(Path(__file__).parent), path=str(tmp_path / "run"), kill=kill)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
        )

    assert drive(True).returncode == -signal.SIGKILL
    expected = hashlib.sha256(repr(bits(trained("central"))).encode()).hexdigest()
    assert drive(False).stdout.strip() == expected


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"x": X * 0.5}, "data"),
        ({"y": np.roll(Y, 1)}, "data"),
        ({"shards": SHARDS[::-1]}, "data"),
        ({"learning_rate": 0.4}, "settings"),
        ({"noise_seed": 6}, "settings"),
        ({"noise_seed": None}, "settings"),
        ({"seed": 1}, "settings"),
        ({"faults": "drop"}, "settings"),
        ({"privacy": PrivacyPlan(1.9, 1.0, 0.2, 4)}, "settings"),
    ],
    ids=["x", "y", "shards", "learning rate", "noise seed", "no noise seed", "seed", "faults", "privacy"],
)
def test_a_checkpoint_of_another_job_is_refused(change, what, tmp_path):
    killed_after("central", 2, tmp_path / "run")
    before = (tmp_path / "run").read_bytes()
    with pytest.raises(ValueError, match=f"is of another job: {what} changed"):
        trained("central", checkpoint=tmp_path / "run", **change)
    assert (tmp_path / "run").read_bytes() == before


def test_a_checkpoint_made_by_other_code_is_refused(tmp_path, monkeypatch):
    killed_after("central", 2, tmp_path / "run")
    monkeypatch.setattr("privlab.sharding.rounds.source_digest", lambda *parts: "other")
    with pytest.raises(ValueError, match="code changed"):
        trained("central", checkpoint=tmp_path / "run")


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "junk"])
@pytest.mark.parametrize("job", ["central", "asynchronous"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(job, damage, tmp_path):
    path = tmp_path / "run"
    killed_after(job, JOBS[job]["rounds"] - 1, path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    path.write_bytes({"flip": flipped, "cut": whole[:-9], "empty": b"", "junk": b"junk" * 99}[damage])
    with pytest.warns(UserWarning, match=r"run is damaged .*; the run goes on from the state before"):
        run = trained(job, checkpoint=path)
    expected = trained(job)
    if job == "central":
        assert bits(run) == bits(expected)
    else:  # a task may have gone out that no one noted: each shard is charged for one more
        assert (run.epsilons(1e-4) > expected.epsilons(1e-4)).all()
    path.write_bytes(b"junk")
    path.with_name("run.previous").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"no state can be read: run is damaged .*; run\.previous is damaged"):
        trained(job, checkpoint=path)


def test_a_checkpoint_holds_the_secret_and_only_its_owner_reads_it(tmp_path):
    os.umask(os.umask(0o022))
    killed_after("central", 1, tmp_path / "run")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o600
    assert not [file for file in tmp_path.iterdir() if file.name not in ("run", "run.previous")]


def test_a_checkpoint_is_sealed_for_its_recipients(tmp_path):
    identity, path = Identity.generate(), tmp_path / "run"
    sealed = {"recipients": [identity.recipient], "identities": [identity]}
    killed_after("central", 2, path, **sealed)
    assert path.read_bytes().startswith(b"age-encryption.org/v1")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ValueError, match="which is sealed, but identities is empty"):
        trained("central", checkpoint=path)
    with pytest.raises(DecryptionError):
        trained("central", checkpoint=path, identities=[Identity.generate()])
    with pytest.raises(ValueError, match="identities is empty"):
        trained("central", checkpoint=path, recipients=[identity.recipient])
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.warns(UserWarning, match="damaged"):
        assert bits(trained("central", checkpoint=path, **sealed)) == bits(trained("central"))
    killed_after("gradient", 2, tmp_path / "plain")
    with pytest.raises(ValueError, match="it is not sealed, though identities are given"):
        trained("gradient", checkpoint=tmp_path / "plain", **sealed)


def test_no_two_releases_share_noise(tmp_path, monkeypatch):
    """Every key of sampling and noise, of runs with retries, resumes and asynchronous orders: it comes back for the same task only.

    The secret is the same in all these runs, which is worse than anything that happens: each run draws its own.
    """
    used = defaultdict(set)

    def recorded(where):
        def drawn(secret, *key):
            names = sys._getframe(1).f_locals
            task, unit = names.get("task"), names.get("unit")
            state = names["self"]._state if "self" in names else task
            what = [f"{task and task.job} {task and task.round} {unit and unit.shard}", *state.parameters.values()]
            used[secret, key].add((where, workers.digest(what)))
            return secret_stream(secret, *key)

        return drawn

    monkeypatch.setattr(workers, "secret_stream", recorded("worker"))
    monkeypatch.setattr(server, "secret_stream", recorded("server"))
    monkeypatch.setattr(asynchronous, "secret_stream", recorded("server"))
    runs = 0
    for job in ("central", "local", "asynchronous"):
        for settings in (
            {}, {"policy": "dynamic"}, {"seed": 1}, {"learning_rate": 0.4},
            *([{"speeds": (1.0, 0.3)}, {"speeds": (1.0,) * 5, "buffer": 1}, {"trust": "central", "local_steps": 1,
               "privacy": PrivacyPlan(2.0, 1.0, 0.2, 2)}] if job == "asynchronous" else []),
        ):  # fmt: skip
            path = tmp_path / f"{job} {runs}"
            killed_after(job, 1, path, **settings)
            trained(job, checkpoint=path, **settings)
            runs += 1
    assert len(used) > 100
    assert [key for key, tasks in used.items() if len(tasks) > 1] == []
