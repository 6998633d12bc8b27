"""Rounds of training over shards, on any `concurrent.futures.Executor`: hand out tasks, add up answers, step.

Data travel as references to memory-mapped files, updates as whole numbers: the same synchronous job gives the same bits in this
process, on a pool, on Dask or MPI, in whatever order its tasks end, on one kind of CPU.
"""

import hashlib
import math
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from privlab import arguments
from privlab.encryption import Identity, Recipient
from privlab.files import source_digest
from privlab.learning.layers import Parameters
from privlab.learning.models import Model
from privlab.masking import Ledger, PrivacyPlan
from privlab.randomness import new_secret
from privlab.sharding.asynchronous import AsynchronousServer, Asynchrony
from privlab.sharding.engines import InProcess, process_pool
from privlab.sharding.layout import Data, by_shard, grouped
from privlab.sharding.schedule import submission_order
from privlab.sharding.secure import SecureServer, write_directory
from privlab.sharding.server import FAULTS, Server, size
from privlab.sharding.sources import SealedShards
from privlab.sharding.spending import ledgers_of, releases_within
from privlab.sharding.state import Checkpoint, Fault, Round, State
from privlab.sharding.trace import POLICIES, Trace
from privlab.sharding.workers import Job, digest

MODES, TRUSTS = ("synchronous", "asynchronous"), ("central", "secure-sum", "local")
GROUPS = 8  # tasks per worker in a round: few enough to cost little, enough to even out
SECURE_NORM = 10.0  # bound on updates of a secure sum where none is given: fixed point needs one


@dataclass(frozen=True)
class ShardedRun:
    """What a run over shards produced.

    Attributes
    ----------
    parameters : dict of str to ndarray
    history : tuple of Round
        One for each round done: fewer than asked for if the run was interrupted.
    trace : Trace
        An event for each shard and round; in a secure sum, for each step of the protocol.
    ledgers : tuple of Ledger
        What was released of the records of each shard.
    faults : tuple of Fault
        Updates that were not used.
    """

    parameters: Parameters
    history: tuple[Round, ...]
    trace: Trace
    ledgers: tuple[Ledger, ...] = field(repr=False)
    faults: tuple[Fault, ...] = ()

    @property
    def ledger(self) -> Ledger:
        """That of the shard of which most was released.

        It is the run's where one record changes one shard only (see `privlab.sharding.partition_sensitivity`), and always in
        synchronous runs of trust "central" and "secure-sum", where noise covers all shards together.
        """
        return max(self.ledgers, key=lambda ledger: sum(entry.steps for entry in ledger.entries))

    def epsilon(self, delta: float) -> float:
        """Return what the run spent at ``delta``: the largest of `epsilons`; infinite without noise."""
        return float(self.epsilons(delta).max())

    def epsilons(self, delta: float) -> NDArray[np.float64]:
        """Return what was spent of any record of each shard, shape (shards,)."""
        spent = {
            str(ledger): ledger.epsilon(delta) for ledger in {str(ledger): ledger for ledger in self.ledgers}.values()
        }
        return np.array([spent[str(ledger)] for ledger in self.ledgers])


