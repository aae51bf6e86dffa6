"""The engine of this project, event by event."""

import numpy as np

from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.weights.file import Weights

from .engine import Engine


def make(name: str, weights: Weights, _x: np.ndarray, threads: int) -> Engine:
    """Fold the weights."""
    model = SpikeDrivenTransformer(weights, threads=threads)

    def spikes(x: np.ndarray) -> list[np.ndarray]:
        return [events.to_dense() for events in model(x, record=True).spikes.values()]

    return Engine(name, "float32", lambda x: model(x).logits, spikes)
