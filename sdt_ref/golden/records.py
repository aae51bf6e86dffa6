"""Records of a trace: what each is, and what it must be by the header."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..fixed.formats import Formats
from ..fixed.quantise import bits_for
from ..fixed.registers import WIDE, wider_by
from ..weights.arithmetic import Arithmetic
from ..weights.wiring import INPUT, NEURON, SPIKES, Stage

LEAST_FRACTION, MOST_FRACTION = -16, 80  # of an accumulator: those of a weight, and of a pixel


@dataclass(frozen=True)
class Record:
    """One recorded quantity of one stage.

    Attributes
    ----------
    bits : width of the register in two's complement, or of a real number; 1 for spikes
    fraction : of the numbers, int64[1] or int64[channels]; int64[0] of real numbers
    height, width : of the tokens; (1, 1) where there is but one
    """

    stage: str
    quantity: str
    bits: int
    fraction: np.ndarray
    height: int
    width: int
    channels: int

    @property
    def name(self) -> str:
        """Path under records/."""
        return f"{self.stage}/{self.quantity}"

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return self.height * self.width

    @property
    def real(self) -> bool:
        """Whether its numbers are floating-point ones."""
        return not len(self.fraction)

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest of its whole numbers."""
        return (0, 1) if self.quantity == "spikes" else (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1)

    @property
    def attributes(self) -> tuple[Any, ...]:
        """What stands beside the numbers, as it is hashed."""
        return self.bits, self.fraction.tolist(), self.height, self.width, self.channels


def narrowest(bits: int) -> np.dtype:
    """The narrowest integer type that holds registers of so many bits."""
    return np.dtype(next(f"<i{n}" for n in (1, 2, 4, 8) if bits <= 8 * n))


def grids(stages: Mapping[str, Stage], size: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """Height and width of the tokens of every stage, for an input of this height and width."""
    found: dict[str, tuple[int, int]] = {}
    for stage in stages.values():
        height, width = found[stage.reads[0]] if stage.reads else size
        if stage.over_tokens:
            height = width = 1
        elif stage.pooled:
            height, width = height // 2, width // 2
        found[stage.name] = height, width
    return found


def grown_by(stage: Stage, sizes: Mapping[str, tuple[int, int]]) -> int:
    """Bits by which registers of a stage grow, as it sums over so many tokens."""
    height, width = sizes[stage.reads[0]] if stage.reads else (1, 1)
    return wider_by(height * width) if stage.over_tokens else 0


@dataclass(frozen=True)
class Layout:
    """What the records of a run must be.

    Attributes
    ----------
    formats : registers; None of real numbers
    neurons : by stage, its entry in the header
    sizes : by stage, height and width of its tokens
    """

    stages: Mapping[str, Stage]
    arithmetic: Arithmetic
    formats: Formats | None
    neurons: Mapping[str, Mapping[str, Any]]
    sizes: Mapping[str, tuple[int, int]]

    def record(self, stage: Stage, quantity: str, found: np.ndarray) -> Record:
        """What a record must be; `found`: its fraction, which of an accumulator follows from the weights alone."""
        bits, fraction = self._register(stage, quantity)
        channels, whole = stage.channels, np.full(1, fraction, WIDE)
        if self.formats is None and quantity != "spikes":
            whole = np.zeros(0, WIDE)
        elif quantity == "sum" and stage.layer is not None:
            each = found.shape in ((1,), (channels,))
            whole = found if each and ((found >= LEAST_FRACTION) & (found <= MOST_FRACTION)).all() else whole
        return Record(stage.name, quantity, bits, whole, *self.sizes[stage.name], channels)

    def _register(self, stage: Stage, quantity: str) -> tuple[int, int]:
        """Bits and fraction bits of a quantity; the latter 0 where they follow from the weights."""
        if quantity == "spikes":
            return 1, 0
        if self.formats is None:
            return 8 * self.arithmetic.dtype.itemsize, 0
        if stage.kind == NEURON and quantity != "sum":
            return self.neurons[stage.name]["bits"], self.neurons[stage.name]["fraction"]
        if stage.kind == INPUT or quantity == "u":
            register = self.formats.format("", "input") if stage.kind == INPUT else self._stream(stage)
            return register.bits, register.fraction
        if stage.layer is not None:
            return self.formats.register(stage.layer, "accumulator")["bits"], 0
        source = self.stages[stage.reads[0]]
        if source.kind == SPIKES:  # counts
            height, width = self.sizes[source.name]
            return bits_for(0, height * width), 0
        return self._stream(source).bits + grown_by(stage, self.sizes), self._stream(source).fraction

    def _stream(self, stage: Stage) -> Any:
        assert self.formats is not None
        return self.formats.format(stage.name, "stream")
