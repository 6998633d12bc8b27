import copy
import os
import pickle
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from privlab.encryption import DecryptionError, Identity, Recipient, bech32
from privlab.encryption.recipients import Stanza

KINDS = ["x25519", "rsa", "x-wing", "ed25519"]
IDENTITIES = {kind: Identity.generate(kind) for kind in KINDS}
# A pair published with the age specification's test vectors.
KNOWN_SECRET = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"


@pytest.mark.parametrize("kind", KINDS)
def test_text_forms_come_back(kind, tmp_path):
    identity = IDENTITIES[kind]
    identity.write(tmp_path / "key")
    again = Identity.read(tmp_path / "key")
    assert again.kind == kind
    assert again.recipient == identity.recipient == Recipient.parse(f" {identity.recipient}\n")
    assert hash(again.recipient) == hash(identity.recipient)


@pytest.mark.parametrize("kind", ["x25519", "rsa", "x-wing"])
def test_only_the_right_identity_unwraps(kind):
    file_key = os.urandom(16)
    stanza = IDENTITIES[kind].recipient.wrap(file_key)
    assert IDENTITIES[kind].unwrap(stanza) == file_key
    assert Identity.generate(kind).unwrap(stanza) is None
    assert all(IDENTITIES[other].unwrap(stanza) is None for other in KINDS if other != kind)


def test_a_known_pair_agrees():
    known = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
    other = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"  # of the same specification
    assert str(Identity.parse(other).recipient) == known


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_does_not_show(kind, tmp_path):
    identity = IDENTITIES[kind]
    identity.write(tmp_path / "key")
    secret = (tmp_path / "key").read_text().splitlines()[1][20:60]
    assert secret not in repr(identity) + str(identity) + f"{identity!r:>100}" + str(vars(identity).values())
    for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            duplicate(identity)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_key_file_is_never_overwritten(tmp_path):
    (tmp_path / "key").write_text("old")
    with pytest.raises(FileExistsError):
        IDENTITIES["x25519"].write(tmp_path / "key")
    assert (tmp_path / "key").read_text() == "old"


def test_a_passphrase_is_remembered_not_written(tmp_path):
    with pytest.raises(ValueError, match="remember it"):
        Identity.from_passphrase("correct horse").write(tmp_path / "key")
    assert not (tmp_path / "key").exists()
    with pytest.raises(ValueError, match="passphrase is empty"):
        Identity.from_passphrase("")
    assert "horse" not in repr(Identity.from_passphrase("correct horse"))


def test_a_passphrase_may_not_cost_more_than_a_gibibyte():
    stanza = Stanza(("scrypt", "A" * 22, "21"), bytes(32))
    with pytest.raises(DecryptionError, match="cost"):
        Identity.from_passphrase("guess").unwrap(stanza)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        KNOWN_SECRET[:-1],
        KNOWN_SECRET.lower(),
        KNOWN_SECRET.replace("EGT", "EGX"),
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_a_damaged_identity_is_refused_without_being_shown(text):
    with pytest.raises(ValueError, match=r"key|identity") as raised:
        Identity.parse(text)
    assert "GTZVFFV20835" not in str(raised.value).upper()
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "age1", "age1qqqq", "ssh-rsa", "ssh-rsa AAAA", "ssh-dss AAAA", KNOWN_SECRET])
def test_a_damaged_recipient_is_refused(text):
    with pytest.raises(ValueError, match="recipient is"):
        Recipient.parse(text)


def pem(secret, encryption=None):
    encryption = encryption or serialization.NoEncryption()
    return secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def test_rsa_of_2048_bits_is_read_and_less_is_refused():
    assert Identity.parse(pem(rsa.generate_private_key(65537, 2048))).kind == "rsa"
    with pytest.raises(ValueError, match="1024 bits"):
        Identity.parse(pem(rsa.generate_private_key(65537, 1024)))


def test_other_private_keys_are_refused():
    assert Identity.parse(pem(ed25519.Ed25519PrivateKey.generate())).kind == "ed25519"
    with pytest.raises(ValueError, match="another kind"):
        Identity.parse(pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ValueError, match="passphrase"):
        Identity.parse(pem(ed25519.Ed25519PrivateKey.generate(), serialization.BestAvailableEncryption(b"word")))


def test_a_signer_locks_nothing():
    with pytest.raises(ValueError, match="locks nothing"):
        IDENTITIES["ed25519"].recipient.wrap(bytes(16))


def test_a_file_with_two_identities_is_refused(tmp_path):
    (tmp_path / "keys").write_text(f"# two\n{KNOWN_SECRET}\n{KNOWN_SECRET}\n")
    with pytest.raises(ValueError, match="2 lines"):
        Identity.read(tmp_path / "keys")


@given(st.binary(max_size=60), st.sampled_from(["age", "age1pq", "x"]))
def test_bech32_comes_back_and_finds_every_changed_letter(data, prefix):
    text = bech32.encode(prefix, data)
    assert bech32.decode(text) == bech32.decode(text.upper()) == (prefix, data)
    for place in range(len(prefix) + 1, len(text)):
        changed = text[:place] + ("q" if text[place] != "q" else "p") + text[place + 1 :]
        with pytest.raises(ValueError, match="checksum"):
            bech32.decode(changed)


@pytest.mark.skipif(shutil.which("age-keygen") is None, reason="the age command is not installed")
def test_age_keygen_derives_the_same_recipient(tmp_path):
    identity = IDENTITIES["x25519"]
    identity.write(tmp_path / "key")
    derived = subprocess.run(["age-keygen", "-y", tmp_path / "key"], capture_output=True, text=True, check=True)
    assert derived.stdout.strip() == str(identity.recipient)