def train_sharded(
    model: Model,
    x: ArrayLike | None,
    y: ArrayLike | None,
    shards: Sequence[ArrayLike] | SealedShards,
    *,
    rounds: int,
    local_steps: int,
    batch_size: int,
    learning_rate: float,
    workers: int | None = None,
    executor: Executor | None = None,
    mode: str = "synchronous",
    trust: str = "central",
    privacy: PrivacyPlan | None = None,
    proximal: float = 0.0,
    policy: str = "longest-first",
    faults: str = "raise",
    norm_bound: float | None = None,
    buffer: int = 1,
    staleness_power: float = 0.5,
    speeds: Sequence[float] | None = None,
    budget: tuple[float, float] | None = None,
    start: Parameters | None = None,
    evaluate: Callable[[Parameters], float] | None = None,
    scratch: str | Path | None = None,
    checkpoint: str | Path | None = None,
    recipients: Sequence[Recipient] = (),
    identities: Sequence[Identity] = (),
    seed: int = 0,
    noise_seed: int | None = None,
    progress: bool = False,
) -> ShardedRun:
    """Train one model on data split over shards (federated averaging, McMahan et al. 2017).

    In a synchronous round every shard starts from the same parameters and makes ``local_steps`` steps; the changes are averaged
    by the shards' sizes, which are taken to be public. With one local step that is the gradient step of all shards' batches
    together. In asynchronous training an update is used when it arrives (`privlab.sharding.asynchronous`).

    Parameters
    ----------
    model : Model
    x, y : array_like, shapes (n, features) and (n,), or None
        Records and their classes; None where the shards are sealed.
    shards : sequence of int arrays, or SealedShards
        Rows of each shard, from `privlab.sharding.partition`. Empty ones are left out.
    rounds, local_steps : int
        Asynchronous: ``rounds`` times the number of shards is the number of tasks.
    batch_size : int
        Records in a step of one shard; all of them where it has fewer. With privacy, the public divisor
        ``round(privacy.sampling_rate * n)``, n counting all records.
    learning_rate : float
    workers : int or None
        Processes of a pool that lives as long as the run; None with no ``executor`` either runs in this process.
    executor : concurrent.futures.Executor or None
        Where tasks run otherwise, such as `from_dask` or `from_mpi`; it is left open.
    mode : {"synchronous", "asynchronous"}
    trust : {"central", "secure-sum", "local"}
        Whom the records' owners trust. "central": the server sees the updates of shards, of small ones that share a task their
        sum; with privacy, shards send sums of clipped gradients of one step, and noise is added once. "secure-sum": the same
        sums, but the server sees masked vectors and their total, to which it adds the noise; synchronous only. "local": with
        privacy, each shard runs DP-SGD and the server sees only noisy changes.
    privacy : PrivacyPlan or None
        Sampling "poisson" or "full"; its steps are ``rounds * local_steps``. Asynchronous runs in real time are charged without
        amplification: when an update arrives depends on how large its batch was.
    proximal : float
        Pull of each local step towards the round's start, at least 0 (FedProx, Li et al. 2020).
    policy : {"longest-first", "dynamic", "static"}
        Order in which tasks are handed to the executor's queue: the largest first, or as they come. "static" is refused: a queue
        has no fixed blocks (see `privlab.sharding.schedule` for what they would cost).
    faults : {"raise", "drop", "retry"}
        What follows a task that fails, or an update that is NaN, infinite, of the wrong shape or over its bound: an error; the
        round goes on without it (in a private run of trust "central" whoever sees that learns it); or the same task again, up to
        three times. What was dropped is in the result and in a warning.
    norm_bound : float or None
        Largest L2 norm of an update, above 0; not with clipped gradients, which have one. A secure sum needs one: 10 by default.
    buffer : int
        Asynchronous: updates that make a step of the server; at most the number of shards.
    staleness_power : float
        Asynchronous: an update as stale as the mean counts ``2 ** -staleness_power``; at least 0.
    speeds : sequence of float, or None
        Asynchronous: of virtual workers, in records per second, above 0. Results are used in the order of a virtual clock, which
        can be replayed, wherever they are computed. None: in the order of arrival.
    budget : (epsilon, delta) or None
        Asynchronous: a shard that has spent it is not asked again.
    start : dict of str to ndarray, or None
        Initial parameters; by default those of ``seed``.
    evaluate : callable or None
        Called with the parameters after each round; what it returns is in the history. It sees what it is given: its result is not
        covered by a guarantee.
    scratch : path or None
        Folder in which the records are laid out for the workers, who must see it too; the system's temporary folder by default.
    checkpoint : path or None
        File in which the run survives. Where it holds a state of the same job, the run goes on from there: a synchronous one gives
        the same bits as if it had never stopped. It holds the run's secret (mode 0600).
    recipients, identities : sequences of Recipient and of Identity
        Seal the checkpoint for the former; the latter open it.
    seed : int
        Public seed of the initial parameters, and of the batches without privacy.
    noise_seed : int or None
        None draws sampling and noise from the operating system. A seed makes a private run reproducible, and marks its ledger.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    ShardedRun
        Of the rounds done, with a warning, if the run was interrupted.

    Raises
    ------
    ValueError
        If an argument is not allowed, before any work is done; if an update is refused (see ``faults``); or if the checkpoint is
        of another job or cannot be read.

    Notes
    -----
    All secrets of shards come from the run's, which the driver holds: in this simulation it plays every shard. No message to or
    from a worker holds one; workers read their shard's from a file.

    Examples
    --------
    >>> from privlab.learning import softmax_regression
    >>> x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> shards = [np.array([0, 1, 2]), np.array([3])]
    >>> run = train_sharded(softmax_regression(4, 2), x, y, shards, rounds=20, local_steps=2, batch_size=2, learning_rate=0.5)
    >>> run.history[-1].loss < run.history[0].loss
    True
    """
    data = Data.checked(model, x, y, shards)
    job = Job(
        model=model,
        gradients=trust != "local" and local_steps == 1,
        local_steps=arguments.whole("local_steps", local_steps),
        batch_size=arguments.whole("batch_size", batch_size),
        learning_rate=arguments.real("learning_rate", learning_rate, above=0),
        proximal=arguments.real("proximal", proximal, at_least=0),
        privacy=privacy,
        seed=arguments.whole("seed", seed, at_least=0),
        norm_bound=None if norm_bound is None else arguments.real("norm_bound", norm_bound, above=0),
    )
    _check_combination(job, arguments.whole("rounds", rounds), data, mode, trust, policy, faults)
    if trust == "secure-sum" and privacy is None and norm_bound is None:
        job = replace(job, norm_bound=SECURE_NORM)
    if workers is not None and executor is not None:
        raise ValueError(f"workers is {workers!r}, but must be None where an executor is given")
    places = workers or (8 if executor else 1)
    asynchrony = _asynchrony(job, data, mode, buffer, staleness_power, speeds, budget, places)
    secret = new_secret() if noise_seed is None else hashlib.sha256(f"noise seed {noise_seed}".encode()).digest()
    state = State(_started(model.init(seed), start), secret, np.zeros(len(data.sizes), np.int64))
    if checkpoint is not None:
        settings = repr((job, rounds, mode, trust, policy, faults, asynchrony, noise_seed))
        parts = {
            "data": digest(data.contents()).hex(),
            "settings": digest([settings, *state.parameters.values()]).hex(),
            "code": source_digest("learning", "masking", "sharding", "randomness.py"),
        }
        file = Checkpoint(Path(checkpoint), parts, tuple(recipients), tuple(identities))
        state = file.load() or state
    elif recipients or identities:
        raise ValueError("recipients or identities are given, but checkpoint is None")

    def save() -> None:
        if checkpoint is not None:
            file.save(state)

    with ExitStack() as stack:
        home = stack.enter_context(data.laid_out(state.secret, scratch))
        engine = executor or stack.enter_context(InProcess() if workers is None else process_pool(workers))
        units = data.units(job, home, whole=asynchrony is not None)
        if asynchrony is not None:
            units = [units[i] for i in submission_order([unit.last for unit in units], policy)]
            tasks = rounds * len(units)
            losses = AsynchronousServer(job, units, asynchrony, engine, state, faults, tasks, save).rounds()
        else:
            groups = by_shard(units) if trust == "secure-sum" else grouped(units, GROUPS * places)
            groups = [groups[i] for i in submission_order([size(group) for group in groups], policy)]
            secure_sum = None
            if trust == "secure-sum":
                write_directory(home, [group[0].shard for group in groups])
                secure_sum = SecureServer(job, groups, engine, state, faults).sum
            losses = Server(job, groups, engine, state, faults, secure_sum).rounds(rounds)
        stack.enter_context(closing(losses))
        bar = stack.enter_context(
            tqdm(total=rounds, initial=len(state.history), disable=not progress, desc="rounds", unit="round")
        )
        before = state.seconds
        try:
            for loss in losses:
                seconds, before = state.seconds - before, state.seconds
                score = None if evaluate is None else float(evaluate(state.parameters))
                state.history.append(Round(loss, seconds, score))
                bar.update()
                if asynchrony is None:
                    save()
        except KeyboardInterrupt:
            warnings.warn(f"interrupted after {len(state.history)} of {rounds} rounds", stacklevel=2)
    if state.faults:
        named = "; ".join(fault.reason for fault in state.faults[:3])
        warnings.warn(f"{len(state.faults)} update(s) were not used: {named}", stacklevel=2)
    trace = Trace(
        tuple(state.events), (asynchrony and asynchrony.speeds) or (1.0,) * max(1, len(state.workers)), policy
    )
    ledgers = ledgers_of(job, state.releases, len(state.history), asynchrony, noise_seed)
    return ShardedRun(state.parameters, tuple(state.history), trace, ledgers, tuple(state.faults))


