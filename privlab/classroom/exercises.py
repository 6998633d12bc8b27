"""Exercises that check themselves: a function to write, judged by what it does on fresh random inputs."""

import ast
import copy
import dis
import importlib
import inspect
import linecache
import pkgutil
import textwrap
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np

from privlab import arguments
from privlab.randomness import generator

Findings = Iterable[tuple[Any, str]]  # (is it so?, the mistake that this means), the likeliest first
EXACT = bytes | str | set | Integral
NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}  # all that an empty body compiles to


@dataclass(frozen=True)
class Verdict:
    """What a check found; true where the exercise is passed.

    Attributes
    ----------
    id : str
        The exercise, for example "05.a".
    status : str
        "passed", "not attempted" or "mistake"; from the grader also "missing", "too slow", "too much memory" or "crashed".
    message : str
        Names the mistake, or says what the check cannot know.

    Examples
    --------
    >>> print(Verdict("05.a", "mistake", "Nothing is clipped."))
    05.a mistake: Nothing is clipped.
    """

    id: str
    status: str
    message: str = ""

    def __bool__(self) -> bool:
        return self.status == "passed"

    def __str__(self) -> str:
        return f"{self.id} {self.status}" + (f": {self.message}" if self.message else "")

    def _ipython_display_(self) -> None:
        """Show nothing: `check` has printed the line."""


@dataclass(frozen=True)
class Exercise:
    """A function to write, its solution, and the mistakes that are usual.

    Attributes
    ----------
    id, title : str
        "05.a": the lesson and a letter; and what to do, in a few words.
    function : callable
        The solution.
    hints : sequence of str
        From the vague to the plain.
    wrong : mapping of str to (old, new, message)
        Named wrong answers: ``old`` is replaced by ``new`` in the solution's source. The check must find it, with ``message`` in
        its verdict.
    cases : callable, optional
        ``cases(rng)`` returns a list of tuples of arguments. The answers are compared with the solution's; where they differ, with
        those of each wrong answer.
    check : callable, optional
        Instead of ``cases``: ``check(mine, rng)`` yields pairs (is it so?, mistake); the first that is so is the verdict.
    note : str
        What a pass does not say.
    returns : bool
        Whether None is no answer.
    """

    id: str
    title: str
    function: Callable[..., Any]
    hints: Sequence[str]
    wrong: Mapping[str, tuple[str, str, str]]
    cases: Callable[[np.random.Generator], list[tuple]] | None = None
    check: Callable[["Answer", np.random.Generator], Findings] | None = None
    note: str = ""
    returns: bool = True
    lesson: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lesson", self.id.split(".")[0])

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def solution(self) -> str:
        """Source of the solution."""
        return textwrap.dedent(inspect.getsource(self.function))

    @property
    def stub(self) -> str:
        """Source of what the student gets: head and docstring."""
        (definition,) = ast.parse(self.solution).body
        assert isinstance(definition, ast.FunctionDef)
        head = self.solution.splitlines()[: definition.body[0].end_lineno]
        return "\n".join([*head, "    raise NotImplementedError", ""])

    def wrong_answer(self, name: str) -> str:
        """Source of a wrong answer."""
        old, new, _ = self.wrong[name]
        if old not in self.solution:
            raise ValueError(f"wrong answer {name!r} of {self.id} changes {old!r}, but the solution has no such text")
        return self.solution.replace(old, new)

    def build(self, source: str) -> Callable[..., Any]:
        """Compile a source of the function, among the names that the solution knows."""
        file, namespace = f"<{self.id}, {hash(source)}>", dict(self.function.__globals__)
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec"), namespace)
        return namespace[self.name]

    def findings(self, mine: "Answer", rng: np.random.Generator) -> Findings:
        """Yield pairs (is it so?, mistake)."""
        if self.check:
            yield from self.check(mine, rng)
            return
        assert self.cases
        cases = self.cases(rng)
        given, right = copy.deepcopy(cases), _outcomes(self.function, cases)
        answers = [mine.outcome(*case) for case in given]
        yield not _equal(given, cases), "Your function changes its arguments, which others still need: copy them."
        off = [i for i, both in enumerate(zip(answers, right, strict=True)) if not _equal(*both)]
        for name, (_, _, message) in self.wrong.items() if off else ():
            wrong = _outcomes(self.build(self.wrong_answer(name)), cases)
            # Only where this mistake shows: an answer may hold another one as well.
            alike = [_equal(a, w) for a, w, r in zip(answers, wrong, right, strict=True) if not _equal(w, r)]
            yield alike and all(alike), message
        for i in off[:1]:
            mine(*copy.deepcopy(cases[i]))  # what it raises is said by name
            call = ", ".join(map(_short, cases[i]))
            yield True, f"{self.name}({call}) is {_short(right[i])}, not {_short(answers[i])}."


class Unattempted(Exception):
    """The function is still a stub."""


class Mistake(Exception):
    """A mistake, named."""


