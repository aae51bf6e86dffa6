"""The Spike-driven Transformer for training: parameters under the official names, all time steps of a layer at once.

Tensors between layers are [T*B, C, H, W], time outermost, so that convolution, BatchNorm and pooling see one large
batch in channels-last memory. Only the neurons know that time passes.

Source: the official code (BICLab/Spike-Driven-Transformer @ 3faa822) as to what is computed and what it is called.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ALPHA = 4.0  # slope of the surrogate gradient: the derivative of sigmoid(ALPHA * (h - threshold))
V_THRESHOLD = 1.0
ATTENTION_THRESHOLD = 0.5  # of the neuron that counts tokens; it fires from a count of 1

Record = dict[str, Tensor]  # spikes by official hook name, as far as somebody wants them


@dataclass(frozen=True)
class Network:
    """Sizes and switches of one network of the family.

    Attributes
    ----------
    dim, depth, heads : channels of the blocks, number of blocks, attention heads
    hidden : channels between fc1 and fc2
    pooling_stat : four of '0' and '1': which stage of the patch embedding pools
    spike_mode : 'lif', or 'plif' with a learned time constant per neuron layer
    dvs_mode : whether attention has its four extra 3x3 pools, as for CIFAR10-DVS
    """

    dim: int = 256
    depth: int = 2
    heads: int = 8
    hidden: int = 1024
    in_channels: int = 3
    num_classes: int = 10
    pooling_stat: str = "0011"
    spike_mode: str = "lif"
    dvs_mode: bool = False

    @classmethod
    def from_name(cls, name: str, **others: Any) -> Self:
        """Build from a name such as 'sdt-2-256': depth and dim, mlp_ratio 4; ValueError for another form."""
        match = re.fullmatch(r"sdt-(\d{1,2})-(\d{1,4})", name)
        depth, dim = (int(match[1]), int(match[2])) if match else (0, 0)
        if not depth or not dim or dim % 8:
            raise ValueError(f"expected sdt-DEPTH-DIM with DIM divisible by 8, such as sdt-2-256, found '{name}'")
        return cls(dim=dim, depth=depth, hidden=4 * dim, **others)

    @classmethod
    def from_args(cls, args: Mapping[str, Any]) -> Self:
        """Build from the `args` of a checkpoint; KeyError names what they lack."""
        dim = args["dim"]
        return cls(
            dim=dim,
            depth=args["layer"],
            heads=args["num_heads"],
            hidden=int(dim * args["mlp_ratio"]),
            in_channels=args["in_channels"],
            num_classes=args["num_classes"],
            pooling_stat=str(args["pooling_stat"]),
            spike_mode=args["spike_mode"],
            dvs_mode=args.get("dvs_mode", False),
        )

    def to_args(self) -> dict[str, Any]:
        """Return the official argument names and values, as a checkpoint keeps them."""
        return {
            "model": "sdt",
            "dim": self.dim,
            "layer": self.depth,
            "num_heads": self.heads,
            "mlp_ratio": self.hidden / self.dim,
            "in_channels": self.in_channels,
            "num_classes": self.num_classes,
            "pooling_stat": self.pooling_stat,
            "spike_mode": self.spike_mode,
            "dvs_mode": self.dvs_mode,
        }


class Fire(torch.autograd.Function):
    """All T steps of a layer of neurons: h = v + (x - v) r; a spike where h >= threshold; then v = 0, else v = h.

    The membrane is float32 (float64 for float64 currents) whatever the dtype of the current, and is not kept: backward
    computes it again from the current, which under bfloat16 is a quarter of the memory. With r = 0.5 the product is
    the exact half, so spikes are those of the official (x - v) / 2, bit for bit.

    Backward takes the derivative of sigmoid(ALPHA (h - threshold)) for that of the step, and none through the reset.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, r: Tensor, threshold: float, steps: int, static: bool) -> Tensor:
        """Return the spikes, [T*B, ...] of 0 and 1, in the dtype of the current.

        Parameters
        ----------
        x : input current, [T*B, ...]; [B, ...] if static, the same at every step
        r : 1 / tau, a tensor without axes
        steps : T
        """
        ctx.save_for_backward(x, r)
        ctx.threshold, ctx.steps, ctx.static = threshold, steps, static
        spikes = [(h >= threshold).to(x.dtype) for h, _ in _membranes(x, r, threshold, steps, static)]
        return torch.cat(spikes)  # of channels-last pieces cat makes a channels-last whole; stack does not

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        """Return the gradients of the current and of r."""
        x, r = ctx.saved_tensors
        membranes = _membranes(x, r, ctx.threshold, ctx.steps, ctx.static)
        grad_v: Tensor | float = 0.0  # of the membrane after the reset, from the step after
        grad_r = torch.zeros_like(r)
        grads: list[Tensor] = []
        for (h, d), grad_s in zip(reversed(membranes), reversed(grad.chunk(ctx.steps)), strict=True):
            s = torch.sigmoid(ALPHA * (h - ctx.threshold))
            grad_h = grad_s.to(h.dtype) * (ALPHA * s * (1 - s)) + grad_v * (h < ctx.threshold)
            grads.append(grad_h * r)
            if ctx.needs_input_grad[1]:
                grad_r = grad_r + (grad_h * d).sum()
            grad_v = grad_h * (1 - r)
        grad_x = sum(grads[1:], grads[0]) if ctx.static else torch.cat(grads[::-1])
        return grad_x.to(x.dtype), grad_r, None, None, None


