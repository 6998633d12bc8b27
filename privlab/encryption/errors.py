"""The only errors that bad ciphertext may raise."""


class DecryptionError(Exception):
    """The box, file or stanza cannot be opened: not in the format, or locked with another key."""


class TamperError(DecryptionError):
    """What the key opens is not what was locked: somebody changed, cut, reordered or swapped it."""
