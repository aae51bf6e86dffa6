"""Fixed point between the stages: how sums and streams enter the registers of those that read them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .. import kernels
from .formats import FLOOR, HALF_EVEN, HALF_UP, TOWARD_ZERO, WRAP, Format

WIDE = np.dtype(np.int64)  # of sums over all tokens


@dataclass(frozen=True, eq=False)
class Fraction:
    """Fraction bits of whole numbers, lane by lane: int64[P, PANEL]."""

    bits: np.ndarray

    @staticmethod
    @lru_cache
    def uniform(bits: int, n_panels: int) -> "Fraction":
        """The same in all lanes."""
        return Fraction(np.full((n_panels, kernels.PANEL), bits, np.int64))


@dataclass(frozen=True)
class Rescaling:
    """What the kernels need to bring whole numbers into a register.

    Attributes
    ----------
    shifts : [P, STEPS, PANEL], see `kernels.fixed.shifted`; of the type of the numbers that are read
    plain : whether it rounds by one addition and does not wrap around
    limits : least and greatest number that the register holds, and whether it wraps around
    """

    shifts: np.ndarray
    plain: bool
    limits: tuple[int, int, bool]


class Register:
    """A register that whole numbers of any fraction bits can be brought into.

    Parameters
    ----------
    format : of what it holds
    dtype : in memory
    """

    def __init__(self, format: Format, dtype: np.dtype) -> None:
        self.format = format
        self.dtype = dtype
        self._rescalings: dict[tuple[Fraction, np.dtype, int], Rescaling] = {}  # as there are few that are read

    def rescaling(self, fraction: Fraction, dtype: np.dtype, wider: int = 0) -> Rescaling:
        """From numbers of type `dtype` to this register, with so many more bits on top."""
        key = (fraction, dtype, wider)
        if key not in self._rescalings:
            self._rescalings[key] = _rescaling(fraction, self.format.wider(wider), dtype)
        return self._rescalings[key]

    def moved(self, fraction: Fraction, n_channels: int) -> int:
        """How many of the first channels have other fraction bits than this register, and so must be shifted."""
        return int(np.count_nonzero(fraction.bits.ravel()[:n_channels] != self.format.fraction))


def wider_by(tokens: int) -> int:
    """The bits that a register grows by when it takes a sum over so many tokens: ceil(log2(tokens))."""
    return (tokens - 1).bit_length()


def _rescaling(fraction: Fraction, register: Format, dtype: np.dtype) -> Rescaling:
    shift = fraction.bits - register.fraction
    steps = kernels.aligned((len(shift), kernels.STEPS, kernels.PANEL), dtype)
    left, right, add, even, negative = steps.swapaxes(0, 1)
    left[:], right[:] = np.maximum(-shift, 0), np.maximum(shift, 0)
    half = (np.int64(1) << np.maximum(shift, 0)) >> 1
    add[:] = half if register.rounding == HALF_UP else 0
    even[:] = negative[:] = 0
    if register.rounding == HALF_EVEN:  # half a unit less one, and one more where the result would be odd
        add[:], even[:] = np.maximum(half - 1, 0), shift > 0
    elif register.rounding == TOWARD_ZERO:
        negative[:] = np.maximum(2 * half - 1, 0)
    wraps = register.overflow == WRAP
    plain = register.rounding in (FLOOR, HALF_UP) and not wraps
    return Rescaling(steps, plain, (register.low, register.high, wraps))


@lru_cache  # every neuron layer asks at every call
def leak_steps(
    leak: tuple[tuple[int, int], ...], rounding: str, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray, bool]:
    """The terms and the rounding of a leak, and whether it is plain, as `kernels.fixed.lif_step_panel` reads them."""
    finest = max((shift for _, shift in leak), default=0)
    terms = np.array([(sign, finest - shift) for sign, shift in leak], np.int64).reshape(-1, 2)
    steps = _rescaling(Fraction.uniform(finest, 1), Format(2, 0, rounding), dtype)
    return terms, steps.shifts, steps.plain and terms.tolist() == [[1, 0]]
