"""Currents: what neurons read. Computed tile by tile, when somebody reads them.

Channels stand in panels, as in the kernels: [P, T, positions, PANEL], channel c in panel c // PANEL, the last panel
padded with zeros. So the same channels of many positions lie together, and stay in the cache with their weights.
"""

import math
from collections.abc import Callable
from typing import Protocol, Self

import numpy as np

from . import kernels
from .run import Run

PANEL_BYTES = 1 << 18  # currents of a tile in one panel: they stay in a core's L2 cache with a piece of the weights
WORTH_A_THREAD = 1 << 16  # bytes of currents
TILE_BYTES = 1 << 21  # in all panels: they are written and read once; the fewer tiles, the less Python in between

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
        """Make fill(first, count, out, at), with scratch of its own: out[:, :, at:at+count] gets those positions.

        `out` is [P, T, n, PANEL], C-contiguous.
        """

    def finish(self, run: Run) -> None:
        """Enter the operations done into the run's counts; called once, after the last tile."""


def positions(grid: tuple[int, ...]) -> int:
    """Positions of one time step: samples times tokens."""
    return math.prod(grid[1:])


def panel_shape(grid: tuple[int, ...], n_channels: int, n_positions: int) -> tuple[int, int, int, int]:
    """Shape [P, T, n, PANEL] of the currents at n positions."""
    return -(-n_channels // kernels.PANEL), grid[0], n_positions, kernels.PANEL


def tile_sizes(grid: tuple[int, ...], n_channels: int, dtype: np.dtype) -> tuple[int, int]:
    """The most positions of a tile, by PANEL_BYTES and TILE_BYTES, and the least, by WORTH_A_THREAD."""
    panels, *one_panel = panel_shape(grid, n_channels, 1)
    position_bytes = math.prod(one_panel) * dtype.itemsize
    most = min(PANEL_BYTES, TILE_BYTES // panels) // position_bytes
    return min(max(1, most), positions(grid)), -(-WORTH_A_THREAD // (position_bytes * panels))


def in_panels(array: np.ndarray) -> np.ndarray:
    """[..., C] -> [P, ..., PANEL]: the last axis cut into panels, the last one padded with zeros."""
    n_channels = array.shape[-1]
    panels = kernels.aligned((-(-n_channels // kernels.PANEL), *array.shape[:-1], kernels.PANEL), array.dtype)
    for p, panel in enumerate(panels):
        part = array[..., p * kernels.PANEL : (p + 1) * kernels.PANEL]
        panel[..., : part.shape[-1]] = part
        panel[..., part.shape[-1] :] = 0
    return panels


def out_of_panels(panels: np.ndarray, n_channels: int) -> np.ndarray:
    """[P, ..., PANEL] -> [..., C], a copy: the inverse of `in_panels`."""
    rows = np.moveaxis(panels, 0, -2)
    return rows.reshape(*rows.shape[:-2], -1)[..., :n_channels]


class Stream:
    """Currents held in memory: the residual (membrane) stream between blocks, and pooled currents.

    Attributes
    ----------
    panels : [P, T, positions, PANEL]
    """

    def __init__(self, grid: tuple[int, ...], n_channels: int, panels: np.ndarray) -> None:
        self.grid = grid
        self.n_channels = n_channels
        self.panels = panels
        self.dtype = panels.dtype

    @classmethod
    def of(cls, current: Current, run: Run, residual: "Stream | None" = None) -> Self:
        """Compute all of a current, and add a residual: after all inputs, as the canonical order demands."""
        n = positions(current.grid)
        out = kernels.aligned(panel_shape(current.grid, current.n_channels, n), current.dtype)

        def worker() -> Callable[[int, int], None]:
            fill = current.filler()

            def piece(first: int, count: int) -> None:
                fill(first, count, out, first)
                if residual is not None:
                    out[:, :, first : first + count] += residual.panels[:, :, first : first + count]

            return piece

        run.tiles(n, *tile_sizes(current.grid, current.n_channels, current.dtype), worker)
        current.finish(run)
        if residual is not None:
            run.count_other("residual", ac=n * current.n_channels)
        return cls(current.grid, current.n_channels, out)

    @classmethod
    def from_array(cls, grid: tuple[int, ...], array: np.ndarray) -> Self:
        """Take currents [T, positions, C]."""
        return cls(grid, array.shape[-1], in_panels(array))

    @property
    def array(self) -> np.ndarray:
        """The currents as [T, positions, C], a copy."""
        return out_of_panels(self.panels, self.n_channels)

    def filler(self) -> Fill:
        """See Current."""

        def fill(first: int, count: int, out: np.ndarray, at: int) -> None:
            out[:, :, at : at + count] = self.panels[:, :, first : first + count]

        return fill

    def finish(self, run: Run) -> None:
        """Nothing was computed."""
