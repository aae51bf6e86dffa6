"""The paper's estimate, and the Transformer without spikes that it is compared with.

Spike-driven Transformer (NeurIPS 2023), table 1 and supplement S1, S2: the FLOPs FL of each layer, at full size, times
its firing rate R at each of T time steps, times the energy of an addition; the first convolution at that of a
multiply-accumulate. docs/energy.md derives what follows from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..weights.architecture import Architecture
from ..weights.config import ModelConfig
from ..weights.names import group, layer_in_words
from ..weights.tensors import tensor_shapes
from ..weights.wiring import INPUT, NEURON, Stage
from .account import SYNAPSES, Account
from .technology import TECHNOLOGIES, Technology

PAPER = TECHNOLOGIES["45nm-float32"]  # 4.6 pJ per MAC, 0.9 pJ per AC
ATTENTION = "attention"


def flops(architecture: Architecture, config: ModelConfig, height: int, width: int) -> dict[str, int]:
    """FLOPs of one time step of each weight layer, as the paper counts them: one for each MAC, borders as if inside.

    FL = k^2 h w c_in c_out of a convolution (S1), and tokens times inputs times outputs of a linear layer (S2)
    """
    sizes: dict[str, int] = {}
    shapes = tensor_shapes(architecture)
    for stage, number in enumerate(("", "1", "2", "3")):
        sizes[f"patch_embed.proj_conv{number}"] = (
            int(np.prod(shapes[f"patch_embed.proj_conv{number}.weight"])) * height * width
        )
        if config.pools[stage]:
            height, width = height // 2, width // 2
    tokens = height * width
    for name, shape in shapes.items():
        module = name.removesuffix(".weight")
        if name.endswith("conv.weight") and module not in sizes and not module.startswith("patch_embed.proj_conv"):
            sizes[module] = int(np.prod(shape)) * tokens
    sizes["head"] = architecture.dim * architecture.num_classes
    return sizes


def n_tokens(config: ModelConfig, height: int, width: int) -> int:
    """Tokens of the blocks."""
    return height * width // config.size_divisor**2


@dataclass(frozen=True, eq=False)
class Estimate:
    """The paper's estimate of one stage, and what separates it from the operations that were counted.

    Attributes
    ----------
    macs, acs : operations that the formula gives, over all time steps
    pooling : ACs more than that because a layer reads the pooled map, where more neurons fire
    borders : ACs or MACs less because a window reaches beyond the picture
    rates : firing rates that the formula takes, float64[T]: of the neurons before a layer, of an attention those of Q
        and K added up; NaN where a layer reads the input
    complete : whether that is all; not of an attention, nor of a first convolution that adds bit planes
    """

    macs: float
    acs: float
    pooling: float
    borders: float
    rates: np.ndarray
    complete: bool = True

    def energy(self, technology: Technology) -> float:
        """Picojoules by the formula."""
        return self.macs * technology.mac + self.acs * technology.add


def estimates(
    account: Account,
    sizes: Mapping[str, int],
    tokens: int,
    dim: int,
    batch: int = 1,
    rates: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Estimate]:
    """The paper's estimate of each stage of a run.

    Parameters
    ----------
    account : of one run, or a mean over runs: the formula is linear in the rates
    sizes : FLOPs of each layer, see `flops`
    tokens, dim : of the blocks
    batch : samples of the run
    rates : firing rates to take, by official hook, [T]; None takes those of the account
    """
    table: dict[str, Estimate] = {}

    def fires(stage: Stage) -> np.ndarray:
        return account.hook(stage.name) if rates is None else rates[stage.hook]

    for name, stage in account.stages.items():
        if stage.layer is not None:
            source = account.stages[stage.reads[0]]
            own = source.kind == INPUT or (rates is None and source.kind != NEURON)  # no neurons there: what is read
            taken = account.read(name) if own else fires(source)
            table[name] = _of_layer(account, stage, batch * sizes[stage.layer], taken)
        elif name.endswith(".talking_heads_lif"):
            module = name.removesuffix(".talking_heads_lif")
            both = fires(account.stages[f"{module}.q_lif"]) + fires(account.stages[f"{module}.k_lif"])
            table[name] = Estimate(0, float(both.sum()) * batch * tokens * dim, 0, 0, both, complete=False)
    return table


def _of_layer(account: Account, stage: Stage, full: int, rates: np.ndarray) -> Estimate:
    counted = account.get(stage.name, SYNAPSES, "ac") + account.get(stage.name, SYNAPSES, "mac")
    if account.stages[stage.reads[0]].kind == INPUT:  # a picture, read once, or frames, one at each step
        macs = full * int(np.count_nonzero(counted))
        analog, none = bool(np.isnan(rates).all()), np.full(len(rates), np.nan)
        return Estimate(macs, 0, 0, float(counted.sum()) - macs if analog else 0, none, complete=analog)
    formula, pooled = np.nan_to_num(rates) * full, np.nan_to_num(account.read(stage.name)) * full
    return Estimate(0, float(formula.sum()), float((pooled - formula).sum()), float((counted - pooled).sum()), rates)


def layers_of(account: Account, by_formula: Mapping[str, Estimate]) -> dict[str, list[str]]:
    """Stages with a formula by a reader's name: 'block 0: attention q, k, v' has three."""
    rows: dict[str, list[str]] = {}
    for name in by_formula:
        layer = account.stages[name].layer
        words = layer_in_words(layer) if layer else f"{group(name)}: attention"
        rows.setdefault(words, []).append(name)
    return rows


