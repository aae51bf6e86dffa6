"""Claim: spike-driven self-attention costs in proportion to the tokens, and to the channels, at a fixed firing rate.

The spikes of Q, K and V repeat one pattern over tokens and channels, so that every rate stays exactly the same while
either doubles. Then each count must double exactly. Additions are those that the engine counts; reads are counted where
they happen, by lists of events that notice it, under the Python bodies of the kernels. Softmax attention stands beside
it: 2 N^2 C multiply-accumulates for Q K^T and its product with V.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import kernels
from ..arithmetic import FLOAT32
from ..events import CHANNEL, SpikeEvents
from .addition import interpreted
from .attention import attention, mask_and_add

TOKENS, CHANNELS = (16, 32, 64, 128, 256, 512, 1024), (32, 64, 128, 256, 512, 1024)
PATTERN = 16, 32  # tokens and channels
FIRING_RATE = 0.25  # of Q, K and V

Lists = tuple[np.ndarray, np.ndarray]  # offsets and channels


@dataclass(frozen=True)
class Cost:
    """Operations of one SDSA, in one time step, for one sample.

    Attributes
    ----------
    spikes : of Q, K and V together
    additions : of the sum over tokens, as the engine counts them
    reads : of entries of the tokens' event lists, by both masks and the sum
    softmax : multiply-accumulates of softmax attention of this size, 2 N^2 C
    """

    tokens: int
    channels: int
    spikes: int
    additions: int
    reads: int
    softmax: int


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
        """Whether every doubling of the size doubles each count exactly."""
        return all(
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
    told: Callable[[str], None] = lambda name: None,
) -> LinearComplexity:
    """Count what SDSA does while the tokens double, and while the channels double.

    Parameters
    ----------
    tokens, channels : sizes, each twice the one before; the other size is the pattern's meanwhile
    told : is called with each size before it is run
    """

    def cost(n: int, c: int) -> Cost:
        told(f"{n} tokens, {c} channels")
        return _cost(n, c)

    by_tokens = Growth("tokens", tuple(cost(n, PATTERN[1]) for n in tokens))
    by_channels = Growth("channels", tuple(cost(PATTERN[0], c) for c in channels))
    return LinearComplexity(FIRING_RATE, (by_tokens, by_channels))


def _cost(tokens: int, channels: int) -> Cost:
    q, k, v = _spikes(tokens, channels)
    attn = attention(FLOAT32)
    _, run = mask_and_add(attn, q, k, v, FLOAT32)
    additions = int(run.tally.stage_counts["attention"][attn.talking_heads_lif.module].ac.sum())
    spikes = q.n_events + k.n_events + v.n_events
    return Cost(tokens, channels, spikes, additions, _reads(q, k, v), 2 * tokens**2 * channels)


def _spikes(tokens: int, channels: int) -> list[SpikeEvents]:
    """Q, K and V of one sample, one pattern repeated over both axes."""
    rng, made = np.random.default_rng(0), []
    for _ in range(3):
        flat = np.arange(math.prod(PATTERN)) < FIRING_RATE * math.prod(PATTERN)
        pattern = rng.permutation(flat).reshape(PATTERN).astype(np.uint8)
        whole = np.tile(pattern, (tokens // PATTERN[0], channels // PATTERN[1]))  # [N, C]
        made.append(SpikeEvents.from_dense(whole.T.reshape(1, 1, channels, 1, tokens)))
    return made


def _reads(q: SpikeEvents, k: SpikeEvents, v: SpikeEvents) -> int:
    """Entries of the tokens' event lists that the kernels of SDSA read, in their Python bodies.

    The mask is no token's: its list is read once, however many tokens there are.
    """
    reads = itertools.count()

    class Noticing(np.ndarray):
        def __getitem__(self, key: Any) -> Any:
            next(reads)
            return super().__getitem__(key)

    def both(events: Lists, mask: Lists, rows_per_mask: int) -> Lists:
        rows = len(events[0]) - 1
        bits = np.zeros((q.n_channels + 63) // 64, np.uint64)
        common, per_row = np.zeros(len(events[1]) + kernels.SLACK, CHANNEL), np.zeros(rows, np.int64)
        n_events = intersect(*events, *mask, rows_per_mask, 0, rows, bits, common, per_row)
        return np.concatenate([[0], np.cumsum(per_row)]), common[:n_events].view(Noticing)

    intersect, sum_tokens = interpreted(kernels.intersect), interpreted(kernels.sum_tokens)
    lists = [(events.offsets, events.channels.view(Noticing)) for events in (q, k, v)]
    sums = np.zeros((1, q.n_channels), np.int64)
    sum_tokens(*both(lists[1], lists[2], 1), q.n_tokens, sums)
    fired = np.flatnonzero(sums).astype(CHANNEL)
    both(lists[0], (np.array([0, len(fired)]), fired), q.n_tokens)
    return next(reads)
