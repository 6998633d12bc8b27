"""Exercises that check themselves, predictions, and the release and grading of notebooks.

For notebooks: `check`, `hint`, `solution`, and `predict`, `reveal`, `score`. For teachers: `privlab.classroom.release` and
`privlab.classroom.grade`, which import Jupyter's machinery.
"""

from privlab.classroom.exercises import Exercise, Verdict, check, exercises, hint, solution
from privlab.classroom.prediction import predict, reveal, score

__all__ = ["Exercise", "Verdict", "check", "exercises", "hint", "predict", "reveal", "score", "solution"]
