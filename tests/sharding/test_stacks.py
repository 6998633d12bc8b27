"""A worker trains its shards as one stack of replicas: quicker, and to the bit what each gives alone."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from privlab.learning import char_model, mlp, softmax_regression
from privlab.sharding import workers
from privlab.sharding.sources import PlainShards
from privlab.sharding.workers import Job, Task, Unit, fixed_point, pack, run, unpack

SIZES, BAD = (40, 7, 40, 23, 7, 40, 40), 2  # batches of 16 and of 7
MODELS = {
    "softmax": softmax_regression(12, 3),
    "relu": mlp([12, 9, 3]),
    "tanh": mlp([12, 5, 6, 3], activation="tanh"),
    "tokens": char_model(11, context=12, embedding=3, hidden=8),
}


def task_of(model, folder, **settings):
    rng, ends = np.random.default_rng(0), np.cumsum([0, *SIZES])
    x = rng.standard_normal((ends[-1], 12), np.float32)
    if model.vocabulary_size:
        x = rng.integers(model.vocabulary_size, size=x.shape)
    else:
        x[ends[BAD] : ends[BAD + 1]] = np.nan
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", rng.integers(model.classes, size=len(x)))
    job = Job(model, False, 5, 16, 0.3, 0.0, None, 0)
    units = [
        Unit(shard, PlainShards(str(folder)), start, stop, 0, stop - start, 0.1 + shard / 10, "")
        for shard, (start, stop) in enumerate(pairwise(ends.tolist()))
    ]
    return Task(replace(job, **settings), tuple(units), 3, model.init(1))


def answered(task):
    answer = unpack(run(pack(task)))
    return {name: array.tobytes() for name, array in answer.sums.items()}, answer


@pytest.mark.parametrize("settings", [{}, {"proximal": 0.2}, {"norm_bound": 2.0}], ids=str)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_stack_gives_what_its_shards_give_alone(model, settings, tmp_path, monkeypatch):
    task = task_of(model, tmp_path, **settings)
    sums, together = answered(task)
    assert [sorted(stack) for stack in workers._stacks(task)] == [[0, 2, 3, 5, 6], [1, 4]]
    monkeypatch.setattr(workers, "STACK", 1)
    assert [len(stack) for stack in workers._stacks(task)] == [1] * len(SIZES)
    alone_sums, alone = answered(task)
    assert sums == alone_sums
    assert (together.loss, together.examples, together.refused) == (alone.loss, alone.examples, alone.refused)
    assert any(np.frombuffer(array, np.int64).any() for array in sums.values())
    assert [k for k, _ in together.refused] == ([] if model.vocabulary_size else [BAD])
    each = [answered(replace(task, units=(unit,)))[1].sums for unit in task.units]
    for name, array in together.sums.items():
        assert np.array_equal(array, sum(one[name] for one in each))


def test_what_costs_the_same_gets_the_same_time_in_the_order_of_the_shards(tmp_path):
    _, answer = answered(task_of(MODELS["relu"], tmp_path))
    assert [shard for shard, _, _ in answer.spans] == list(range(len(SIZES)))
    lengths = np.array([end - start for _, start, end in answer.spans])
    for stack in ([0, 2, 3, 5, 6], [1, 4]):
        assert (lengths > 0).all()
        assert np.ptp(lengths[stack]) < 1e-6
        assert all(answer.spans[a][2] <= answer.spans[b][1] + 1e-6 for a, b in pairwise(stack))


def test_a_secure_sum_s_vector_is_the_update_of_a_stack_of_one(tmp_path):
    task = task_of(MODELS["relu"], tmp_path)
    alone = answered(replace(task, units=task.units[:1]))[1]
    for name, array in workers.computed(task, task.units[0]).items():
        assert np.array_equal(fixed_point(array), alone.sums[name])
    with pytest.raises(FloatingPointError, match="the update of shard 2 in round 3 holds a value that is NaN"):
        workers.computed(task, task.units[BAD])