def _membranes(x: Tensor, r: Tensor, threshold: float, steps: int, static: bool) -> list[tuple[Tensor, Tensor]]:
    """Charged membrane h and difference x - v at each step."""
    wide = torch.promote_types(x.dtype, torch.float32)
    v: Tensor | float = 0.0
    membranes = []
    for current in [x] * steps if static else x.chunk(steps):
        d = current.to(wide) - v
        h = v + d * r
        membranes.append((h, d))
        v = torch.where(h >= threshold, 0.0, h)
    return membranes


class Neurons(nn.Module):
    """A layer of LIF (1 / tau = 0.5) or PLIF neurons (1 / tau = sigmoid(w), learned, 0.5 at first)."""

    def __init__(self, spike_mode: str, threshold: float = V_THRESHOLD) -> None:
        super().__init__()
        self.threshold = threshold
        self.w = nn.Parameter(torch.tensor(0.0)) if spike_mode == "plif" else None
        self.register_buffer("lif_r", torch.tensor(0.5), persistent=False)

    def forward(self, x: Tensor, steps: int, static: bool = False) -> Tensor:
        """Fire: [T*B, ...] or, if static, [B, ...] -> [T*B, ...]."""
        r = self.lif_r if self.w is None else self.w.sigmoid()
        return Fire.apply(x, r, self.threshold, steps, static)


def _keep(record: Record | None, name: str, spikes: Tensor) -> Tensor:
    if record is not None:
        record[name] = spikes
    return spikes


