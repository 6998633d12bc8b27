"""No committed notebook, output or result holds key material, not even of a toy: readers copy what they see."""

import ast
import base64
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "notebooks").rglob("*.ipynb")) + sorted((ROOT / "notebooks").rglob("*.json"))
MARKS = {
    "an age identity": re.compile(r"AGE-SECRET-KEY-[A-Z0-9-]{10,}", re.IGNORECASE),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[A-Za-z0-9+/=]"),
    "32 bytes in hexadecimal": re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])"),
    "16 bytes in hexadecimal": re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{32}(?![0-9a-fA-F])"),
}
BYTES = re.compile(r"""\bb(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")""")
BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{22,43}={0,2}(?![A-Za-z0-9+/_=-])")
KEY_SIZES = (16, 24, 32, 64)


def texts(path):
    """Everything a reader can see as text: sources and outputs."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for cell in content.get("cells", []):
        yield "".join(cell["source"])
        for output in cell.get("outputs", []):
            yield "".join(output.get("text", ""))
            for kind, data in output.get("data", {}).items():
                if kind.startswith("text/"):
                    yield "".join(data) if isinstance(data, list | str) else json.dumps(data)
    if "cells" not in content:
        yield json.dumps(content)


def findings(text):
    found = [what for what, mark in MARKS.items() if mark.search(text)]
    # A literal of a key's size is a key, unless it is plain words; so is base64 that decodes to one and looks random.
    for literal in BYTES.findall(text):
        try:
            value = ast.literal_eval(literal)
        except SyntaxError:  # a literal that shows what Python refuses
            continue
        if len(value) in KEY_SIZES and not value.isascii():
            found.append(f"{len(value)} bytes")
    for word in BASE64.findall(text):
        if word.endswith("=") and re.search("[0-9]", word) and re.search("[a-z]", word) and re.search("[A-Z]", word):
            try:
                size = len(base64.b64decode(word, altchars=b"-_"))
            except ValueError:
                continue
            found += [f"{size} bytes in base64"] * (size in KEY_SIZES)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_key_material(path):
    assert [finding for text in texts(path) for finding in findings(text)] == []


@pytest.mark.parametrize(
    "leak",
    [
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r",
        f"key = {bytes(range(120, 152))!r}",
        bytes(range(100, 132)).hex(),
        f"Fernet key: {base64.urlsafe_b64encode(bytes(range(7, 231, 7))).decode()}",
        "16 bytes: 000102030405060708090a0b0c0d0e0f",
    ],
)
def test_each_kind_of_leak_is_found(leak):
    assert findings(f"the output says {leak}, which it must not")


@pytest.mark.parametrize(
    "text", ["b'not a key at all' is a word", "sha256 of the first 8 bytes: 9f86d081", "age1qqqqqqqd9e8ae"]
)
def test_plain_text_is_not_a_leak(text):
    assert findings(text) == []
