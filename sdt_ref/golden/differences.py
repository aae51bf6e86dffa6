"""A golden trace against what a device held: the first difference, what led to it, and how many there are."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..dense.layers import max_pool
from ..errors import TraceError
from ..weights.wiring import NEURON, SPIKES, Stage
from .dumps import Dump, canonical
from .packing import digits
from .records import Record
from .trace_file import Trace

SET, ORDER = EVENT_MODES = ("set", "order")
TOLERANCE = {  # by arithmetic; the power of ten above the greatest distance of a current in PyTorch from ours:
    "fixed": 0,
    "float32": 1e-4,  # 1.4e-5, the shipped weights; 5.2e-6, the official activations: PyTorch adds in another order
    "float64": 1e-6,  # 9.4e-7, the official activations, which were stored in float32; else 2e-14
}


@dataclass(frozen=True)
class Difference:
    """One number that differs.

    Attributes
    ----------
    step, token, channel : where
    expected, found : of the golden trace and of the dump, in units of the register, or real
    note : what else is to be said
    """

    record: Record
    step: int
    token: int
    channel: int
    expected: float
    found: float
    note: str = ""

    def hexadecimal(self, value: float) -> str:
        """A value as the register's bits; a real one as `float.hex` writes it."""
        if isinstance(value, float):
            return value.hex()
        return f"0x{value & ((1 << self.record.bits) - 1):0{digits(1, self.record.bits)}x}"


@dataclass
class StageSummary:
    """What was found in one stage.

    Attributes
    ----------
    compared, different : numbers
    largest : greatest distance; infinite from or to a number that is not finite
    quantities : those that differ
    first : None where all are equal
    """

    compared: int = 0
    different: int = 0
    largest: float = 0
    quantities: list[str] = field(default_factory=list)
    first: Difference | None = None


class Comparison:
    """Takes pairs of records, and keeps the first difference in time and data-flow order.

    Parameters
    ----------
    golden : the trace
    tolerance : distance up to which numbers, but not spikes, count as equal; None takes that of TOLERANCE

    Attributes
    ----------
    tolerance : that is taken
    farthest : greatest distance of numbers, equal or not; None where there are but spikes
    """

    def __init__(self, golden: Trace, tolerance: float | None = None) -> None:
        self._golden = golden
        self.tolerance = TOLERANCE[golden.arithmetic.name] if tolerance is None else tolerance
        self.farthest: float | None = None
        self._order = {name: n for n, name in enumerate(golden.records)}
        self.stages: dict[str, StageSummary] = {}
        self._first: tuple[tuple[int, ...], Difference] | None = None

    @property
    def first(self) -> Difference | None:
        """The first difference; None where there is none."""
        return self._first[1] if self._first else None

    def add(self, record: Record, steps: list[int], expected: np.ndarray, found: np.ndarray, note: str = "") -> None:
        """Compare one record, [steps, tokens, channels]; what is not finite equals nothing."""
        with np.errstate(invalid="ignore"):
            distance = np.abs(expected - found)
        spikes = record.quantity == "spikes"
        if record.real:
            distance[np.isnan(distance)] = np.inf
        if not spikes:
            self.farthest = max(self.farthest or 0, distance.max(initial=0).item())
        wrong = distance > (0 if spikes else self.tolerance)
        summary = self.stages.setdefault(record.stage, StageSummary())
        summary.compared += wrong.size
        if wrong.any():
            step, token, channel = (int(part) for part in np.unravel_index(wrong.argmax(), wrong.shape))
            expected_, found_ = expected[step, token, channel].item(), found[step, token, channel].item()
            difference = Difference(record, steps[step], token, channel, expected_, found_, note)
            self._enter(summary, difference, int(np.count_nonzero(wrong)), distance[wrong].max().item())

    def add_order(self, record: Record, expected: np.ndarray, found: np.ndarray) -> None:
        """Compare the order of the same events, [events, 3]."""
        wrong = (expected != found).any(axis=1)
        if wrong.any():
            n = int(wrong.argmax())
            (step, token, channel), sent = (tuple(int(part) for part in events[n]) for events in (expected, found))
            note = f"event {n:,} of the list: the device sent step {sent[0]}, token {sent[1]}, channel {sent[2]} here"
            difference = Difference(record, step, token, channel, 1, 1, note)
            summary = self.stages.setdefault(record.stage, StageSummary())
            self._enter(summary, difference, int(np.count_nonzero(wrong)), 0)

    def _enter(self, summary: StageSummary, difference: Difference, different: int, largest: float) -> None:
        name = difference.record.name
        summary.different += different
        summary.largest = max(summary.largest, largest)
        summary.quantities.append(difference.record.quantity)
        if summary.first is None or difference.step < summary.first.step:
            summary.first = difference
        key = difference.step, self._order[name], difference.token, difference.channel
        if self._first is None or key < self._first[0]:
            self._first = key, difference


