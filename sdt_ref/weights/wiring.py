"""Which stage reads which, in the order of the data flow: the network as a list.

Tensors, neurons, registers and streams follow from it; the golden kit, the costs and the walk go through it. Another
network of this family is one more such list, and the operators that it needs. Besides, only the forward passes of
`network/` and of the oracle spell it.
"""

from dataclasses import dataclass
from typing import Any

from .architecture import Architecture
from .config import ModelConfig
from .names import hook

INPUT, NEURON, STREAM, SPIKES, HEAD = "input", "neuron", "stream", "spikes", "head"

# what is recorded of each kind of stage, in the order in which it comes about
QUANTITIES = {
    INPUT: ("pixel",),
    NEURON: ("sum", "x", "h", "spikes", "v"),
    STREAM: ("sum", "u"),
    SPIKES: ("spikes",),
    HEAD: ("sum",),
}


@dataclass(frozen=True)
class Stage:
    """One stage, under the name of its official module.

    Attributes
    ----------
    kind : 'input', 'neuron', 'stream', 'spikes' (an AND of two others), or 'head'
    reads : stages whose spikes, pixels or stream it reads
    layer : weight layer between them, if there is one
    channels : of what it holds
    window : side of the layer's kernel
    bias : whether the official convolution has a bias besides that of its BatchNorm
    pooled : whether what it reads is pooled on the way
    pooled_behind : whether its spikes are pooled at once, so that the pooled ones are recorded
    over_tokens : whether it reads a sum over all tokens, and so has one row in each step
    residual : stage whose stream is added; None without
    hook : official name of its spikes; '' without
    """

    name: str
    kind: str
    reads: tuple[str, ...] = ()
    channels: int = 0
    layer: str | None = None
    window: int = 1
    bias: bool = False
    pooled: bool = False
    pooled_behind: bool = False
    over_tokens: bool = False
    residual: str | None = None
    hook: str = ""

    @property
    def quantities(self) -> tuple[str, ...]:
        """What is recorded of it."""
        return QUANTITIES[self.kind]


def wiring(architecture: Architecture, config: ModelConfig | None = None) -> dict[str, Stage]:
    """All stages by name, each behind those that it reads.

    Parameters
    ----------
    config : without it nothing is pooled; names, layers, channels and order do not depend on it
    """
    pools, dvs_mode = (config.pools, config.dvs_mode) if config else ((False,) * 4, False)
    stages: dict[str, Stage] = {}

    def add(name: str, kind: str, *reads: str, **more: Any) -> str:
        more.setdefault("channels", architecture.dim)
        spikes = kind in (NEURON, SPIKES)
        stages[name] = Stage(name, kind, reads, hook=hook(name) if spikes else "", **more)
        return name

    before = add("input", INPUT, channels=architecture.in_channels)
    for n, number in enumerate(("", "1", "2")):
        before = add(
            f"patch_embed.proj_lif{number}",
            NEURON,
            before,
            channels=architecture.widths[n],
            layer=f"patch_embed.proj_conv{number}",
            window=3,
            pooled=n > 0 and pools[n - 1],
        )
    u = add("patch_embed.proj_conv3", STREAM, before, layer="patch_embed.proj_conv3", window=3, pooled=pools[2])
    s = add("patch_embed.proj_lif3", NEURON, u, pooled=pools[3])
    u = add("patch_embed.rpe_conv", STREAM, s, layer="patch_embed.rpe_conv", window=3, residual=u)
    for j in range(architecture.depth):
        attn, mlp = f"block.{j}.attn", f"block.{j}.mlp"
        s = add(f"{attn}.shortcut_lif", NEURON, u)
        q, k, v = (
            add(f"{attn}.{x}_lif", NEURON, s, layer=f"{attn}.{x}_conv", pooled_behind=dvs_mode and x != "q")
            for x in "qkv"
        )
        kv = add(f"{attn}.kv", SPIKES, k, v)
        mask = add(f"{attn}.talking_heads_lif", NEURON, kv, pooled=dvs_mode, over_tokens=True)
        z = add(f"{attn}.masked", SPIKES, q, mask, pooled_behind=dvs_mode)
        u = add(f"{attn}.proj_conv", STREAM, z, layer=f"{attn}.proj_conv", bias=True, residual=u)
        s = add(f"{mlp}.fc1_lif", NEURON, u)
        fc1: dict[str, Any] = {"layer": f"{mlp}.fc1_conv", "bias": True, "channels": architecture.hidden}
        if architecture.hidden == architecture.dim:  # a shortcut of its own
            s = u = add(f"{mlp}.fc1_conv", STREAM, s, residual=u, **fc1)
            fc1 = {}
        s = add(f"{mlp}.fc2_lif", NEURON, s, **fc1)
        u = add(f"{mlp}.fc2_conv", STREAM, s, layer=f"{mlp}.fc2_conv", bias=True, residual=u)
    s = add("head_lif", NEURON, u, over_tokens=True)
    add("head", HEAD, s, layer="head", channels=architecture.num_classes)
    return stages


def layers(architecture: Architecture) -> list[str]:
    """The weight layers, in the order of the data flow."""
    return [stage.layer for stage in wiring(architecture).values() if stage.layer is not None]


def of_kind(architecture: Architecture, kind: str) -> list[str]:
    """The stages of one kind, in the order of the data flow."""
    return [stage.name for stage in wiring(architecture).values() if stage.kind == kind]
