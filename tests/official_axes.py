"""A weight layer and a current in the official axes, [T, B, C, H, W]."""

import numpy as np

from sdt_ref import SpikeEvents
from sdt_ref.engine.run import Run
from sdt_ref.engine.stored import StoredCurrent
from sdt_ref.engine.storing import store
from sdt_ref.engine.synapse import Synapse
from sdt_ref.weights.folding import Layer


def random_layer(rng: np.random.Generator, outputs: int, inputs: int, window: int, dtype: type) -> Layer:
    weight: np.ndarray = rng.standard_normal((outputs, inputs, window, window)).astype(dtype)
    return Layer(weight, rng.standard_normal(outputs).astype(dtype))


def current_of(layer: Layer, spikes: np.ndarray, run: Run) -> np.ndarray:
    """Official axes: [T, B, C_out, H, W]."""
    stream = store(Synapse("layer", layer)(SpikeEvents.from_dense(spikes)), run)
    return np.moveaxis(stream.array.reshape(*stream.grid, -1), -1, 2)


def stream_of(current: np.ndarray) -> StoredCurrent:
    """From official axes."""
    T, B, C, H, W = current.shape
    return StoredCurrent.from_array((T, B, H, W), np.moveaxis(current, 2, -1).reshape(T, -1, C))
