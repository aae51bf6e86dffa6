"""Currents that are held in memory."""

import itertools
from collections.abc import Sequence
from typing import Self

import numpy as np

from .. import kernels
from .current import Fill, Units, positions
from .panels import in_panels, official_axes, out_of_panels
from .run import Run


class StoredCurrent:
    """Currents held in memory: the residual (membrane) stream between blocks, pooled currents, and counts.

    Parameters
    ----------
    grid : (T, B, H, W) or (T, B)
    n_channels : C
    panels : [P, T, positions, PANEL]
    units : see Current
    """

    static = False
    module = ""

    def __init__(self, grid: tuple[int, ...], n_channels: int, panels: np.ndarray, units: Units | None = None) -> None:
        self.grid = grid
        self.n_channels = n_channels
        self.panels = panels
        self.dtype = panels.dtype
        self.units = units

    @classmethod
    def from_array(cls, grid: tuple[int, ...], array: np.ndarray) -> Self:
        """Take currents [T, positions, C]."""
        return cls(grid, array.shape[-1], in_panels(array))

    def split(self, n: int) -> "list[StoredCurrent]":
        """Cut the tokens of each sample into n shares: [T, B, H, W, C] -> n times [T, B, 1, tokens, C]."""
        T, B, H, W = self.grid
        tokens = self.panels.reshape(len(self.panels), T, B, H * W, -1)
        cuts = np.linspace(0, H * W, n + 1).astype(int)
        shares = []
        for start, stop in itertools.pairwise(cuts.tolist()):
            panels = kernels.aligned((*tokens.shape[:3], stop - start, kernels.PANEL), self.dtype)
            panels[:] = tokens[:, :, :, start:stop]
            panels = panels.reshape(len(panels), T, -1, kernels.PANEL)
            shares.append(StoredCurrent((T, B, 1, stop - start), self.n_channels, panels, self.units))
        return shares

    @classmethod
    def join(cls, shares: "Sequence[StoredCurrent]", grid: tuple[int, ...]) -> Self:
        """The inverse of `split`: n times [T, B, 1, tokens, C] -> [T, B, H, W, C]."""
        T, B = grid[:2]
        first = shares[0].panels
        joined = kernels.aligned((len(first), T, positions(grid), kernels.PANEL), first.dtype)
        np.concatenate(
            [share.panels.reshape(len(first), T, B, -1, kernels.PANEL) for share in shares],
            axis=3,
            out=joined.reshape(len(first), T, B, -1, kernels.PANEL),
        )
        return cls(grid, shares[0].n_channels, joined, shares[0].units)

    @property
    def array(self) -> np.ndarray:
        """The currents as [T, positions, C], a copy."""
        return out_of_panels(self.panels, self.n_channels)

    @property
    def official(self) -> np.ndarray:
        """The numbers as [T, B, C, H, W], a copy; whole ones as int64."""
        return official_axes(self.panels, self.n_channels, self.grid)

    def filler(self, size: int) -> Fill:
        """See Current."""

        def fill(panels: slice, first: int, count: int, out: np.ndarray, at: int) -> None:
            out[:, :, at : at + count] = self.panels[panels, :, first : first + count]

        return fill

    def finish(self, run: Run) -> None:
        """Nothing was computed."""
