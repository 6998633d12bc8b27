"""Every exercise: the solution passes, the stub is not attempted, each wrong answer is named; on fresh inputs."""

import inspect
import re

import numpy as np
import pytest

from privlab.classroom import Exercise, check, exercises, hint, solution

ALL = exercises()
WRONG = [(exercise, name) for exercise in ALL for name in exercise.wrong]
AUDITED = [exercise for exercise in ALL if exercise.note]


def verdict(exercise, source, seed=None):
    return check(exercise.id, exercise.build(source), seed=seed)


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)
def test_the_solution_passes_and_the_stub_is_not_attempted(exercise):
    assert check(exercise.id, exercise.function)
    assert verdict(exercise, exercise.stub).status == "not attempted"


@pytest.mark.parametrize(("exercise", "name"), WRONG, ids=lambda part: getattr(part, "id", part))
def test_a_wrong_answer_fails_with_its_own_message(exercise, name):
    """With one seed, since the statistical ones are found with a power near 1 only: the slow test below measures it."""
    found = verdict(exercise, exercise.wrong_answer(name), seed=0)
    assert found.status == "mistake"
    assert exercise.wrong[name][2] in found.message


def test_each_lesson_has_two_exercises_with_their_own_hints_and_wrong_answers():
    lessons = [exercise.lesson for exercise in ALL]
    assert {lesson for lesson in lessons if lesson != "00" and lessons.count(lesson) < 2} == set()
    assert (
        len({exercise.id for exercise in ALL})
        == len({(exercise.lesson, exercise.name) for exercise in ALL})
        == len(ALL)
    )
    for exercise in ALL:
        messages = [message for _, _, message in exercise.wrong.values()]
        assert len({*messages}) == len(messages) >= 3, exercise.id
        assert len(exercise.hints) >= 2
        assert exercise.function.__doc__ in exercise.stub
        body = [line for line in exercise.solution.splitlines() if line.strip().startswith("return")]
        assert not any(line in exercise.stub for line in body)


@pytest.mark.slow
@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)
def test_no_false_alarm_in_200_checks(exercise):
    """Each check refuses a right answer less often than once in 100,000 (its docstring says why): all 200 pass but for 0.002."""
    assert [found for seed in range(200) if not (found := check(exercise.id, exercise.function, seed=seed))] == []


@pytest.mark.slow
@pytest.mark.parametrize(("exercise", "name"), WRONG, ids=lambda part: getattr(part, "id", part))
def test_wrong_answers_are_named_whatever_the_inputs(exercise, name):
    """Of 10 checks all fail, and at least 9 name the mistake; with a power of 0.999 a check, fewer are seen once in 20,000."""
    source = exercise.wrong_answer(name)
    found = [verdict(exercise, source, seed) for seed in range(10)]
    assert {each.status for each in found} == {"mistake"}
    assert sum(exercise.wrong[name][2] in each.message for each in found) >= 9


def laplace_of_replaced(values, low, high, epsilon, rng):
    total = np.sum([min(max(value, low), high) for value in values])
    return total + rng.laplace(0, 2 * (high - low) / epsilon), len(values) + rng.laplace(0, 2 / epsilon)


def seeded(values, low, high, epsilon, rng):
    rng = np.random.Generator(np.random.PCG64(1))
    return laplace_of_replaced(values, low, high, epsilon, rng)


def one_noise(values, low, high, epsilon, rng):
    noise = rng.laplace(scale=2 / epsilon)
    return np.clip(values, low, high).sum() + high * noise, len(values) + noise


def step_with_shared_noise(gradients, clip_norm, sigma, expected_batch, rng):
    factors = [clip_norm / max(clip_norm, np.linalg.norm(row)) for row in gradients]
    total = sum((f * row for f, row in zip(factors, gradients, strict=True)), np.zeros(gradients.shape[1]))
    return (total + sigma * clip_norm * rng.standard_normal()) / expected_batch


def step_noise_after(gradients, clip_norm, sigma, expected_batch, rng):
    factors = [clip_norm / max(clip_norm, np.linalg.norm(row)) for row in gradients]
    total = sum((f * row for f, row in zip(factors, gradients, strict=True)), np.zeros(gradients.shape[1]))
    return total / expected_batch + sigma * clip_norm * rng.standard_normal(len(total))


