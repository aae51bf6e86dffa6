"""Rounding and overflow on NumPy integers, as docs/fixed-point.md, section 1, specifies them."""

import numpy as np


def rounded(numbers: np.ndarray, shift: np.ndarray | int, rounding: str) -> np.ndarray:
    """Divide by 2^shift, to whole numbers; a negative shift multiplies."""
    right = np.maximum(shift, 0)
    numbers = numbers << np.maximum(-np.asarray(shift), 0)
    half = (np.int64(1) << right) >> 1
    if rounding == "half up":
        numbers = numbers + half
    elif rounding == "half even":
        numbers = numbers + np.where(right > 0, half - 1 + (numbers >> right & 1), 0)
    elif rounding == "toward zero":
        numbers = numbers + np.where(numbers < 0, (np.int64(1) << right) - 1, 0)
    return numbers >> right


def fitted(numbers: np.ndarray, bits: int, wrap: bool) -> np.ndarray:
    """What registers of so many bits hold when the numbers are written to them."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return ((numbers - low) & ((1 << bits) - 1)) + low if wrap else np.clip(numbers, low, high)
