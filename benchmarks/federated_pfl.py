"""A federated averaging job by pfl's simulation; run by `benchmarks.federated_averaging` in the peer's environment."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import FederatedAlgorithm
from pfl.common_types import Population
from pfl.context import CentralContext
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import MinimizeReuseUserSampler
from pfl.hyperparam.base import AlgorithmHyperParams, ModelHyperParams
from pfl.metrics import Metrics
from pfl.model.base import Model
from pfl.stats import MappedVectorStatistics

from benchmarks.federated_job import Job, local_sgd, write_result
from privlab.learning import Parameters


class Arrays(Model):
    """Parameters, as pfl wants them."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def apply_model_update(self, statistics: MappedVectorStatistics) -> tuple["Arrays", Metrics]:
        """Replace the parameters by the clients' average."""
        statistics.average()
        self.parameters = dict(statistics.items())
        return self, Metrics()


class Averaging(FederatedAlgorithm):
    """Federated averaging with the local steps of both sides."""

    def __init__(self, folder: Path, job: Job) -> None:
        super().__init__()
        self.folder, self.job, self.stamps = folder, job, []

    def get_next_central_contexts(self, model: Arrays, iteration: int, *parameters: Any) -> tuple[Any, Arrays, Metrics]:
        """All clients in every round, nothing evaluated."""
        if iteration == self.job.rounds:
            return None, model, Metrics()
        return (CentralContext(iteration, False, self.job.clients, Population.TRAIN, *parameters),), model, Metrics()

    def simulate_one_user(self, model: Arrays, user_dataset: Dataset, central_context: CentralContext) -> tuple:
        """Train a client, and weight its parameters by its records."""
        number = central_context.current_central_iteration
        trained, size = local_sgd(self.folder, self.job, model.parameters, int(user_dataset.user_id), number)
        statistics = MappedVectorStatistics(trained, weight=1)
        statistics.reweight(size)
        return statistics, Metrics()

    def process_aggregated_statistics(self, context: Any, metrics: Any, model: Arrays, statistics: Any) -> tuple:
        """End the round."""
        result = model.apply_model_update(statistics)
        self.stamps.append(time.time())
        return result


if __name__ == "__main__":
    where = Path(sys.argv[1])
    what = Job.read(where)
    users = [str(client) for client in range(what.clients)]
    empty = FederatedDataset(lambda user: Dataset((np.empty(0),), user_id=user), MinimizeReuseUserSampler(users))
    algorithm, model = Averaging(where, what), Arrays(what.initial(where))
    nothing = AlgorithmHyperParams(), SimulatedBackend(empty, empty), model, ModelHyperParams(), ModelHyperParams()
    trained = algorithm.run(*nothing)
    write_result(where, trained.parameters, algorithm.stamps)
