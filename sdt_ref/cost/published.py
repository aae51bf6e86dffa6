"""The paper's figures, and the rates and terms at which its formula gives them: without weights, as none are here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..weights.architecture import Architecture
from ..weights.config import ModelConfig
from .formula import PAPER, attention_ratio, flops, n_tokens, rate_for_ratio, vanilla
from .technology import Technology

PUBLISHED_RATIO = 87.2  # abstract: "up to 87.2x lower computation energy than vanilla self-attention"
SIZES = (224, 288)

# firing rates of the one log that is public: SDT-8-768 on one image (BICLab/Spike-Driven-Transformer, issue 25),
# rounded; by what follows the neurons. Those of fc2 and the head are not in it: .15 stands in
LOG_RATES = MappingProxyType(
    {"proj_conv1": 0.13, "proj_conv2": 0.06, "proj_conv3": 0.04, "rpe_conv": 0.14, "q_conv": 0.33, "k_conv": 0.33,
     "v_conv": 0.33, "attn.proj_conv": 0.10, "fc1_conv": 0.33, "fc2_conv": 0.15, "head": 0.15}
)  # fmt: skip
LOG_Q_AND_K = 0.22 + 0.02
READ_RATE = LOG_RATES["q_conv"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """A row of the paper's table of ImageNet results, 224 x 224, T = 4."""

    dim: int
    depth: int
    millijoules: float

    @property
    def architecture(self) -> Architecture:
        """Its sizes."""
        return Architecture(self.dim, self.depth, 3, 1000, 4 * self.dim, "lif")


PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "sdt-8-384": Published(384, 8, 3.90),
        "sdt-6-512": Published(512, 6, 3.56),
        "sdt-8-512": Published(512, 8, 4.50),
        "sdt-10-512": Published(512, 10, 5.53),
        "sdt-8-768": Published(768, 8, 6.09),
    }
)
IMAGENET = ModelConfig(4, "1111", 8, dvs_mode=False, TET=False)


def explaining_rate(
    published: Published, size: int = 224, first_each_step: bool = False, technology: Technology = PAPER
) -> float:
    """The mean firing rate at which the formula gives a published energy.

    All layers but the first are weighed by their FLOPs. Below 0, the first convolution alone costs more than published.

    Parameters
    ----------
    first_each_step : whether the first convolution is paid at each time step, or once, as a picture stays the same
    """
    sizes = flops(published.architecture, IMAGENET, size, size)
    T, first = IMAGENET.time_steps, sizes.pop("patch_embed.proj_conv")
    analog = first * technology.mac * (T if first_each_step else 1)
    return (published.millijoules * 1e9 - analog) / (T * sum(sizes.values()) * technology.add)


def energy_at_log_rates(published: Published, size: int = 224) -> float:
    """What the formula gives a network, in mJ, if all of its neurons fire as those of the public log."""
    sizes = flops(published.architecture, IMAGENET, size, size)
    first = sizes.pop("patch_embed.proj_conv") * PAPER.mac
    fired = sum(fl * next(rate for end, rate in LOG_RATES.items() if name.endswith(end)) for name, fl in sizes.items())
    fired += published.depth * n_tokens(IMAGENET, size, size) * published.dim * LOG_Q_AND_K
    return (first + IMAGENET.time_steps * fired * PAPER.add) / 1e9


def energies() -> list[Row]:
    """The published energies, mJ: the first convolution's part, all else at rate 1, the rates that explain them."""
    rows = []
    for name, row in PUBLISHED.items():
        sizes = flops(row.architecture, IMAGENET, 224, 224)
        first = sizes.pop("patch_embed.proj_conv") * PAPER.mac / 1e9
        rest = IMAGENET.time_steps * sum(sizes.values()) * PAPER.add / 1e9
        rates = {
            "rate": explaining_rate(row),
            "rate, conv x T": explaining_rate(row, first_each_step=True),
            "at the log's": energy_at_log_rates(row),
        }
        rows.append(
            {"network": name, "published, mJ": row.millijoules, "first conv": first, "all else at 1": rest, **rates}
        )
    return rows


def without_spikes() -> list[Row]:
    """The Transformers of equal size with vanilla attention: MACs, the attention's share, mJ, times the published."""
    rows = []
    for name, row in PUBLISHED.items():
        for size in SIZES:
            other = vanilla(row.architecture, IMAGENET, size, size)
            mj = other.macs * PAPER.mac / 1e9
            share = (other.qkv + other.attention + other.proj) / other.macs
            over = mj / row.millijoules if size == 224 else None
            rows.append({"network": name, "pixels": size, "MACs, G": other.macs / 1e9, "attention": share, "mJ": mj,
                         "times published": over})  # fmt: skip
    return rows


def ratios() -> list[Row]:
    """Firing rates at which vanilla attention costs PUBLISHED_RATIO times as much, and its ratio at READ_RATE."""
    rows = []
    for dim in sorted({row.dim for row in PUBLISHED.values()}):
        for size in SIZES:
            N, T = n_tokens(IMAGENET, size, size), IMAGENET.time_steps
            whole, alone = (rate_for_ratio(PUBLISHED_RATIO, N, dim, T, with_qkv) for with_qkv in (True, False))
            read = attention_ratio(N, dim, T, 2 * READ_RATE, READ_RATE)
            rows.append({"channels": dim, "pixels": size, "tokens": N, "rate, with Q, K, V": whole,
                         "rate, operator alone": alone, f"ratio at {READ_RATE}": read})  # fmt: skip
    return rows
