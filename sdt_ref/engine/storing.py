"""How a current comes to be held in memory: as it is, or in fixed point through the register of the stream."""

from collections.abc import Callable

import numpy as np

from .. import kernels
from .current import Current, Fill, positions, tile_size
from .panels import n_panels
from .requantising import Requantising
from .run import Run
from .stored import StoredCurrent


def store(current: Current, run: Run, residual: StoredCurrent | None = None) -> StoredCurrent:
    """Compute all of a current, and add a residual: after all inputs, as the canonical order demands."""
    n, size = positions(current.grid), tile_size(current, run)
    frames = 1 if current.static else current.grid[0]
    register = current.units.register if current.units else None
    dtype = register.dtype if register else current.dtype
    out = kernels.aligned((n_panels(current.n_channels), frames, n, kernels.PANEL), dtype)
    requantising = Requantising(register, current, residual, out, run) if register else None

    def worker() -> Callable[[int, int], None]:
        fill = current.filler(size)
        return requantising.worker(fill, size) if requantising else _adding(fill, residual, out)

    run.tiles.work(n, size, worker)
    current.finish(run)
    if residual is not None:
        run.count_other("residual", current.module, ac=n * current.n_channels)
    units = requantising.finish() if requantising else current.units
    if current.static:
        out = np.repeat(out, current.grid[0], axis=1)
    stored = StoredCurrent(current.grid, current.n_channels, out, units)
    if run.monitor.wants_numbers and len(current.grid) == 4:
        run.monitor.add_stream(current.module, stored.official, requantising.sums if requantising else None)
    return stored


def _adding(fill: Fill, residual: StoredCurrent | None, out: np.ndarray) -> Callable[[int, int], None]:
    """Make work(first, count): the current of one tile, and behind it the residual."""

    def work(first: int, count: int) -> None:
        fill(slice(None), first, count, out, first)
        if residual is not None:
            out[:, :, first : first + count] += residual.panels[:, :, first : first + count]

    return work
