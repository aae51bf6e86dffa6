"""Dense PyTorch: BatchNorm apart as in the official code, folded, and compiled.

Settings that measured best: folded runs in channels_last; compiled is the default mode with frozen weights, which
oneDNN then packs beforehand (mode max-autotune and channels_last gained nothing on it).
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch._inductor.config as inductor
from torch import nn
from torch.nn import functional

from sdt_ref.weights.arithmetic import arithmetic
from sdt_ref.weights.file import Weights
from sdt_ref.weights.folding import BATCH_NORM_EPSILON, fold_layer
from sdt_ref.weights.tensors import batch_norm_of

from .engine import Engine, MissingLibraryError


class ConvNorm(nn.Module):
    """A convolution and the BatchNorm behind it; folded, a convolution alone."""

    def __init__(self, weights: Weights, conv: str, folded: bool) -> None:
        super().__init__()
        norm, tensors = batch_norm_of(conv), weights.tensors
        if folded:
            layer = fold_layer(tensors, conv, norm, arithmetic("float32"))
            parts = {"weight": layer.weight, "bias": layer.bias}
        else:
            parts = {part: tensors[f"{conv}.{part}"] for part in ("weight", "bias") if f"{conv}.{part}" in tensors}
        outputs, inputs, window, _ = parts["weight"].shape
        self.conv = nn.Conv2d(inputs, outputs, window, padding=window // 2, bias="bias" in parts)
        load(self.conv, parts)
        self.norm: nn.Module = nn.Identity() if folded else nn.BatchNorm2d(outputs, BATCH_NORM_EPSILON)
        if not folded:
            statistics = ("running_mean", "running_var", "weight", "bias")
            load(self.norm, {part: tensors[f"{norm}.{part}"] for part in statistics})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, C_in, H, W] -> [n, C_out, H, W]."""
        return self.norm(self.conv(x))