def own_least_time(durations, workers):
    return max(max(durations), sum(durations) // workers)


def own_sensitivity(query, low, high):
    return {"sum": high - low, "mean": high - low}[query]


@pytest.mark.parametrize(
    ("id", "function", "message"),
    [
        ("04.a", own_sensitivity, r"what \*replacing\* a record changes"),
        ("04.b", laplace_of_replaced, r"at least \d\.\d, you claimed 1\. By how much does a whole record"),
        ("04.b", seeded, "always the same"),
        ("04.b", one_noise, "the same noise: subtract"),
        ("04.b", lambda values, low, high, epsilon, rng: (sum(values), len(values)), "always the same"),
        ("05.a", step_with_shared_noise, "draw one for each"),
        ("05.a", step_noise_after, "after the division"),
        ("07.b", own_least_time, "nothing ends before"),
        ("02.a", lambda data, key, context=b"": data + context, "The plaintext stands in the box"),
        ("06.a", lambda i, q, masks: q + sum(masks.values()), "Both ends do the same"),
    ],
)
def test_mistakes_in_other_words_are_named_too(id, function, message):
    assert re.search(message, check(id, function, seed=0).message)


def test_a_mistake_is_named_beside_another_one():
    found = check("04.a", lambda query, low, high: high - low if query == "sum" else 1e9, seed=0)
    assert "replacing" in found.message


def crash(W, c):
    return W / (c - c)


def changes(models, sizes):
    for array in models[0].values():
        array += 1
    return models[0]


@pytest.mark.parametrize(
    ("id", "function", "status", "message"),
    [
        ("13.b", crash, "mistake", r"raises ZeroDivisionError: .* \(line \d+: return W / \(c - c\)\)"),
        ("13.b", lambda W, c: "many", "mistake", "is 1, not 'many'"),
        ("13.b", lambda W: 1, "mistake", "raises TypeError"),
        ("13.b", lambda W, c: W.missing, "mistake", "raises AttributeError"),
        ("13.b", lambda W, c: {}.get(W), "mistake", "does your function end with return"),
        ("13.b", lambda W, c: None, "not attempted", "write fastest"),
        ("13.b", lambda W, c: "???", "not attempted", "write fastest"),
        ("13.b", print, "mistake", "does your function end with return"),
        ("04.b", lambda *_: "ab", "mistake", "cannot be used: ValueError"),
        ("07.a", changes, "mistake", "changes its arguments"),
        ("03.b", lambda path, *_: path.unlink(), "mistake", "FileNotFoundError"),
        ("03.a", lambda m, pks: (*exercises("03")[0].function(m, pks)[:2], b"body"), "mistake", "does not open to m"),
    ],
)
def test_odd_answers_get_a_verdict(id, function, status, message):
    found = check(id, function, seed=0)
    assert found.status == status
    assert re.search(message, found.message)


def test_the_inputs_are_fresh_unless_seeded():
    seen = []

    def spy(W, c):
        seen.append((W, c))
        return 1

    for seed in (None, None, 5, 5):
        check("13.b", spy, seed=seed)
    first, second, third, fourth = np.array_split(np.array(seen), 4)
    assert not np.array_equal(first, second)
    assert np.array_equal(third, fourth)


def test_a_verdict_prints_one_line_and_stops_an_assertion(capsys):
    assert check("13.b", exercises("13")[1].function)
    assert capsys.readouterr().out == "13.b passed\n"
    with pytest.raises(AssertionError):
        assert check("13.b", lambda W, c: W)
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("5.a", crash), "id is '5.a', but must be one of '00.a', '01.a'"),
        (("05.z", crash), "id is '05.z', but must be one of '05.a', '05.b'"),
        (("05.a", 3), "function is 3, but must be the function private_step, without brackets"),
    ],
)
def test_bad_input_is_refused(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check(*given)


def test_hints_go_from_vague_to_plain_and_the_solution_is_shown(capsys):
    hint("13.b")
    hint("13.b", 7)
    solution("13.b")
    out = capsys.readouterr().out
    assert out.startswith("13.b hint 1 of 2: Set the derivative")
    assert "13.b hint 2 of 2: The answer is rarely whole" in out
    assert out.endswith(inspect.getsource(exercises("13")[1].function))
    with pytest.raises(ValueError, match="number is 0"):
        hint("13.b", 0)


def test_a_wrong_answer_that_changes_nothing_is_refused():
    exercise = exercises("13")[1]
    stale = Exercise("13.z", "", exercise.function, [], {"old": ("no such text", "", "")}, cases=exercise.cases)
    with pytest.raises(ValueError, match="the solution has no such text"):
        stale.wrong_answer("old")