def _asynchrony(
    job: Job,
    data: Data,
    mode: str,
    buffer: int,
    power: float,
    speeds: Sequence[float] | None,
    budget: tuple[float, float] | None,
    places: int,
) -> Asynchrony | None:
    shards = sum(size > 0 for size in data.sizes)
    if arguments.whole("buffer", buffer) > shards:
        raise ValueError(f"buffer is {buffer}, but must be <= {shards}, the number of shards: each is in it once")
    arguments.real("staleness_power", power, at_least=0)
    rates = None if speeds is None else tuple(arguments.real("speeds", speed, above=0) for speed in speeds)
    if rates == ():
        raise ValueError("speeds is empty, but must have one value for each virtual worker")
    limit = math.inf if budget is None else releases_within(job, budget, by_arrival=rates is None)
    if mode == "asynchronous":
        return Asynchrony(len(rates) if rates else places, buffer, power, rates, limit)
    for name, value, default in (("buffer", buffer, 1), ("speeds", speeds, None), ("budget", budget, None)):
        if value != default:
            raise ValueError(f"{name} is {value!r}, but must be {default} where mode is 'synchronous'")
    return None


def _started(drawn: Parameters, start: Parameters | None) -> Parameters:
    """Return the initial parameters: copies of ``start`` where given."""
    if start is None:
        return drawn
    given = {name: np.asarray(array) for name, array in start.items()}
    if {name: array.shape for name, array in given.items()} != {name: array.shape for name, array in drawn.items()}:
        raise ValueError("start does not have the names and shapes of the model's parameters")
    return {name: arguments.finite_array("start", given[name]).astype(array.dtype) for name, array in drawn.items()}