# the Transformer without spikes


@dataclass(frozen=True)
class Vanilla:
    """MACs of the Transformer of equal size with vanilla self-attention, one pass; scale and softmax are left out.

    Attributes
    ----------
    patch_embed : the five convolutions
    qkv : 3 N D^2 in each block
    attention : Q K^T and its product with V, 2 N^2 D in each block
    proj, mlp, head : the linear layers
    """

    patch_embed: int
    qkv: int
    attention: int
    proj: int
    mlp: int
    head: int

    @property
    def macs(self) -> int:
        """All of them."""
        return self.patch_embed + self.qkv + self.attention + self.proj + self.mlp + self.head


def vanilla(architecture: Architecture, config: ModelConfig, height: int, width: int) -> Vanilla:
    """The MACs of the equal-sized Transformer."""
    sizes, N, D = flops(architecture, config, height, width), n_tokens(config, height, width), architecture.dim

    def total(*ends: str) -> int:
        return sum(size for module, size in sizes.items() if module.endswith(ends))

    return Vanilla(
        patch_embed=sum(size for module, size in sizes.items() if module.startswith("patch_embed")),
        qkv=total("q_conv", "k_conv", "v_conv"),
        attention=2 * N * N * D * architecture.depth,
        proj=total("attn.proj_conv"),
        mlp=total("fc1_conv", "fc2_conv"),
        head=sizes["head"],
    )


def attention_ratio(
    tokens: int,
    dim: int,
    time_steps: int,
    rate_of_operator: float,
    rate_of_input: float | None = None,
    technology: Technology = PAPER,
) -> float:
    """Energy of vanilla self-attention over that of SDSA, by the paper's terms.

    operator alone:    2 N^2 D E_MAC  /  (T R^ N D E_AC)
    with Q, K and V:   (3 N D^2 + 2 N^2 D) E_MAC  /  (T (R 3 N D^2 + R^ N D) E_AC)

    Parameters
    ----------
    rate_of_operator : R^, the sum of the firing rates of Q and K
    rate_of_input : R, the rate of what the layers of Q, K and V read; None leaves these layers out on both sides
    """
    make = 3 * tokens * dim**2
    if rate_of_input is None:
        make, rate_of_input = 0, 0.0
    ours = time_steps * (rate_of_input * make + rate_of_operator * tokens * dim) * technology.add
    return (make + 2 * tokens**2 * dim) * technology.mac / ours


def rate_for_ratio(
    ratio: float, tokens: int, dim: int, time_steps: int, with_qkv: bool, technology: Technology = PAPER
) -> float:
    """The firing rate at which `attention_ratio` has this value; with Q, K and V one rate serves for both R and R^."""
    return attention_ratio(tokens, dim, time_steps, 1.0, 1.0 if with_qkv else None, technology) / ratio
