import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from privlab.encryption import (
    DecryptionError,
    Identity,
    TamperError,
    decrypt_file,
    encrypt_file,
    inspect,
    load_checkpoint,
    open_checkpoint,
    rewrap,
    save_checkpoint,
    sign,
    verify,
)
from privlab.encryption.stream import CHUNK

ADA, BOB, AUTHOR = Identity.generate(), Identity.generate(), Identity.generate("ed25519")
DTYPES = [
    "float64",
    "float32",
    "float16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
    "bool",
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.age"


def example(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "layer 1": rng.standard_normal((300, 100)),
        "layer 2": rng.standard_normal((100, 7)).astype(np.float32),
        "steps": np.array(12),
        "empty": np.zeros((0, 3), np.int16),
    }


def assert_same(arrays, others):
    assert set(arrays) == set(others)
    for name, array in arrays.items():
        assert others[name].dtype == array.dtype
        assert others[name].shape == array.shape
        assert others[name].tobytes() == array.tobytes()


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.text(max_size=5).filter(lambda name: name.isprintable()),
        st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0))),
        max_size=4,
    ),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)
def test_arrays_and_metadata_come_back(tmp_path_factory, arrays, metadata):
    path = tmp_path_factory.mktemp("checkpoint") / "model.age"
    save_checkpoint(path, arrays, ADA.recipient, metadata=metadata)
    assert_same(arrays, load_checkpoint(path, ADA))
    with open_checkpoint(path, [BOB, ADA]) as checkpoint:
        assert checkpoint.metadata == metadata


def test_foreign_memory_layouts_are_saved_as_their_values(path):
    arrays = {"big": np.arange(6, dtype=">f4").reshape(2, 3), "turned": np.arange(6.0).reshape(2, 3).T}
    save_checkpoint(path, {**arrays, "view": arrays["turned"][::2]}, ADA.recipient)
    loaded = load_checkpoint(path, ADA)
    assert np.array_equal(loaded["big"], arrays["big"])
    assert np.array_equal(loaded["turned"], arrays["turned"])
    assert np.array_equal(loaded["view"], arrays["turned"][::2])


def test_the_payload_is_what_the_safetensors_library_reads_and_writes(path, tmp_path):
    arrays = example()
    save_checkpoint(path, arrays, ADA.recipient)
    decrypt_file(path, tmp_path / "plain", ADA)
    assert_same(arrays, safetensors.numpy.load_file(tmp_path / "plain"))
    safetensors.numpy.save_file(arrays, tmp_path / "plain", {"made": "elsewhere"})
    encrypt_file(tmp_path / "plain", path, ADA.recipient)
    assert_same(arrays, load_checkpoint(path, ADA))


def test_rows_are_read_without_the_rest(path):
    table = np.arange(40 * 5000, dtype=np.float32).reshape(40, 5000)  # 800 kB, 13 chunks
    save_checkpoint(path, {"table": table, "other": np.arange(9)}, ADA.recipient)
    sealed = bytearray(path.read_bytes())
    sealed[-8 * CHUNK] ^= 1  # a chunk in the middle
    path.write_bytes(sealed)
    with open_checkpoint(path, ADA) as checkpoint:
        for rows in (slice(0, 3), slice(38, None), slice(-1, None), slice(5, 5), slice(9, 2)):
            assert np.array_equal(checkpoint.read("table", rows=rows), table[rows])
        out = np.empty((2, 5000), np.float32)
        assert checkpoint.read("table", rows=slice(1, 3), out=out) is out
        assert np.array_equal(out, table[1:3])
        with pytest.raises(TamperError, match="chunk"):
            checkpoint["table"]
        whole = np.full(table.shape, 7, np.float32)
        with pytest.raises(TamperError, match="chunk"):
            checkpoint.read("table", out=whole)
        assert not whole.any()
        assert np.array_equal(checkpoint["other"], np.arange(9))


