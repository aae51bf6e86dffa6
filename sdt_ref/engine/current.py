"""What a current is: it is computed tile by tile, when a neuron pulls it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .. import kernels
from ..fixed.registers import Fraction, Register
from .panels import n_panels
from .run import Run

PANELS_BYTES = 1 << 19  # currents that are computed at a time: they stay in a core's L2 cache until they are read
WORTH_A_THREAD = 1 << 18  # bytes of currents: a thread takes a tenth of a millisecond to wake

Fill = Callable[[slice, int, int, np.ndarray, int], None]


@dataclass(frozen=True, eq=False)
class Units:
    """What the whole numbers of a current stand for, in fixed point.

    Attributes
    ----------
    fraction : their fraction bits
    register : that they enter when they are held in memory; None where they stay as they are
    tokens : over so many tokens each number is a sum; that widens the register of the neurons that read it
    mean : whether that sum stands for the mean: its units are so many times finer
    """

    fraction: Fraction
    register: Register | None = None
    tokens: int = 1
    mean: bool = False


class Current(Protocol):
    """A real-valued [T, B, H, W, C] tensor that can be computed position by position.

    Attributes
    ----------
    grid : (T, B, H, W) or (T, B); positions are the product of all but T
    n_channels : C
    dtype : element type
    static : whether it is the same at every time step, and therefore comes once
    units : None; in fixed point, what its whole numbers stand for
    module : official path of the weight layer that it comes from; '' for one held in memory
    """

    @property
    def grid(self) -> tuple[int, ...]: ...
    @property
    def n_channels(self) -> int: ...
    @property
    def dtype(self) -> np.dtype: ...
    @property
    def static(self) -> bool: ...
    @property
    def units(self) -> Units | None: ...
    @property
    def module(self) -> str: ...

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
    return run.tiles.size(positions(current.grid), most, least)
