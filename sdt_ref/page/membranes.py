"""Histograms of membranes around their threshold, taken while the network runs."""

import numpy as np

from ..dense import steps
from ..engine.monitor import Monitor
from ..fixed.quantise import FixedNeuron
from ..network.model import SpikeDrivenTransformer

LOWEST, HIGHEST = -2, 3  # in thresholds; what lies beyond is counted in the outermost bins
PER_THRESHOLD = 8  # bins
BINS = (HIGHEST - LOWEST) * PER_THRESHOLD
FIRING = (1 - LOWEST) * PER_THRESHOLD  # the first bin in which neurons fire


class Histograms(Monitor):
    """Keeps the spikes of a run, and of the currents only what the membranes make of them.

    It takes what `record="currents"` records, one layer at a time: all currents of a large network at 288 pixels
    would be half a gigabyte.

    Parameters
    ----------
    model : that will run

    Attributes
    ----------
    counts : by neuron layer, neurons by membrane h before the reset, in bins of 1/8 threshold: int64[T, BINS]. Those
        from bin FIRING on fire.
    """

    in_turn = True

    def __init__(self, model: SpikeDrivenTransformer) -> None:
        super().__init__(spikes=True, numbers=True)
        self.counts: dict[str, np.ndarray] = {}
        self._neurons = model.neurons
        self._tokens = 1

    def add_neurons(self, module: str, currents: np.ndarray, sums: np.ndarray | None) -> None:
        """See Monitor; currents are [T, 1, ...]."""
        neuron, scale = self._neurons[module], 1
        if isinstance(neuron, FixedNeuron) and module == "head_lif":  # the mean over tokens is not divided
            scale = self._tokens
        h, spikes, _ = steps(neuron, currents, scale)
        threshold = float(neuron.threshold) * scale
        self.counts[module] = np.stack([_binned(h[t], threshold, spikes[t] > 0) for t in range(len(h))])

    def add_stream(self, module: str, stream: np.ndarray, sums: np.ndarray | None) -> None:
        """See Monitor; only its number of tokens is kept."""
        self._tokens = stream.shape[3] * stream.shape[4]


def _binned(h: np.ndarray, threshold: float, fired: np.ndarray) -> np.ndarray:
    """Neurons in each bin, int64[BINS]; rounding moves none across the threshold."""
    scaled = np.floor(h.astype(np.float64) * (PER_THRESHOLD / threshold)) - LOWEST * PER_THRESHOLD
    bins = np.fmin(np.fmax(scaled, 0), BINS - 1).astype(np.int64)
    bins = np.where(fired, np.maximum(bins, FIRING), np.minimum(bins, FIRING - 1))
    return np.bincount(bins.ravel(), minlength=BINS)
