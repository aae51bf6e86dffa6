"""How wide and how deep hardware must be: ranges, widths, margins and event lists of recorded runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import TraceError
from ..fixed.quantise import FixedLayer, FixedParameters, bits_for, sum_range
from ..weights.wiring import NEURON
from .records import Record
from .trace_file import Trace

REGISTER = {"pixel": "input", "sum": "sum", "x": "membrane", "h": "membrane", "v": "membrane", "u": "stream"}


@dataclass
class Width:
    """What a register held.

    Attributes
    ----------
    stage, register : 'sum', 'membrane' (input, h and v), 'stream' or 'input'
    bits : width declared
    least, greatest : numbers seen; of a membrane's input before it was fitted
    proven : bits that hold every sum that these weights can cause; None for other registers
    did_not_fit : numbers beyond the register's limits
    first_step : time step of the first of them; None without
    """

    stage: str
    register: str
    bits: int
    least: int
    greatest: int
    proven: int | None = None
    did_not_fit: int = 0
    first_step: int | None = None

    @property
    def seen(self) -> int:
        """Bits that hold the numbers seen."""
        return bits_for(self.least, self.greatest)


@dataclass
class Margin:
    """How close membranes came to the threshold, in units of the register.

    Attributes
    ----------
    above : least h - threshold of a neuron that spiked; None where none did
    below : least threshold - h of one that did not; None where all did
    """

    stage: str
    threshold: int
    above: int | None
    below: int | None


@dataclass
class ListLengths:
    """Event lists of one stage.

    Attributes
    ----------
    lengths : how many lists (one per step and token) have 0, 1, 2, ... events: int64[most + 1]
    steps : events of each time step of each run
    """

    stage: str
    lengths: np.ndarray
    steps: list[int] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Events of a list."""
        return float(self.lengths @ np.arange(len(self.lengths)) / self.lengths.sum())

    @property
    def worst(self) -> int:
        """Events of the longest list: the depth of a FIFO that takes any of those seen."""
        return int(np.flatnonzero(self.lengths)[-1])

    def percentile(self, percent: float) -> int:
        """The length that so many percent of the lists do not exceed."""
        return int(np.searchsorted(np.cumsum(self.lengths), np.ceil(self.lengths.sum() * percent / 100)))


@dataclass
class Sizing:
    """The report of some runs of one machine.

    Attributes
    ----------
    rows : by weight layer, weight rows fetched in each time step, the mean of the runs
    """

    runs: int
    widths: dict[tuple[str, str], Width]
    margins: dict[str, Margin]
    lists: dict[str, ListLengths]
    rows: dict[str, list[float]]


def sizing(traces: Sequence[Trace], parameters: FixedParameters) -> Sizing:
    """Measure traces of the same machine.

    Parameters
    ----------
    parameters : of the network that was traced, see `Trace.model`

    Raises TraceError when the traces are of different machines.
    """
    report = Sizing(len(traces), {}, {}, {}, {})
    _check_same_machine(traces)
    for trace in traces:
        for record in trace.records.values():
            if record.quantity == "spikes":
                _add_events(report, trace, record)
            else:
                _add_numbers(report, trace, record, parameters)
        _add_overflows(report, trace)
        _add_rows(report, trace, parameters)
    return report


def _check_same_machine(traces: Sequence[Trace]) -> None:
    """Raise TraceError unless the traces differ in nothing but what was seen."""
    first, known = traces[0].header, dict(traces[0].records)
    for trace in traces[1:]:
        for what in ("arithmetic", "parameters", "formats", "architecture", "config", "time_steps"):
            if getattr(trace.header, what) != getattr(first, what):
                raise TraceError(f"the traces are of different machines: their {what} differ; measure each by itself")
        for name, record in trace.records.items():
            other = known.setdefault(name, record)
            if (record.height, record.width, record.bits) != (other.height, other.width, other.bits):
                raise TraceError(
                    f"the traces are of pictures of different sizes: '{name}' has {other.height}x{other.width} tokens "
                    f"of {other.bits} bits, and {record.height}x{record.width} of {record.bits}; measure each by itself"
                )
        if trace.header.neuron != first.neuron:  # a threshold is that of all tokens
            raise TraceError("the traces are of pictures of different sizes; measure each by itself")


def _add_numbers(report: Sizing, trace: Trace, record: Record, parameters: FixedParameters) -> None:
    values, stage = trace.values(record.name), trace.stages[record.stage]
    found = [(REGISTER[record.quantity], record.bits, values)]
    if record.quantity == "sum" and stage.kind == NEURON and f"{stage.name}/x" in trace.records:
        x = trace.records[f"{stage.name}/x"]
        found.append(("membrane", x.bits, parameters.neurons[stage.name].membrane.align(values, record.fraction)))  # type: ignore[attr-defined]
    for register, bits, numbers in found:
        least, greatest = int(numbers.min()), int(numbers.max())
        width = report.widths.setdefault((stage.name, register), Width(stage.name, register, bits, least, greatest))
        width.least, width.greatest = min(width.least, least), max(width.greatest, greatest)
        if register == "sum" and stage.layer is not None:
            layer = parameters.layers[stage.layer]
            assert isinstance(layer, FixedLayer)
            width.proven = bits_for(*sum_range(layer.weight, layer.bias))
    if record.quantity == "h":
        threshold = int(trace.header.neuron["stages"][stage.name]["threshold"])
        distance = values - threshold
        above, below = distance[distance >= 0], -distance[distance < 0]
        margin = report.margins.setdefault(stage.name, Margin(stage.name, threshold, None, None))
        margin.above = _least(margin.above, above)
        margin.below = _least(margin.below, below)


def _least(so_far: int | None, distances: np.ndarray) -> int | None:
    if not distances.size:
        return so_far
    return int(distances.min()) if so_far is None else min(so_far, int(distances.min()))


def _add_events(report: Sizing, trace: Trace, record: Record) -> None:
    offsets, _ = trace.events(record.name)
    per_list = np.diff(offsets)
    found = report.lists.setdefault(record.stage, ListLengths(record.stage, np.zeros(record.channels + 1, np.int64)))
    found.lengths += np.bincount(per_list, minlength=record.channels + 1)
    found.steps += per_list.reshape(len(trace.header.steps), -1).sum(axis=1).tolist()


def _add_overflows(report: Sizing, trace: Trace) -> None:
    for name, per_step in trace.header.overflows.items():
        module, _, register = name.rpartition(".")
        readers = {
            "accumulator": [(stage.name, "sum") for stage in trace.stages.values() if stage.layer == module],
            "membrane": [(module, "membrane")],
            "stream": [(module, "stream")],
        }.get(register, [("input", "input")])
        for key in readers:
            if key in report.widths and any(per_step):
                width, first = report.widths[key], int(np.flatnonzero(per_step)[0])
                width.did_not_fit += sum(per_step)
                width.first_step = first if width.first_step is None else min(width.first_step, first)


def _add_rows(report: Sizing, trace: Trace, parameters: FixedParameters) -> None:
    """A spike adds one weight row for every output position that it reaches: additions / outputs."""
    for module, count in trace.header.operations.items():
        rows = [additions // len(parameters.layers[module].bias) for additions in count["ac"]]
        before = report.rows.get(module, [0.0] * len(rows))
        report.rows[module] = [a + b / report.runs for a, b in zip(before, rows, strict=True)]