def test_a_read_that_does_not_fit_is_refused(path):
    save_checkpoint(path, example(), ADA.recipient)
    with open_checkpoint(path, ADA) as checkpoint:
        assert list(checkpoint) == ["layer 1", "steps", "layer 2", "empty"]
        assert "layer 1: float64[300, 100]" in repr(checkpoint)
        with pytest.raises(KeyError):
            checkpoint["layer 3"]
        for rows in (slice(0, 9, 2), slice(9, 0, -1)):
            with pytest.raises(ValueError, match="rows is slice"):
                checkpoint.read("layer 1", rows=rows)
        with pytest.raises(ValueError, match="rows is slice"):
            checkpoint.read("steps", rows=slice(0, 1))
        for out in (np.empty((300, 99)), np.empty((300, 100), np.float32), np.empty((100, 300)).T):
            with pytest.raises(ValueError, match="out is"):
                checkpoint.read("layer 1", out=out)


def test_a_plain_file_is_refused_where_keys_are_given(path):
    safetensors.numpy.save_file({"a": np.zeros(3)}, path)
    for work in (load_checkpoint, open_checkpoint):
        with pytest.raises(DecryptionError, match="not an age"):
            work(path, ADA)
    with pytest.raises(DecryptionError, match="not an age"):
        rewrap(path, ADA, BOB.recipient)
    with pytest.raises(DecryptionError, match="not an age"):
        inspect(path)


