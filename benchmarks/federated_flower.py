"""A federated averaging job by Flower's simulation engine; run by `benchmarks.federated_averaging` in the peer's environment."""

import sys
import time
from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from benchmarks.federated_job import BIAS, WEIGHT, Job, local_sgd, write_result


def client_app(folder: Path, job: Job) -> ClientApp:
    """One client's side: train on its records, from the parameters received."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        parameters = dict(zip((WEIGHT, BIAS), message.content["arrays"].to_numpy_ndarrays(), strict=True))
        client, number = context.node_config["partition-id"], message.content["config"]["server-round"] - 1
        trained, size = local_sgd(folder, job, parameters, client, number)
        arrays, metrics = ArrayRecord([trained[WEIGHT], trained[BIAS]]), MetricRecord({"num-examples": size})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    return app


def server_app(folder: Path, job: Job) -> ServerApp:
    """The server's side: federated averaging over all clients, nothing evaluated."""
    app = ServerApp()
    stamps: list[float] = []

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=job.clients, min_available_nodes=job.clients)
        result = strategy.start(
            grid,
            ArrayRecord([*job.initial(folder).values()]),
            job.rounds,
            evaluate_fn=lambda number, arrays: stamps.append(time.time()),
        )
        weight, bias = result.arrays.to_numpy_ndarrays()
        write_result(folder, {WEIGHT: weight, BIAS: bias}, stamps[1:])  # the first is from before all rounds

    return app


if __name__ == "__main__":
    where = Path(sys.argv[1])
    what = Job.read(where)
    resources = {
        "init_args": {"num_cpus": what.processes or 1, "include_dashboard": False},
        "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
    }
    run_simulation(server_app(where, what), client_app(where, what), what.clients, backend_config=resources)
