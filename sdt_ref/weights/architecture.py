"""The shapes of the network, read off its tensors; and the complete list of tensors that follows from them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import WeightsError

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


@dataclass(frozen=True)
class Architecture:
    """The sizes that the tensors tell.

    Attributes
    ----------
    dim : channels C of the blocks; the patch embedding has C/8, C/4, C/2, C
    depth : number of blocks
    in_channels, num_classes : channels of the input, logits of the output
    hidden : channels between fc1 and fc2, int(dim * mlp_ratio)
    spike_mode : 'lif', or 'plif' with a learned time constant per neuron layer
    """

    dim: int
    depth: int
    in_channels: int
    num_classes: int
    hidden: int
    spike_mode: str

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Output channels of the four convolutions of the patch embedding."""
        return self.dim // 8, self.dim // 4, self.dim // 2, self.dim

    def tensors(self) -> dict[str, Shape]:
        """Name and shape of every tensor that the forward pass reads, in the official order."""
        table: dict[str, Shape] = {}

        def layer(conv: str, norm: str, shape: Shape, bias: bool = False) -> None:
            table[f"{conv}.weight"] = shape
            if bias:
                table[f"{conv}.bias"] = shape[:1]
            for part in BATCH_NORM:
                table[f"{norm}.{part}"] = shape[:1]

        def neuron(name: str) -> None:
            if self.spike_mode == "plif":
                table[f"{name}.w"] = ()

        inputs = self.in_channels
        for stage, outputs in enumerate(self.widths):
            number = str(stage) if stage else ""
            layer(f"patch_embed.proj_conv{number}", f"patch_embed.proj_bn{number}", (outputs, inputs, 3, 3))
            neuron(f"patch_embed.proj_lif{number}")
            inputs = outputs
        layer("patch_embed.rpe_conv", "patch_embed.rpe_bn", (self.dim, self.dim, 3, 3))
        for j in range(self.depth):
            attention, mlp = f"block.{j}.attn", f"block.{j}.mlp"
            neuron(f"{attention}.shortcut_lif")
            for p in "qkv":
                layer(f"{attention}.{p}_conv", f"{attention}.{p}_bn", (self.dim, self.dim, 1, 1))
                neuron(f"{attention}.{p}_lif")
            neuron(f"{attention}.talking_heads_lif")
            layer(f"{attention}.proj_conv", f"{attention}.proj_bn", (self.dim, self.dim, 1, 1), bias=True)
            neuron(f"{mlp}.fc1_lif")
            layer(f"{mlp}.fc1_conv", f"{mlp}.fc1_bn", (self.hidden, self.dim, 1, 1), bias=True)
            neuron(f"{mlp}.fc2_lif")
            layer(f"{mlp}.fc2_conv", f"{mlp}.fc2_bn", (self.dim, self.hidden, 1, 1), bias=True)
        neuron("head_lif")
        table["head.weight"] = (self.num_classes, self.dim)
        table["head.bias"] = (self.num_classes,)
        return table


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
    expected = architecture.tensors()
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
    parameters = sum(_size(shape) for shape in expected.values())
    if parameters > MAX_PARAMETERS:
        raise WeightsError(f"expected at most {MAX_PARAMETERS:,} parameters, found {parameters:,}")
    return architecture


def _size(shape: Shape) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