def _conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def _wide(x: Tensor) -> Tensor:
    """The residual stream is a membrane: float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _dilate(x: Tensor) -> Tensor:
    """3x3 maximum over the last two of four axes."""
    return F.max_pool2d(x, 3, 1, 1)


class PatchEmbedding(nn.Module):
    """Four convolutions and the relative position embedding (MS_SPS): [B or T*B, C_in, H, W] -> [T*B, C, H', W']."""

    def __init__(self, n: Network) -> None:
        super().__init__()
        self.pools = [character == "1" for character in n.pooling_stat]
        inputs = n.in_channels
        for stage, outputs in enumerate((n.dim // 8, n.dim // 4, n.dim // 2, n.dim)):
            number = str(stage) if stage else ""
            self.add_module(f"proj_conv{number}", _conv3x3(inputs, outputs))
            self.add_module(f"proj_bn{number}", nn.BatchNorm2d(outputs))
            self.add_module(f"proj_lif{number}", Neurons(n.spike_mode))
            inputs = outputs
        self.rpe_conv = _conv3x3(n.dim, n.dim)
        self.rpe_bn = nn.BatchNorm2d(n.dim)
        self.rpe_lif = Neurons(n.spike_mode)  # in the state_dict of PLIF; the forward pass never calls it

    def forward(self, x: Tensor, steps: int, static: bool, record: Record | None) -> Tensor:
        """Return the residual stream."""
        y = self.proj_bn(self.proj_conv(x))
        s = _keep(record, "MS_SPS_lif", self.proj_lif(y, steps, static))
        y = self.proj_bn1(self.proj_conv1(self._pool(0, s)))
        s = _keep(record, "MS_SPS_lif1", self.proj_lif1(y, steps))
        y = self.proj_bn2(self.proj_conv2(self._pool(1, s)))
        s = _keep(record, "MS_SPS_lif2", self.proj_lif2(y, steps))
        y = self.proj_bn3(self.proj_conv3(self._pool(2, s)))
        feature = self._pool(3, y)  # the last pool sees currents, not spikes
        s = _keep(record, "MS_SPS_lif3", self.proj_lif3(feature, steps))
        return _wide(self.rpe_bn(self.rpe_conv(s))) + _wide(feature)

    def _pool(self, stage: int, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, 1) if self.pools[stage] else x


class Attention(nn.Module):
    """Spike-driven self-attention (MS_SSA_Conv), with its membrane shortcut: [T*B, C, H, W] -> the same shape."""

    def __init__(self, n: Network) -> None:
        super().__init__()
        self.heads, self.dvs_mode = n.heads, n.dvs_mode
        self.shortcut_lif = Neurons(n.spike_mode)
        for p in "qkv":
            self.add_module(f"{p}_conv", nn.Conv2d(n.dim, n.dim, 1, bias=False))
            self.add_module(f"{p}_bn", nn.BatchNorm2d(n.dim))
            self.add_module(f"{p}_lif", Neurons(n.spike_mode))
        self.attn_lif = Neurons(n.spike_mode)  # never called, as in the official code
        self.talking_heads = nn.Conv1d(n.heads, n.heads, 1, bias=False).requires_grad_(False)  # never called either
        self.talking_heads_lif = Neurons(n.spike_mode, ATTENTION_THRESHOLD)
        self.proj_conv = nn.Conv2d(n.dim, n.dim, 1)
        self.proj_bn = nn.BatchNorm2d(n.dim)

    def forward(self, u: Tensor, steps: int, record: Record | None, name: str) -> Tensor:
        """Return the residual stream after the attention; `name` begins the names of its spikes in the record."""
        s = _keep(record, f"{name}_first_lif", self.shortcut_lif(u, steps))
        q = self.q_lif(self.q_bn(self.q_conv(s)), steps)
        k = self.k_lif(self.k_bn(self.k_conv(s)), steps)
        v = self.v_lif(self.v_bn(self.v_conv(s)), steps)
        if self.dvs_mode:
            k, v = _dilate(k), _dilate(v)
        for p, spikes in (("q", q), ("k", k), ("v", v)):
            _keep(record, f"{name}_{p}_lif", spikes)
        m = _keep(record, f"{name}_kv_before", self._split(k * v))  # [T*B, h, N, d]
        if self.dvs_mode:
            m = _dilate(m)  # over token index and channel of the head, as the official code has it
        count = m.sum(2, keepdim=True, dtype=torch.promote_types(m.dtype, torch.float32))  # [T*B, h, 1, d]
        attention = _keep(record, f"{name}_kv", self.talking_heads_lif(count, steps))
        z = self._split(q) * attention.to(q.dtype)
        if self.dvs_mode:
            z = _dilate(z)
        z = _keep(record, f"{name}_x_after_qkv", z).transpose(2, 3).reshape(q.shape)
        return self.proj_bn(self.proj_conv(z)) + u

    def _split(self, x: Tensor) -> Tensor:
        """[T*B, C, H, W] -> [T*B, h, N, d]: contiguous heads, tokens row by row."""
        return x.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)


class MLP(nn.Module):
    """Two 1x1 convolutions (MS_MLP_Conv), with the membrane shortcut: [T*B, C, H, W] -> the same shape."""

    def __init__(self, n: Network) -> None:
        super().__init__()
        self.same_width = n.hidden == n.dim
        self.fc1_lif = Neurons(n.spike_mode)
        self.fc1_conv = nn.Conv2d(n.dim, n.hidden, 1)
        self.fc1_bn = nn.BatchNorm2d(n.hidden)
        self.fc2_lif = Neurons(n.spike_mode)
        self.fc2_conv = nn.Conv2d(n.hidden, n.dim, 1)
        self.fc2_bn = nn.BatchNorm2d(n.dim)

    def forward(self, u: Tensor, steps: int, record: Record | None, name: str) -> Tensor:
        """Return the residual stream after the MLP."""
        s = _keep(record, f"{name}_fc1_lif", self.fc1_lif(u, steps))
        y = self.fc1_bn(self.fc1_conv(s))
        if self.same_width:  # mlp_ratio 1: the official code has a shortcut around fc1, too
            u = y = y + u
        s = _keep(record, f"{name}_fc2_lif", self.fc2_lif(y, steps))
        return self.fc2_bn(self.fc2_conv(s)) + u


class Block(nn.Module):
    """Attention, then MLP."""

    def __init__(self, n: Network) -> None:
        super().__init__()
        self.attn = Attention(n)
        self.mlp = MLP(n)


class SpikeDrivenTransformer(nn.Module):
    """The network; its state_dict has the official names and shapes."""

    def __init__(self, network: Network, steps: int = 4) -> None:
        super().__init__()
        self.network, self.steps = network, steps
        self.patch_embed = PatchEmbedding(network)
        self.block = nn.ModuleList(Block(network) for _ in range(network.depth))
        self.head_lif = Neurons(network.spike_mode)
        self.head = nn.Linear(network.dim, network.num_classes)

    def forward(self, x: Tensor, record: Record | None = None) -> Tensor:
        """Logits of each step, [T, B, K]; their mean over T is the answer.

        Parameters
        ----------
        x : [B, C, H, W], normalised, shown at each of `self.steps` steps; or frames, [B, T, C, H, W], which bring T
        record : takes the spikes under the official hook names, in the layout of this model ([T*B, ...])
        """
        static = x.dim() == 4
        steps = self.steps if static else x.shape[1]
        if not static:
            x = x.transpose(0, 1).flatten(0, 1)
        u = self.patch_embed(x, steps, static, record)
        for j, block in enumerate(self.block):
            u = block.attn(u, steps, record, f"MS_SSA_Conv{j}")
            u = block.mlp(u, steps, record, f"MS_MLP_Conv{j}")
        s = _keep(record, "head_lif", self.head_lif(u.mean((2, 3)), steps))  # the mean of membranes, then the neuron
        return self.head(s).unflatten(0, (steps, -1))
