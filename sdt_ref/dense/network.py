"""The network on dense tensors, stage by stage in the order of the paper's figure 2; names are the official ones."""

import dataclasses
from typing import Any

import numpy as np

from ..result import OperationCount
from ..weights.config import ModelConfig
from ..weights.folding import Parameters
from .layers import conv, fan_out, max_pool, sequential_sum
from .neuron import steps


class DenseSpikes:
    """Dense spikes with the interface of an event list."""

    def __init__(self, spikes: np.ndarray) -> None:
        self._spikes = spikes
        self.shape: tuple[int, ...] = spikes.shape

    def to_dense(self) -> np.ndarray:
        """The tensor itself, uint8."""
        return self._spikes


class Oracle:
    """One forward pass; keeps every hook's spikes, all currents, streams and sums, and the operation counts."""

    def __init__(self, parameters: Parameters, config: ModelConfig, time_steps: int) -> None:
        self.parameters: Any = parameters
        self.config = config
        self.time_steps = time_steps
        self.spikes: dict[str, DenseSpikes] = {}
        self.currents: dict[str, np.ndarray] = {}
        self.streams: dict[str, np.ndarray] = {}
        self.sums: dict[str, np.ndarray] = {}
        self.counts: dict[str, OperationCount] = {}
        self.nothing = OperationCount.none(time_steps)
        self.overflows: dict[str, np.ndarray] = {}

    def record(self, hook: str, spikes: np.ndarray) -> np.ndarray:
        """Keep a hook's spikes; hand them on."""
        self.spikes[hook] = DenseSpikes(spikes)
        return spikes

    def weigh(self, prefix: str, module: str, name: str, spikes: np.ndarray) -> Any:
        """A weight layer that reads spikes: [T, B, C_in, H, W] -> [T, B, C_out, H, W] current."""
        layer = self.parameters.layers[f"{module}.{name}"]
        events = spikes.sum(axis=(1, 2, 3, 4), dtype=np.int64)
        self.counts[f"{prefix}_{name}"] = dataclasses.replace(
            self.nothing, ac=fan_out(spikes, layer), events=events, neurons=np.full_like(events, spikes[0].size)
        )
        return self.conv(f"{module}.{name}", spikes)

    # what depends on the arithmetic

    def conv(self, module: str, spikes: np.ndarray) -> Any:
        """Sums of a weight layer: [T, B, C_in, H, W] -> [T, B, C_out, H, W]."""
        return conv(spikes, self.parameters.layers[module])

    def encode(self, image: np.ndarray) -> Any:
        """The first convolution: [1 or T, B, C_in, H, W] image -> [T, B, C_out, H, W] current."""
        first = self.parameters.layers["patch_embed.proj_conv"]
        macs = np.zeros(self.time_steps, np.int64)
        macs[: len(image)] = fan_out(np.ones_like(image), first)  # every pixel counts, a zero one too
        self.counts["MS_SPS_proj_conv"] = dataclasses.replace(self.nothing, mac=macs)
        return np.repeat(conv(image, first), self.time_steps // len(image), axis=0)

    def stream(self, module: str, sums: Any, residual: Any = None) -> Any:
        """Sums of a layer as part of the residual stream."""
        self.streams[module] = sums if residual is None else sums + residual
        return self.streams[module]

    def pool(self, u: Any) -> Any:
        """Maximum of the stream over 3x3 pixels, stride 2."""
        return max_pool(u, 2)

    def fire(self, module: str, current: Any) -> np.ndarray:
        """Neurons: [T, ...] current -> uint8 spikes of the same shape."""
        self.currents[module] = current
        return steps(self.parameters.neurons[module], current)[1]

    def attend(self, module: str, count: np.ndarray, u: Any) -> np.ndarray:
        """The attention's neurons: int64[T, B, h, 1, d] counts over the tokens of u -> uint8 spikes."""
        return self.fire(module, count.astype(u.dtype))

    def fire_mean(self, module: str, u: Any) -> np.ndarray:
        """Neurons that read the mean over tokens: [T, B, C, H, W] stream -> [T, B, C] spikes."""
        T, B, C, H, W = u.shape
        return self.fire(module, sequential_sum(u.reshape(T, B, C, H * W), axis=3) / u.dtype.type(H * W))

    def logits(self, sums: Any) -> np.ndarray:
        """Sums of the head, [T, B, K, 1, 1] -> [T, B, K]."""
        return sums[..., 0, 0]

    # the network

    def patch_embed(self, image: np.ndarray) -> np.ndarray:
        """[1 or T, B, C_in, H, W] image -> [T, B, C, H', W'] stream."""
        u = self.encode(image)
        s = self.record("MS_SPS_lif", self.fire("patch_embed.proj_lif", u))
        s = max_pool(s, 2) if self.config.pools[0] else s
        u = self.weigh("MS_SPS", "patch_embed", "proj_conv1", s)
        s = self.record("MS_SPS_lif1", self.fire("patch_embed.proj_lif1", u))
        s = max_pool(s, 2) if self.config.pools[1] else s
        u = self.weigh("MS_SPS", "patch_embed", "proj_conv2", s)
        s = self.record("MS_SPS_lif2", self.fire("patch_embed.proj_lif2", u))
        s = max_pool(s, 2) if self.config.pools[2] else s
        u = self.stream("patch_embed.proj_conv3", self.weigh("MS_SPS", "patch_embed", "proj_conv3", s))
        u = self.pool(u) if self.config.pools[3] else u  # the current itself, not the spikes
        s = self.record("MS_SPS_lif3", self.fire("patch_embed.proj_lif3", u))
        return self.stream("patch_embed.rpe_conv", self.weigh("MS_SPS", "patch_embed", "rpe_conv", s), u)

    def attention(self, j: int, u: Any) -> Any:
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
        count = kv.sum(axis=3, keepdims=True, dtype=np.int64)  # [T, B, h, 1, d]
        mask = self.record(f"{hook}_kv", self.attend(f"{module}.talking_heads_lif", count, u))
        z = split(q) & mask
        z = self.record(f"{hook}_x_after_qkv", max_pool(z, 1) if dvs else z)
        z = z.swapaxes(-1, -2).reshape(T, B, C, H, W)
        return self.stream(f"{module}.proj_conv", self.weigh(hook, module, "proj_conv", z), u)

    def mlp(self, j: int, u: Any) -> Any:
        """[T, B, C, H, W] stream -> the same."""
        module, hook = f"block.{j}.mlp", f"MS_MLP_Conv{j}"
        s = self.record(f"{hook}_fc1_lif", self.fire(f"{module}.fc1_lif", u))
        y = self.weigh(hook, module, "fc1_conv", s)
        if y.shape == u.shape:
            y = u = self.stream(f"{module}.fc1_conv", y, u)
        s = self.record(f"{hook}_fc2_lif", self.fire(f"{module}.fc2_lif", y))
        return self.stream(f"{module}.fc2_conv", self.weigh(hook, module, "fc2_conv", s), u)

    def head(self, u: Any) -> np.ndarray:
        """[T, B, C, H, W] stream -> [T, B, K] logits per time step."""
        s = self.record("head_lif", self.fire_mean("head_lif", u))
        layer = self.parameters.layers["head"]
        events = s.sum(axis=(1, 2), dtype=np.int64)
        self.counts["head"] = dataclasses.replace(
            self.nothing, ac=events * len(layer.bias), events=events, neurons=np.full_like(events, s[0].size)
        )
        return self.logits(self.conv("head", s[..., None, None]))
