"""BatchNorm folded into weights and biases, once, in float64, then rounded to the arithmetic.

Engine and oracle take the same folded parameters; the folding itself is tested against the unfolded formula.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import WeightsError
from .arithmetic import Arithmetic
from .file import Weights
from .tensors import batch_norm_of
from .wiring import NEURON, layers, of_kind

BATCH_NORM_EPSILON = 1e-5  # torch.nn.BatchNorm2d's default; the official model sets no other
LIF_LEAK = 0.5  # 1 / tau, tau = 2
THRESHOLD = 1.0
ATTENTION_THRESHOLD = 0.5  # of talking_heads_lif alone


@dataclass(frozen=True)
class Layer:
    """A weight layer with its BatchNorm folded in.

    Attributes
    ----------
    weight : [C_out, C_in, k, k], k = 3 or 1; the head is [classes, C, 1, 1]
    bias : [C_out]
    """

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class NeuronParameters:
    """h = v + (x - v) * leak; a spike when h >= threshold; both in the arithmetic's type."""

    leak: np.floating
    threshold: np.floating


@dataclass(frozen=True)
class Parameters:
    """All folded layers and neuron constants, by official module path ('block.0.attn.q_conv', 'block.0.attn.q_lif')."""

    layers: Mapping[str, Layer]
    neurons: Mapping[str, NeuronParameters]


def fold(weights: Weights, arithmetic: Arithmetic) -> Parameters:
    """Fold every BatchNorm and round to the arithmetic; take every PLIF's sigmoid.

    weight' = weight * g, bias' = (bias - mean) * g + beta, g = gamma / sqrt(var + eps), in float64

    A layer is folded when it is looked up, so that all of them need not be held beside the originals; looking it up
    raises WeightsError when a folded value is not finite in this arithmetic.
    """
    return Parameters(_FoldedLayers(weights, arithmetic), _neurons(weights, arithmetic))


class _FoldedLayers(Mapping[str, Layer]):
    def __init__(self, weights: Weights, arithmetic: Arithmetic) -> None:
        self._tensors = weights.tensors
        self._arithmetic = arithmetic
        self._modules = layers(weights.architecture)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __getitem__(self, module: str) -> Layer:
        arithmetic = self._arithmetic
        if module == "head":
            weight, bias = (self._tensors[f"head.{part}"].astype(np.float64) for part in ("weight", "bias"))
            layer = Layer(arithmetic.round(weight[:, :, None, None]), arithmetic.round(bias))
        else:
            layer = fold_layer(self._tensors, module, batch_norm_of(module), arithmetic)
        if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
            raise WeightsError(f"layer '{module}': BatchNorm folds to values beyond {arithmetic.name}; use float64")
        return layer


def fold_layer(tensors: Mapping[str, np.ndarray], conv: str, norm: str, arithmetic: Arithmetic) -> Layer:
    """Fold one convolution with the BatchNorm behind it."""

    def wide(name: str) -> np.ndarray:
        return tensors[name].astype(np.float64)

    gain = wide(f"{norm}.weight") / np.sqrt(wide(f"{norm}.running_var") + BATCH_NORM_EPSILON)
    bias = wide(f"{conv}.bias") if f"{conv}.bias" in tensors else 0.0
    with np.errstate(over="ignore"):  # what overflows float32 is refused by name
        return Layer(
            weight=arithmetic.round(wide(f"{conv}.weight") * gain[:, None, None, None]),
            bias=arithmetic.round((bias - wide(f"{norm}.running_mean")) * gain + wide(f"{norm}.bias")),
        )


def _neurons(weights: Weights, arithmetic: Arithmetic) -> dict[str, NeuronParameters]:
    number = arithmetic.dtype.type
    neurons = {}
    for module in of_kind(weights.architecture, NEURON):
        w = weights.tensors.get(f"{module}.w")
        leak = number(LIF_LEAK) if w is None else arithmetic.sigmoid(w)
        threshold = ATTENTION_THRESHOLD if module.endswith("talking_heads_lif") else THRESHOLD
        neurons[module] = NeuronParameters(leak, number(threshold))
    return neurons
