"""The public test vectors of the age format (C2SP, CCTV): each is accepted or refused as its header says."""

import zlib
from hashlib import sha256
from pathlib import Path

import pytest

from privlab.encryption import DecryptionError, Identity, TamperError, decrypt_file

VECTORS = sorted(
    path for path in (Path(__file__).parents[1] / "data" / "age_vectors").iterdir() if path.suffix != ".md"
)
ERRORS = {
    "no match": DecryptionError,
    "header failure": DecryptionError,
    "armor failure": DecryptionError,
    "HMAC failure": TamperError,
    "payload failure": TamperError,
}


def read_vector(path: Path) -> tuple[dict[str, str], list[Identity], bytes]:
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields, identities = {}, []
    for line in head.decode().splitlines():
        name, _, value = line.partition(": ")
        fields[name] = value
        if name == "identity":
            identities.append(Identity.parse(value))
        elif name == "passphrase":
            identities.append(Identity.from_passphrase(value))
    identities = identities or [Identity.generate()]  # a vector without one must fail before any is needed
    return fields, identities, zlib.decompress(body) if fields.get("compressed") == "zlib" else body


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.name)
def test_vector(path, tmp_path):
    fields, identities, body = read_vector(path)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(body)
    if fields["expect"] == "success":
        decrypt_file(source, target, identities)
        assert sha256(target.read_bytes()).hexdigest() == fields["payload"]
        return
    target.write_bytes(b"old")
    with pytest.raises(ERRORS[fields["expect"]]):
        decrypt_file(source, target, identities)
    assert target.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [source, target], "unverified plaintext was left behind"


def test_the_vectors_cover_every_outcome():
    assert {read_vector(path)[0]["expect"] for path in VECTORS} == {"success", *ERRORS}
    assert len(VECTORS) >= 100
