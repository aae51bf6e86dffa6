"""Currents: what neurons read. Computed tile by tile, when somebody reads them."""

from collections.abc import Callable
from typing import Protocol, Self

import numpy as np

from .run import TILE_BYTES, Run

Fill = Callable[[int, int, np.ndarray, int], None]


class Current(Protocol):
    """A real-valued [T, B, H, W, C] tensor that can be computed position by position.

    Attributes
    ----------
    grid : (T, B, H, W) or (T, B); positions are the product of all but T
    n_channels : C
    dtype : element type
    """

    @property
    def grid(self) -> tuple[int, ...]: ...
    @property
    def n_channels(self) -> int: ...
    @property
    def dtype(self) -> np.dtype: ...

    def filler(self) -> Fill:
        """Make fill(first, count, out, at), with scratch of its own: out[:, at:at+count] gets those positions.

        `out` is [T, n, C], C-contiguous.
        """

    def finish(self, run: Run) -> None:
        """Enter the operations done into the run's counts; called once, after the last tile."""


def positions(grid: tuple[int, ...]) -> int:
    """Positions of one time step: samples times tokens."""
    return int(np.prod(grid[1:], dtype=int))


def tile_size(grid: tuple[int, ...], n_channels: int, dtype: np.dtype) -> int:
    """Positions whose currents over all time steps fill about TILE_BYTES."""
    return max(1, TILE_BYTES // (grid[0] * n_channels * dtype.itemsize))


class Stream:
    """Currents held in memory: the residual (membrane) stream between blocks, and pooled currents.

    Attributes
    ----------
    array : [T, positions, C]
    """

    def __init__(self, grid: tuple[int, ...], array: np.ndarray) -> None:
        self.grid = grid
        self.array = array
        self.n_channels = array.shape[2]
        self.dtype = array.dtype

    @classmethod
    def of(cls, current: Current, run: Run) -> Self:
        """Compute all of a current."""
        out = np.empty((current.grid[0], positions(current.grid), current.n_channels), current.dtype)

        def worker() -> Callable[[int, int], None]:
            fill = current.filler()
            return lambda first, count: fill(first, count, out, first)

        run.tiles(out.shape[1], tile_size(current.grid, current.n_channels, current.dtype), worker)
        current.finish(run)
        return cls(current.grid, out)

    def plus(self, other: "Stream", run: Run) -> "Stream":
        """Add a residual; it comes after all inputs, as the canonical order demands."""
        run.count_other("residual", ac=self.array[0].size)
        return Stream(self.grid, self.array + other.array)

    def filler(self) -> Fill:
        """See Current."""

        def fill(first: int, count: int, out: np.ndarray, at: int) -> None:
            out[:, at : at + count] = self.array[:, first : first + count]

        return fill

    def finish(self, run: Run) -> None:
        """Nothing was computed."""
