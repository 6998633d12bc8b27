"""Predictions: said before, scored after, kept in memory."""

import pytest
from matplotlib.figure import Figure

from privlab.classroom import predict, prediction, reveal, score
from privlab.classroom.prediction import Prediction


@pytest.fixture(autouse=True)
def _empty_journal(monkeypatch, tmp_path):
    monkeypatch.setattr(prediction, "_journal", {})
    monkeypatch.chdir(tmp_path)


def test_guesses_are_scored_and_nothing_is_written(capsys, tmp_path):
    score()
    predict("04.q1", 2, 5)
    predict("04.q2", 0, 1)
    predict("04.q2", 7, 9)  # a second thought, before the answer
    predict("04.q3", 1, 1)
    reveal("04.q1", 4)
    reveal("04.q2", 10.0)
    score()
    assert capsys.readouterr().out.splitlines() == [
        "No prediction has its answer yet.",
        "04.q1: you say 2 to 5",
        "04.q2: you say 0 to 1",
        "04.q2: you say 7 to 9",
        "04.q3: you say 1 to 1",
        "04.q1: you say 2 to 5; it is 4, inside",
        "04.q2: you say 7 to 9; it is 10, outside",
        "1 of 2 intervals held; 8 of 10 should. Mean score 0.90 (smaller is better).",  # (3/5 + (2 + 10)/10) / 2
    ]
    assert list(tmp_path.iterdir()) == []


def test_the_score_rewards_the_honest_interval():
    """Of uniform answers in [100, 101], the middle 80 % has the smallest mean score among intervals about the middle."""
    answers = [100 + (i + 0.5) / 1000 for i in range(1000)]

    def mean(half):
        scores = [Prediction("q", 100.5 - half, 100.5 + half, answer).loss for answer in answers]
        return sum(scores) / len(scores)

    assert min((0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.6), key=mean) == 0.4


@pytest.mark.parametrize("guess", [(1, 5, 0), (3, 15, 0.4), (0, 10, 1e6), (-1, 1, 0), (0, 0, 0)])
def test_no_answer_weighs_more_than_others(guess):
    assert 0 <= Prediction("q", *guess).loss <= 12


@pytest.mark.parametrize("along", ["x", "y"])
def test_a_plot_shows_guess_and_answer_on_the_axis(along):
    axes = Figure().add_subplot()
    axes.set(xlim=(3, 9), ylim=(3, 9))
    predict("04.q1", 2, 5)
    reveal("04.q1", 4, axes, along=along)
    guess, answer = (list(line.get_xdata() if along == "x" else line.get_ydata()) for line in axes.lines)
    assert (guess, answer) == ([3, 5], [4])  # what of the guess the axis shows
    assert [text.get_text() for text in axes.texts] == ["your guess"]
    assert (axes.get_xlim(), axes.get_ylim()) == ((3, 9), (3, 9))


def test_large_numbers_are_written_in_full(capsys):
    predict("03.q3", 100, 5000)
    reveal("03.q3", 2230)
    assert capsys.readouterr().out.splitlines()[1] == "03.q3: you say 100 to 5,000; it is 2,230, inside"


def test_the_label_stands_in_the_middle_of_the_bar_on_any_scale():
    axes = Figure().add_subplot(xscale="log", xlim=(1, 10_000))
    predict("04.q1", 10, 1000)
    reveal("04.q1", 4, axes)
    assert axes.texts[0].get_position() == pytest.approx((100, 0.03))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: predict("q", 5, 2), "high is 2"),
        (lambda: predict("q", float("nan"), 2), "low is nan"),
        (lambda: reveal("unsaid", 2), "id is 'unsaid'"),
        (lambda: predict("q", 1, 2) or reveal("q", 2, along="z"), "along is 'z'"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
