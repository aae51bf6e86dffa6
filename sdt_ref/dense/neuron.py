"""Leaky integrate-and-fire neurons, step by step, in floating point and in whole numbers: the one copy in NumPy."""

import numpy as np

from ..fixed.formats import shifted_right
from ..fixed.quantise import FixedNeuron
from ..weights.folding import NeuronParameters


def step(
    neuron: NeuronParameters, x: np.ndarray, v: np.ndarray, scale: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One time step: charge, fire, reset to 0.

    h = v + (x - v) * leak; a spike where h >= threshold; v = 0 where it spikes, else h

    Parameters
    ----------
    x, v : input, and membrane before it; of one shape, in the neuron's arithmetic (whole numbers as int64)
    scale : in fixed point, of the threshold: the number of tokens where the input stands for their mean

    Returns
    -------
    h, spikes, v : membrane before the reset; bool; membrane behind it
    """
    if isinstance(neuron, FixedNeuron):
        h = v + _leaked(neuron, x - v)
        spikes = h >= int(neuron.threshold) * scale
    else:
        h = v + (x - v) * neuron.leak
        spikes = h >= neuron.threshold
    return h, spikes, np.where(spikes, h.dtype.type(0), h)


def steps(neuron: NeuronParameters, x: np.ndarray, scale: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All time steps from rest: x [T, ...] -> h, spikes (uint8), v, each [T, ...]; see `step`."""
    h, spikes, v = np.empty_like(x), np.empty(x.shape, np.uint8), np.empty_like(x)
    before = np.zeros_like(x[0])
    for t in range(len(x)):
        h[t], spikes[t], v[t] = step(neuron, x[t], before, scale)
        before = v[t]
    return h, spikes, v


def _leaked(neuron: FixedNeuron, difference: np.ndarray) -> np.ndarray:
    """The difference times the leak: its terms are shifted to the finest of them, added, and rounded once."""
    finest = max((shift for _, shift in neuron.leak_terms), default=0)
    total = np.zeros_like(difference)
    for sign, shift in neuron.leak_terms:
        total += sign * (difference << (finest - shift))
    return shifted_right(total, finest, neuron.leak_rounding)
