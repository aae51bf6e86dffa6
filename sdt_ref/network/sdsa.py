"""Spike-driven self-attention: mask and add (official module MS_SSA_Conv)."""

from functools import partial

import numpy as np

from ..engine.events import SpikeEvents
from ..engine.run import Run
from ..engine.set_operations import intersect, pool, pool_tokens, sum_tokens
from ..engine.stored import StoredCurrent
from ..engine.storing import store
from ..weights.config import ModelConfig
from .parts import Parts


class SpikeDrivenSelfAttention:
    """Q AND spike(sum over tokens of K AND V), between two membrane shortcuts.

    The attention neuron (threshold 0.5, input a whole number) of an LIF network fires exactly when any token has a
    spike in K AND V: it is an OR, and its membrane is 0 after each step. A PLIF with a leak below 0.5 keeps one.
    Both run as neurons.
    """

    def __init__(self, j: int, parts: Parts, config: ModelConfig) -> None:
        module, self.hook = f"block.{j}.attn", f"MS_SSA_Conv{j}"
        self.kv, self.masked = f"{module}.kv", f"{module}.masked"  # names of K AND V, and of Q AND the mask
        self.shortcut_lif = parts.neuron(f"{module}.shortcut_lif")
        self.q_conv = parts.synapse(f"{module}.q_conv")
        self.q_lif = parts.neuron(f"{module}.q_lif")
        self.k_conv = parts.synapse(f"{module}.k_conv")
        self.k_lif = parts.neuron(f"{module}.k_lif")
        self.v_conv = parts.synapse(f"{module}.v_conv")
        self.v_lif = parts.neuron(f"{module}.v_lif")
        self.talking_heads_lif = parts.neuron(f"{module}.talking_heads_lif", config.num_heads)
        self.proj_conv = parts.synapse(f"{module}.proj_conv")
        self.heads = config.num_heads
        self.dvs_mode = config.dvs_mode

    def __call__(self, u: StoredCurrent, run: Run) -> StoredCurrent:
        """[T, B, H, W, C] stream -> the same."""
        s = run.record(f"{self.hook}_first_lif", self.shortcut_lif(u, run))  # [T, B, C, H, W] spikes
        q = run.record(f"{self.hook}_q_lif", self.q_lif(self.q_conv(s), run))
        k = self.k_lif(self.k_conv(s), run)
        v = self.v_lif(self.v_conv(s), run)
        if self.dvs_mode:
            k, v = pool(k, 1, run, self.k_lif.module), pool(v, 1, run, self.v_lif.module)
        run.record(f"{self.hook}_k_lif", k)
        run.record(f"{self.hook}_v_lif", v)

        return store(self.proj_conv(self.mask_and_add(q, k, v, run)), run, residual=u)

    def mask_and_add(self, q: SpikeEvents, k: SpikeEvents, v: SpikeEvents, run: Run) -> SpikeEvents:
        """Q AND spike(sum over tokens of K AND V): three times [T, B, C, H, W] spikes -> the same."""
        kv = intersect(k, v, run, self.kv)  # [T, B, h, N, d]
        run.record(f"{self.hook}_kv_before", kv.in_heads(self.heads))
        if self.dvs_mode:
            kv = pool_tokens(kv, self.heads, run, self.kv)
        run.count_each("attention", self.talking_heads_lif.module, kv, "ac", "events")
        mask = run.all_reduce(partial(self._attend, run), sum_tokens(kv), kv.n_tokens)

        z = intersect(q, mask, run, self.masked)  # [T, B, h, N, d]
        if self.dvs_mode:
            z = pool_tokens(z, self.heads, run, self.masked)
        run.record(f"{self.hook}_x_after_qkv", z.in_heads(self.heads))
        return z

    def _attend(self, run: Run, count: np.ndarray, tokens: int) -> SpikeEvents:
        """[T, B, C] spikes of each channel over all tokens, 0 to N -> [T, B, h, 1, d] spikes."""
        mask = self.talking_heads_lif(self.talking_heads_lif.counts(count, tokens), run)
        run.record(f"{self.hook}_kv", mask.in_heads(self.heads))
        return mask
