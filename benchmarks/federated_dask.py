"""A federated averaging job by a loop over Dask's futures; run by `benchmarks.federated_averaging`."""

import sys
import time
from functools import partial
from pathlib import Path

from distributed import Client, LocalCluster

from benchmarks.federated_job import Job, average, local_sgd, write_result


def run(folder: Path, job: Job) -> None:
    """Train and write the result: a task for each client, and the average in this process."""
    parameters = job.initial(folder)
    stamps = []
    with (
        LocalCluster(n_workers=job.processes, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        for number in range(job.rounds):
            # In a list: Dask would take the names of a dict for keys, the same in every round, and send nothing new.
            [everywhere] = client.scatter([parameters], broadcast=True, hash=False)
            task = partial(local_sgd, folder, job)
            clients = range(job.clients)
            futures = client.map(task, [everywhere] * job.clients, clients, [number] * job.clients, pure=False)
            parameters = average(client.gather(futures))
            stamps.append(time.time())
    write_result(folder, parameters, stamps)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Job.read(Path(sys.argv[1])))
