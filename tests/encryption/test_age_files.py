"""Age files against an adversary, and against the other implementations."""

import io
import os
import shutil
import subprocess
import tracemalloc

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privlab.encryption import DecryptionError, Identity, Recipient, TamperError, decrypt_file, encrypt_file, stream
from privlab.encryption import recipients as recipients_module
from privlab.encryption.header import Header
from privlab.encryption.stream import CHUNK, TAG, Payload, write_payload

ADA, BOB = Identity.generate(), Identity.generate()
RSA = Identity.generate("rsa")
FILE_KEY = os.urandom(16)
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 16 * CHUNK, 16 * CHUNK + 1, 33 * CHUNK]


@pytest.fixture
def files(tmp_path):
    return tmp_path / "plain", tmp_path / "locked", tmp_path / "opened"


@pytest.fixture
def cheap_passphrase(monkeypatch):
    monkeypatch.setattr(recipients_module, "SCRYPT_COST", 10)


@pytest.mark.parametrize("armor", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_a_file_comes_back(files, size, armor):
    plain, locked, opened = files
    plain.write_bytes(os.urandom(size))
    encrypt_file(plain, locked, [ADA.recipient, BOB.recipient, RSA.recipient], armor=armor)
    for identity in (ADA, BOB, RSA):
        decrypt_file(locked, opened, identity)
        assert opened.read_bytes() == plain.read_bytes()
    assert opened.stat().st_mode & 0o777 == 0o600
    assert locked.read_bytes().isascii() is armor
    with pytest.raises(DecryptionError, match="none of the identities"):
        decrypt_file(locked, opened, Identity.generate())


def payload_of(plain: bytes) -> bytes:
    sink = io.BytesIO()
    write_payload(sink, FILE_KEY, (plain[i : i + stream.CHUNK] for i in range(0, len(plain), stream.CHUNK)))
    return sink.getvalue()


def read_all(sealed: bytes) -> bytes:
    payload = Payload(io.BytesIO(sealed), FILE_KEY)
    out = bytearray(payload.size)
    payload.read_into(0, memoryview(out))
    return bytes(out)


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 32 bytes in place of 64 KiB, so that every bit of several can be tried."""
    monkeypatch.setattr(stream, "CHUNK", 32)
    return 32


@pytest.mark.parametrize("size", [0, 1, 31, 32, 64, 65, 96])
def test_every_bit_of_a_payload_is_protected(small_chunks, size):
    sealed = payload_of(bytes(range(size)))
    assert read_all(sealed) == bytes(range(size))
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(TamperError):
            read_all(bytes(changed))


@pytest.mark.parametrize("size", [0, 1, 32, 33, 64, 100])
def test_every_truncation_and_extension_of_a_payload_is_refused(small_chunks, size):
    sealed = payload_of(bytes(range(size)))
    for length in range(len(sealed)):
        with pytest.raises(TamperError):
            read_all(sealed[:length])
    for extra in (1, 16, 17, 32, 48, 49):
        with pytest.raises(TamperError):
            read_all(sealed + bytes(extra))


def test_swapped_repeated_dropped_and_spliced_chunks_are_refused(small_chunks):
    one, other = payload_of(bytes(96)), payload_of(bytes(range(96)))
    nonce, chunks = one[:16], [one[16 + 48 * i : 64 + 48 * i] for i in range(3)]
    foreign = [other[16 + 48 * i : 64 + 48 * i] for i in range(3)]
    assert read_all(nonce + b"".join(chunks)) == bytes(96)
    for order in [(1, 0, 2), (0, 2, 1), (0, 0, 1, 2), (0, 1, 2, 2), (0, 2), (1, 2), (2,), (0, 1), (0, 1, 1), (2, 1, 0)]:
        with pytest.raises(TamperError):
            read_all(nonce + b"".join(chunks[i] for i in order))
    for place in range(3):
        spliced = [*chunks[:place], foreign[place], *chunks[place + 1 :]]
        with pytest.raises(TamperError):
            read_all(nonce + b"".join(spliced))
    with pytest.raises(TamperError):
        read_all(other[:16] + b"".join(chunks))


@settings(deadline=None, max_examples=60)
@given(size=st.sampled_from([CHUNK, 3 * CHUNK, 3 * CHUNK + 5]), data=st.data())
def test_real_chunks_are_protected_too(size, data):
    sealed = payload_of(bytes(size))
    changed = bytearray(sealed)
    place = data.draw(st.integers(0, len(sealed) - 1))
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(TamperError):
        read_all(bytes(changed))
    border = data.draw(st.integers(0, 3)) * (CHUNK + TAG) + 16 + data.draw(st.integers(-20, 20))
    if border < len(sealed):
        with pytest.raises(TamperError):
            read_all(sealed[:border])


@settings(deadline=None)
@given(size=st.integers(0, 200), data=st.data())
def test_any_range_can_be_read(size, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK", 16)
        plain = bytes(range(size))
        payload = Payload(io.BytesIO(payload_of(plain)), FILE_KEY)
        start = data.draw(st.integers(0, size))
        out = bytearray(data.draw(st.integers(0, size - start)))
        payload.read_into(start, memoryview(out))
        assert out == plain[start : start + len(out)]


def test_a_failed_read_leaves_zeros(small_chunks):
    sealed = bytearray(payload_of(b"x" * 96))
    sealed[16 + 48 + 5] ^= 1  # in the second chunk
    payload, out = Payload(io.BytesIO(sealed), FILE_KEY), bytearray(b"y" * 96)
    with pytest.raises(TamperError, match="chunk 1 of 3"):
        payload.read_into(0, memoryview(out))
    assert out == bytes(96)
    payload.read_into(64, memoryview(out)[:32])
    assert out[:32] == b"x" * 32


def test_every_bit_of_a_header_is_protected():
    for kind in (ADA, RSA):
        header = bytes(Header.seal([kind.recipient.wrap(FILE_KEY)], FILE_KEY))
        for bit in range(8 * len(header)):
            changed = bytearray(header)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DecryptionError):
                Header.read(io.BytesIO(changed)).open([kind])


def test_stanzas_cannot_be_added_removed_or_reordered():
    header = Header.seal([identity.recipient.wrap(FILE_KEY) for identity in (ADA, BOB)], FILE_KEY)
    one, two = header.stanzas
    for stanzas in [(one,), (two, one), (one, two, two)]:
        forged = Header.seal(stanzas, os.urandom(16))
        with pytest.raises(TamperError, match="header was changed"):
            Header(stanzas, forged.covered, header.code).open([ADA])


@settings(max_examples=300)
@given(st.binary(max_size=300), st.booleans())
def test_a_strange_header_raises_nothing_else(noise, versioned):
    with pytest.raises(DecryptionError):
        Header.read(io.BytesIO(b"age-encryption.org/v1\n" * versioned + noise)).open([ADA])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_header_with_changed_pieces_raises_nothing_else(data):
    original = Header.seal([ADA.recipient.wrap(FILE_KEY)], FILE_KEY)
    lines = bytes(original).split(b"\n")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines) - 1))
        kept = data.draw(st.integers(0, len(lines[place])))
        piece = data.draw(st.sampled_from([b"", b" ", b"=", b"-> X25519", b"-> ", b"---", b"\xff", b"\r", b"A", b"\n"]))
        lines[place] = lines[place][:kept] + piece + lines[place][kept + data.draw(st.integers(0, 3)) :]
    try:
        header = Header.read(io.BytesIO(b"\n".join(lines)))
        file_key = header.open([ADA])
    except DecryptionError:
        return
    assert (file_key, header.covered) == (FILE_KEY, original.covered)


def test_a_header_has_limits():
    stanza = ADA.recipient.wrap(FILE_KEY)
    with pytest.raises(DecryptionError, match="64 stanzas"):
        Header.read(io.BytesIO(bytes(Header.seal([stanza] * 65, FILE_KEY))))
    with pytest.raises(DecryptionError, match="longer than"):
        Header.read(io.BytesIO(b"age-encryption.org/v1\n-> " + b"x" * 10_000_000))


def test_unknown_stanzas_are_passed_over():
    grease = recipients_module.Stanza(("grease", "word"), b"x" * 48)
    header = Header.seal([grease, ADA.recipient.wrap(FILE_KEY)], FILE_KEY)
    assert Header.read(io.BytesIO(bytes(header))).open([ADA]) == FILE_KEY


def test_recipients_that_cannot_share_a_file_are_refused(files):
    plain, locked, _ = files
    plain.write_bytes(b"weights")
    quantum = Identity.generate("x-wing").recipient
    with pytest.raises(ValueError, match=r"mixes kinds .*mix_classical=True"):
        encrypt_file(plain, locked, [quantum, ADA.recipient])
    for wrong, message in [
        ([], "has 0 entries"),
        ([ADA.recipient] * 65, "has 65 entries"),
        ([Identity.from_passphrase("word").recipient, ADA.recipient], "must be alone"),
        (ADA, "must hold identity.recipient"),
        ("age1", "must hold identity.recipient"),
        (Identity.generate("ed25519").recipient, "locks nothing"),
    ]:
        with pytest.raises(ValueError, match=message):
            encrypt_file(plain, locked, wrong)
    for wrong in ([], ADA.recipient, "AGE-SECRET-KEY-1"):
        with pytest.raises(ValueError, match="must hold at least one Identity") as raised:
            decrypt_file(plain, locked, wrong)
        assert "SECRET" not in str(raised.value)
    assert not locked.exists()
    encrypt_file(plain, locked, [quantum, ADA.recipient], mix_classical=True)


def test_failure_leaves_the_target_and_no_plaintext(files, tmp_path):
    plain, locked, opened = files
    plain.write_bytes(os.urandom(40 * CHUNK))
    encrypt_file(plain, locked, ADA.recipient)
    sealed = bytearray(locked.read_bytes())
    sealed[len(sealed) // 2] ^= 1
    locked.write_bytes(sealed)
    opened.write_bytes(b"old")
    with pytest.raises(TamperError):
        decrypt_file(locked, opened, ADA)
    assert opened.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == sorted(files)


@pytest.mark.parametrize(("armor", "size"), [(False, 64 << 20), (True, 24 << 20)])
def test_memory_is_constant(files, armor, size):
    plain, locked, opened = files
    plain.write_bytes(bytes(size))
    tracemalloc.start()
    try:
        encrypt_file(plain, locked, ADA.recipient, armor=armor)
        decrypt_file(locked, opened, ADA)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20
    assert opened.stat().st_size == size


def test_pyrage_opens_our_files_and_we_open_its(files):
    plain, locked, opened = files
    plain.write_bytes(os.urandom(2 * CHUNK + 7))
    theirs = pyrage.x25519.Identity.generate()
    encrypt_file(plain, locked, [Recipient.parse(str(theirs.to_public())), ADA.recipient])
    assert pyrage.decrypt(locked.read_bytes(), [theirs]) == plain.read_bytes()
    locked.write_bytes(pyrage.encrypt(plain.read_bytes(), [pyrage.x25519.Recipient.from_str(str(ADA.recipient))]))
    decrypt_file(locked, opened, ADA)
    assert opened.read_bytes() == plain.read_bytes()


def test_pyrage_and_we_agree_on_passphrases(files, cheap_passphrase):
    plain, locked, opened = files
    plain.write_bytes(b"weights")
    encrypt_file(plain, locked, Identity.from_passphrase("correct horse").recipient)
    assert pyrage.passphrase.decrypt(locked.read_bytes(), "correct horse") == b"weights"
    with pytest.raises(DecryptionError, match="none of the identities"):
        decrypt_file(locked, opened, Identity.from_passphrase("wrong horse"))


needs_age = pytest.mark.skipif(
    shutil.which("age") is None and not os.environ.get("PRIVLAB_REQUIRE_AGE"), reason="the age command is not installed"
)


@needs_age
@pytest.mark.parametrize("kind", ["x25519", "rsa"])
@pytest.mark.parametrize("armor", [False, True])
def test_the_age_command_opens_our_files_and_we_open_its(files, tmp_path, kind, armor):
    plain, locked, opened = files
    identity = {"x25519": ADA, "rsa": RSA}[kind]
    identity.write(tmp_path / "key")
    plain.write_bytes(os.urandom(3 * CHUNK + 1))
    encrypt_file(plain, locked, identity.recipient, armor=armor)
    subprocess.run(["age", "-d", "-i", tmp_path / "key", "-o", opened, locked], check=True)
    assert opened.read_bytes() == plain.read_bytes()
    options = ["-a"] if armor else []
    subprocess.run(["age", *options, "-r", str(identity.recipient), "-o", locked, plain], check=True)
    decrypt_file(locked, opened, identity)
    assert opened.read_bytes() == plain.read_bytes()


@needs_age
def test_the_age_command_and_we_agree_on_a_passphrase(files):
    pexpect = pytest.importorskip(
        "pexpect"
    )  # the command asks on a terminal; IPython brings pexpect where there is one
    plain, locked, opened = files
    plain.write_bytes(b"weights")
    for arguments in (["-p", "-o", str(locked), str(plain)], ["-d", "-o", str(opened), str(locked)]):
        if arguments[0] == "-d":
            encrypt_file(plain, locked, Identity.from_passphrase("correct horse").recipient)
        child = pexpect.spawn("age", arguments, timeout=60)
        while child.expect(["assphrase.*:", pexpect.EOF]) == 0:
            child.sendline("correct horse")
        child.close()
        assert child.exitstatus == 0
        if arguments[0] == "-p":
            decrypt_file(locked, opened, Identity.from_passphrase("correct horse"))
            assert opened.read_bytes() == b"weights"
            opened.unlink()
    assert opened.read_bytes() == b"weights"
