"""Compiles every kernel that networks of one arithmetic need, so that only the first of all runs compiles."""

import numpy as np

from ..weights.architecture import Architecture
from ..weights.config import ModelConfig, Preprocessing
from ..weights.file import Weights
from ..weights.tensors import tensor_shapes
from .model import SpikeDrivenTransformer

SIDE = 16  # pixels: one token behind four pools


def compile_all(arithmetic: str) -> None:
    """Run the smallest networks that have every operator, in dvs mode and not, recording and not."""
    architecture = Architecture(8, 1, 2, 2, 32, "lif")
    tensors = {
        name: np.full(shape, name.endswith("running_var"), np.float32)  # silent, but for that
        for name, shape in tensor_shapes(architecture).items()
    }
    for dvs_mode in (False, True):
        config = ModelConfig(2, "1111", 1, dvs_mode, TET=False)
        weights = Weights(tensors, config, Preprocessing(SIDE), ("0", "1"), {})
        model = SpikeDrivenTransformer(weights, arithmetic, threads=1)
        for record in (False, "currents"):
            model(np.zeros((1, 2, SIDE, SIDE)), record=record)