class Network(nn.Module):
    """The network on dense tensors [T * B, C, H, W], time outermost.

    Unfolded, it does what the official code does. Folded, it is quicker and finds the same values: it does not
    transpose into heads, its neurons do no arithmetic on a membrane at rest, and it convolves a static image once.
    """

    def __init__(self, weights: Weights, folded: bool) -> None:
        super().__init__()
        config, head = weights.config, weights.tensors["head.weight"]
        self.T, self.heads, self.pools, self.folded = config.time_steps, config.num_heads, config.pools, folded
        stem = ("proj_conv", "proj_conv1", "proj_conv2", "proj_conv3", "rpe_conv")
        block = ("attn.q_conv", "attn.k_conv", "attn.v_conv", "attn.proj_conv", "mlp.fc1_conv", "mlp.fc2_conv")
        depth = weights.architecture.depth
        self.stem = nn.ModuleList(ConvNorm(weights, f"patch_embed.{name}", folded) for name in stem)
        self.blocks = nn.ModuleList(
            nn.ModuleList(ConvNorm(weights, f"block.{j}.{name}", folded) for name in block) for j in range(depth)
        )
        self.head = nn.Linear(head.shape[1], head.shape[0])
        load(self.head, {"weight": head, "bias": weights.tensors["head.bias"]})
        self.eval()

    def forward(self, x: torch.Tensor, hooks: list[torch.Tensor] | None = None) -> torch.Tensor:
        """Images [B, 3, H, W] -> logits [B, K]; all spikes are appended to `hooks`, in the official shapes."""

        def record(s: torch.Tensor, in_heads: bool = False) -> torch.Tensor:
            if hooks is not None:
                shown = s.reshape(self.T, -1, *s.shape[1:])  # [T, B, C, ...]
                if in_heads:
                    shown = shown.flatten(3).unflatten(2, (self.heads, -1)).transpose(-1, -2)  # [T, B, h, N, d]
                hooks.append(shown.to(torch.uint8))
            return s

        if self.folded:
            s = record(self.fire([self.stem[0](x)] * self.T))
        else:
            s = record(self.fire(self.stem[0](x.repeat(self.T, 1, 1, 1))))
        for stage in (1, 2):
            s = record(self.fire(self.stem[stage](shrink(s) if self.pools[stage - 1] else s)))
        u = self.stem[3](shrink(s) if self.pools[2] else s)
        u = shrink(u) if self.pools[3] else u
        u = self.stem[4](record(self.fire(u))) + u
        for q_conv, k_conv, v_conv, proj_conv, fc1_conv, fc2_conv in self.blocks:
            s = record(self.fire(u))
            q, k, v = (record(self.fire(conv(s))) for conv in (q_conv, k_conv, v_conv))
            if self.folded:
                kv = record(k * v, in_heads=True)
                mask = record(self.fire(kv.sum((2, 3), keepdim=True), 0.5), in_heads=True)
                z = record(q * mask, in_heads=True)
            else:
                z = self.attend(q, k, v, hooks)
            u = proj_conv(z) + u
            u = fc2_conv(record(self.fire(fc1_conv(record(self.fire(u)))))) + u
        logits = self.head(record(self.fire(u.mean((2, 3)))))  # [T * B, K]
        return logits.reshape(self.T, -1, logits.shape[1]).mean(0)

    def fire(self, current: torch.Tensor | list[torch.Tensor], threshold: float = 1.0) -> torch.Tensor:
        """LIF neurons, step by step: currents [T * B, ...], or T times [B, ...] -> spikes [T * B, ...]."""
        steps = current if isinstance(current, list) else current.split(len(current) // self.T)
        if not self.folded:
            return official_fire(steps, threshold)
        h = steps[0] * 0.5  # times 0.5 is bit for bit the official division by 2
        spikes = [(h >= threshold).to(h.dtype)]
        for step in steps[1:]:
            v = (1.0 - spikes[-1]) * h
            h = v + (step - v) * 0.5
            spikes.append((h >= threshold).to(h.dtype))
        return torch.cat(spikes)

    def attend(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, hooks: list[torch.Tensor] | None
    ) -> torch.Tensor:
        """The attention as the official code writes it, on copies split into heads [T, B, h, N, d]."""
        split = [s.unflatten(0, (self.T, -1)).flatten(3).transpose(-1, -2) for s in (q, k, v)]
        heads_last = [s.unflatten(-1, (self.heads, -1)).permute(0, 1, 3, 2, 4).contiguous() for s in split]
        kv = heads_last[1].mul(heads_last[2])
        mask = self.fire(kv.sum(dim=-2, keepdim=True).flatten(0, 1), 0.5).unflatten(0, (self.T, -1))
        z = heads_last[0].mul(mask)
        if hooks is not None:
            hooks.extend(s.to(torch.uint8) for s in (kv, mask, z))
        return z.transpose(3, 4).reshape(q.shape).contiguous()


def official_fire(steps: Sequence[torch.Tensor], threshold: float) -> torch.Tensor:
    """LIF neurons as spikingjelly's torch backend writes them."""
    v, spikes = torch.zeros_like(steps[0]), []
    for step in steps:
        h = v + (step - v) / 2.0
        spikes.append((h >= threshold).to(h.dtype))
        v = (1.0 - spikes[-1]) * h
    return torch.cat(spikes)


class Hooks(nn.Module):
    """The same network, asked for all spikes instead of logits."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Images -> the spikes of all hooks, uint8."""
        hooks: list[torch.Tensor] = []
        self.network(x, hooks)
        return tuple(hooks)


def shrink(x: torch.Tensor) -> torch.Tensor:
    """The pool of the patch embedding: 3x3, stride 2."""
    return functional.max_pool2d(x, 3, 2, 1)


def load(module: nn.Module, parts: dict[str, np.ndarray]) -> None:
    """Give a module its parameters."""
    module.load_state_dict({part: torch.from_numpy(np.array(array)) for part, array in parts.items()}, strict=False)


@contextmanager
def settings(threads: int) -> Iterator[None]:
    """Run on so many threads; freeze the weights of what is compiled here."""
    torch.set_num_threads(threads)
    frozen = inductor.patch({"freezing": True, "cpp.threads": threads})
    with torch.inference_mode(), frozen, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler warns of PyTorch's own parts
        yield


def need_compiler(name: str) -> None:
    """Raise MissingLibraryError unless there is a C++ compiler for what torch.compile writes."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise MissingLibraryError(f"{name} needs a C++ compiler: install g++ or clang++") from None


def make(name: str, weights: Weights, x: np.ndarray, threads: int, *, folded: bool, compiled: bool = False) -> Engine:
    """Build the network, and compile it for the shape of x.

    Compiling forgets what was compiled before: of compiled engines, only the latest may be used. Its spikes are
    those of a second compilation.
    """
    network = Network(weights, folded)
    layout = torch.channels_last if folded and not compiled else torch.contiguous_format
    network = network.to(memory_format=layout)

    def run(module: Callable[[torch.Tensor], torch.Tensor], images: np.ndarray) -> torch.Tensor:
        with settings(threads):
            return module(torch.from_numpy(images).contiguous(memory_format=layout))

    hooks: nn.Module = Hooks(network)
    forward: nn.Module = network
    if compiled:
        with settings(threads):
            need_compiler(name)
            torch._dynamo.reset()
            forward, hooks = torch.compile(network), torch.compile(hooks)
        run(forward, x)
    return Engine(
        name, "float32", lambda x: run(forward, x).numpy(), lambda x: [s.contiguous().numpy() for s in run(hooks, x)]
    )
