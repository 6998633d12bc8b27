"""What a benchmark found, as data: printed by each script, and put together as one page by ``python -m benchmarks``."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module, metadata


def spread(values: Sequence[float]) -> str:
    """Write the median, and in brackets the smallest and the largest, in three figures or so.

    >>> spread([3, 1, 2]), spread([41.26])
    ('2.00 (1.00 to 3.00)', '41.3 (41.3 to 41.3)')
    """
    middle = statistics.median(values)
    digits = 3 if abs(middle) < 0.1 else 2 if abs(middle) < 10 else 1 if abs(middle) < 100 else 0
    return "{:,.{d}f} ({:,.{d}f} to {:,.{d}f})".format(middle, min(values), max(values), d=digits)


def version(*packages: str) -> dict[str, str]:
    """Return the versions of packages of this environment."""
    return {name: metadata.version(name) for name in packages}


@dataclass(frozen=True)
class Line:
    """One quantity, measured several times.

    Attributes
    ----------
    what : str
        For a ratio, "A over B".
    values : sequence of float
        One of each pair of runs, or of each setting.
    at_least, at_most : float or None
        The target of the median, if there is one.
    """

    what: str
    values: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def target(self) -> str:
        """The target in words, or nothing."""
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return "" if self.at_most is None else f"at most {self.at_most:g}"

    @property
    def met(self) -> bool:
        """Whether the median is as the target asks; true where there is none."""
        middle = statistics.median(self.values)
        return (self.at_least is None or middle >= self.at_least) and (self.at_most is None or middle <= self.at_most)


@dataclass(frozen=True)
class Comparison:
    """What one script found.

    Attributes
    ----------
    title, setting : str
        What was compared, and on what work.
    lines : sequence of Line
        What was measured.
    versions : mapping of str to str
        Of both sides, by the packages' names.
    notes : sequence of str
        What is fair to say of both sides, which peers were missing and why, and the profile where a target was missed.
    figure : str or None
        File name of a picture.
    """

    title: str
    setting: str
    lines: Sequence[Line]
    versions: Mapping[str, str]
    notes: Sequence[str] = ()
    figure: str | None = None

    def markdown(self) -> str:
        """Return a section of a page."""
        return "\n".join(self._markdown())

    def noting(self, *notes: str) -> "Comparison":
        """Return this with more notes."""
        return replace(self, notes=[*self.notes, *notes])

    def _markdown(self) -> Iterator[str]:
        yield f"## {self.title}\n\n{self.setting}\n"
        yield "| | median (smallest to largest) | target | met |\n|---|---|---|---|"
        for line in self.lines:
            met = ("yes" if line.met else "**no**") if line.target else ""
            yield f"| {line.what} | {spread(line.values)} | {line.target} | {met} |"
        yield ""
        if self.figure:
            yield f"![{self.title}]({self.figure})\n"
        yield from (f"- {note}" for note in self.notes)
        yield "- Versions: " + ", ".join(f"{name} {version}" for name, version in self.versions.items()) + ".\n"


def measured(command: str) -> Comparison:
    """Run one comparison, a module's name and its arguments. (Not in ``__main__``: a new process does not find what is there.)"""
    name, *arguments = command.split()
    return import_module(f"benchmarks.{name}").main(arguments)
