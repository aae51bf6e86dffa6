"""What one operation costs in silicon: a small table of published figures, and the energy of counted operations.

An energy is a count times a constant: no control, no wires between units, no leakage, no clock. It compares ways of
computing the same thing; it predicts no chip.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType

import numpy as np

from ..errors import ConfigError, shown
from .account import FIELDS, SYNAPSES, Account, Cell

HOROWITZ = "Horowitz, Computing's energy problem, ISSCC 2014 (45 nm, 0.9 V)"
JOUPPI = "Jouppi et al., Ten lessons from three generations shaped Google's TPUv4i, ISCA 2021, table 2 (7 nm)"


@dataclass(frozen=True)
class Technology:
    """Energy of operations, in picojoules.

    Attributes
    ----------
    name, source : what is meant, and who measured it
    multiply, add : of two numbers
    compare : of two numbers: a subtraction, so as much as an addition
    bit : AND or OR of two bits: no figure is published; an addition of 8-bit integers bounds it from above
    shift : by a constant, which is wiring; in floating point there is none
    word : read or write of 32 bits in a memory of 8 KB, half of the 64 bits published; other widths in proportion
    """

    name: str
    source: str
    multiply: float
    add: float
    compare: float
    bit: float
    word: float
    shift: float = 0.0

    @property
    def mac(self) -> float:
        """Multiply-accumulate."""
        return self.multiply + self.add

    def with_values(self, values: Mapping[str, float]) -> "Technology":
        """The same with some values of the user's own, in pJ; raises ConfigError for unknown names and bad numbers."""
        known = [each.name for each in dataclasses.fields(self) if each.type in (float, "float")]
        for name, value in values.items():
            if name not in known:
                raise ConfigError(f"energy of {shown(name)}: expected one of {', '.join(known)}")
            if not isinstance(value, Real) or not 0 <= value <= MOST:
                raise ConfigError(f"energy of {shown(name)}: expected picojoules, 0 to {MOST:g}, found {shown(value)}")
        if not values:
            return self
        changed = ", ".join(f"{name} {value:g} pJ" for name, value in values.items())
        return dataclasses.replace(self, name=f"{self.name} with {changed}", **values)  # type: ignore[arg-type]


TECHNOLOGIES: Mapping[str, Technology] = MappingProxyType(
    {
        each.name: each
        for each in (
            Technology("45nm-float32", HOROWITZ, multiply=3.7, add=0.9, compare=0.9, bit=0.03, word=5.0),
            Technology("45nm-float16", HOROWITZ, multiply=1.1, add=0.4, compare=0.4, bit=0.03, word=5.0),
            Technology("45nm-int32", HOROWITZ, multiply=3.1, add=0.1, compare=0.1, bit=0.03, word=5.0),
            Technology("45nm-int8", HOROWITZ, multiply=0.2, add=0.03, compare=0.03, bit=0.03, word=5.0),
            Technology("7nm-float32", JOUPPI, multiply=1.31, add=0.38, compare=0.38, bit=0.007, word=3.75),
            Technology("7nm-int32", JOUPPI, multiply=1.48, add=0.03, compare=0.03, bit=0.007, word=3.75),
            Technology("7nm-int8", JOUPPI, multiply=0.07, add=0.007, compare=0.007, bit=0.007, word=3.75),
        )
    }
)
DEFAULTS = {"float32": "45nm-float32", "float64": "45nm-float32", "fixed": "45nm-int32"}  # by arithmetic

MOST = 1e6  # picojoules of one operation

ON_BITS = ("pool", "attention")  # kinds whose comparisons are ANDs and ORs of spikes


def technology(name: str) -> Technology:
    """Look a technology up; raises ConfigError that lists the known ones."""
    if not isinstance(name, str) or name not in TECHNOLOGIES:
        raise ConfigError(f"technology: expected one of {', '.join(TECHNOLOGIES)}, found {shown(name)}")
    return TECHNOLOGIES[name]


def energy(account: Account, technology: Technology) -> dict[Cell, np.ndarray]:
    """Picojoules of every cell of an account at each time step, float64[T]; memory is not in it."""

    def of(kind: str, cell: np.ndarray) -> np.ndarray:
        ac, mac, comparisons, shifts = (cell[FIELDS.index(name)] for name in ("ac", "mac", "comparisons", "shifts"))
        multiplied = mac * (
            technology.mac if kind in (SYNAPSES, "leak") else technology.multiply
        )  # a mean only divides
        compared = comparisons * (technology.bit if kind in ON_BITS else technology.compare)
        return np.asarray(ac * technology.add + multiplied + compared + shifts * technology.shift, np.float64)

    return {(stage, kind): of(kind, cell) for (stage, kind), cell in account.cells.items()}


def memory_traffic(account: Account) -> dict[str, tuple[float, float]]:
    """Numbers and bits that move: a weight is read for each addition, a membrane read and written at each update."""
    traffic = {"weights": (0.0, 0.0), "membranes": (0.0, 0.0)}
    for (stage, kind), cell in account.cells.items():
        moved = {SYNAPSES: ("weights", ("ac", "mac"), 1), "threshold": ("membranes", ("neurons",), 2)}.get(kind)
        if moved is not None:
            name, fields, times = moved
            numbers = times * float(sum(cell[FIELDS.index(field)].sum() for field in fields))
            total, bits = traffic[name]
            traffic[name] = total + numbers, bits + numbers * account.bits[stage, kind]
    return traffic