def compare(golden: Trace, dump: Dump, events: str = SET, tolerance: float | None = None) -> Comparison:
    """Compare what a dump holds with the golden trace.

    Parameters
    ----------
    events : 'set': the spikes must be the same; 'order': and have been sent in the canonical order
    tolerance : see Comparison

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
    source : record whose events contributed; '' where there is none, or where they are not shown
    events : token and channel of each, and of pixels in fixed point the bit plane, in the order in which they are
        added; behind a pool, tokens are those of the pooled picture
    pooled : whether they are
    not_shown : what else it was computed from, in words
    """

    registers: dict[str, float]
    source: str = ""
    events: tuple[tuple[int, ...], ...] = ()
    pooled: bool = False
    not_shown: tuple[str, ...] = ()


def cause(golden: Trace, difference: Difference) -> Cause:
    """Find what a number was computed from."""
    stage, steps, quantity = golden.stages[difference.record.stage], golden.header.steps, difference.record.quantity
    registers, not_shown = {}, list(_next_to(golden, stage, quantity))
    for name, step, token in _inputs(golden, stage, difference):
        label = f"{name} of the step before" if step < difference.step else name
        if name in golden.records and step in steps:
            registers[label] = golden.values(name)[steps.index(step), token, difference.channel].item()
        elif step >= 0:  # before step 0 a membrane is 0
            not_shown.append(f"{label}: not recorded")
    if stage.kind == NEURON and (quantity == "spikes" or (quantity == "v" and stage.pooled_behind)):
        registers["threshold"] = golden.header.neuron["stages"][stage.name]["threshold"]
    sources = _sources(golden, stage)
    absent = [f"{name}: not recorded" for name in sources if name not in golden.records]
    if absent or not sources:
        return Cause(registers, not_shown=(*not_shown, *absent))
    events = tuple(_events(golden, stage, sources, difference))
    return Cause(registers, sources[0], events, stage.pooled, tuple(not_shown))


def _inputs(golden: Trace, stage: Stage, difference: Difference) -> Iterator[tuple[str, int, int]]:
    """The numbers that one number is computed from: record, time step, token."""
    quantity, step, token = difference.record.quantity, difference.step, difference.token
    own = {"x": ("sum",), "h": ("x",), "spikes": ("h",), "v": ("h", "spikes"), "u": ("sum",)}
    if stage.kind == SPIKES:
        for name in () if stage.pooled_behind else stage.reads:
            yield f"{name}/spikes", step, 0 if golden.stages[name].over_tokens else token
        return
    for name in own.get(quantity, ()):
        if name in golden.quantities(stage) and not (stage.pooled_behind and name == "spikes"):
            yield f"{stage.name}/{name}", step, token
    if quantity == "h":
        yield f"{stage.name}/v", step - 1, token
    if quantity == "u" and stage.residual is not None and not _pools(golden, stage):
        yield f"{stage.residual}/u", step, token
    if _enters(golden, stage, quantity) and not stage.pooled and not stage.over_tokens:
        yield f"{stage.reads[0]}/u", step, token


