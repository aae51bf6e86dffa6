"""Unions (max-pools), intersections (masks) and counts of events: no weight, no membrane."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .. import kernels
from .events import CHANNEL, OFFSET, SpikeEvents, Tile
from .run import Run

TILE_EVENTS = 1 << 18  # room for the events of one tile, were all its neurons to spike
WORTH_A_THREAD = 1 << 17  # neurons of a tile


def pool(events: SpikeEvents, stride: int, run: Run, stage: str = "") -> SpikeEvents:
    """Max-pool spikes over 3x3 pixels: a spike where any neuron of the window spikes.

    [T, B, C, H, W] -> [T, B, C, H/stride, W/stride]; H and W are divisible by the stride

    Parameters
    ----------
    stage : under whose name the operations are counted: an OR for each event and each window that it reaches
    """
    T, B, H, W = events.grid

    def scan(first: int, count: int, bits: np.ndarray, channels: np.ndarray, per_row: np.ndarray) -> int:
        return int(
            kernels.pool3x3(events.offsets, events.channels, H, W, stride, first, count, bits, channels, per_row)
        )

    pooled = _by_rows((T, B, H // stride, W // stride), events.n_channels, scan, run)
    rows, columns = _windows(H, stride), _windows(W, stride)
    reached = np.diff(events.offsets).reshape(T, B, H, W) @ columns @ rows  # [T, B]
    _count_pool(stage, reached, pooled, run)
    return pooled


def pool_tokens(events: SpikeEvents, heads: int, run: Run, stage: str = "") -> SpikeEvents:
    """Max-pool spikes over 3x3 of (token number, channel within its head), the odd pool of dvs mode.

    [T, B, C, H, W] -> the same shape; heads divides C; stage as in `pool`
    """
    channel = np.arange(events.n_channels)
    depth = events.n_channels // heads
    low = channel - (channel % depth > 0)
    high = channel + (channel % depth < depth - 1)

    def scan(first: int, count: int, bits: np.ndarray, channels: np.ndarray, per_row: np.ndarray) -> int:
        return int(
            kernels.spread_tokens(
                events.offsets, events.channels, events.n_tokens, low, high, first, count, bits, channels, per_row
            )
        )

    pooled = _by_rows(events.grid, events.n_channels, scan, run)
    reach = (high - low + 1).astype(np.uint8)

    def reached(tokens: np.ndarray) -> int:
        """Places that the events of these tokens reach in one token."""
        return int(reach[events.channels[tokens[0] : tokens[-1]]].sum(dtype=np.int64))

    ends = [events.offsets[first : first + events.n_tokens + 1] for first in range(0, events.n_rows, events.n_tokens)]
    ors = [3 * reached(tokens) - reached(tokens[:2]) - reached(tokens[-2:]) for tokens in ends]
    _count_pool(stage, np.reshape(ors, events.grid[:2]), pooled, run)
    return pooled


def intersect(events: SpikeEvents, mask: SpikeEvents, run: Run, stage: str = "") -> SpikeEvents:
    """Keep the events that the mask has too: an elementwise AND.

    The mask has the grid of the events, or (T, B): then it holds for every token. An AND for each event is counted
    under the name of the stage.
    """
    rows_per_mask = events.n_rows // mask.n_rows

    def scan(first: int, count: int, bits: np.ndarray, channels: np.ndarray, per_row: np.ndarray) -> int:
        return int(
            kernels.intersect(
                events.offsets,
                events.channels,
                mask.offsets,
                mask.channels,
                rows_per_mask,
                first,
                count,
                bits,
                channels,
                per_row,
            )
        )

    run.count_each("attention", stage, events, "comparisons")
    return _by_rows(events.grid, events.n_channels, scan, run)


def sum_tokens(events: SpikeEvents) -> np.ndarray:
    """Count the spikes of each channel over the tokens: [T, B, C, H, W] -> int64[T, B, C]."""
    T, B = events.grid[:2]
    sums = np.empty((T * B, events.n_channels), np.int64)

    kernels.sum_tokens(events.offsets, events.channels, events.n_tokens, sums)
    return sums.reshape(T, B, -1)


@cache
def _windows(length: int, stride: int) -> np.ndarray:
    """In how many windows of 3 places, around every stride-th one, each place lies."""
    places = np.arange(length)
    return np.sum(np.abs(places - places[::stride, None]) <= 1, axis=0)


def _count_pool(stage: str, reached: np.ndarray, pooled: SpikeEvents, run: Run) -> None:
    neurons = pooled.n_rows // pooled.grid[0] * pooled.n_channels
    run.count_other("pool", stage, comparisons=reached.sum(axis=1), events=pooled.events_per_step(), neurons=neurons)


def _by_rows(grid: tuple[int, ...], n_channels: int, scan: Callable[..., Any], run: Run) -> SpikeEvents:
    """Run a kernel that makes the events of one row from those of others, tile by tile."""
    total = math.prod(grid)
    size = run.tiles.size(total, max(1, TILE_EVENTS // n_channels), max(1, WORTH_A_THREAD // n_channels))

    def worker() -> Callable[[int, int], Tile]:
        bits = kernels.aligned((n_channels + 63) // 64, np.uint64)
        bits[:] = 0
        channels = np.empty(size * n_channels + kernels.SLACK, CHANNEL)
        per_row = np.empty(size, OFFSET)

        def pull(first: int, count: int) -> Tile:
            n_events = scan(first, count, bits, channels, per_row)
            return Tile(per_row[None, :count].copy(), channels[:n_events].copy())

        return pull

    return SpikeEvents.from_kernel(grid, n_channels, run.tiles.work(total, size, worker))
