"""What fits on a page, and how it is packed: a few channels of each stage, maps that are not too fine, some steps."""

import base64
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..engine.events import SpikeEvents

MOST_STEPS = 32  # time steps
SPIKE_BYTES = 2_200_000  # of all spikes shown one by one, a bit each
MAP_BYTES = 700_000  # of all maps of spikes per position
SIDES = (96, 64, 48, 32, 24, 16, 12, 8)  # of the largest map, positions; the finest that fits is taken
MOST_CHANNELS = 4096


@dataclass(frozen=True)
class Shape:
    """What decides how much room a stage takes.

    Attributes
    ----------
    channels, height, width : of its neurons
    """

    channels: int
    height: int
    width: int

    @property
    def has_map(self) -> bool:
        """Whether there is more than one position."""
        return self.height * self.width > 1


@dataclass(frozen=True)
class Plan:
    """What of a run is shown.

    Attributes
    ----------
    steps : time steps
    channels : at most so many of each stage that has a map, evenly spaced
    side : no map has more rows or columns than this; several positions are added up where there are more
    """

    steps: Sequence[int]
    channels: int
    side: int

    def chosen(self, shape: Shape) -> np.ndarray:
        """The channels that are shown of a stage, ascending int64."""
        n = min(shape.channels, self.channels) if shape.has_map else shape.channels
        return np.arange(n) * shape.channels // n

    def block(self, shape: Shape) -> int:
        """Positions along each side that one cell of the map adds up."""
        return math.ceil(max(shape.height, shape.width) / self.side)


def evenly(n: int, most: int) -> list[int]:
    """Choose at most so many of 0..n-1, evenly spaced, first and last among them."""
    return list(range(n)) if n <= most else sorted({round(i * (n - 1) / (most - 1)) for i in range(most)})


def plan(shapes: Iterable[Shape], steps: Sequence[int]) -> Plan:
    """Choose what to show of stages of these shapes so that it fits: at least one channel, whatever its size."""
    mapped = [shape for shape in shapes if shape.has_map]

    def spike_bytes(channels: int) -> int:
        return sum(min(each.channels, channels) * each.height * each.width for each in mapped) * len(steps) // 8

    def map_bytes(side: int) -> int:
        cells = (
            math.ceil(each.height / Plan(steps, 1, side).block(each))
            * math.ceil(each.width / Plan(steps, 1, side).block(each))
            for each in mapped
        )
        return sum(cells) * 2 * len(steps)

    fewest, most = 1, max([1, *(shape.channels for shape in mapped)])
    most = min(most, MOST_CHANNELS)
    while fewest < most:  # the most channels that fit
        middle = (fewest + most + 1) // 2
        fewest, most = (middle, most) if spike_bytes(middle) <= SPIKE_BYTES else (fewest, middle - 1)
    side = next((side for side in SIDES if map_bytes(side) <= MAP_BYTES), SIDES[-1])
    return Plan(steps, fewest, side)


def left_out(what: Plan, shapes: Collection[Shape], time_steps: int) -> list[str]:
    """What was left out, in sentences; none where the page holds everything."""
    said = []
    if len(what.steps) < time_steps:
        said.append(
            f"Of {time_steps} time steps the page shows {len(what.steps)}: {_listed(what.steps)}. "
            "Sums over all time steps hold all of them."
        )
    wide = max((shape.channels for shape in shapes if shape.has_map), default=0)
    if wide > what.channels:
        said.append(
            f"Channels one by one: {what.channels} of each stage that has more (up to {wide:,}), evenly spaced. "
            "Maps of all channels, rates, histograms, masks, operations and energies leave no channel out."
        )
    block = max((what.block(shape) for shape in shapes), default=1)
    if block > 1:
        said.append(
            f"Maps of more than {what.side} x {what.side} positions add up squares of up to {block} x {block} "
            "positions in one cell."
        )
    return said


def _listed(steps: Sequence[int]) -> str:
    return ", ".join(map(str, steps)) if len(steps) <= 8 else f"{', '.join(map(str, steps[:4]))}, ..., {steps[-1]}"


def counts_per_position(events: SpikeEvents, steps: Sequence[int]) -> np.ndarray:
    """Spikes of the first sample over all channels: int64[len(steps), tokens], rows as in the official tensor."""
    per_row = np.diff(events.offsets).reshape(events.grid[0], events.grid[1], -1)
    return np.asarray(per_row[list(steps), 0])


def added_up(counts: np.ndarray, block: int) -> np.ndarray:
    """Add up blocks of [T, H, W] positions; those at the lower and right border may be smaller."""
    if block == 1:
        return counts
    rows = np.add.reduceat(counts, np.arange(0, counts.shape[1], block), axis=1)
    return np.asarray(np.add.reduceat(rows, np.arange(0, counts.shape[2], block), axis=2))


def bits_of(events: SpikeEvents, steps: Sequence[int], channels: np.ndarray) -> np.ndarray:
    """Spikes of the first sample in some channels: bool[len(steps), len(channels), tokens]."""
    n, B = events.n_tokens, events.grid[1]
    place = np.full(events.n_channels, -1)
    place[channels] = np.arange(len(channels))
    bits = np.zeros((len(steps), len(channels), n), np.bool_)
    for i, t in enumerate(steps):
        offsets = events.offsets[t * B * n : t * B * n + n + 1]
        where = place[events.channels[offsets[0] : offsets[-1]]]
        token = np.repeat(np.arange(n), np.diff(offsets))
        bits[i, where[where >= 0], token[where >= 0]] = True
    return bits


def packed_bits(bits: np.ndarray) -> str:
    """Base64 of bits in C order, eight to the byte, the first one highest."""
    return base64.b64encode(np.packbits(bits, axis=None).tobytes()).decode()


def packed_counts(counts: np.ndarray) -> dict[str, object]:
    """Counts as base64 of the narrowest unsigned type that holds them, lowest byte first, with their shape."""
    most = int(counts.max(initial=0))
    size = next(n for n in (1, 2, 4, 8) if most < 1 << 8 * n)
    data = np.ascontiguousarray(counts, f"<u{size}")
    return {"shape": list(counts.shape), "bytes": size, "max": most, "data": base64.b64encode(data.tobytes()).decode()}
