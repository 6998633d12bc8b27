import json
import shutil

import numpy as np
import pytest

from privlab.encryption import DecryptionError, Identity, TamperError, open_shard, seal_shards, sign

AUTHOR = Identity.generate("ed25519")
WORKERS = [Identity.generate() for _ in range(3)]
X, Y = np.arange(20.0).reshape(10, 2), np.arange(10)
SHARDS = [np.array([0, 3, 9]), np.array([1, 2, 4, 5]), np.array([], int)]


@pytest.fixture
def folder(tmp_path):
    seal_shards(tmp_path / "data", {"x": X, "y": Y}, SHARDS, [w.recipient for w in WORKERS], AUTHOR, name="round 3")
    return tmp_path / "data"


def opened(folder, number, worker, name="round 3"):
    return open_shard(folder, number, WORKERS[worker], AUTHOR.recipient, name=name)


def test_each_worker_opens_its_own_shard_and_no_other(folder):
    for number, records in enumerate(SHARDS):
        arrays = opened(folder, number, number)
        assert np.array_equal(arrays["x"], X[records])
        assert np.array_equal(arrays["y"], Y[records])
        for other in {0, 1, 2} - {number}:
            with pytest.raises(DecryptionError, match="none of the identities"):
                opened(folder, number, other)


def test_swapped_old_and_forged_shards_are_refused(folder, tmp_path):
    old = tmp_path / "old"
    seal_shards(old, {"x": X, "y": Y}, SHARDS, [w.recipient for w in WORKERS], AUTHOR, name="round 2")
    with pytest.raises(TamperError, match="'round 2', not of 'round 3'"):
        opened(old, 0, 0)
    shutil.copy(old / "shard-0000.age", folder / "shard-0000.age")  # valid, and for this worker
    with pytest.raises(TamperError, match="not the file in the manifest"):
        opened(folder, 0, 0)
    (folder / "shard-0001.age").unlink()
    with pytest.raises(TamperError, match="missing"):
        opened(folder, 1, 1)


def test_a_manifest_that_its_author_did_not_sign_is_refused(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"].reverse()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TamperError, match="signed"):
        opened(folder, 0, 2)
    sign(folder / "manifest.json", Identity.generate("ed25519"))
    with pytest.raises(TamperError, match="signed"):
        opened(folder, 0, 2)


def test_bad_arguments_are_named(folder, tmp_path):
    recipients = [worker.recipient for worker in WORKERS]
    for arrays, shards, message in [
        ({"x": X, "y": Y[:5]}, SHARDS, "arrays has columns"),
        ({}, SHARDS, "arrays has columns"),
        ({"x": X}, SHARDS[:2], "recipients has 3 entries"),
        ({"x": X}, [[0], [10], [1]], "shards holds"),
        ({"x": X}, [[0], [-1], [1]], "shards holds"),
        ({"x": X}, [[0.5], [1], [1]], "shards holds"),
    ]:
        with pytest.raises(ValueError, match=message):
            seal_shards(tmp_path / "new", arrays, shards, recipients, AUTHOR)
    with pytest.raises(ValueError, match="kind 'ed25519'"):
        seal_shards(tmp_path / "new", {"x": X}, SHARDS, recipients, WORKERS[0])
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="number is 3"):
        opened(folder, 3, 0)
