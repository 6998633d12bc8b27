"""A listener between the server and the workers of sharded training: the very messages that an attacker on the wire would have."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

import numpy as np

from privlab.learning.layers import Parameters
from privlab.masking.messages import Masked
from privlab.sharding.secure import Step, respond
from privlab.sharding.workers import Answer, Task, floating_point, run, unpack

P = ParamSpec("P")
T = TypeVar("T")


class Wiretap(Executor):
    """An executor that passes everything on to another and keeps what passes: who carries the messages can read them.

    Give it to `privlab.sharding.train_sharded`; each message is then turned by `message_gradient` into food for `invert_gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> from privlab.leakage.inversion import invert_gradient
    >>> from privlab.learning import softmax_regression
    >>> from privlab.sharding import InProcess, train_sharded
    >>> x, wire = np.array([[0.2, 0.7], [0.9, 0.1]], np.float32), Wiretap(InProcess())
    >>> setting = {"rounds": 1, "local_steps": 1, "batch_size": 1, "learning_rate": 0.1, "executor": wire}
    >>> run = train_sharded(softmax_regression(2, 2), x, np.array([0, 1]), [[0], [1]], **setting)
    >>> task, answer = wire.messages[0]
    >>> invert_gradient(task.job.model, task.parameters, message_gradient(task, answer)).x.round(3)
    array([[0.2, 0.7]])
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._sent: list[tuple[Any, Future[Any]]] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Pass a task on."""
        future = self._executor.submit(fn, *args, **kwargs)
        if fn in (run, respond):
            self._sent.append((args[0], future))
        return future

    @property
    def messages(self) -> list[tuple[Task, Answer | Masked]]:
        """Every task that was answered by an update, open or masked, and that answer; in the order of the tasks."""
        ended = [(message, future) for message, future in self._sent if future.done() and not future.cancelled()]
        pairs = [(unpack(message), unpack(future.result())) for message, future in ended if not future.exception()]
        opened = [(one.task, two.content) if isinstance(one, Step) else (one, two) for one, two in pairs]
        return [(task, answer) for task, answer in opened if task is not None]


def message_gradient(task: Task, answer: Answer | Masked) -> Parameters:
    """The mean gradient that a message of sharded training holds, in float64, shaped like the parameters.

    Of several shards in one message it is their average by size. Of local steps it is the mean over the steps, each at its
    own parameters, which is a gradient at the parameters sent for one step only. Clipping and noise are in it as they were sent;
    masked words are taken for the numbers that they would be without the mask, up to their scale.

    Raises
    ------
    ValueError
        If the message is of a part of a shard, or of no update that was accepted.
    """
    refused = {} if isinstance(answer, Masked) else dict(answer.refused)
    units = [unit for k, unit in enumerate(task.units) if k not in refused]
    parts = [unit for unit in units if unit.last - unit.first < unit.stop - unit.start]
    if parts or not units:
        wrong = f"a part of shard {parts[0].shard}" if parts else "no update that was accepted"
        raise ValueError(f"task has {wrong}, but must have whole shards")
    if isinstance(answer, Masked):
        ends = np.cumsum([array.size for array in task.parameters.values()])[:-1]
        pieces = zip(task.parameters.items(), np.split(answer.words.astype(np.int32) / 2.0**31, ends), strict=True)
        return {name: piece.reshape(array.shape) for (name, array), piece in pieces}
    job, divisor = task.job, sum(unit.weight for unit in units)
    if not job.gradients:
        divisor *= -job.learning_rate * job.local_steps
    elif job.privacy is not None:  # a sum over whom the sampling chose
        divisor = max(answer.examples, 1)
    return {name: array / divisor for name, array in floating_point(answer.sums).items()}
