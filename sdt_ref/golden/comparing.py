"""A golden trace against what a device held: the first difference, what led to it, and how many there are."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..dense.layers import max_pool
from ..errors import TraceError
from ..wiring import NEURON, SPIKES, Stage
from .dumps import Dump, canonical
from .packing import digits
from .trace import Record, Trace

SET, ORDER = EVENT_MODES = ("set", "order")


@dataclass(frozen=True)
class Difference:
    """One number that differs.

    Attributes
    ----------
    step, token, channel : where
    expected, found : of the golden trace and of the dump, in units of the register
    note : what else is to be said
    """

    record: Record
    step: int
    token: int
    channel: int
    expected: int
    found: int
    note: str = ""

    def hexadecimal(self, value: int) -> str:
        """A value as the register's bits."""
        return f"0x{value & ((1 << self.record.bits) - 1):0{digits(1, self.record.bits)}x}"


@dataclass
class Summary:
    """What was found in one stage.

    Attributes
    ----------
    compared, different : numbers
    largest : greatest distance
    quantities : those that differ
    first : None where all are equal
    """

    compared: int = 0
    different: int = 0
    largest: int = 0
    quantities: list[str] = field(default_factory=list)
    first: Difference | None = None


class Comparison:
    """Takes pairs of records, and keeps the first difference in time and data-flow order.

    Parameters
    ----------
    golden : the trace
    tolerance : distance up to which numbers, but not spikes, count as equal
    """

    def __init__(self, golden: Trace, tolerance: int = 0) -> None:
        self._golden = golden
        self._tolerance = tolerance
        self._order = {name: n for n, name in enumerate(golden.records)}
        self.stages: dict[str, Summary] = {}
        self._first: tuple[tuple[int, ...], Difference] | None = None

    @property
    def first(self) -> Difference | None:
        """The first difference; None where there is none."""
        return self._first[1] if self._first else None

    def add(self, record: Record, steps: list[int], expected: np.ndarray, found: np.ndarray, note: str = "") -> None:
        """Compare one record, [steps, tokens, channels]."""
        distance = np.abs(expected - found)
        wrong = distance > (0 if record.quantity == "spikes" else self._tolerance)
        summary = self.stages.setdefault(record.stage, Summary())
        summary.compared += wrong.size
        if wrong.any():
            step, token, channel = (int(part) for part in np.unravel_index(wrong.argmax(), wrong.shape))
            expected_, found_ = int(expected[step, token, channel]), int(found[step, token, channel])
            difference = Difference(record, steps[step], token, channel, expected_, found_, note)
            self._enter(summary, difference, int(np.count_nonzero(wrong)), int(distance[wrong].max()))

    def add_order(self, record: Record, expected: np.ndarray, found: np.ndarray) -> None:
        """Compare the order of the same events, [events, 3]."""
        wrong = (expected != found).any(axis=1)
        if wrong.any():
            n = int(wrong.argmax())
            (step, token, channel), sent = (tuple(int(part) for part in events[n]) for events in (expected, found))
            note = f"event {n:,} of the list: the device sent step {sent[0]}, token {sent[1]}, channel {sent[2]} here"
            difference = Difference(record, step, token, channel, 1, 1, note)
            summary = self.stages.setdefault(record.stage, Summary())
            self._enter(summary, difference, int(np.count_nonzero(wrong)), 0)

    def _enter(self, summary: Summary, difference: Difference, different: int, largest: int) -> None:
        name = difference.record.name
        summary.different += different
        summary.largest = max(summary.largest, largest)
        summary.quantities.append(difference.record.quantity)
        if summary.first is None or difference.step < summary.first.step:
            summary.first = difference
        key = difference.step, self._order[name], difference.token, difference.channel
        if self._first is None or key < self._first[0]:
            self._first = key, difference


