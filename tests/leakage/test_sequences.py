import itertools
import zlib

import numpy as np
import pytest

from privlab.data import load_text
from privlab.leakage import roc
from privlab.leakage.extraction import candidate_losses, extract, secret_losses
from privlab.leakage.sequences import ALPHABET, encode, sequence_scores, windows
from privlab.learning import char_model, train

MODEL = char_model(len(ALPHABET), context=8, hidden=16)
PARAMETERS = MODEL.init(3)


def test_the_alphabet_is_that_of_the_corpus_and_more():
    assert set(load_text()) < set(ALPHABET)
    assert "".join(ALPHABET[token] for token in encode(ALPHABET)) == ALPHABET
    assert encode(ALPHABET).tolist() == list(range(96))
    for outside in ("\x1f", "\t", "\x7f", "é", "\ud800"):
        with pytest.raises(ValueError, match="must be printable ASCII"):
            encode(f"to be{outside}")


def test_a_window_holds_its_line_only():
    text = "who's there\n\nnay\nstand and unfold\n"
    x, y = windows(text, 6)
    assert "".join(ALPHABET[token] for token in y) == text
    for end, row in enumerate(x):
        line = text[:end].split("\n")[-1]
        assert "".join(ALPHABET[token] for token in row) == line[-6:].rjust(6, "\n")


def test_a_change_in_one_line_changes_no_window_of_another():
    lines = ["to be", "my number is 12", "or not to be"]
    one, other = ("\n".join(lines), "\n".join([lines[0], "my number is 34", lines[2]]))
    (x, y), (x_other, y_other) = windows(one, 16), windows(other, 16)
    changed = (x != x_other).any(1) | (y != y_other)
    assert changed.sum() == 3, "two symbols and the line's end"


@pytest.mark.parametrize(("symbols", "length"), [("0123456789", 3), ("abc ", 4), ("xy", 1)])
def test_the_tree_gives_what_brute_force_gives(symbols, length):
    every = ["".join(word) for word in itertools.product(symbols, repeat=length)]
    brute = candidate_losses(MODEL, PARAMETERS, "code ", every)
    tree = secret_losses(MODEL, PARAMETERS, "code ", symbols=symbols, length=length)
    np.testing.assert_allclose(tree, brute, rtol=1e-5)
    one_by_one = [
        MODEL.losses(PARAMETERS, *windows(f"code {secret}", 8))[5:].sum(dtype=np.float64) for secret in every[:20]
    ]
    np.testing.assert_allclose(tree[:20], one_by_one, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 7, 32, 5000])
def test_a_search_finds_the_likeliest_in_order(batch):
    losses = secret_losses(MODEL, PARAMETERS, "code ", length=3)
    found = extract(MODEL, PARAMETERS, "code ", length=3, count=25, batch=batch)
    order = np.argsort(losses)[:25]
    assert found.secrets == tuple(f"{i:03d}" for i in order)
    np.testing.assert_allclose(found.losses, losses[order], rtol=1e-5)
    assert 3 <= found.opened <= 111


def test_the_smallest_batch_opens_only_what_might_lead_to_the_answer():
    best = secret_losses(MODEL, PARAMETERS, "code ", length=3).min()
    found = extract(MODEL, PARAMETERS, "code ", length=3, count=1, batch=1)
    shorter = [secret_losses(MODEL, PARAMETERS, "code ", length=level) for level in (1, 2)]
    assert found.opened == 1 + sum(int((losses < best).sum()) for losses in shorter)


def test_all_secrets_can_be_found():
    found = extract(MODEL, PARAMETERS, "code ", symbols="ab", length=2, count=4)
    assert sorted(found.secrets) == ["aa", "ab", "ba", "bb"]


def test_scores_are_their_definitions():
    texts, other = ["to be, or not to be", "x", "zzzzzzzzzz"], MODEL.init(4)
    scores = sequence_scores(MODEL, PARAMETERS, texts, reference=other, share=0.3)
    for i, text in enumerate(texts):
        x, y = windows(text, 8)
        logits = MODEL.logits(PARAMETERS, x).astype(np.float64)
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        told = np.log(p[np.arange(len(y)), y])
        mean = np.array([row @ np.log(row) for row in p])
        deviation = np.array([np.sqrt(row @ np.log(row) ** 2 - m**2) for row, m in zip(p, mean, strict=True)])
        lowest = max(1, round(0.3 * len(text)))
        loss = -told.mean()
        assert scores["loss"][i] == pytest.approx(-loss, rel=1e-5)
        assert scores["loss / zlib"][i] == pytest.approx(-loss / len(zlib.compress(text.encode())), rel=1e-5)
        assert scores["loss - reference"][i] == pytest.approx(MODEL.losses(other, x, y).mean() - loss, abs=1e-5)
        assert scores["Min-K%"][i] == pytest.approx(np.sort(told)[:lowest].mean(), rel=1e-5)
        assert scores["Min-K%++"][i] == pytest.approx(np.sort((told - mean) / deviation)[:lowest].mean(), rel=1e-4)


def test_members_of_an_overfitted_model_score_higher():
    """Fixed seeds. Each AUC is over 150 x 150 lines, with a standard deviation of at most 0.034 for a coin: 0.7 is 5.9 of them."""
    lines = [line for line in load_text().splitlines() if len(line) > 30][:300]
    inside = np.arange(300) % 2 == 0
    x, y = windows("\n".join(line for line, member in zip(lines, inside, strict=True) if member), 8)
    other_x, other_y = windows(load_text()[100_000:107_000], 8)
    model = char_model(len(ALPHABET), context=8, hidden=64)
    settings = {"steps": 400, "batch_size": 128, "learning_rate": 3e-3, "optimizer": "adam"}
    trained, reference = train(model, x, y, **settings), train(model, other_x, other_y, **settings)
    scores = sequence_scores(model, trained.parameters, lines, reference=reference.parameters)
    assert len(scores) == 5
    assert min(roc(values, inside).auc for values in scores.values()) > 0.7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: windows("to be", 0), "context is 0"),
        (lambda: windows("", 4), "text is ''"),
        (lambda: secret_losses(MODEL, PARAMETERS, "code ", length=8), "length is 8, but must leave at most 10000000"),
        (lambda: secret_losses(MODEL, PARAMETERS, "code ", length=0), "length is 0"),
        (lambda: secret_losses(MODEL, PARAMETERS, "code ", symbols="aab"), "symbols is 'aab'"),
        (lambda: secret_losses(MODEL, PARAMETERS, "code ", symbols="a\n"), "symbols is"),
        (lambda: secret_losses(MODEL, PARAMETERS, "code ", symbols="aé"), "text has 'é'"),
        (lambda: extract(MODEL, PARAMETERS, "code ", count=0), "count is 0"),
        (lambda: extract(MODEL, PARAMETERS, "code ", length=1, count=11), "count is 11, but must be at most 10"),
        (lambda: extract(MODEL, PARAMETERS, "code ", batch=0), "batch is 0"),
        (lambda: candidate_losses(MODEL, PARAMETERS, "code ", ["12", "123"]), r"candidates has lengths \[2, 3\]"),
        (lambda: candidate_losses(MODEL, PARAMETERS, "code ", []), r"candidates has lengths \[\]"),
        (lambda: sequence_scores(MODEL, PARAMETERS, ["to be", ""]), "texts is"),
        (lambda: sequence_scores(MODEL, PARAMETERS, ["to be"], share=0), "share is 0"),
    ],
)
def test_what_is_not_allowed_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
