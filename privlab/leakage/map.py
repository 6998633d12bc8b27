"""Who learns what under which defence: the one table behind the map's text, figure and widget, and how a verdict is reached.

Eight workers train one model together; "nothing" is one open disk, one open wire and a server that has it all. The masks hide what
workers send, so they stand on distributed computing: pages stay where they are. Each cell names the lesson that measures it.
"""

from dataclasses import dataclass

from privlab import arguments

#: Who looks, from outside to inside, and what each holds.
ADVERSARIES = {
    "thief": "one disk, or the wire",
    "user": "the model's answers",
    "another worker": "its pages and the model",
    "server": "all messages, the model",
}
ASSETS = {"records": "data leakage: records", "model": "model leakage: weights, structure"}
DEFENCES = ("nothing", "encryption", "distributed computing", "secret mask", "noise mask", "all four")
STATES = ("protected", "partly", "exposed")
PROTECTED, EXPOSED = 0.05, 0.5  # advantages up to the one, and from the other on


@dataclass(frozen=True)
class Fact:
    """One cell of the map: a state, what the adversary sees, and the number of the lesson that measures it."""

    state: str
    sees: str
    lesson: str


_SHUT, _SOME, _OPEN = STATES

# In the order of `DEFENCES`.
_FACTS = {
    ("thief", "records"): (
        Fact(_OPEN, "every page is on one disk", "02"),
        Fact(_SHUT, "ciphertext and its length", "02"),
        Fact(_OPEN, "a page from one message", "10"),
        Fact(_SOME, "one disk of eight", "07"),
        Fact(_SOME, "one disk of eight", "07"),
        Fact(_SHUT, "ciphertext and its length", "03"),
    ),
    ("thief", "model"): (
        Fact(_OPEN, "every weight is in the file", "02"),
        Fact(_SHUT, "ciphertext and its length", "03"),
        Fact(_OPEN, "weights travel in the open", "07"),
        Fact(_OPEN, "updates hidden, weights open", "06"),
        Fact(_OPEN, "noisy weights are the model", "05"),
        Fact(_SHUT, "ciphertext and its length", "03"),
    ),
    ("user", "records"): (
        Fact(_SOME, "answers betray some members", "09"),
        Fact(_SOME, "the same answers", "09"),
        Fact(_SOME, "the same answers", "09"),
        Fact(_SOME, "the same answers", "09"),
        Fact(_SHUT, "noise drowns one page", "11"),
        Fact(_SHUT, "noise drowns one page", "11"),
    ),
    ("user", "model"): (
        Fact(_OPEN, "65 answers give all weights", "01"),
        Fact(_OPEN, "the same answers", "01"),
        Fact(_OPEN, "the same answers", "01"),
        Fact(_OPEN, "the same answers", "01"),
        Fact(_OPEN, "65 answers, noise or not", "01"),
        Fact(_OPEN, "65 answers, noise or not", "01"),
    ),
    ("another worker", "records"): (
        Fact(_OPEN, "reads the common disk", "07"),
        Fact(_OPEN, "needs the key to train", "03"),
        Fact(_SOME, "the sum of the others", "07"),
        Fact(_SOME, "the sum of the others", "06"),
        Fact(_SHUT, "a sum full of noise", "11"),
        Fact(_SHUT, "a sum full of noise", "11"),
    ),
    ("another worker", "model"): (
        Fact(_OPEN, "is sent all weights", "07"),
        Fact(_OPEN, "decrypts all weights", "03"),
        Fact(_OPEN, "is sent all weights", "07"),
        Fact(_OPEN, "is sent all weights", "06"),
        Fact(_OPEN, "is sent the noisy weights", "05"),
        Fact(_OPEN, "decrypts the noisy weights", "05"),
    ),
    ("server", "records"): (
        Fact(_OPEN, "holds every page", "07"),
        Fact(_OPEN, "holds the key", "03"),
        Fact(_OPEN, "a page from one message", "10"),
        Fact(_SOME, "the sum over all workers", "06"),
        Fact(_SHUT, "noise in every message", "11"),
        Fact(_SHUT, "a sum full of noise", "11"),
    ),
    ("server", "model"): (
        Fact(_OPEN, "makes the weights", "07"),
        Fact(_OPEN, "holds the key", "03"),
        Fact(_OPEN, "makes the weights", "07"),
        Fact(_OPEN, "the sum is the next step", "06"),
        Fact(_OPEN, "makes the noisy weights", "05"),
        Fact(_OPEN, "the sum is the next step", "06"),
    ),
}


def fact(adversary: str, asset: str, defence: str) -> Fact:
    """What an adversary learns of an asset under a defence.

    Raises
    ------
    ValueError
        If the adversary, asset or defence is none of `ADVERSARIES`, `ASSETS`, `DEFENCES`.

    Examples
    --------
    >>> fact("server", "records", "secret mask").state
    'partly'
    """
    cell = arguments.choice("adversary", adversary, ADVERSARIES), arguments.choice("asset", asset, ASSETS)
    return _FACTS[cell][DEFENCES.index(arguments.choice("defence", defence, DEFENCES))]


def advantage(attack_error: float, guess_error: float) -> float:
    """How much of what could leak does leak, ``1 - attack_error / guess_error``: from 0, no better than a guess, to 1, all.

    Of membership, with shares of wrong answers and a guess wrong in half of the cases, it is the membership advantage of Yeom and
    others 2018, definition 4; of pages, with squared errors, the share of variance explained.

    Parameters
    ----------
    attack_error : float
        Error of the adversary, in any unit, at least 0. An attack worse than a guess counts as a guess.
    guess_error : float
        Error, in the same unit, of one who knows all the adversary knows, but sees nothing; above 0.

    Raises
    ------
    ValueError
        If an error is not allowed.

    Examples
    --------
    >>> advantage(0.25, 0.5), advantage(3, 2)
    (0.5, 0.0)
    """
    error = arguments.real("attack_error", attack_error, at_least=0)
    return max(0.0, 1 - error / arguments.real("guess_error", guess_error, above=0))


def verdict(advantage: float) -> str:
    """The state that an advantage stands for: up to 5 % is protected, from 50 % on exposed, and partly between.

    Raises
    ------
    ValueError
        If the advantage is not in [0, 1].

    Examples
    --------
    >>> verdict(0.0), verdict(0.13), verdict(1.0)
    ('protected', 'partly', 'exposed')
    """
    share = arguments.real("advantage", advantage, at_least=0, at_most=1)
    return STATES[(share > PROTECTED) + (share >= EXPOSED)]


def describe(adversary: str, defence: str) -> str:
    """One row of the map in a sentence.

    Examples
    --------
    >>> describe("server", "encryption")
    'server, encryption: records exposed (holds the key), model exposed (holds the key)'
    """
    cells = {asset: fact(adversary, asset, defence) for asset in ASSETS}
    return f"{adversary}, {defence}: " + ", ".join(
        f"{asset} {cell.state} ({cell.sees})" for asset, cell in cells.items()
    )
