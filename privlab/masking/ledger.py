"""What a run released, step by step: epsilon is computed from this record, never from what was planned."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import ceil, sqrt
from typing import Any

from privlab import arguments
from privlab.masking.accounting import METHODS, checked_delta, checked_steps, spent
from privlab.masking.correlated import Correlation
from privlab.masking.rdp import Steps

OPERATING_SYSTEM, SEEDED = "operating system", "seeded: not private"  # where sampling and noise may come from
SAMPLERS = ("poisson", "full", "shuffle", "cyclic", "none")


@dataclass(frozen=True)
class Release:
    """Equal consecutive steps of a run; ``planned`` is how many the run was to have, None where no plan was given."""

    sampler: str
    sampling_rate: float
    noise_multiplier: float
    steps: int
    correlation: Correlation | None = None
    planned: int | None = None

    @property
    def sensitivity(self) -> float:
        """L2 norm, in clip norms, of all that one record can change in these steps, begun with a pass; without amplification."""
        batches = batches_per_pass(self.sampling_rate)
        if self.correlation is not None:
            return self.correlation.sensitivity(self.steps, batches)
        return sqrt(ceil(self.steps / batches))

    def __str__(self) -> str:
        noise = f", {self.correlation} noise" if self.correlation else ""
        rates = f"sampling rate {self.sampling_rate:g}, noise multiplier {self.noise_multiplier:g}"
        stopped = f" of {self.planned}" if self.planned not in (None, self.steps) else ""
        return f"{self.steps}{stopped} steps, {self.sampler}, {rates}{noise}"


@dataclass
class Ledger:
    """What one run did, step by step; epsilon is computed from it and from nothing else.

    Parameters
    ----------
    noise_source : str
        Where sampling and noise came from, "operating system" or "seeded: not private". It does not enter epsilon: who
        knows the seed of a seeded run knows its noise.
    entries : list of Release
        In order; equal consecutive steps are one entry.

    Examples
    --------
    >>> ledger = Ledger()
    >>> for _ in range(1000):
    ...     ledger.record("poisson", 0.01, 1.0)
    >>> print(ledger)
    1000 steps, poisson, sampling rate 0.01, noise multiplier 1 (noise: operating system)
    """

    noise_source: str = OPERATING_SYSTEM
    entries: list[Release] = field(default_factory=list)

    @classmethod
    def for_seed(cls, noise_seed: int | None) -> "Ledger":
        """Return an empty ledger of a run whose sampling and noise have this seed; None is the operating system."""
        return cls(OPERATING_SYSTEM if noise_seed is None else SEEDED)

    def followed_by(self, later: "Ledger") -> "Ledger":
        """Return the ledger of both runs together; one seeded run makes the whole "not private"."""
        source = SEEDED if SEEDED in (self.noise_source, later.noise_source) else OPERATING_SYSTEM
        return Ledger(source, [*self.entries, *later.entries])

    def record(
        self,
        sampler: str | None,
        sampling_rate: float,
        noise_multiplier: float,
        steps: int = 1,
        correlation: Correlation | None = None,
        planned: int | None = None,
    ) -> None:
        """Add steps that were released. A step whose batch was empty is recorded like any other.

        Steps equal to those before them carry the same run on, in its passes and in its noise, until it has the planned ones. A run
        after one that stopped early needs a ledger of its own: see `followed_by`.

        Parameters
        ----------
        sampler : {"poisson", "full", "shuffle", "cyclic", "none", None}
            How the batch was drawn; "none" for training without privacy.
        sampling_rate : float
            In [0, 1]; 1 where the sampler is "full", above 0 where it is "shuffle", 1/b for a whole b where it is "cyclic".
        noise_multiplier : float
            Standard deviation of a step's fresh noise in units of the clip norm, at least 0.
        steps : int
            At least 1.
        correlation : Correlation or None
            How noise depends on earlier steps' noise, only for "cyclic" and "full"; None where it does not.
        planned : int or None
            Steps of the whole run, where that is known.

        Raises
        ------
        ValueError
            If an argument is outside its range.
        """
        sampler = arguments.choice("sampler", "none" if sampler is None else sampler, SAMPLERS)
        rate, sigma, count = checked_steps(noise_multiplier, sampling_rate, steps)
        check_sampler("sampler", sampler, rate, correlation)
        whole = None if planned is None else arguments.whole("planned", planned)
        new = Release(sampler, rate, sigma, count, correlation, whole)
        done = self.entries[-1].steps if self.entries else 0
        done = done if done and self.entries[-1] == replace(new, steps=done) and done != whole else 0
        if whole is not None and done + count > whole:
            raise ValueError(f"steps is {steps}, but must be <= {whole - done}, what is left of the plan")
        if done:
            self.entries.pop()
        self.entries.append(replace(new, steps=done + count))

    def epsilon(self, delta: float, method: str = "pld") -> float:
        """Upper bound on what the run spent at ``delta``; 0 where nothing was released.

        "poisson" is amplified by sampling, "full" is rate 1. "shuffle" is charged without amplification: a record takes
        part once per pass of ``floor(1 / sampling_rate)`` batches, so each pass begun costs one Gaussian release (for
        neighbours that differ in one record replaced by nothing). "cyclic" and all correlated noise is one Gaussian release whose
        sensitivity is `Release.sensitivity`, exactly, for the same neighbours. "none" costs infinitely much.

        Only steps done count. A run that was stopped in view of its own results spent what was planned: ask `PrivacyPlan.epsilon`.

        Parameters
        ----------
        delta : float
            In (0, 1); "pld" needs at least 1e-10 unless nothing is amplified.
        method : {"pld", "rdp"}

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If an argument is outside its range.
        """
        delta = checked_delta(delta)
        arguments.choice("method", method, METHODS)
        return spent(tuple(_charges(self.entries)), delta, method)

    def as_record(self) -> dict[str, Any]:
        """Return the ledger as plain lists, numbers and strings, for JSON."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Ledger":
        """Rebuild a ledger from `as_record`, checking every entry as `record` does. Equal entries are two runs and stay apart."""
        ledger = cls(record["noise_source"])
        for entry in record["entries"]:
            given, alone = entry.get("correlation"), cls()
            alone.record(**{**entry, "correlation": given and Correlation(**given)})
            ledger.entries.extend(alone.entries)
        return ledger

    def __str__(self) -> str:
        return ("\n".join(map(str, self.entries)) or "nothing released") + f" (noise: {self.noise_source})"


