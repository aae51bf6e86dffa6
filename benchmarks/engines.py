"""The engines that are compared: each takes images and returns logits, and on request the spikes behind them."""

from collections.abc import Callable
from typing import Any

import numpy as np

import sdt_ref
from sdt_ref.folding import BATCH_NORM_EPSILON
from sdt_ref.weights import Weights

Images = np.ndarray
Forward = Callable[[Images], np.ndarray]


def event_engine(weights: Weights, threads: int) -> tuple[Forward, Callable[[Images], list[np.ndarray]]]:
    """The engine of this project, event by event."""
    model = sdt_ref.SpikeDrivenTransformer(weights, threads=threads)

    def spikes(x: Images) -> list[np.ndarray]:
        return [events.to_dense() for events in model(x, record=True).spikes.values()]

    return lambda x: model(x).logits, spikes


def torch_engine(weights: Weights, threads: int, *, folded: bool = False,
                 compiled: bool = False) -> tuple[Forward, Callable[[Images], list[np.ndarray]]]:  # fmt: skip
    """Dense PyTorch as the official code writes it: Conv2d, BatchNorm2d and LIF step by step.

    folded : BatchNorm folded into the convolutions beforehand; compiled : through torch.compile
    """
    import torch

    torch.set_num_threads(threads)
    network = _torch_network(weights, folded)
    run = torch.compile(network) if compiled else network

    def forward(x: Images) -> np.ndarray:
        with torch.inference_mode():
            return run(torch.from_numpy(x), None).numpy()

    def spikes(x: Images) -> list[np.ndarray]:
        hooks: list[Any] = []
        with torch.inference_mode():
            network(torch.from_numpy(x), hooks)
        return [hook.numpy().astype(np.uint8) for hook in hooks]

    return forward, spikes


def _torch_network(weights: Weights, folded: bool) -> Any:
    import torch
    from torch import nn
    from torch.nn import functional

    config, depth, heads = weights.config, weights.architecture.depth, weights.config.num_heads
    tensors = {name: torch.from_numpy(np.array(tensor)) for name, tensor in weights.tensors.items()}

    class ConvNorm(nn.Module):
        def __init__(self, conv: str) -> None:
            super().__init__()
            norm = conv.replace("_conv", "_bn")
            weight, bias = tensors[f"{conv}.weight"], tensors.get(f"{conv}.bias")
            outputs, inputs, window, _ = weight.shape
            self.conv = nn.Conv2d(inputs, outputs, window, padding=window // 2, bias=folded or bias is not None)
            names = ("running_mean", "running_var", "weight", "bias")
            parts = [tensors[f"{norm}.{name}"] for name in names]
            self.norm: nn.Module = nn.Identity() if folded else nn.BatchNorm2d(outputs)
            if folded:
                mean, var, gamma, beta = (part.double() for part in parts)
                gain = gamma / torch.sqrt(var + BATCH_NORM_EPSILON)
                bias = (((0 if bias is None else bias.double()) - mean) * gain + beta).float()
                weight = (weight.double() * gain[:, None, None, None]).float()
            else:
                self.norm.load_state_dict(dict(zip(names, parts, strict=True)), strict=False)
            self.conv.load_state_dict({"weight": weight, **({} if bias is None else {"bias": bias})})

        def forward(self, x: Any) -> Any:  # [T, B, C, H, W]
            return self.norm(self.conv(x.flatten(0, 1))).unflatten(0, x.shape[:2])

    def fire(x: Any, threshold: float = 1.0) -> Any:
        v, spikes = torch.zeros_like(x[0]), []
        for step in x:
            h = v + (step - v) / 2.0
            s = (h >= threshold).to(x.dtype)
            v = (1.0 - s) * h
            spikes.append(s)
        return torch.stack(spikes)

    def shrink(x: Any) -> Any:
        return functional.max_pool2d(x.flatten(0, 1), 3, 2, 1).unflatten(0, x.shape[:2])

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            stem = [f"patch_embed.{n}" for n in ("proj_conv", "proj_conv1", "proj_conv2", "proj_conv3", "rpe_conv")]
            self.stem = nn.ModuleList([ConvNorm(name) for name in stem])
            self.blocks = nn.ModuleList([
                nn.ModuleDict({n.rpartition(".")[2]: ConvNorm(f"block.{j}.{n}") for n in (
                    "attn.q_conv", "attn.k_conv", "attn.v_conv", "attn.proj_conv", "mlp.fc1_conv", "mlp.fc2_conv")})
                for j in range(depth)])  # fmt: skip
            self.head = nn.Linear(*tensors["head.weight"].shape[::-1])
            self.head.load_state_dict({"weight": tensors["head.weight"], "bias": tensors["head.bias"]})

        def forward(self, x: Any, hooks: list[Any] | None) -> Any:
            def record(s: Any) -> Any:
                if hooks is not None:
                    hooks.append(s)
                return s

            u = x.repeat(config.time_steps, 1, 1, 1, 1)
            for stage in range(3):
                u = record(fire(self.stem[stage](u)))
                u = shrink(u) if config.pools[stage] else u
            u = self.stem[3](u)
            u = shrink(u) if config.pools[3] else u
            u = self.stem[4](record(fire(u))) + u
            for block in self.blocks:
                s = record(fire(u))
                q, k, v = (record(fire(block[f"{p}_conv"](s))) for p in "qkv")
                split = [t.unflatten(2, (heads, -1)).flatten(4).transpose(-1, -2) for t in (q, k, v)]  # [T, B, h, N, d]
                kv = record(split[1] * split[2])
                mask = record(fire(kv.sum(dim=-2, keepdim=True), 0.5))
                z = record(split[0] * mask).transpose(-1, -2).flatten(2, 3).unflatten(-1, q.shape[-2:])
                u = block["proj_conv"](z) + u
                u = block["fc2_conv"](record(fire(block["fc1_conv"](record(fire(u)))))) + u
            return self.head(record(fire(u.flatten(3).mean(dim=3)))).mean(dim=0)

    return Network().eval()
