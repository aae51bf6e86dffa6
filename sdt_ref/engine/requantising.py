"""Fixed point: sums of a weight layer, and a residual, on their way into the register of the residual stream."""

from collections.abc import Callable

import numpy as np

from .. import kernels
from ..fixed.registers import Fraction, Register
from .current import Current, Fill, Units, positions, scratch_shape
from .panels import official_axes
from .run import Run
from .stored import StoredCurrent


class Requantising:
    """Brings the sums of a layer, and a residual, into the registers of a stream."""

    def __init__(
        self,
        register: Register,
        current: Current,
        residual: StoredCurrent | None,
        out: np.ndarray,
        run: Run,
    ) -> None:
        assert current.units is not None
        self._register, self._current, self._out, self._run = register, current, out, run
        self._fraction = Fraction.uniform(register.format.fraction, len(out))
        self._sums = register.rescaling(current.units.fraction, current.dtype)
        self._moved = register.moved(current.units.fraction, current.n_channels)
        self._residual = out[:, :, :0] if residual is None else residual.panels
        of_residual = self._fraction
        if residual is not None:
            assert residual.units is not None
            of_residual = residual.units.fraction
        self._own = register.rescaling(of_residual, self._residual.dtype)
        if residual is not None:
            self._moved += register.moved(of_residual, current.n_channels)
        self._overflows: list[np.ndarray] = []  # one per thread: numbers that did not fit, int64[T]
        self._kept = None
        if run.monitor.wants_numbers:
            self._kept = np.empty((*out.shape[:2], positions(current.grid), kernels.PANEL), current.dtype)

    def worker(self, fill: Fill, size: int) -> Callable[[int, int], None]:
        """Make requantise(first, count), with scratch of its own; `fill` computes the sums, at most `size` of them."""
        P, out, (plain, limits) = len(self._out), self._out, (self._sums.plain, self._sums.limits)
        scratch = kernels.aligned(scratch_shape(self._current, size), self._current.dtype)
        one, overflows = kernels.aligned(kernels.PANEL, out.dtype), np.zeros(out.shape[1], np.int64)
        self._overflows.append(overflows)

        def requantise(first: int, count: int) -> None:
            for p in range(0, P, len(scratch)):
                panels = slice(p, min(p + len(scratch), P))
                sums = scratch[: panels.stop - p]
                fill(panels, first, count, sums, 0)
                if self._kept is not None:
                    self._kept[panels, :, first : first + count] = sums[:, :, :count]
                own, shifts = self._own.shifts[panels], self._sums.shifts[panels]
                kernels.requantise(
                    sums, count, shifts, plain, self._residual[panels], own, *limits, one, out[panels], first, overflows
                )

        return requantise

    def finish(self) -> Units:
        """Enter what did not fit; return the units of the stream."""
        self._run.count_overflows(f"{self._current.module}.stream", np.sum(self._overflows, axis=0))
        self._run.count_other("register", self._current.module, shifts=positions(self._current.grid) * self._moved)
        return Units(self._fraction)

    @property
    def sums(self) -> np.ndarray | None:
        """The sums before they entered the register, [T, B, C, H, W], if the run records them."""
        if self._kept is None:
            return None
        return official_axes(self._kept, self._current.n_channels, self._current.grid)
