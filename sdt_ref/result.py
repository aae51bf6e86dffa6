"""What a forward pass returns, from the engine and from the oracle alike."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Protocol, Self

import numpy as np


class Spikes(Protocol):
    """Spikes of one layer in either form."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the official tensor."""

    def to_dense(self) -> np.ndarray:
        """Build the dense 0/1 tensor, uint8."""


@dataclass(frozen=True, eq=False)
class OperationCount:
    """Operations per time step, summed over the batch; each int64[T].

    Attributes
    ----------
    ac : additions performed (accumulate)
    mac : multiply-accumulates performed; in `Result.other_counts` the multiplications and divisions
    events : spikes read, or, of a neuron layer or a pool, spikes that leave it
    neurons : neurons that could have spiked: 0 where the input is analog
    comparisons : of membranes with thresholds and of currents with each other; ANDs and ORs of spikes
    shifts : of whole numbers, by constants
    """

    ac: np.ndarray
    mac: np.ndarray
    events: np.ndarray
    neurons: np.ndarray
    comparisons: np.ndarray
    shifts: np.ndarray

    @property
    def firing_rate(self) -> float | None:
        """Spikes per neuron and time step that the layer reads, after pooling; None where the input is analog."""
        neurons = int(self.neurons.sum())
        return int(self.events.sum()) / neurons if neurons else None

    @classmethod
    def none(cls, time_steps: int) -> Self:
        """No operations in so many time steps."""
        return cls(*np.zeros((len(OPERATIONS), time_steps), np.int64))

    def __add__(self, other: Self) -> Self:
        """Add up, field by field."""
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in OPERATIONS))


OPERATIONS = tuple(each.name for each in dataclasses.fields(OperationCount))


@dataclass(frozen=True, eq=False)
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
    stage_counts : what is done besides the weight layers, by kind and then by official module: 'bias' of a layer;
        'residual', added behind it; 'leak' and 'threshold' of neurons; 'pool' of their spikes, an OR; 'max_pool' of
        currents; 'attention': K AND V ('block.0.attn.kv'), the sum over tokens ('..talking_heads_lif'), Q AND mask
        ('..masked'); 'token_mean', 'time_mean'; 'register', in fixed point: numbers brought to other fraction bits
    overflows : in fixed point, by register ('block.0.attn.q_lif.membrane'): the numbers that did not fit, int64[T]
    """

    logits: np.ndarray
    logits_per_step: np.ndarray
    spikes: Mapping[str, Spikes]
    currents: Mapping[str, np.ndarray]
    counts: Mapping[str, OperationCount]
    stage_counts: Mapping[str, Mapping[str, OperationCount]]
    streams: Mapping[str, np.ndarray] = field(default_factory=dict)
    sums: Mapping[str, np.ndarray] = field(default_factory=dict)
    overflows: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def other_counts(self) -> dict[str, OperationCount]:
        """The stage counts by kind, added up over all stages, in arrays of their own."""
        none = OperationCount.none(len(self.logits_per_step))
        return {kind: reduce(add, stages.values(), none) for kind, stages in self.stage_counts.items()}
