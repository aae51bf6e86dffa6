"""Arguments for every kernel: to compile it as the engine does, and to run its Python body on numbers that only add.

Two tokens by two, two time steps, three channels: small enough to be interpreted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import kernels
from .addition import addends, places

SPIKES = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 1]], np.uint8)
OFFSETS = np.concatenate([[0], np.cumsum(SPIKES.sum(axis=1, dtype=np.int64))])  # where lists begin: addresses
CHANNELS = np.nonzero(SPIKES)[1].astype(np.uint16)
STEPS, TOKENS, WIDTH, N_CHANNELS = 2, 4, 2, SPIKES.shape[1]
for _array in (OFFSETS, CHANNELS):
    _array.setflags(write=False)  # as in SpikeEvents

SATURATES, WRAPS = (-4, 3, False), (-4, 3, True)  # registers of three bits


@dataclass(frozen=True)
class NumberTypes:
    """What arrays of numbers are made of.

    Attributes
    ----------
    weights, sums : element types of the compiled kernel
    only_add : whether arrays hold numbers that can only be added, of no machine's type
    """

    weights: Any = np.int64
    sums: Any = np.int64
    only_add: bool = False

    def __str__(self) -> str:
        weights, sums = np.dtype(self.weights).name, np.dtype(self.sums).name
        return sums if weights == sums else f"{weights} into {sums}"

    @property
    def channels(self) -> np.ndarray:
        """Channel numbers of the events."""
        return places(CHANNELS) if self.only_add else CHANNELS

    def written(self, *shape: int, dtype: Any = np.uint16) -> np.ndarray:
        """Zeros, to write channel numbers, counts or bits to."""
        zeros = np.zeros(shape, dtype)
        return addends(zeros) if self.only_add and dtype == np.uint16 else zeros

    def of_weights(self, *shape: int) -> np.ndarray:
        """Small whole numbers, negative ones among them."""
        return self._filled(shape, self.weights)

    def of_sums(self, *shape: int) -> np.ndarray:
        """Small whole numbers, negative ones among them."""
        return self._filled(shape, self.sums)

    def scalar(self, value: float) -> Any:
        """A number of the type of the sums."""
        return np.dtype(self.sums).type(value)

    def _filled(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        array = kernels.aligned(shape, dtype)
        array[:] = (np.arange(array.size) * 5 % 7 - 3).reshape(shape)
        return addends(array) if self.only_add else array


Arguments = tuple[Any, ...]
Exercise = Callable[[NumberTypes], list[Arguments]]


def _add_rows(n: NumberTypes) -> list[Arguments]:
    def of(window: int) -> Arguments:
        panels, bias = n.of_weights(2, window**2 * N_CHANNELS, kernels.PANEL), n.of_sums(2, kernels.PANEL)
        cursors, current = np.zeros(STEPS * TOKENS, np.int64), n.of_sums(2, STEPS, TOKENS, kernels.PANEL)
        added = np.zeros((2, STEPS), np.int64)
        grid = 1, WIDTH, WIDTH, window, 0, TOKENS
        return OFFSETS, n.channels, *grid, panels, bias, cursors, current, 0, added

    return [of(1), of(3)]


def _add_rows_checked(n: NumberTypes) -> list[Arguments]:
    def of(limits: tuple[int, int, bool]) -> Arguments:
        panels, bias = n.of_weights(1, 9 * N_CHANNELS, kernels.PANEL), n.of_sums(1, kernels.PANEL)
        current, counts = n.of_sums(1, STEPS, TOKENS, kernels.PANEL), np.zeros((2, 1, STEPS), np.int64)
        grid = 1, WIDTH, WIDTH, 3, 1, 0, TOKENS
        return OFFSETS, n.channels, *grid, panels, bias, *limits, current, 0, *counts

    return [of(SATURATES), of(WRAPS)]


def _lif_steps(n: NumberTypes) -> list[Arguments]:
    current, membrane = n.of_sums(1, STEPS, TOKENS, kernels.PANEL), n.of_sums(kernels.PANEL)
    fired = np.zeros((1, STEPS, TOKENS), np.uint64)
    return [(current, TOKENS, n.scalar(0.5), n.scalar(1), membrane, fired)]


def _shifts(dtype: Any) -> np.ndarray:
    steps = kernels.aligned((1, kernels.STEPS, kernels.PANEL), dtype)
    steps[:] = 0
    return steps


def _lif_steps_fixed(n: NumberTypes) -> list[Arguments]:
    current, (x, membrane) = n.of_weights(1, STEPS, TOKENS, kernels.PANEL), n.of_sums(2, kernels.PANEL)
    leak = np.array([[1, 0]]), _shifts(n.sums), True
    fired, overflows = np.zeros((1, STEPS, TOKENS), np.uint64), np.zeros(STEPS, np.int64)
    return [(current, TOKENS, _shifts(n.weights), True, *SATURATES, *leak, 2, x, membrane, fired, overflows)]


def _requantise(n: NumberTypes) -> list[Arguments]:
    shape = 1, STEPS, TOKENS, kernels.PANEL
    source, residual, target, scratch = n.of_weights(*shape), n.of_sums(*shape), n.of_sums(*shape), n.of_sums(64)
    shifts, overflows = (_shifts(n.weights), True, residual, _shifts(n.sums)), np.zeros(STEPS, np.int64)
    return [(source, TOKENS, *shifts, *SATURATES, scratch, target, 0, overflows)]


def _conv3x3_analog(n: NumberTypes) -> list[Arguments]:
    image, panels = n.of_sums(1, TOKENS, 1), n.of_sums(1, 9, kernels.PANEL)
    bias, current = n.of_sums(1, kernels.PANEL), n.of_sums(1, 1, TOKENS, kernels.PANEL)
    return [(image, 1, WIDTH, WIDTH, 0, TOKENS, panels, bias, current, 0, np.zeros((1, 1), np.int64))]


def _max_pool3x3(n: NumberTypes) -> list[Arguments]:
    return [(n.of_sums(STEPS, TOKENS, kernels.PANEL), WIDTH, WIDTH, 0, STEPS, n.of_sums(STEPS, 1, kernels.PANEL))]


def _rows(n: NumberTypes) -> Arguments:
    """Scratch and outputs of the kernels that make one list from others, for all rows."""
    rows = STEPS * TOKENS
    outputs = n.written(rows * N_CHANNELS + kernels.SLACK), np.zeros(rows, np.int64)
    return 0, rows, np.zeros(1, np.uint64), *outputs


def _pool3x3(n: NumberTypes) -> list[Arguments]:
    of_one, (first, rows, *written) = _rows(n), _rows(n)
    of_two = first, rows // 4, *written  # a quarter as many rows are written
    return [(OFFSETS, n.channels, WIDTH, WIDTH, 1, *of_one), (OFFSETS, n.channels, WIDTH, WIDTH, 2, *of_two)]


def _intersect(n: NumberTypes) -> list[Arguments]:
    return [(OFFSETS, n.channels, OFFSETS[: 8 // per + 1], n.channels, per, *_rows(n)) for per in (1, 4)]


def _sum_tokens(n: NumberTypes) -> list[Arguments]:
    return [(OFFSETS, n.channels, TOKENS, n.of_sums(STEPS, N_CHANNELS))]


def _spread_tokens(n: NumberTypes) -> list[Arguments]:
    neighbours = np.array([0, 0, 1]), np.array([1, 2, 2])
    return [(OFFSETS, n.channels, TOKENS, *neighbours, *_rows(n))]


def _list_events(n: NumberTypes) -> list[Arguments]:
    fired = (np.arange(STEPS * TOKENS, dtype=np.uint64) % 5).reshape(1, STEPS, TOKENS)
    return [(fired, TOKENS, n.written(STEPS * TOKENS * 64 + kernels.SLACK), np.zeros((STEPS, TOKENS), np.int64))]


def _bits(n: NumberTypes) -> list[Arguments]:
    return [(np.array([6], np.uint64), channel) for channel in n.channels[:3]]


def _drain(n: NumberTypes) -> list[Arguments]:
    return [(np.array([6], np.uint64), n.written(64 + kernels.SLACK), 0)]


EXERCISES: dict[str, Exercise] = {
    "add_rows": _add_rows,
    "add_rows_checked": _add_rows_checked,
    "list_events": _list_events,
    "pool3x3": _pool3x3,
    "intersect": _intersect,
    "sum_tokens": _sum_tokens,
    "spread_tokens": _spread_tokens,
    "insert": _bits,
    "contains": _bits,
    "drain": _drain,
    "max_pool3x3": _max_pool3x3,
    "conv3x3_analog": _conv3x3_analog,
    "lif_steps": _lif_steps,
    "lif_steps_fixed": _lif_steps_fixed,
    "requantise": _requantise,
}

FLOATING = (NumberTypes(np.float32, np.float32), NumberTypes(np.float64, np.float64))
WHOLE = (NumberTypes(np.int32, np.int32), NumberTypes(np.int64, np.int64))
CONVERTED = (
    *WHOLE,
    NumberTypes(np.int64, np.int32),
    NumberTypes(np.int32, np.int64),
)  # from a sum's type to a register's
NARROW = tuple(
    NumberTypes(weights, sums)
    for sums, narrower in ((np.int32, (np.int8, np.int16)), (np.int64, (np.int8, np.int16, np.int32)))
    for weights in narrower
)

# the types that each kernel is compiled for; one that handles events alone has no numbers to choose
TYPES = {
    "add_rows": (*FLOATING, *NARROW, *WHOLE),
    "add_rows_checked": (*NARROW, *WHOLE),
    "max_pool3x3": (*FLOATING, *WHOLE),
    "conv3x3_analog": FLOATING,
    "lif_steps": FLOATING,
    "lif_steps_fixed": CONVERTED,
    "requantise": CONVERTED,
}
