"""Models and training, NumPy only."""

from privlab.learning.features import hog
from privlab.learning.layers import Parameters
from privlab.learning.models import Model, char_model, mlp, softmax_regression
from privlab.learning.small import class_means, output_perturbation, private_gradient_descent
from privlab.learning.training import TrainingRun, train

__all__ = [
    "Model",
    "Parameters",
    "TrainingRun",
    "char_model",
    "class_means",
    "hog",
    "mlp",
    "output_perturbation",
    "private_gradient_descent",
    "softmax_regression",
    "train",
]
