"""Data over workers, tasks over time."""

from privlab.sharding.clusters import from_dask, from_mpi
from privlab.sharding.conformance import check_executor
from privlab.sharding.costs import Calibration, RoundCost, best_workers, calibrate, round_cost
from privlab.sharding.engines import InProcess, ProcessPool, WorkerLost, process_pool
from privlab.sharding.partition import (
    Imbalance,
    Sensitivity,
    imbalance,
    partition,
    partition_sensitivity,
    rebalance,
)
from privlab.sharding.rounds import ShardedRun, train_sharded
from privlab.sharding.schedule import lower_bound, replay, schedule, split_counts, static_blocks, submission_order
from privlab.sharding.sources import SealedShards
from privlab.sharding.state import Fault, Round
from privlab.sharding.trace import Event, Trace

__all__ = [
    "Calibration",
    "Event",
    "Fault",
    "Imbalance",
    "InProcess",
    "ProcessPool",
    "Round",
    "RoundCost",
    "SealedShards",
    "Sensitivity",
    "ShardedRun",
    "Trace",
    "WorkerLost",
    "best_workers",
    "calibrate",
    "check_executor",
    "from_dask",
    "from_mpi",
    "imbalance",
    "lower_bound",
    "partition",
    "partition_sensitivity",
    "process_pool",
    "rebalance",
    "replay",
    "round_cost",
    "schedule",
    "split_counts",
    "static_blocks",
    "submission_order",
    "train_sharded",
]
