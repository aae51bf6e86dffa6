"""What is done to events without any arithmetic: unions (max-pools) and intersections (masks)."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import kernels
from .events import CHANNEL, OFFSET, SpikeEvents, Tile
from .run import Run

TILE_EVENTS = 1 << 18  # room for the events of one tile, were all its neurons to spike
WORTH_A_THREAD = 1 << 17  # neurons of a tile


def pool(events: SpikeEvents, stride: int, run: Run) -> SpikeEvents:
    """Max-pool spikes over 3x3 pixels: a spike where any neuron of the window spikes.

    [T, B, C, H, W] -> [T, B, C, H/stride, W/stride]; H and W are divisible by the stride
    """
    T, B, H, W = events.grid

    def scan(first: int, count: int, bits: np.ndarray, channels: np.ndarray, per_row: np.ndarray) -> int:
        return int(
            kernels.pool3x3(events.offsets, events.channels, H, W, stride, first, count, bits, channels, per_row)
        )

    return _by_rows((T, B, H // stride, W // stride), events.n_channels, scan, run)


def pool_tokens(events: SpikeEvents, heads: int, run: Run) -> SpikeEvents:
    """Max-pool spikes over 3x3 of (token number, channel within its head), the odd pool of dvs mode.

    [T, B, C, H, W] -> the same shape; heads divides C
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

    return _by_rows(events.grid, events.n_channels, scan, run)


def intersect(events: SpikeEvents, mask: SpikeEvents, run: Run) -> SpikeEvents:
    """Keep the events that the mask has too: an elementwise AND.

    The mask has the grid of the events, or (T, B): then it holds for every token.
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

    return _by_rows(events.grid, events.n_channels, scan, run)


def sum_tokens(events: SpikeEvents) -> np.ndarray:
    """Count the spikes of each channel over the tokens: [T, B, C, H, W] -> int64[T, B, C]."""
    T, B = events.grid[:2]
    sums = np.empty((T * B, events.n_channels), np.int64)

    kernels.sum_tokens(events.offsets, events.channels, events.n_tokens, sums)
    return sums.reshape(T, B, -1)


def _by_rows(grid: tuple[int, ...], n_channels: int, scan: Callable[..., Any], run: Run) -> SpikeEvents:
    """Run a kernel that makes the events of one row from those of others, tile by tile."""
    total = math.prod(grid)
    size = run.tile_size(total, max(1, TILE_EVENTS // n_channels), max(1, WORTH_A_THREAD // n_channels))

    def worker() -> Callable[[int, int], Tile]:
        bits = kernels.aligned((n_channels + 63) // 64, np.uint64)
        bits[:] = 0
        channels = np.empty(size * n_channels + kernels.SLACK, CHANNEL)
        per_row = np.empty(size, OFFSET)

        def piece(first: int, count: int) -> Tile:
            n_events = scan(first, count, bits, channels, per_row)
            return Tile(per_row[None, :count].copy(), channels[:n_events].copy())

        return piece

    return SpikeEvents.from_kernel(grid, n_channels, run.tiles(total, size, worker))
