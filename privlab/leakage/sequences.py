"""Text for a character model: lines to windows, windows to log-probabilities, and these to scores of membership.

The alphabet is fixed and public: one read off the text would release which characters are in it. A window never reaches over
the start of its line, so a line is seen in its own windows only.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from privlab import arguments
from privlab.learning.models import Model

ALPHABET = "\n" + "".join(map(chr, range(32, 127)))  # the end of a line is token 0
ROWS = 8192  # windows that go through a model at once: what they need stays in the processor's cache


def encode(text: str) -> NDArray[np.intp]:
    """Return the tokens of a text of printable ASCII and line ends.

    Raises
    ------
    ValueError
        If it has other characters.

    Examples
    --------
    >>> encode("A b\\n").tolist(), len(ALPHABET)
    ([34, 1, 67, 0], 96)
    """
    if outside := set(text) - set(ALPHABET):
        raise ValueError(f"text has {min(outside)!r}, but must be printable ASCII and line ends")
    return np.maximum(np.frombuffer(text.encode(), np.uint8).astype(np.intp) - 31, 0)


def windows(text: str, context: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the records of a character model: for each character, those before it in its line, and itself.

    Parameters
    ----------
    text : str
        Lines of printable ASCII, n >= 1 characters with their ends.
    context : int
        Length of a window. What is missing at the start of a line is filled with line ends.

    Returns
    -------
    x : ndarray of int, shape (n, context)
    y : ndarray of int, shape (n,)

    Raises
    ------
    ValueError
        If the text is empty or has other characters, or ``context`` is below 1.

    Examples
    --------
    >>> x, y = windows("ab\\nc", 2)
    >>> ["".join(ALPHABET[i] for i in row) for row in x], [ALPHABET[i] for i in y]
    (['\\n\\n', '\\na', 'ab', '\\n\\n'], ['a', 'b', '\\n', 'c'])
    """
    tokens = encode("\n" * arguments.whole("context", context) + text)
    if not text:
        raise ValueError("text is '', but must hold at least one character")
    rows = np.lib.stride_tricks.sliding_window_view(tokens, context + 1)
    x, y = rows[:, :-1].copy(), rows[:, -1].copy()
    x[np.logical_or.accumulate((x == 0)[:, ::-1], axis=1)[:, ::-1]] = 0  # a line end, and all before it
    return x, y


def log_probabilities(model: Model, parameters: Mapping[str, NDArray], contexts: NDArray[np.intp]) -> Iterator[NDArray]:
    """Yield the log-probabilities of the next token after rows of ``contexts``, (n, context), in blocks (b, vocabulary)."""
    for start in range(0, len(contexts), ROWS):
        logits = model.logits(parameters, contexts[start : start + ROWS])
        logits -= np.ascontiguousarray(logits.T).max(0)[:, None]  # a maximum over a short last axis is slow
        yield logits - np.log(np.exp(logits) @ np.ones((logits.shape[1], 1), logits.dtype))


def sequence_scores(
    model: Model,
    parameters: Mapping[str, NDArray],
    texts: Sequence[str],
    *,
    reference: Mapping[str, NDArray] | None = None,
    share: float = 0.2,
) -> dict[str, NDArray[np.float64]]:
    """Score texts for membership in a character model's training set, higher = "was a member".

    Parameters
    ----------
    model, parameters
        The model under attack, of tokens in `ALPHABET`.
    texts : sequence of str
        n texts, none empty, each scored from the start of a line.
    reference : mapping of str to ndarray, optional
        Parameters of the same model trained on other text; without them the third score is left out.
    share : float
        The k of Min-K%, in (0, 1].

    Returns
    -------
    dict of str to ndarray, shape (n,)
        "loss": minus the mean loss per character. "loss / zlib": that over the length of the compressed text in bytes (Carlini
        et al. 2021, section 5). "loss - reference": how much more the reference loses (Watson et al. 2022). "Min-K%": mean of the
        lowest ``share`` of the log-probabilities (Shi et al. 2024). "Min-K%++": likewise, each log-probability standardised by
        mean and deviation over all next characters, as likely as the model holds them (Zhang et al. 2025).

    Raises
    ------
    ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> from privlab.learning import char_model
    >>> model = char_model(len(ALPHABET), context=4, hidden=8)
    >>> sorted(sequence_scores(model, model.init(0), ["to be", "or not"]))
    ['Min-K%', 'Min-K%++', 'loss', 'loss / zlib']
    """
    arguments.real("share", share, above=0, at_most=1)
    if not texts or not all(texts):
        raise ValueError(f"texts is {texts!r}, but must hold at least one text, and none empty")
    own = [_by_character(model, parameters, text) for text in texts]
    loss = np.array([told.mean() for told, _ in own])
    scores = {
        "loss": loss,
        "loss / zlib": loss / [len(zlib.compress(text.encode())) for text in texts],
        "Min-K%": np.array([_lowest(told, share) for told, _ in own]),
        "Min-K%++": np.array([_lowest(standardised, share) for _, standardised in own]),
    }
    if reference is not None:
        scores["loss - reference"] = loss - [_by_character(model, reference, text)[0].mean() for text in texts]
    return scores


def _by_character(
    model: Model, parameters: Mapping[str, NDArray], text: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-probability of each character, and the same standardised over what could have stood there; both (len(text),)."""
    x, y = windows(text, model.features)
    told = np.concatenate([*log_probabilities(model, parameters, x)]).astype(np.float64)
    at_label = told[np.arange(len(y)), y]
    mean = (np.exp(told) * told).sum(1)
    deviation = np.sqrt((np.exp(told) * (told - mean[:, None]) ** 2).sum(1))
    return at_label, (at_label - mean) / np.maximum(deviation, 1e-12)


def _lowest(values: NDArray[np.float64], share: float) -> float:
    return float(np.sort(values)[: max(1, round(share * len(values)))].mean())
