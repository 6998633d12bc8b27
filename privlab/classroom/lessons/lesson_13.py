"""Exercises of the lesson on scaling out."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code=var-annotated

from concurrent.futures import Executor, Future

from privlab.classroom.exercises import Exercise
from privlab.sharding import check_executor


def submit(self, work, /, *arguments):
    """Run `work(*arguments)` now; return a Future with its result, or with the exception that it raised."""
    future = Future()
    try:
        future.set_result(work(*arguments))
    except Exception as error:
        future.set_exception(error)
    return future


def check_submit(mine, rng):
    """One task that succeeds, one that fails, and then everything that the package asks of an engine."""
    engine, calls, given = (
        type("Mine", (Executor,), {"submit": mine.function})(),
        [],
        tuple(rng.integers(0, 99, 2).tolist()),
    )

    def task(*told):
        calls.append(told)
        return sum(told)

    answer = mine(engine, task, *given)
    yield not isinstance(answer, Future), f"A Future is wanted; {type(answer).__name__} is what the task returned."
    yield not calls, "The task did not run: call work(*arguments)."
    yield len(calls) > 1, f"The task ran {len(calls)} times. Noise would be drawn as often: call it once."
    yield calls[0] != given, f"The task was given {calls[0]}, not {given}: call work(*arguments), star included."
    yield not answer.done(), "The future is empty, and whoever waits for it waits for ever: set_result."
    yield answer.result() != sum(given), f"The task returned {sum(given)}; your future holds {answer.result()!r}."
    failed = mine.outcome(engine, int, "one")
    yield isinstance(failed, Exception), "Your engine raises what the task raises. Catch it: set_exception."
    yield not failed.done(), "A task that raises leaves an empty future: set_exception in the except branch."
    yield not isinstance(failed.exception(), ValueError), "A task that failed looks like a success: set_exception."
    found = [
        each for each in check_executor(engine, seconds=10) if "blas" not in each
    ]  # a matter of the notebook's start
    yield found, f"Not yet right: {'; '.join(found)}"


def fastest(W, c):
    """Number of workers, 1 or more, with the shortest round W / k + k * c; W and c in seconds."""
    near = max(1, int((W / c) ** 0.5))
    return min((near, near + 1), key=lambda k: W / k + k * c)


def rounds(rng):
    """Ratios on both sides of k (k + 1), where two neighbours tie; one that may be rounded, and one below 1."""
    costs = enumerate(rng.uniform(0.1, 5, 5).tolist(), 1)
    cases = [((k * (k + 1) + off) * c, c) for k, c in costs for off in (-0.1, 0.1)]
    return [*cases, (2.7**2, 1.0), (1.0, float(rng.uniform(5, 9))), (float(rng.uniform(900, 990)), 0.1)]


EXERCISES = (
    Exercise(
        "13.a",
        "an engine of your own",
        submit,
        [
            "Make a `Future()`; give it the result (`set_result`) or the exception (`set_exception`).",
            "Run the task exactly once, in a `try`.",
        ],
        {
            "no future": ("future.set_result(work(*arguments))", "return work(*arguments)", "A Future is wanted"),
            "never run": ("future.set_result(work(*arguments))", "future.set_result(0)", "The task did not run"),
            "twice": (
                "future.set_result(work(*arguments))",
                "work(*arguments)\n        future.set_result(work(*arguments))",
                "ran 2 times",
            ),
            "no star": ("work(*arguments)", "work(arguments)", "star included"),
            "wrapped": ("work(*arguments))", "[work(*arguments)])", "your future holds"),
            "empty": ("future.set_result(work(*arguments))", "work(*arguments)", "whoever waits for it waits for ever"),
            "empty error": ("future.set_exception(error)", "pass", "A task that raises leaves an empty future"),
            "raises": ("future.set_exception(error)", "raise", "Your engine raises what the task raises"),
            "swallowed": ("future.set_exception(error)", "future.set_result(None)", "looks like a success"),
        },
        check=check_submit,
    ),
    Exercise(
        "13.b",
        "how many workers?",
        fastest,
        [
            "Set the derivative to zero: -W / k**2 + c = 0.",
            "The answer is rarely whole: compare the neighbours. At least one worker is needed.",
        ],
        {
            "down": (
                "min((near, near + 1), key=lambda k: W / k + k * c)",
                "near",
                "Rounding down is not enough: compare the neighbours.",
            ),
            "rounded": (
                "return min((near, near + 1), key=lambda k: W / k + k * c)",
                "return max(1, round((W / c) ** 0.5))",
                "Rounding the root is not enough: compare the two neighbours.",
            ),
            "up": (
                "min((near, near + 1), key=lambda k: W / k + k * c)",
                "-int(-((W / c) ** 0.5) // 1)",
                "Rounding up is not enough: compare the neighbours.",
            ),
            "none": (
                "return min((near, near + 1), key=lambda k: W / k + k * c)",
                "return min((near, near + 1), key=lambda k: W / k + k * c) if W > c else 0",
                "Where a message costs more than the work, stay with one worker, not none.",
            ),
            "ratio": (
                "min((near, near + 1), key=lambda k: W / k + k * c)",
                "W / c",
                "W / c is not yet the minimum: set the derivative to zero, and take a root.",
            ),
            "no root": ("** 0.5", "** 1", "W / c workers are as slow as one: did you forget the square root?"),
            "fraction": (
                "return min((near, near + 1), key=lambda k: W / k + k * c)",
                "return max(1, (W / c) ** 0.5)",
                "Workers are whole: compare the two neighbours.",
            ),
            "no message": ("(W / c)", "W", "sqrt(W) is not enough: what a message costs matters."),
        },
        cases=rounds,
    ),
)
