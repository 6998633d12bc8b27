"""Check submissions, each exercise in a process of its own: ``python -m privlab.classroom.judge`` with jobs on the standard input.

A job is a JSON object of ``cells`` (pairs of source and grade_id), ``ids``, ``seconds`` and ``memory``. Each child is forked from
this one, which has imported the checks and runs no student's code, so a check takes milliseconds to start.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from pathlib import Path

from privlab.classroom.exercises import Exercise, Verdict, check, find
from privlab.classroom.submission import Submission


def limit_memory(more: int) -> None:
    """Let this process take so many bytes of address space beyond what it has (enforced on Linux)."""
    statm = Path("/proc/self/statm")
    has = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0
    resource.setrlimit(resource.RLIMIT_AS, (has + more, has + more))


def judge(exercise: Exercise, submission: Submission, seconds: float, memory: int) -> Verdict:
    """Check one function in a forked process that ends after ``seconds`` and fails beyond ``memory`` bytes."""
    name = submission.name_of(exercise)
    if name is None:
        unreadable = any(f"def {exercise.name}(" in text for text in submission.broken)
        status = "mistake" if unreadable else "missing"
        return Verdict(
            exercise.id, status, "The cell is no valid Python." if unreadable else f"there is no {exercise.name}"
        )
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        _answer(sink, exercise, submission, name, seconds, memory)
    os.close(sink)
    with open(source, encoding="utf-8") as told:
        text = told.read()
    ended_by = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if ended_by == -signal.SIGALRM:
        return Verdict(exercise.id, "too slow", f"no answer in {seconds:g} s: does a loop never end?")
    if not text:
        return Verdict(exercise.id, "crashed", f"the process ended with {ended_by}")
    return Verdict(exercise.id, *json.loads(text))


def _answer(sink: int, exercise: Exercise, submission: Submission, name: str, seconds: float, memory: int) -> None:
    """Write status and message to ``sink`` and end the process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # what students print is no verdict
        os.dup2(nowhere, descriptor)
    # The default action of the alarm ends the process, inside compiled code as well.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    limit_memory(memory)
    try:
        function = submission.run(name)
        is_none = Verdict(exercise.id, "mistake", f"{name} is no function.")
        verdict = check(exercise.id, function) if callable(function) else is_none
    except MemoryError:
        verdict = Verdict(exercise.id, "too much memory", f"more than {memory / 2**20:.0f} MiB")
    except BaseException as error:
        verdict = Verdict(exercise.id, "crashed", f"{type(error).__name__}: {error}")
    with contextlib.suppress(OSError), open(sink, "w", encoding="utf-8") as out:
        json.dump([verdict.status, verdict.message], out)
    os._exit(0)


def main() -> None:
    """Read jobs from the standard input, write lists of verdicts to the standard output."""
    jobs = json.load(sys.stdin)
    known = {id: find(id) for job in jobs for id in job["ids"]}
    verdicts = []
    for job in jobs:
        submission = Submission(job["cells"])
        found = [judge(known[id], submission, job["seconds"], job["memory"]) for id in job["ids"]]
        verdicts.append([vars(verdict) for verdict in found])
    json.dump(verdicts, sys.stdout)


if __name__ == "__main__":
    main()
