"""Models and training, NumPy only."""

from privlab.learning.layers import Parameters
from privlab.learning.models import Model, char_model, mlp, softmax_regression
from privlab.learning.training import TrainingRun, train

__all__ = ["Model", "Parameters", "TrainingRun", "char_model", "mlp", "softmax_regression", "train"]
