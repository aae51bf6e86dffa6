"""The network on dense tensors, stage by stage in the order of the paper's figure 2; names are the official ones."""

from typing import Any

import numpy as np

from ..inputs import as_frames
from ..result import OperationCount, Result
from .layers import conv, fan_out, max_pool, neurons, sequential_sum


class DenseSpikes:
    """Dense spikes with the interface of an event list."""

    def __init__(self, spikes: np.ndarray) -> None:
        self._spikes = spikes
        self.shape: tuple[int, ...] = spikes.shape

    def to_dense(self) -> np.ndarray:
        """The tensor itself, uint8."""
        return self._spikes


class Oracle:
    """One forward pass; keeps every neuron layer's input current, every hook's spikes, and the operation counts."""

    def __init__(self, model: Any, time_steps: int) -> None:
        self.parameters = model.parameters
        self.config = model.config
        self.time_steps = time_steps
        self.spikes: dict[str, DenseSpikes] = {}
        self.currents: dict[str, np.ndarray] = {}
        self.counts: dict[str, OperationCount] = {}

    def record(self, hook: str, spikes: np.ndarray) -> np.ndarray:
        """Keep a hook's spikes; hand them on."""
        self.spikes[hook] = DenseSpikes(spikes)
        return spikes

    def fire(self, module: str, current: np.ndarray) -> np.ndarray:
        """Neurons: [T, ...] current -> uint8 spikes of the same shape."""
        self.currents[module] = current
        return neurons(current, self.parameters.neurons[module])

    def weigh(self, prefix: str, module: str, name: str, spikes: np.ndarray) -> np.ndarray:
        """A weight layer that reads spikes: [T, B, C_in, H, W] -> [T, B, C_out, H, W] current."""
        layer = self.parameters.layers[f"{module}.{name}"]
        events = spikes.sum(axis=(1, 2, 3, 4), dtype=np.int64)
        self.counts[f"{prefix}_{name}"] = OperationCount(
            fan_out(spikes, layer), np.zeros_like(events), events, np.full_like(events, spikes[0].size)
        )
        return conv(spikes, layer)

    def patch_embed(self, image: np.ndarray) -> np.ndarray:
        """[1 or T, B, C_in, H, W] image -> [T, B, C, H', W'] stream."""
        first = self.parameters.layers["patch_embed.proj_conv"]
        none = np.zeros(self.time_steps, np.int64)
        macs = none.copy()
        macs[: len(image)] = fan_out(np.ones_like(image), first)  # every pixel counts, a zero one too
        self.counts["MS_SPS_proj_conv"] = OperationCount(none, macs, none, none)
        u = np.repeat(conv(image, first), self.time_steps // len(image), axis=0)
        s = self.record("MS_SPS_lif", self.fire("patch_embed.proj_lif", u))
        s = max_pool(s, 2) if self.config.pools[0] else s
        u = self.weigh("MS_SPS", "patch_embed", "proj_conv1", s)
        s = self.record("MS_SPS_lif1", self.fire("patch_embed.proj_lif1", u))
        s = max_pool(s, 2) if self.config.pools[1] else s
        u = self.weigh("MS_SPS", "patch_embed", "proj_conv2", s)
        s = self.record("MS_SPS_lif2", self.fire("patch_embed.proj_lif2", u))
        s = max_pool(s, 2) if self.config.pools[2] else s
        u = self.weigh("MS_SPS", "patch_embed", "proj_conv3", s)
        u = max_pool(u, 2) if self.config.pools[3] else u  # the current itself, not the spikes
        s = self.record("MS_SPS_lif3", self.fire("patch_embed.proj_lif3", u))
        return self.weigh("MS_SPS", "patch_embed", "rpe_conv", s) + u

    def attention(self, j: int, u: np.ndarray) -> np.ndarray:
        """[T, B, C, H, W] stream -> the same."""
        module, hook = f"block.{j}.attn", f"MS_SSA_Conv{j}"
        T, B, C, H, W = u.shape
        h, dvs = self.config.num_heads, self.config.dvs_mode

        def split(x: np.ndarray) -> np.ndarray:  # [T, B, C, H, W] -> [T, B, h, N, d]
            return x.reshape(T, B, h, C // h, H * W).swapaxes(-1, -2)

        s = self.record(f"{hook}_first_lif", self.fire(f"{module}.shortcut_lif", u))
        q = self.record(f"{hook}_q_lif", self.fire(f"{module}.q_lif", self.weigh(hook, module, "q_conv", s)))
        k = self.fire(f"{module}.k_lif", self.weigh(hook, module, "k_conv", s))
        v = self.fire(f"{module}.v_lif", self.weigh(hook, module, "v_conv", s))
        k = self.record(f"{hook}_k_lif", max_pool(k, 1) if dvs else k)  # over (H, W)
        v = self.record(f"{hook}_v_lif", max_pool(v, 1) if dvs else v)
        kv = self.record(f"{hook}_kv_before", split(k) & split(v))  # [T, B, h, N, d]
        kv = max_pool(kv, 1) if dvs else kv  # over (N, d)
        count = kv.sum(axis=3, keepdims=True, dtype=np.int64).astype(u.dtype)  # [T, B, h, 1, d]
        mask = self.record(f"{hook}_kv", self.fire(f"{module}.talking_heads_lif", count))
        z = split(q) & mask
        z = self.record(f"{hook}_x_after_qkv", max_pool(z, 1) if dvs else z)
        z = z.swapaxes(-1, -2).reshape(T, B, C, H, W)
        return self.weigh(hook, module, "proj_conv", z) + u

    def mlp(self, j: int, u: np.ndarray) -> np.ndarray:
        """[T, B, C, H, W] stream -> the same."""
        module, hook = f"block.{j}.mlp", f"MS_MLP_Conv{j}"
        s = self.record(f"{hook}_fc1_lif", self.fire(f"{module}.fc1_lif", u))
        y = self.weigh(hook, module, "fc1_conv", s)
        if y.shape == u.shape:
            y = u = y + u
        s = self.record(f"{hook}_fc2_lif", self.fire(f"{module}.fc2_lif", y))
        return self.weigh(hook, module, "fc2_conv", s) + u

    def head(self, u: np.ndarray) -> np.ndarray:
        """[T, B, C, H, W] stream -> [T, B, K] logits per time step."""
        T, B, C, H, W = u.shape
        mean = sequential_sum(u.reshape(T, B, C, H * W), axis=3) / u.dtype.type(H * W)
        s = self.record("head_lif", self.fire("head_lif", mean))
        layer = self.parameters.layers["head"]
        events = s.sum(axis=(1, 2), dtype=np.int64)
        self.counts["head"] = OperationCount(
            events * len(layer.bias), np.zeros_like(events), events, np.full_like(events, s[0].size)
        )
        return conv(s[..., None, None], layer)[..., 0, 0]


def forward(model: Any, x: Any) -> Result:
    """Run a model's network on dense tensors.

    Parameters
    ----------
    model : SpikeDrivenTransformer; its folded parameters and settings are read, its engine is not
    x : as the model takes it

    Returns
    -------
    Result
        every hook and current recorded; other_counts empty
    """
    image, time_steps = as_frames(x, model.architecture, model.config, model.arithmetic.dtype)
    oracle = Oracle(model, time_steps)
    u = oracle.patch_embed(image)
    for j in range(model.architecture.depth):
        u = oracle.mlp(j, oracle.attention(j, u))
    logits = oracle.head(u)
    mean = sequential_sum(logits, axis=0) / logits.dtype.type(time_steps)
    return Result(mean, logits, oracle.spikes, oracle.currents, oracle.counts, {})
