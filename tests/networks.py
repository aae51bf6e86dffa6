"""Random networks of any shape, cheap enough for a dense oracle, with firing rates from silent to saturated."""

from dataclasses import dataclass
from types import ModuleType

import numpy as np

import sdt_ref
import sdt_ref.weights.architecture
import sdt_ref.weights.config
import sdt_ref.weights.file
from sdt_ref.weights.tensors import tensor_shapes


@dataclass(frozen=True)
class Network:
    """A recipe for random weights and a random input.

    drive : added to every BatchNorm's bias: -100 silences a network, 0.5 makes it fire plausibly, 100 saturates it
    dyadic : all numbers on coarse binary grids, so that sums are exact and membranes often meet the threshold exactly
    """

    dim: int = 16
    depth: int = 1
    in_channels: int = 3
    num_classes: int = 5
    hidden: int = 24
    num_heads: int = 4
    spike_mode: str = "lif"
    time_steps: int = 3
    pooling_stat: str = "0011"
    dvs_mode: bool = False
    TET: bool = False
    batch: int = 2
    height: int = 8
    width: int = 8
    frames: bool = False
    drive: float = 0.5
    dyadic: bool = False
    seed: int = 0


def random_tensors(n: Network) -> dict[str, np.ndarray]:
    """Draw every tensor that the network reads."""
    architecture = sdt_ref.weights.architecture.Architecture(
        n.dim, n.depth, n.in_channels, n.num_classes, n.hidden, n.spike_mode
    )
    rng = np.random.default_rng(n.seed)
    tensors = {}
    for name, shape in tensor_shapes(architecture).items():
        part = name.rpartition(".")[2]
        module = name.rpartition(".")[0]
        value = rng.standard_normal(shape)
        if part == "w":
            value = value * 1.5
        elif part == "running_var":
            value = np.ones(shape) if n.dyadic else rng.uniform(0.3, 3, shape)
        elif "_bn" in module:
            value = {"weight": 1 + 0.2 * value, "bias": 0.5 * value + n.drive, "running_mean": 0.3 * value}[part]
        elif part == "weight":
            fan_in = int(np.prod(shape[1:]))
            value = value * 2.5 / np.sqrt(fan_in)
        if n.dyadic and part != "w":
            value = np.rint(value * 4) / 4 if part != "running_var" else value - 1e-5
        tensors[name] = np.asarray(value, np.float32)
    return tensors


def weights_of(n: Network) -> sdt_ref.weights.Weights:
    """Draw a weights file's content."""
    return sdt_ref.weights.Weights(
        random_tensors(n),
        sdt_ref.weights.config.ModelConfig(n.time_steps, n.pooling_stat, n.num_heads, n.dvs_mode, n.TET),
        sdt_ref.weights.config.Preprocessing(max(n.height, n.width), frames=n.in_channels != 3),
        tuple(f"class {k}" for k in range(n.num_classes)),
        {"source": "random"},
    )


def input_of(n: Network) -> np.ndarray:
    """Draw an input: (B, C, H, W), or (B, T, C, H, W) frames."""
    rng = np.random.default_rng(n.seed + 1)
    steps = (n.time_steps,) if n.frames else ()
    x = rng.standard_normal((n.batch, *steps, n.in_channels, n.height, n.width)) * 2
    return np.rint(x * 4) / 4 if n.dyadic else x


def model_of(n: Network, arithmetic: str = "float32", threads: int = 1, package: ModuleType = sdt_ref,
             formats: str | None = None) -> sdt_ref.SpikeDrivenTransformer:  # fmt: skip
    """Build the network, with this package or with a changed copy of it; `formats` is the text of a formats file."""
    registers = None if formats is None else package.fixed.formats.Formats.from_toml(formats)
    return package.SpikeDrivenTransformer(weights_of(n), arithmetic, threads, registers)
