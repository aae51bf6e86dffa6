"""What a forward pass returns, from the engine and from the oracle alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


class Spikes(Protocol):
    """Spikes of one layer in either form."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the official tensor."""

    def to_dense(self) -> np.ndarray:
        """Build the dense 0/1 tensor, uint8."""


@dataclass(frozen=True)
class OperationCount:
    """Operations per time step, summed over the batch; each int64[T].

    Attributes
    ----------
    ac : additions performed (accumulate)
    mac : multiply-accumulates performed; in `Result.other_counts` the multiplications and divisions
    events : spikes read
    neurons : neurons that could have spiked: 0 where the input is analog
    """

    ac: np.ndarray
    mac: np.ndarray
    events: np.ndarray
    neurons: np.ndarray

    @property
    def firing_rate(self) -> float | None:
        """Spikes per neuron and time step that the layer reads, after pooling; None where the input is analog."""
        neurons = int(self.neurons.sum())
        return int(self.events.sum()) / neurons if neurons else None


@dataclass(frozen=True)
class Result:
    """Outcome of one forward pass.

    Attributes
    ----------
    logits : [B, K], mean over the time steps
    logits_per_step : [T, B, K]
    spikes : by official hook name, in the official order; empty unless recorded
    currents : by official neuron path ('block.0.attn.q_lif'), [T, B, C, H, W]; empty unless record="currents"
    streams : the residual stream behind each layer that adds to it ('block.0.mlp.fc2_conv'), [T, B, C, H, W]; so, too
    sums : in fixed point, what entered a register, before it did: by neuron path the accumulators, counts or streams
        that the neurons read; by layer path the accumulators that entered the stream; as currents
    counts : by weight layer ('MS_SSA_Conv0_q_conv')
    other_counts : 'bias', 'residual', 'leak', 'attention', 'token_mean', 'time_mean'
    overflows : in fixed point, by register ('block.0.attn.q_lif.membrane'): the numbers that did not fit, int64[T]
    """

    logits: np.ndarray
    logits_per_step: np.ndarray
    spikes: Mapping[str, Spikes]
    currents: Mapping[str, np.ndarray]
    counts: Mapping[str, OperationCount]
    other_counts: Mapping[str, OperationCount]
    streams: Mapping[str, np.ndarray] = field(default_factory=dict)
    sums: Mapping[str, np.ndarray] = field(default_factory=dict)
    overflows: Mapping[str, np.ndarray] = field(default_factory=dict)
