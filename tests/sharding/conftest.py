"""A Dask cluster of two processes for the whole folder: it takes seconds to start."""

from collections.abc import Iterator
from typing import Any

import pytest
from needed import require


@pytest.fixture(scope="session")
def dask_client() -> Iterator[Any]:
    require("distributed")
    import dask
    from distributed import Client, LocalCluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENBLAS_NUM_THREADS", "2")  # something for the executor to limit
        with dask.config.set({"distributed.scheduler.allowed-failures": 0}):  # each death takes seconds
            cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        yield client
