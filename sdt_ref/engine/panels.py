"""Panels: how channels lie in memory, in weights and currents alike.

Channel c stands in panel c // PANEL, the last panel padded with zeros. So the same channels of many positions lie
together, and stay in the cache with their weights.
"""

import numpy as np

from .. import kernels
from ..fixed.registers import WIDE


def n_panels(n_channels: int) -> int:
    """Panels that so many channels fill."""
    return -(-n_channels // kernels.PANEL)


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


def official_axes(panels: np.ndarray, n_channels: int, grid: tuple[int, ...]) -> np.ndarray:
    """[P, T, positions, PANEL] -> [T, B, C, H, W], a copy; whole numbers as int64."""
    rows = out_of_panels(panels, n_channels).reshape(*grid, n_channels)
    return np.moveaxis(rows if rows.dtype.kind == "f" else rows.astype(WIDE), -1, 2)