def batches_per_pass(sampling_rate: float) -> int:
    """Batches into which a pass deals the records: ``floor(1 / sampling_rate)``, forgiving rounding."""
    return int(1 / sampling_rate + 1e-9)


def check_sampler(name: str, sampler: str, rate: float, correlation: Correlation | None) -> None:
    """Refuse a rate or a correlation that does not go with the sampler; ``name`` is what the caller calls the sampler."""
    if correlation is not None and sampler not in ("cyclic", "full"):
        raise ValueError(f"{name} is {sampler!r}, but must be 'cyclic' or 'full' where noise is correlated")
    if sampler == "full" and rate != 1:
        raise ValueError(f"sampling_rate is {rate!r}, but must be 1 where {name} is 'full'")
    if sampler in ("shuffle", "cyclic") and rate == 0:
        raise ValueError(f"sampling_rate is {rate!r}, but must be > 0 where {name} is {sampler!r}")
    if sampler == "cyclic" and abs(batches_per_pass(rate) * rate - 1) > 1e-9:
        raise ValueError(f"sampling_rate is {rate!r}, but must be 1/b for a whole number b where {name} is 'cyclic'")


def _charges(entries: Sequence[Release]) -> Iterator[Steps]:
    """What each entry is charged as. A later shuffled entry may begin in mid-pass, hence touch one pass more."""
    shuffled_before = False
    for entry in entries:
        if entry.sampler == "none":
            yield Steps(1.0, 0.0, entry.steps)
        elif entry.sampler == "shuffle":
            batches = batches_per_pass(entry.sampling_rate)
            passes = 1 + ceil((entry.steps - 1) / batches) if shuffled_before else ceil(entry.steps / batches)
            shuffled_before = True
            yield Steps(1.0, entry.noise_multiplier, passes)
        elif entry.sampler == "cyclic" or entry.correlation is not None:
            yield Steps(1.0, entry.noise_multiplier / entry.sensitivity, 1)
        else:
            yield Steps(entry.sampling_rate, entry.noise_multiplier, entry.steps)
