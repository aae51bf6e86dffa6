"""The membrane of one neuron over time, from the engine's own kernels: they step a panel that holds it alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import kernels
from ..fixed.quantise import FixedNeuron
from ..fixed.registers import WIDE, Fraction, Register, leak_steps, wider_by
from ..weights.folding import NeuronParameters


@dataclass(frozen=True)
class Membrane:
    """One neuron at all time steps; in fixed point in units of its register.

    Attributes
    ----------
    x : [T], input current
    h : [T], membrane before the reset
    v : [T], membrane after it
    spikes : bool[T]
    threshold : h at or above it is a spike
    leak : share of x - v by which v moves
    unit : what 1.0 is in these numbers
    """

    x: np.ndarray
    h: np.ndarray
    v: np.ndarray
    spikes: np.ndarray
    threshold: Any
    leak: Any
    unit: float


def membrane(parameters: NeuronParameters, x: np.ndarray, tokens: int = 1, mean: bool = False) -> Membrane:
    """Follow one neuron from rest.

    The kernels return spikes and the membrane behind the last step, v. To see h of a step, they are run from the last
    reset, where the membrane is 0 as at the start, up to that step, with a threshold out of reach.

    Parameters
    ----------
    x : [T], recorded input currents of that neuron
    tokens : over so many tokens each of them is a sum, in fixed point
    mean : whether that sum stands for the mean, in fixed point: then the threshold grows with the tokens
    """
    if isinstance(parameters, FixedNeuron):
        step: _Fixed | _Floating = _Fixed(parameters, tokens)
        scale = tokens if mean else 1
        threshold: Any = int(parameters.threshold) * scale
        unit = 2.0**parameters.membrane.fraction * scale
    else:
        step, unit, threshold = _Floating(parameters, x.dtype), 1.0, parameters.threshold
    h, v, start = np.empty_like(x), np.empty_like(x), 0
    spikes = np.zeros(len(x), np.bool_)
    for t in range(len(x)):
        h[t], _ = step(x[start : t + 1], step.unreachable)
        v[t], fired = step(x[: t + 1], threshold)
        spikes[t] = fired[t]
        start = t + 1 if fired[t] else start
    return Membrane(x, h, v, spikes, threshold, parameters.leak, unit)


class _Floating:
    unreachable: Any = np.nan  # no membrane is at or above it

    def __init__(self, parameters: NeuronParameters, dtype: np.dtype) -> None:
        self._leak, self._dtype = parameters.leak, dtype

    def __call__(self, x: np.ndarray, threshold: Any) -> tuple[Any, np.ndarray]:
        """Membrane behind the last of these steps, and which of them spiked."""
        current, fired, after = _panel(x, self._dtype), *_scratch(len(x), self._dtype)
        kernels.lif_steps(current, 1, self._leak, self._dtype.type(threshold), after, fired)
        return after[0], fired[0, :, 0] & np.uint64(1) != 0


class _Fixed:
    unreachable: Any = 1 << 62

    def __init__(self, parameters: FixedNeuron, tokens: int) -> None:
        register, unchanged = Register(parameters.membrane, WIDE), Fraction.uniform(parameters.membrane.fraction, 1)
        self._entering = register.rescaling(unchanged, WIDE, wider_by(tokens))
        self._leak = leak_steps(parameters.leak_terms, parameters.leak_rounding, WIDE)

    def __call__(self, x: np.ndarray, threshold: Any) -> tuple[Any, np.ndarray]:
        """Membrane behind the last of these steps, and which of them spiked."""
        current, fired, after = _panel(x, WIDE), *_scratch(len(x), WIDE)
        entering = self._entering
        kernels.lif_steps_fixed(
            current,
            1,
            entering.shifts,
            entering.plain,
            *entering.limits,
            *self._leak,
            threshold,
            kernels.aligned(kernels.PANEL, WIDE),
            after,
            fired,
            np.zeros(len(x), np.int64),
        )
        return after[0], fired[0, :, 0] & np.uint64(1) != 0


def _panel(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Put a neuron into the first lane of a panel, whose other lanes stay silent: [T] -> [1, T, 1, PANEL]."""
    panel = kernels.aligned((1, len(x), 1, kernels.PANEL), dtype)
    panel[:] = 0
    panel[0, :, 0, 0] = x
    return panel


def _scratch(steps: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """For the spikes and for the membranes."""
    return kernels.aligned((1, steps, 1), np.uint64), kernels.aligned(kernels.PANEL, dtype)