def compare(golden: Trace, dump: Dump, events: str = SET, tolerance: int = 0) -> Comparison:
    """Compare what a dump holds with the golden trace.

    Parameters
    ----------
    events : 'set': the spikes must be the same; 'order': and have been sent in the canonical order

    Raises TraceError when the order is asked for, and spikes did not come as a list of events.
    """
    comparison = Comparison(golden, tolerance)
    if events == ORDER:
        unknown = [name for name in dump.values if name.endswith("/spikes") and name not in dump.sent]
        if unknown or not dump.sent:
            found = f"'{unknown[0]}' without an order" if unknown else "none in it"
            raise TraceError(f"--events order: expected a dump with lists of events (.csv, or .h5), found {found}")
    kept = [golden.header.steps.index(step) for step in dump.steps]
    for name, record in golden.records.items():
        if name in dump.values:
            expected = golden.values(name)[kept]
            comparison.add(record, dump.steps, expected, dump.values[name])
            if events == ORDER and name in dump.sent and np.array_equal(expected, dump.values[name]):
                comparison.add_order(record, canonical(expected, dump.steps), dump.sent[name])
    return comparison


@dataclass(frozen=True)
class Cause:
    """What led to a number, as the golden trace has it.

    Attributes
    ----------
    registers : name and value of the numbers that it was computed from
    source : record whose events contributed; '' where none could, or where it was not recorded
    events : token and channel of each; behind a pool, tokens are those of the pooled picture
    pooled : whether they are
    """

    registers: dict[str, int]
    source: str = ""
    events: tuple[tuple[int, int], ...] = ()
    pooled: bool = False


def cause(golden: Trace, difference: Difference) -> Cause:
    """Find what a number was computed from; what was not recorded is left out."""
    stage, step = golden.stages[difference.record.stage], golden.header.steps.index(difference.step)
    registers = {}
    for name, at, token in _inputs(golden, stage, difference, step):
        if name in golden.records and at >= 0:
            label = f"{name} of the step before" if at < step else name
            registers[label] = int(golden.values(name)[at, token, difference.channel])
    if difference.record.quantity == "spikes" and stage.kind == NEURON:
        registers["threshold"] = int(golden.header.neuron["stages"][stage.name]["threshold"])
    source = f"{stage.reads[0]}/spikes" if stage.reads and stage.kind != SPIKES else ""
    if source not in golden.records or (stage.over_tokens and stage.pooled):
        return Cause(registers)
    record, spikes = golden.records[source], golden.values(source)[step]  # [tokens, channels]
    if stage.over_tokens:  # a count: one channel of all tokens
        events = [(int(token), difference.channel) for token in np.flatnonzero(spikes[:, difference.channel])]
        return Cause(registers, source, tuple(events))
    picture = spikes.reshape(record.height, record.width, record.channels)
    if stage.pooled:
        picture = np.moveaxis(max_pool(np.moveaxis(picture, 2, 0), 2), 0, 2)
    height, width = picture.shape[:2]
    row, column = divmod(difference.token, width)
    reach = stage.window // 2
    events = [
        (y * width + x, int(channel))
        for y in range(max(row - reach, 0), min(row + reach + 1, height))
        for x in range(max(column - reach, 0), min(column + reach + 1, width))
        for channel in np.flatnonzero(picture[y, x])
    ]
    return Cause(registers, source, tuple(events), stage.pooled)


def _inputs(golden: Trace, stage: Stage, difference: Difference, step: int) -> Iterator[tuple[str, int, int]]:
    """The numbers that one number is computed from: record, index of the step, token."""
    quantity, token = difference.record.quantity, difference.token
    own = {"x": ("sum",), "h": ("x",), "spikes": ("h",), "v": ("h", "spikes"), "u": ("sum",)}
    if stage.kind == SPIKES:
        for name in stage.reads:
            yield f"{name}/spikes", step, 0 if golden.stages[name].over_tokens else token
        return
    for name in own.get(quantity, ()):
        yield f"{stage.name}/{name}", step, token
    if quantity == "h":
        yield f"{stage.name}/v", step - 1, token
    if quantity == "u" and stage.residual is not None and not _pools(golden, stage.residual, stage.name):
        yield f"{stage.residual}/u", step, token
    if quantity == "sum" and stage.layer is None and not stage.pooled and not stage.over_tokens:
        yield f"{stage.reads[0]}/u", step, token


def _pools(golden: Trace, residual: str, stage: str) -> bool:
    """Whether a stream is pooled on its way to the next: not the same number of tokens."""
    ours, theirs = (golden.records.get(f"{name}/u") for name in (stage, residual))
    return ours is not None and theirs is not None and ours.tokens != theirs.tokens
