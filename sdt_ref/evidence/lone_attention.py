"""Spike-driven self-attention alone: with neurons of one's choice, on spikes of any shape."""

import copy

import numpy as np

from ..engine.events import SpikeEvents
from ..engine.run import Run
from ..network.parts import Parts
from ..network.sdsa import SpikeDrivenSelfAttention
from ..weights.arithmetic import Arithmetic
from ..weights.config import ModelConfig
from ..weights.folding import ATTENTION_THRESHOLD, LIF_LEAK, Layer, NeuronParameters, Parameters


def attention(arithmetic: Arithmetic, w: float | None = None, dvs_mode: bool = False) -> SpikeDrivenSelfAttention:
    """Attention in floating point. w : of a PLIF as its attention's neuron; None for an LIF."""
    number = arithmetic.dtype.type
    leak = number(LIF_LEAK) if w is None else arithmetic.sigmoid(np.asarray(w, arithmetic.dtype))
    neuron = NeuronParameters(leak, number(ATTENTION_THRESHOLD))
    unused = Layer(np.zeros((1, 1, 1, 1), arithmetic.dtype), np.zeros(1, arithmetic.dtype))
    layers = {f"block.0.attn.{name}_conv": unused for name in ("q", "k", "v", "proj")}
    neurons = {f"block.0.attn.{name}_lif": neuron for name in ("shortcut", "q", "k", "v", "talking_heads")}
    return SpikeDrivenSelfAttention(0, Parts(Parameters(layers, neurons)), ModelConfig(1, "0000", 1, dvs_mode, False))


def with_heads(attn: SpikeDrivenSelfAttention, heads: int) -> SpikeDrivenSelfAttention:
    """The same attention for another number of heads: what it does to spikes depends on no weight."""
    changed = copy.copy(attn)
    changed.heads = heads
    return changed


def mask_and_add(
    attn: SpikeDrivenSelfAttention, q: SpikeEvents, k: SpikeEvents, v: SpikeEvents, arithmetic: Arithmetic
) -> tuple[SpikeEvents, Run]:
    """What attention makes of spikes [T, B, C, H, W], and the run that counted."""
    run = Run(q.grid[0], 1)
    return attn.mask_and_add(q, k, v, run), run
