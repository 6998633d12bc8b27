"""Bech32, the text form of age's keys: a prefix, the data in 32 letters, a checksum that finds typing errors (BIP 173)."""

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def encode(prefix: str, data: bytes) -> str:
    """Return ``data`` as lower-case Bech32.

    >>> encode("age", bytes(4))
    'age1qqqqqqqd9e8ae'
    """
    values = _regroup(data, 8, 5, pad=True)
    check = _polymod([*_expanded(prefix), *values, 0, 0, 0, 0, 0, 0]) ^ 1
    checksum = [check >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join(ALPHABET[value] for value in [*values, *checksum])


def decode(text: str) -> tuple[str, bytes]:
    """Return the lower-case prefix and the data of a Bech32 string.

    Raises
    ------
    ValueError
        If it is not one, mixes cases or has a wrong checksum. The message never repeats the text: it may be a secret.
    """
    lower = text.lower()
    if text not in (lower, text.upper()):
        raise ValueError("the key mixes upper and lower case")
    prefix, _, letters = lower.rpartition("1")
    if not prefix or len(letters) < 6 or not all(letter in ALPHABET for letter in letters):
        raise ValueError("the key is not Bech32 text")
    values = [ALPHABET.index(letter) for letter in letters]
    if _polymod([*_expanded(prefix), *values]) != 1:
        raise ValueError("the key's checksum is wrong: a letter is missing or changed")
    return prefix, bytes(_regroup(values[:-6], 5, 8, pad=False))


def _expanded(prefix: str) -> list[int]:
    codes = prefix.encode("ascii")
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(GENERATOR):
            check ^= term if top >> bit & 1 else 0
    return check


def _regroup(values: bytes | list[int], width: int, new_width: int, *, pad: bool) -> list[int]:
    """Cut the same bits into groups of another width."""
    bits = "".join(f"{value:0{width}b}" for value in values)
    rest = len(bits) % new_width
    if pad:
        bits += "0" * (-len(bits) % new_width)
    elif rest >= width or "1" in bits[len(bits) - rest :]:
        raise ValueError("the key's last letter has bits that stand for nothing")
    return [int(bits[i : i + new_width], 2) for i in range(0, len(bits) - new_width + 1, new_width)]
