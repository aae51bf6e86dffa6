"""Currents: what neurons read. Computed tile by tile, when somebody reads them.

Channels stand in panels, as in the kernels: [P, T, positions, PANEL], channel c in panel c // PANEL, the last panel
padded with zeros. So the same channels of many positions lie together, and stay in the cache with their weights.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Protocol, Self

import numpy as np

from . import kernels
from .run import Run

PANELS_BYTES = 1 << 19  # currents that are computed at a time: they stay in a core's L2 cache until they are read
WORTH_A_THREAD = 1 << 18  # bytes of currents: a thread takes a tenth of a millisecond to wake

Fill = Callable[[slice, int, int, np.ndarray, int], None]


class Current(Protocol):
    """A real-valued [T, B, H, W, C] tensor that can be computed position by position.

    Attributes
    ----------
    grid : (T, B, H, W) or (T, B); positions are the product of all but T
    n_channels : C
    dtype : element type
    static : whether it is the same at every time step, and therefore comes once
    """

    @property
    def grid(self) -> tuple[int, ...]: ...
    @property
    def n_channels(self) -> int: ...
    @property
    def dtype(self) -> np.dtype: ...
    @property
    def static(self) -> bool: ...

    def filler(self, size: int) -> Fill:
        """Make fill(panels, first, count, out, at), with scratch of its own for `size` positions.

        It writes these panels at the positions first .. first+count-1 to out[:, :, at:at+count]; `out` is
        [number of panels, T or 1 if static, n, PANEL], C-contiguous.
        """

    def finish(self, run: Run) -> None:
        """Enter the operations done into the run's counts; called once, after the last tile."""


def positions(grid: tuple[int, ...]) -> int:
    """Positions of one time step: samples times tokens."""
    return math.prod(grid[1:])


def n_panels(n_channels: int) -> int:
    """Panels that so many channels fill."""
    return -(-n_channels // kernels.PANEL)


def scratch_shape(current: Current, size: int) -> tuple[int, int, int, int]:
    """Shape [P', T or 1, size, PANEL] of some panels that fit into PANELS_BYTES at `size` positions."""
    frames = 1 if current.static else current.grid[0]
    panel_bytes = frames * size * kernels.PANEL * current.dtype.itemsize
    fitting = min(max(1, PANELS_BYTES // panel_bytes), n_panels(current.n_channels))
    return fitting, frames, size, kernels.PANEL


def tile_size(current: Current, run: Run) -> int:
    """Positions of a tile: one panel of them fits into PANELS_BYTES, and all panels are WORTH_A_THREAD."""
    frames = 1 if current.static else current.grid[0]
    position_bytes = frames * kernels.PANEL * current.dtype.itemsize  # of one panel
    most = max(1, PANELS_BYTES // position_bytes)
    least = -(-WORTH_A_THREAD // (position_bytes * n_panels(current.n_channels)))
    return run.tile_size(positions(current.grid), most, least)


def in_panels(array: np.ndarray) -> np.ndarray:
    """[..., C] -> [P, ..., PANEL]: the last axis cut into panels, the last one padded with zeros."""
    panels = kernels.aligned((n_panels(array.shape[-1]), *array.shape[:-1], kernels.PANEL), array.dtype)
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

    static = False

    def __init__(self, grid: tuple[int, ...], n_channels: int, panels: np.ndarray) -> None:
        self.grid = grid
        self.n_channels = n_channels
        self.panels = panels
        self.dtype = panels.dtype

    @classmethod
    def of(cls, current: Current, run: Run, residual: "Stream | None" = None) -> Self:
        """Compute all of a current, and add a residual: after all inputs, as the canonical order demands."""
        n, size = positions(current.grid), tile_size(current, run)
        frames = 1 if current.static else current.grid[0]
        out = kernels.aligned((n_panels(current.n_channels), frames, n, kernels.PANEL), current.dtype)

        def worker() -> Callable[[int, int], None]:
            fill = current.filler(size)

            def piece(first: int, count: int) -> None:
                fill(slice(None), first, count, out, first)
                if residual is not None:
                    out[:, :, first : first + count] += residual.panels[:, :, first : first + count]

            return piece

        run.tiles(n, size, worker)
        current.finish(run)
        if residual is not None:
            run.count_other("residual", ac=n * current.n_channels)
        return cls(current.grid, current.n_channels, np.repeat(out, current.grid[0], axis=1) if current.static else out)

    @classmethod
    def from_array(cls, grid: tuple[int, ...], array: np.ndarray) -> Self:
        """Take currents [T, positions, C]."""
        return cls(grid, array.shape[-1], in_panels(array))

    def split(self, n: int) -> "list[Stream]":
        """Cut the tokens of each sample into n shares: [T, B, H, W, C] -> n times [T, B, 1, tokens, C]."""
        T, B, H, W = self.grid
        tokens = self.panels.reshape(len(self.panels), T, B, H * W, -1)
        cuts = np.linspace(0, H * W, n + 1).astype(int)
        shares = []
        for start, stop in itertools.pairwise(cuts.tolist()):
            panels = kernels.aligned((*tokens.shape[:3], stop - start, kernels.PANEL), self.dtype)
            panels[:] = tokens[:, :, :, start:stop]
            shares.append(
                Stream((T, B, 1, stop - start), self.n_channels, panels.reshape(len(panels), T, -1, kernels.PANEL))
            )
        return shares

    @classmethod
    def join(cls, shares: "Sequence[Stream]", grid: tuple[int, ...]) -> Self:
        """The inverse of `split`: n times [T, B, 1, tokens, C] -> [T, B, H, W, C]."""
        T, B = grid[:2]
        first = shares[0].panels
        whole = kernels.aligned((len(first), T, positions(grid), kernels.PANEL), first.dtype)
        np.concatenate(
            [share.panels.reshape(len(first), T, B, -1, kernels.PANEL) for share in shares],
            axis=3,
            out=whole.reshape(len(first), T, B, -1, kernels.PANEL),
        )
        return cls(grid, shares[0].n_channels, whole)

    @property
    def array(self) -> np.ndarray:
        """The currents as [T, positions, C], a copy."""
        return out_of_panels(self.panels, self.n_channels)

    def filler(self, size: int) -> Fill:
        """See Current."""

        def fill(panels: slice, first: int, count: int, out: np.ndarray, at: int) -> None:
            out[:, :, at : at + count] = self.panels[panels, :, first : first + count]

        return fill

    def finish(self, run: Run) -> None:
        """Nothing was computed."""