def _check_combination(job: Job, rounds: int, data: Data, mode: str, trust: str, policy: str, faults: str) -> None:
    arguments.choice("mode", mode, MODES)
    arguments.choice("trust", trust, TRUSTS)
    arguments.choice("policy", policy, POLICIES)
    arguments.choice("faults", faults, FAULTS)
    if policy == "static":
        raise ValueError("policy is 'static', which is not available here: an executor's queue has no fixed blocks")
    if trust == "secure-sum" and (mode == "asynchronous" or sum(size > 0 for size in data.sizes) < 2):
        raise ValueError("trust is 'secure-sum', which is not available for fewer than two shards or asynchronous runs")
    plan = job.privacy
    if plan is None:
        return
    if trust != "local" and job.local_steps != 1:
        raise ValueError(f"local_steps is {job.local_steps}, but must be 1 for a private run of trust {trust!r}")
    if plan.sampling not in ("poisson", "full") or plan.correlation is not None:
        raise ValueError(f"privacy samples {plan.sampling!r}, but must sample 'poisson' or 'full', without correlation")
    if plan.steps != rounds * job.local_steps:
        raise ValueError(
            f"privacy has {plan.steps} steps, but must have {rounds * job.local_steps}: rounds * local_steps"
        )
    if job.batch_size != (public := max(1, round(plan.sampling_rate * data.records))):
        raise ValueError(f"batch_size is {job.batch_size}, but must be {public}, the sampling rate times the records")
    for name, value in (("proximal", job.proximal), ("norm_bound", job.norm_bound if job.gradients else None)):
        if value:
            raise ValueError(
                f"{name} is {value}, but must be {0 if name == 'proximal' else None} for such a private run"
            )
