"""A grid of register widths and time steps, and what came of each of its points."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ..inputs.selection import Selection
from ..jobs.job import Part
from ..measuring.accuracy import interval
from ..measuring.results import UNREAD
from ..weights.file import Weights


@dataclass(frozen=True)
class Point:
    """One network of the grid.

    Attributes
    ----------
    time_steps : T
    bits : of weights, membranes and stream; None stands for float32
    """

    time_steps: int
    bits: tuple[int, int, int] | None = None

    @property
    def words(self) -> str:
        """What it is, in words."""
        bits = "float32" if self.bits is None else "weights {}, membranes {}, stream {} bits".format(*self.bits)
        return f"T = {self.time_steps}, {bits}"


@dataclass(frozen=True, eq=False)
class Grid:
    """What is swept, on what.

    Attributes
    ----------
    weights : their own T stands where no other is asked for
    evaluated : labelled samples
    calibrated : samples to calibrate on
    time_steps : T; empty takes that of the weights, and stored frames as many as they are
    weight_bits, membrane_bits, stream_bits : widths
    size : as in Preprocessing.at
    """

    weights: Weights
    evaluated: Selection
    calibrated: Selection
    time_steps: tuple[int, ...]
    weight_bits: tuple[int, ...]
    membrane_bits: tuple[int, ...]
    stream_bits: tuple[int, ...]
    size: int | None = None

    def settings(self) -> Mapping[str, Any]:
        """All that changes numbers, beside weights, data and code; as JSON."""
        bits = {name: list(getattr(self, name)) for name in ("weight_bits", "membrane_bits", "stream_bits")}
        size = self.weights.preprocessing.at(self.size).size
        chosen = self.weights.preprocessing.frames and bool(self.time_steps)  # then recordings must have that many
        return {"task": "sweep", "time_steps": list(self._steps), "strict_steps": chosen, **bits, "size": size}

    def points(self) -> list[Point]:
        """For each T float32, then all widths."""
        bits = [None, *product(self.weight_bits, self.membrane_bits, self.stream_bits)]
        return [Point(T, each) for T in self._steps for each in bits]

    @property
    def _steps(self) -> tuple[int, ...]:
        return self.time_steps or (self.weights.config.time_steps,)

    def weights_at(self, time_steps: int) -> Weights:
        """The weights with another T."""
        config = dataclasses.replace(self.weights.config, time_steps=time_steps)
        return dataclasses.replace(self.weights, config=config)


@dataclass(frozen=True)
class Row:
    """What came of a point.

    Attributes
    ----------
    images : that were classified
    right : of these, with the right label
    flips : of these, with another label than float32's at the same T
    refused : why there can be no such registers; then the numbers are 0
    """

    point: Point
    images: int = 0
    right: int = 0
    flips: int = 0
    refused: str | None = None

    @classmethod
    def of(cls, point: Point, part: Part, float32: Part) -> "Row":
        """Count what `Classify` made of all samples, for this point and for float32 at the same T."""
        predicted, label = part.arrays["predicted"], part.arrays["label"]
        read = predicted != UNREAD
        flipped = read & (predicted != float32.arrays["predicted"])
        return cls(point, int(read.sum()), int((read & (predicted == label)).sum()), int(flipped.sum()))

    @property
    def top1(self) -> float | None:
        """Share that is right; None where nothing was classified."""
        return self.right / self.images if self.images else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the true share lies with 95 % confidence."""
        return interval(self.right, self.images) if self.images else None


@dataclass(frozen=True)
class Outcome:
    """What came of a grid.

    Attributes
    ----------
    rows : in the order of the points
    calibrated : number of samples that were calibrated on
    unreadable : (name, reason) of those that could not be read
    repairs : what was mended in recordings, and how often, in one pass
    """

    rows: list[Row]
    calibrated: int
    unreadable: list[tuple[str, str]]
    repairs: Counter[str]

    @property
    def images(self) -> int:
        """Number of samples that were classified, of the row with most."""
        return max(row.images for row in self.rows)


def labels_of(part: Part) -> Part:
    """Of what `Classify` made of a chunk, what a row is counted from: no logits."""
    kept = {name: part.arrays[name] for name in ("label", "predicted")}
    return Part(kept, {name: part.notes[name] for name in ("unreadable", "repairs")})


def joined(parts: Sequence[Part]) -> Part:
    """The labels of all chunks as those of one."""
    arrays = {name: np.concatenate([part.arrays[name] for part in parts]) for name in parts[0].arrays}
    unreadable = [pair for part in parts for pair in part.notes["unreadable"]]
    repairs = sum((Counter(part.notes["repairs"]) for part in parts), Counter[str]())
    return Part(arrays, {"unreadable": unreadable, "repairs": repairs})