@pytest.mark.parametrize(
    "entries",
    [
        [],
        {"a": 1},
        {"a": {"dtype": "F64", "shape": [2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F64", "shape": [-1], "data_offsets": [0, -8]}},
        {"a": {"dtype": "F64", "shape": [1.0], "data_offsets": [0, 8]}},
        {"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}},
        {"a": {"dtype": [], "shape": [1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F64", "shape": [1], "data_offsets": [8, 16]}},
        {
            "a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]},
            "b": {"dtype": "U8", "shape": [1], "data_offsets": [7, 8]},
        },
        {"a": {"dtype": "F64", "shape": [1 << 70], "data_offsets": [0, 8 << 70]}},
        {"__metadata__": 3, "a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}},
        {},
    ],
)
def test_a_lying_header_is_refused(path, tmp_path, entries):
    text = json.dumps(entries).encode()
    (tmp_path / "plain").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    encrypt_file(tmp_path / "plain", path, ADA.recipient)
    with pytest.raises(DecryptionError, match="safetensors"):
        load_checkpoint(path, ADA)


@pytest.mark.parametrize("content", [b"", b"short", (1 << 63).to_bytes(8, "little"), b"\2" + bytes(7) + b"[" * 200])
def test_encrypted_noise_is_refused(path, tmp_path, content):
    (tmp_path / "plain").write_bytes(content)
    encrypt_file(tmp_path / "plain", path, ADA.recipient)
    with pytest.raises(DecryptionError, match="safetensors"):
        load_checkpoint(path, ADA)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.array([None])}, "arrays.* has dtype object"),
        ({"a": np.array(["x"])}, "arrays.* has dtype <U1"),
        ({"a": np.array([1j])}, "arrays.* has dtype complex128"),
        ({"__metadata__": np.zeros(1)}, "has the name"),
        ({1: np.zeros(1)}, "has the name"),
    ],
)
def test_what_cannot_be_saved_is_named_before_work_starts(path, arrays, message):
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=message):
        save_checkpoint(path, arrays, ADA.recipient)
    with pytest.raises(ValueError, match="metadata is"):
        save_checkpoint(path, {}, ADA.recipient, metadata={"steps": 3})
    assert path.read_bytes() == b"old"


def test_rewrap_changes_readers_and_nothing_else(path):
    save_checkpoint(path, example(), [ADA.recipient])
    before = path.read_bytes()
    quantum = Identity.generate("x-wing")
    with pytest.raises(DecryptionError, match="none of the identities"):
        rewrap(path, BOB, [BOB.recipient])
    rewrap(path, ADA, [quantum.recipient])
    after = path.read_bytes()
    assert inspect(path).recipients == ("x-wing",)
    assert after[inspect(path).header_bytes :] == before[before.index(b"\n--- ") + 49 :]
    assert_same(example(), load_checkpoint(path, quantum))
    with pytest.raises(DecryptionError, match="none of the identities"):
        load_checkpoint(path, ADA)
    path.write_bytes(before)  # not a revocation: Ada kept a copy
    assert_same(example(), load_checkpoint(path, ADA))


def test_rewrap_does_not_pass_on_a_changed_header(path):
    save_checkpoint(path, example(), [ADA.recipient, BOB.recipient])
    lines = path.read_bytes().split(b"\n", 4)
    path.write_bytes(b"\n".join([lines[0], *lines[3:]]))  # Ada's stanza is gone
    with pytest.raises(DecryptionError):
        rewrap(path, BOB, [BOB.recipient])


def test_inspect_needs_no_secret(path, tmp_path):
    (tmp_path / "plain").write_bytes(bytes(2 * CHUNK + 1))
    encrypt_file(tmp_path / "plain", path, [ADA.recipient, Identity.generate("rsa").recipient])
    seen = inspect(path)
    assert (seen.recipients, seen.plaintext_bytes, seen.chunks) == (("x25519", "rsa"), 2 * CHUNK + 1, 3)
    encrypt_file(tmp_path / "plain", path, ADA.recipient, armor=True)
    assert inspect(path).plaintext_bytes == 2 * CHUNK + 1


def test_a_signature_holds_for_one_content_and_one_author(path):
    save_checkpoint(path, example(), ADA.recipient)
    assert sign(path, AUTHOR).stat().st_size == 64
    verify(path, AUTHOR.recipient)
    with pytest.raises(TamperError, match="not what this signer signed"):
        verify(path, Identity.generate("ed25519").recipient)
    for work in (lambda: sign(path, ADA), lambda: verify(path, ADA.recipient)):
        with pytest.raises(ValueError, match="must be of kind 'ed25519'"):
            work()
    save_checkpoint(path, example(), ADA.recipient)  # a forger needs only the public key
    with pytest.raises(TamperError, match="not what this signer signed"):
        verify(path, AUTHOR.recipient)
    (path.parent / "model.age.sig").unlink()
    with pytest.raises(TamperError, match="missing"):
        verify(path, AUTHOR.recipient)


def test_a_failed_replace_loses_nothing(path, monkeypatch):
    save_checkpoint(path, example(), ADA.recipient)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
        for work in (
            lambda: save_checkpoint(path, example(1), ADA.recipient),
            lambda: rewrap(path, ADA, [BOB.recipient]),
        ):
            with pytest.raises(OSError, match="full"):
                work()
    assert_same(example(), load_checkpoint(path, ADA))
    assert list(path.parent.iterdir()) == [path]


def test_a_process_killed_before_the_replace_loses_nothing(path, tmp_path):
    ADA.write(tmp_path / "key")
    save_checkpoint(path, example(), ADA.recipient)
    script = (
        "import os, sys, numpy as np; from privlab.encryption import *; os.fsync = lambda _: os._exit(9);"
        "save_checkpoint(sys.argv[1], {'a': np.zeros(10**6)}, Identity.read(sys.argv[2]).recipient)"
    )
    assert subprocess.run([sys.executable, "-c", script, path, tmp_path / "key"]).returncode == 9
    assert_same(example(), load_checkpoint(path, ADA))


def test_saving_needs_little_memory_beside_the_array(path):
    weights = np.ones(16 << 20, np.float32)  # 64 MiB
    tracemalloc.start()
    try:
        save_checkpoint(path, {"weights": weights}, ADA.recipient)
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()