class Answer:
    """A student's function: its exceptions become mistakes that name the line."""

    def __init__(self, function: Callable[..., Any], returns: bool = True):
        self.function, self.returns = function, returns
        code = getattr(function, "__code__", None)
        if code is not None:
            says = {*code.co_consts} - {None, ..., function.__doc__}
            if "???" in says or (not says and {step.opname for step in dis.get_instructions(code)} <= NOTHING):
                raise Unattempted

    def __call__(self, *given: Any) -> Any:
        """Return what the function returns."""
        result = self.outcome(*given)
        if isinstance(result, Exception):
            raise Mistake(f"Your code raises {_described(result, self.function)}.") from result
        return result

    def outcome(self, *given: Any) -> Any:
        """Return what the function returns, or the exception that it raises."""
        try:
            result = self.function(*given)
        except NotImplementedError:
            raise Unattempted from None
        except MemoryError:
            raise
        except Exception as error:
            return error
        if result is None and self.returns:
            raise Mistake("Nothing comes back: does your function end with return?")
        return result


def exercises(lesson: str | None = None) -> tuple[Exercise, ...]:
    """Return the exercises of a lesson, for example "05"; of all lessons by default. A lesson without any gives none."""
    from privlab.classroom import lessons

    known = [module.name for module in pkgutil.iter_modules(lessons.__path__)]
    names = [name for name in known if lesson is None or name == f"lesson_{lesson}"]
    return sum((importlib.import_module(f"{lessons.__name__}.{name}").EXERCISES for name in names), ())


def find(id: str) -> Exercise:
    """Return an exercise; raise `ValueError` where there is none of this id."""
    known = {exercise.id: exercise for exercise in exercises(str(id).split(".")[0])}
    return known[arguments.choice("id", id, known or [exercise.id for exercise in exercises()])]


def check(id: str, function: Callable[..., Any], *, seed: int | None = None) -> Verdict:
    """Check an answer on fresh random inputs and print the verdict.

    Parameters
    ----------
    id : str
        The exercise, for example "05.a".
    function : callable
        The answer. Its own exceptions become part of the verdict; an endless loop does not end.
    seed : int, optional
        To repeat a check with the same inputs.

    Returns
    -------
    Verdict
        ``assert check(...)`` makes a notebook stop at a wrong answer.

    Raises
    ------
    ValueError
        If there is no such exercise, or ``function`` cannot be called.

    Examples
    --------
    >>> def fastest(W, c):
    ...     return round((W / c) ** 0.5)
    >>> verdict = check("13.b", fastest)
    13.b mistake: Rounding the root is not enough: compare the two neighbours.
    """
    exercise = find(id)
    if not callable(function):
        raise ValueError(f"function is {_short(function)}, but must be the function {exercise.name}, without brackets")
    verdict = Verdict(id, *_judged(exercise, function, generator(seed, "check", id)))
    print(verdict)
    return verdict


def hint(id: str, number: int = 1) -> None:
    """Print a hint; a higher ``number`` says more.

    >>> hint("04.c")
    04.c hint 1 of 2: 0.4 and 0.6 are 0.2 apart. Round both to whole numbers.
    """
    hints = find(id).hints
    number = min(arguments.whole("number", number), len(hints))
    print(f"{id} hint {number} of {len(hints)}: {hints[number - 1]}")


def solution(id: str) -> None:
    """Print the solution's source."""
    print(find(id).solution, end="")


def _judged(exercise: Exercise, function: Callable[..., Any], rng: np.random.Generator) -> tuple[str, str]:
    try:
        with np.errstate(all="ignore"):
            for is_so, mistake in exercise.findings(Answer(function, exercise.returns), rng):
                if is_so:
                    return "mistake", mistake
    except Unattempted:
        return "not attempted", f'write {exercise.name}, then check again; hint("{exercise.id}") helps'
    except Mistake as mistake:
        return "mistake", str(mistake)
    except MemoryError:
        raise
    except Exception as error:
        return "mistake", f"What comes back cannot be used: {type(error).__name__}: {error}."
    return "passed", exercise.note


def _described(error: Exception, function: Callable[..., Any]) -> str:
    """Type and text of an error, and the last line of the student's own file that led to it."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    place = f" (line {lines[-1].lineno}: {lines[-1].line})" if lines else ""
    return f"{type(error).__name__}: {error}{place}"


def _outcomes(function: Callable[..., Any], cases: list[tuple]) -> list:
    """What a function returns for copies of the cases, or the exception that it raises."""
    answers = []
    for case in copy.deepcopy(cases):
        try:
            answers.append(function(*case))
        except Exception as error:
            answers.append(error)
    return answers


def _equal(mine: Any, right: Any) -> bool:
    """Whether two answers are the same up to rounding: numbers, arrays, and what holds them; errors by their type."""
    if isinstance(mine, Mapping) and isinstance(right, Mapping):
        return mine.keys() == right.keys() and all(_equal(mine[name], right[name]) for name in right)
    if isinstance(mine, tuple | list) and isinstance(right, tuple | list):
        return len(mine) == len(right) and all(map(_equal, mine, right))
    if isinstance(mine, Exception) or isinstance(right, Exception):
        return type(mine) is type(right)
    if isinstance(mine, EXACT) and isinstance(right, EXACT):
        return bool(mine == right)
    try:
        return np.shape(mine) == np.shape(right) and bool(np.allclose(mine, right, equal_nan=True))
    except (TypeError, ValueError, OverflowError):
        return False


def _short(value: object) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    return textwrap.shorten(np.array2string(value, precision=4) if isinstance(value, np.ndarray) else repr(value), 70)
