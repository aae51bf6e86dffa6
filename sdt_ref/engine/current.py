"""Currents: what neurons read. Computed tile by tile, when somebody reads them.

Channels stand in panels, as in the kernels: [P, T, positions, PANEL], channel c in panel c // PANEL, the last panel
padded with zeros. So the same channels of many positions lie together, and stay in the cache with their weights.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Protocol, Self

import numpy as np

from .. import kernels
from ..fixed.registers import WIDE, Fraction, Register
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
    fraction : None; in fixed point, of its whole numbers
    stream : None; in fixed point, the register that it enters when it is held in memory, unless it stays as it is
    tokens : over so many tokens each number is a sum; in fixed point, that widens the register of who reads it
    mean : whether that sum stands for the mean: its units are so many times finer
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
    def fraction(self) -> Fraction | None: ...
    @property
    def stream(self) -> Register | None: ...
    @property
    def tokens(self) -> int: ...
    @property
    def mean(self) -> bool: ...
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


class StoredCurrent:
    """Currents held in memory: the residual (membrane) stream between blocks, and pooled currents.

    Attributes
    ----------
    panels : [P, T, positions, PANEL]
    """

    static = False
    stream = None
    module = ""

    def __init__(
        self,
        grid: tuple[int, ...],
        n_channels: int,
        panels: np.ndarray,
        fraction: Fraction | None = None,
        tokens: int = 1,
        mean: bool = False,
    ) -> None:
        self.grid = grid
        self.n_channels = n_channels
        self.panels = panels
        self.dtype = panels.dtype
        self.fraction = fraction
        self.tokens = tokens
        self.mean = mean

    @classmethod
    def of(cls, current: Current, run: Run, residual: "StoredCurrent | None" = None) -> Self:
        """Compute all of a current, and add a residual: after all inputs, as the canonical order demands."""
        n, size, register = positions(current.grid), tile_size(current, run), current.stream
        frames = 1 if current.static else current.grid[0]
        out = kernels.aligned(
            (n_panels(current.n_channels), frames, n, kernels.PANEL), register.dtype if register else current.dtype
        )
        requantising = Requantising(register, current, residual, out, run) if register else None

        def worker() -> Callable[[int, int], None]:
            fill = current.filler(size)
            if requantising is not None:
                return requantising.worker(fill, size)

            def piece(first: int, count: int) -> None:
                fill(slice(None), first, count, out, first)
                if residual is not None:
                    out[:, :, first : first + count] += residual.panels[:, :, first : first + count]

            return piece

        run.tiles(n, size, worker)
        current.finish(run)
        if residual is not None:
            run.count_other("residual", current.module, ac=n * current.n_channels)
        if current.static:
            out = np.repeat(out, current.grid[0], axis=1)
        stream = cls(
            current.grid, current.n_channels, out, current.fraction if requantising is None else requantising.finish()
        )
        if run.monitor.wants_numbers and len(current.grid) == 4:
            run.monitor.add_stream(current.module, stream.official, requantising.sums if requantising else None)
        return stream

    @classmethod
    def from_array(cls, grid: tuple[int, ...], array: np.ndarray) -> Self:
        """Take currents [T, positions, C]."""
        return cls(grid, array.shape[-1], in_panels(array))

    @classmethod
    def of_counts(cls, counts: np.ndarray, tokens: int, like: "StoredCurrent") -> Self:
        """Take int64[T, B, C], each the number of spikes over so many tokens, into the arithmetic of another stream."""
        grid, n_channels = counts.shape[:2], counts.shape[2]
        if like.fraction is None:
            return cls(grid, n_channels, in_panels(counts.astype(like.dtype)))
        return cls(grid, n_channels, in_panels(counts), Fraction.uniform(0, n_panels(n_channels)), tokens)

    def split(self, n: int) -> "list[StoredCurrent]":
        """Cut the tokens of each sample into n shares: [T, B, H, W, C] -> n times [T, B, 1, tokens, C]."""
        T, B, H, W = self.grid
        tokens = self.panels.reshape(len(self.panels), T, B, H * W, -1)
        cuts = np.linspace(0, H * W, n + 1).astype(int)
        shares = []
        for start, stop in itertools.pairwise(cuts.tolist()):
            panels = kernels.aligned((*tokens.shape[:3], stop - start, kernels.PANEL), self.dtype)
            panels[:] = tokens[:, :, :, start:stop]
            shares.append(
                StoredCurrent(
                    (T, B, 1, stop - start),
                    self.n_channels,
                    panels.reshape(len(panels), T, -1, kernels.PANEL),
                    self.fraction,
                )
            )
        return shares

    @classmethod
    def join(cls, shares: "Sequence[StoredCurrent]", grid: tuple[int, ...]) -> Self:
        """The inverse of `split`: n times [T, B, 1, tokens, C] -> [T, B, H, W, C]."""
        T, B = grid[:2]
        first = shares[0].panels
        whole = kernels.aligned((len(first), T, positions(grid), kernels.PANEL), first.dtype)
        np.concatenate(
            [share.panels.reshape(len(first), T, B, -1, kernels.PANEL) for share in shares],
            axis=3,
            out=whole.reshape(len(first), T, B, -1, kernels.PANEL),
        )
        return cls(grid, shares[0].n_channels, whole, shares[0].fraction)

    @property
    def n_tokens(self) -> int:
        """Tokens of each sample."""
        return math.prod(self.grid[2:])

    @property
    def array(self) -> np.ndarray:
        """The currents as [T, positions, C], a copy."""
        return out_of_panels(self.panels, self.n_channels)

    @property
    def official(self) -> np.ndarray:
        """The numbers as [T, B, C, H, W], a copy; whole ones as int64."""
        values = self.array if self.fraction is None else self.array.astype(WIDE)
        return np.moveaxis(values.reshape(*self.grid, -1), -1, 2)

    def filler(self, size: int) -> Fill:
        """See Current."""

        def fill(panels: slice, first: int, count: int, out: np.ndarray, at: int) -> None:
            out[:, :, at : at + count] = self.panels[panels, :, first : first + count]

        return fill

    def finish(self, run: Run) -> None:
        """Nothing was computed."""


class Requantising:
    """Brings the sums of a layer, and a residual, into the registers of a stream."""

    def __init__(
        self, register: Register, current: Current, residual: StoredCurrent | None, out: np.ndarray, run: Run
    ) -> None:
        assert current.fraction is not None
        self._register, self._current, self._out, self._run = register, current, out, run
        self._fraction = Fraction.uniform(register.format.fraction, len(out))
        self._sums = register.conversion(current.fraction, current.dtype)
        self._moved = register.moved(current.fraction, current.n_channels)
        self._residual = out[:, :, :0] if residual is None else residual.panels
        of_residual = self._fraction if residual is None else residual.fraction
        assert of_residual is not None
        self._own = register.conversion(of_residual, self._residual.dtype)
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

    def finish(self) -> Fraction:
        """Enter what did not fit; return the fraction bits of the stream."""
        self._run.count_overflows(f"{self._current.module}.stream", np.sum(self._overflows, axis=0))
        self._run.count_other("register", self._current.module, shifts=positions(self._current.grid) * self._moved)
        return self._fraction

    @property
    def sums(self) -> np.ndarray | None:
        """The sums before they entered the register, [T, B, C, H, W], if the run records them."""
        if self._kept is None:
            return None
        return StoredCurrent(self._current.grid, self._current.n_channels, self._kept, self._current.fraction).official
