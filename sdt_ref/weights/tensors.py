"""The tensors of the network, as its wiring needs them; and its sizes, read off the tensors of a file."""

import math
import re
from collections.abc import Mapping

from ..errors import WeightsError
from .architecture import Architecture
from .wiring import HEAD, NEURON, Stage, wiring

Shape = tuple[int, ...]

MAX_CHANNELS = 65_536  # events store a channel in 16 bits
MAX_PARAMETERS = 2_000_000_000  # thirty times the largest published model

# in every official checkpoint, and never read by its forward pass
UNUSED = re.compile(
    r"(patch_embed|block\.\d+\.(attn|mlp))\.\w+_bn\d?\.num_batches_tracked$"
    r"|block\.\d+\.attn\.(talking_heads\.weight|attn_lif\.w)$"
    r"|patch_embed\.rpe_lif\.w$"
)

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def tensor_shapes(architecture: Architecture) -> dict[str, Shape]:
    """Name and shape of every tensor that the forward pass reads, in the official order."""
    stages = wiring(architecture)
    table: dict[str, Shape] = {}
    for stage in stages.values():
        if stage.layer is not None:
            table |= _of_layer(stage.layer, stage, stages[stage.reads[0]])
        if stage.kind == NEURON and architecture.spike_mode == "plif":
            table[f"{stage.name}.w"] = ()
    return table


def batch_norm_of(layer: str) -> str:
    """The BatchNorm behind a convolution: 'patch_embed.proj_conv1' -> 'patch_embed.proj_bn1'."""
    return layer.replace("_conv", "_bn")


def _of_layer(layer: str, stage: Stage, source: Stage) -> dict[str, Shape]:
    outputs = (stage.channels,)
    if stage.kind == HEAD:
        return {f"{layer}.weight": (stage.channels, source.channels), f"{layer}.bias": outputs}
    table: dict[str, Shape] = {f"{layer}.weight": (stage.channels, source.channels, stage.window, stage.window)}
    if stage.bias:
        table[f"{layer}.bias"] = outputs
    return table | {f"{batch_norm_of(layer)}.{part}": outputs for part in BATCH_NORM}


def infer(shapes: Mapping[str, Shape]) -> Architecture:
    """Read the architecture off tensor shapes, and check that exactly its tensors are there.

    Parameters
    ----------
    shapes : name -> shape; names in `UNUSED` must have been taken out

    Raises
    ------
    WeightsError
        naming the first tensor that is missing, misshapen or not understood
    """

    def shape_of(name: str, rank: int) -> Shape:
        if name not in shapes:
            found = ", ".join(list(shapes)[:3]) or "no tensor at all"
            raise WeightsError(
                f"tensor '{name}' is missing: expected a Spike-driven Transformer (V1), found {found}, ...; "
                "convert a checkpoint of BICLab/Spike-Driven-Transformer"
            )
        if len(shapes[name]) != rank or 0 in shapes[name]:
            raise WeightsError(f"tensor '{name}': expected {rank} axes, none empty, found shape {shapes[name]}")
        return shapes[name]

    stem = shape_of("patch_embed.proj_conv.weight", 4)
    dim = shape_of("patch_embed.rpe_conv.weight", 4)[0]
    hidden = shape_of("block.0.mlp.fc1_conv.weight", 4)[0]
    num_classes = shape_of("head.weight", 2)[0]
    blocks = {int(match[1]) for name in shapes if (match := re.match(r"block\.(\d{1,4})\.", name))}
    if dim % 8:
        raise WeightsError(f"tensor 'patch_embed.rpe_conv.weight': expected channels divisible by 8, found {dim}")
    if max(dim, hidden) > MAX_CHANNELS:
        raise WeightsError(f"tensor channels: expected at most {MAX_CHANNELS}, found {max(dim, hidden)}")
    spike_mode = "plif" if any(name.endswith("lif.w") for name in shapes) else "lif"
    architecture = Architecture(dim, max(blocks) + 1, stem[1], num_classes, hidden, spike_mode)
    expected = tensor_shapes(architecture)
    for name, shape in expected.items():
        if name not in shapes:
            raise WeightsError(f"tensor '{name}' is missing: expected shape {shape} for {architecture}")
        if shapes[name] != shape:
            raise WeightsError(f"tensor '{name}': expected shape {shape}, found {shapes[name]}; is it another network?")
    for name in shapes:
        if name not in expected:
            raise WeightsError(
                f"tensor '{name}' of shape {shapes[name]} is not understood: expected only tensors of the "
                "Spike-driven Transformer (V1); is it another network?"
            )
    parameters = sum(math.prod(shape) for shape in expected.values())
    if parameters > MAX_PARAMETERS:
        raise WeightsError(f"expected at most {MAX_PARAMETERS:,} parameters, found {parameters:,}")
    return architecture
