"""The number systems that one model runs in."""

import math
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, shown


@dataclass(frozen=True)
class Arithmetic:
    """A number system: the type of weights, currents and membranes, and how real parameters enter it.

    Attributes
    ----------
    name : as in `sdt_ref.load(arithmetic=name)`
    dtype : element type of weights, currents and membranes; for 'fixed', of the input before it is quantised
    """

    name: str
    dtype: np.dtype

    def round(self, values: np.ndarray) -> np.ndarray:
        """Round float64 parameters to this arithmetic, once; minus zero becomes zero, so that x + 0.0 is x."""
        rounded = np.ascontiguousarray(values.astype(self.dtype) + self.dtype.type(0))
        rounded.setflags(write=False)
        return rounded

    def sigmoid(self, w: np.ndarray) -> np.floating:
        """The leak of a PLIF, 1 / (1 + exp(-w)), evaluated in this type as torch does.

        The exponential is the C library's, in float64, then rounded: NumPy's own depends on the processor.
        """
        try:
            exponential = math.exp(-float(w))
        except OverflowError:
            exponential = math.inf
        one = self.dtype.type(1)
        with np.errstate(over="ignore"):  # the leak is then 0
            return one / (one + self.dtype.type(exponential))


FLOAT32 = Arithmetic("float32", np.dtype(np.float32))
FLOAT64 = Arithmetic("float64", np.dtype(np.float64))
FIXED = Arithmetic("fixed", np.dtype(np.float64))
ARITHMETICS = {a.name: a for a in (FLOAT32, FLOAT64, FIXED)}


def arithmetic(name: str) -> Arithmetic:
    """Look an arithmetic up by name; raises ConfigError that lists the known ones."""
    if not isinstance(name, str) or name not in ARITHMETICS:
        raise ConfigError(f"arithmetic: expected one of {', '.join(ARITHMETICS)}, found {shown(name)}")
    return ARITHMETICS[name]
