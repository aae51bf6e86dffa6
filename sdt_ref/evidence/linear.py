"""Claim: spike-driven self-attention costs in proportion to the tokens, and to the channels, at a fixed firing rate.

The spikes of Q, K and V repeat one pattern over tokens and channels, so that every rate stays exactly the same while
either doubles. Then each count must double exactly. Additions are those that the engine counts. Reads are counted where
they happen: the engine's own attention runs, with the Python bodies of its kernels, on event lists that notice them.
Softmax attention stands beside it: 2 N^2 C multiply-accumulates for Q K^T and its product with V.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.events import SpikeEvents
from ..weights.arithmetic import FLOAT32
from .lone_attention import attention, mask_and_add
from .noticing import Reads, kernels_replaced, noticing, reading

TOKENS, CHANNELS = (16, 32, 64, 128, 256, 512, 1024), (32, 64, 128, 256, 512, 1024)
PATTERN = 16, 32  # tokens and channels
FIRING_RATE = 0.25  # of Q, K and V
LISTS = {  # where kernels take the channels of event lists
    "add_rows": (1,),
    "add_rows_checked": (1,),
    "intersect": (1, 3),
    "pool3x3": (1,),
    "spread_tokens": (1,),
    "sum_tokens": (1,),
}
ROWS_PER_MASK = 4  # the argument of intersect: 1 where both are lists of tokens


@dataclass(frozen=True)
class Cost:
    """Operations of one SDSA, in one time step, for one sample.

    Attributes
    ----------
    spikes : of Q, K and V together
    additions : of the sum over tokens, as the engine counts them
    reads : of entries of the tokens' event lists, by both masks and the sum
    mask, mask_reads : channels that the mask lets through, and reads of them, however many tokens there are
    softmax : multiply-accumulates of softmax attention of this size, 2 N^2 C
    """

    tokens: int
    channels: int
    spikes: int
    additions: int
    reads: int
    softmax: int
    mask: int = 0
    mask_reads: int = 0


@dataclass(frozen=True)
class Growth:
    """Costs while one of the sizes, 'tokens' or 'channels', doubles."""

    of: str
    costs: tuple[Cost, ...]

    def slope(self, what: str) -> float:
        """Exponent of growth: log(last / first) of a count over that of the size."""
        first, last = self.costs[0], self.costs[-1]
        return math.log2(getattr(last, what) / getattr(first, what)) / math.log2(
            getattr(last, self.of) / getattr(first, self.of)
        )

    @property
    def holds(self) -> bool:
        """Whether every doubling of the size doubles each count exactly, and the mask is read once."""
        return all(cost.mask_reads == cost.mask for cost in self.costs) and all(
            0 < getattr(after, what) == 2 * getattr(before, what)
            for before, after in zip(self.costs, self.costs[1:], strict=False)
            for what in (self.of, "spikes", "additions", "reads")
        )


@dataclass(frozen=True)
class LinearComplexity:
    """Evidence that SDSA is linear in both sizes."""

    firing_rate: float
    growths: tuple[Growth, ...]

    @property
    def holds(self) -> bool:
        """Whether the claim holds."""
        return all(growth.holds for growth in self.growths)


def linear_complexity(
    tokens: tuple[int, ...] = TOKENS,
    channels: tuple[int, ...] = CHANNELS,
    progress: Callable[[str], None] = lambda name: None,
) -> LinearComplexity:
    """Count what SDSA does while the tokens double, and while the channels double.

    Parameters
    ----------
    tokens, channels : sizes, each twice the one before; the other size is the pattern's meanwhile
    progress : called with each size before it is run
    """

    def cost(n: int, c: int) -> Cost:
        progress(f"{n} tokens, {c} channels")
        return _cost(n, c)

    by_tokens = Growth("tokens", tuple(cost(n, PATTERN[1]) for n in tokens))
    by_channels = Growth("channels", tuple(cost(PATTERN[0], c) for c in channels))
    return LinearComplexity(FIRING_RATE, (by_tokens, by_channels))


def _cost(tokens: int, channels: int) -> Cost:
    q, k, v = _spikes(tokens, channels)
    attn, reads, of_mask = attention(FLOAT32), Reads(), Reads()

    def reads_of(arguments: tuple[Any, ...], place: int) -> Reads:
        is_mask = arguments[0] is q.offsets and place == 3 and arguments[ROWS_PER_MASK] == tokens
        return of_mask if is_mask else reads

    for events in (q, k, v):  # also what reads them outside the kernels
        object.__setattr__(events, "channels", noticing(events.channels, reads))
    with kernels_replaced({name: reading(name, places, reads_of) for name, places in LISTS.items()}):
        _, run = mask_and_add(attn, q, k, v, FLOAT32)
    additions = int(run.counter.stage_counts["attention"][attn.talking_heads_lif.module].ac.sum())
    passing = int(run.counter.stage_counts["threshold"][attn.talking_heads_lif.module].events.sum())
    spikes = q.n_events + k.n_events + v.n_events
    return Cost(tokens, channels, spikes, additions, reads.count, 2 * tokens**2 * channels, passing, of_mask.count)


def _spikes(tokens: int, channels: int) -> list[SpikeEvents]:
    """Q, K and V of one sample, one pattern repeated over both axes."""
    rng, made = np.random.default_rng(0), []
    for _ in range(3):
        flat = np.arange(math.prod(PATTERN)) < FIRING_RATE * math.prod(PATTERN)
        pattern = rng.permutation(flat).reshape(PATTERN).astype(np.uint8)
        whole = np.tile(pattern, (tokens // PATTERN[0], channels // PATTERN[1]))  # [N, C]
        made.append(SpikeEvents.from_dense(whole.T.reshape(1, 1, channels, 1, tokens)))
    return made
