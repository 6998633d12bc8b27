"""Data over workers, tasks over time."""

from privlab.sharding.engines import InProcess, process_pool

__all__ = ["InProcess", "process_pool"]