def _next_to(golden: Trace, stage: Stage, quantity: str) -> Iterator[str]:
    """What a number is computed from, where those are too many to be shown."""
    if stage.kind == NEURON and stage.pooled_behind and quantity == "spikes":
        yield f"{stage.name}/h of the neighbours: its spikes are recorded behind a pool of 3x3 tokens"
    if stage.over_tokens and stage.pooled:
        yield f"events of {stage.reads[0]}: they are pooled over 3x3 of (token, channel), and then counted"
    if _enters(golden, stage, quantity) and stage.pooled:
        yield f"{stage.reads[0]}/u: this is the greatest of 3x3"
    if _enters(golden, stage, quantity) and stage.over_tokens:
        yield f"{stage.reads[0]}/u: this is the {'sum' if quantity == 'sum' else 'mean'} over its tokens"
    if quantity == "u" and stage.residual is not None and _pools(golden, stage):
        yield f"{stage.residual}/u, the residual: the greatest of 3x3"


def _enters(golden: Trace, stage: Stage, quantity: str) -> bool:
    """Whether that is what neurons take from a stream."""
    return quantity == golden.quantities(stage)[0] and _reads_a_stream(golden, stage)


def _reads_a_stream(golden: Trace, stage: Stage) -> bool:
    return stage.kind == NEURON and stage.layer is None and "u" in golden.stages[stage.reads[0]].quantities


def _pools(golden: Trace, stage: Stage) -> bool:
    """Whether a stream is pooled on its way to the next, as the neurons between them see it."""
    return golden.stages[stage.reads[0]].pooled and stage.residual in golden.stages[stage.reads[0]].reads


def _sources(golden: Trace, stage: Stage) -> list[str]:
    """The record whose events are added up, or ORed, and the mask that lets them pass; none where they are too many."""
    if stage.reads == ("input",):
        return ["input/pixel"]
    if stage.kind == SPIKES and stage.pooled_behind:
        return [f"{name}/spikes" for name in stage.reads]
    counts = stage.over_tokens and not stage.pooled and not _reads_a_stream(golden, stage)
    return [f"{stage.reads[0]}/spikes"] if counts or stage.layer is not None else []


def _events(golden: Trace, stage: Stage, sources: list[str], difference: Difference) -> Iterator[tuple[int, ...]]:
    record, step = golden.records[sources[0]], golden.header.steps.index(difference.step)
    values, channel = golden.values(sources[0])[step], difference.channel  # [tokens, channels]
    if stage.kind == SPIKES:
        passing = values * golden.values(sources[1])[step]
        yield from _around(passing, difference.token, channel, record.channels // golden.config.num_heads)
    elif stage.over_tokens:  # a count: one channel of all tokens
        yield from ((int(token), channel) for token in np.flatnonzero(values[:, channel]))
    else:
        picture = values.reshape(record.height, record.width, record.channels)
        if stage.pooled:
            picture = np.moveaxis(max_pool(np.moveaxis(picture, 2, 0), 2), 0, 2)
        tokens = list(_window(difference.token, stage.window // 2, *picture.shape[:2]))
        flat = picture.reshape(-1, record.channels)
        if record.quantity == "spikes":
            yield from ((token, int(c)) for token in tokens for c in np.flatnonzero(flat[token]))
        elif record.real:  # an analog layer reads them all
            yield from ((token, c) for token in tokens for c in range(record.channels))
        else:
            for plane in range(record.bits):
                yield from (
                    (token, int(c), plane) for token in tokens for c in np.flatnonzero(flat[token] >> plane & 1)
                )


def _window(token: int, reach: int, height: int, width: int) -> Iterator[int]:
    """Tokens around one, as a kernel takes them."""
    row, column = divmod(token, width)
    for y in range(max(row - reach, 0), min(row + reach + 1, height)):
        yield from (y * width + x for x in range(max(column - reach, 0), min(column + reach + 1, width)))


def _around(spikes: np.ndarray, token: int, channel: int, depth: int) -> Iterator[tuple[int, int]]:
    """Spikes [tokens, channels] in 3x3 of (token, channel), within one head of `depth` channels."""
    first = channel - channel % depth
    for t in range(max(token - 1, 0), min(token + 2, len(spikes))):
        for c in range(max(channel - 1, first), min(channel + 2, first + depth)):
            if spikes[t, c]:
                yield t, c
