"""What a forward pass returns, from the engine and from the oracle alike."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import reduce
from operator import add
from typing import Protocol, Self, TypeVar

import numpy as np

from .errors import LONGEST_VALUE, UnknownNameError, shown

Value = TypeVar("Value")
LISTED = 8  # names in a message
NUMBERS = "numbers are recorded with record='currents'"
EMPTY = {  # why a table is
    "spikes": "spikes are recorded with record=True",
    "currents": NUMBERS,
    "streams": NUMBERS,
    "sums": f"{NUMBERS}, in fixed point",
    "overflows": "they are counted in fixed point",
}


class Spikes(Protocol):
    """Spikes of one layer in either form."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the official tensor."""

    def to_dense(self) -> np.ndarray:
        """Build the dense 0/1 tensor, uint8."""


class ByName(dict[str, Value]):
    """A table of a result; a name that it lacks is answered with those that it has.

    Parameters
    ----------
    what : is in the table, in words
    aliases : other names, such as official paths, and what they stand for
    """

    def __init__(self, what: str, table: Mapping[str, Value], aliases: Mapping[str, str] | None = None) -> None:
        super().__init__(table)
        self._what = what
        self._aliases = aliases or {}

    def __missing__(self, name: str) -> Value:
        return self[known_as(name, self._what, self, self._aliases)]

    def __reduce__(self) -> tuple[type, tuple[str, dict[str, Value], Mapping[str, str]]]:
        """Copied and pickled whole."""
        return type(self), (self._what, dict(self), self._aliases)


def known_as(name: str, what: str, table: Mapping[str, object], aliases: Mapping[str, str]) -> str:
    """The name in a table that another name stands for; raises UnknownNameError, with what there is."""
    if aliases.get(name) in table:
        return aliases[name]
    if not table:
        raise UnknownNameError(
            f"{what}: expected one of its names, found {shown(name)}; it is empty: {EMPTY.get(what, '-')}"
        )
    near = get_close_matches(name[:LONGEST_VALUE] if isinstance(name, str) else "", [*table, *aliases], n=1)
    guess = f"did you mean '{near[0]}'? " if near else ""
    known = ", ".join(list(table)[:LISTED]) + (f", ... ({len(table)} in all)" if len(table) > LISTED else "")
    raise UnknownNameError(f"{what}: expected one of its names, found {shown(name)}; {guess}it has {known}")


@dataclass(frozen=True, eq=False)
class OperationCount:
    """Operations per time step, summed over the batch; each int64[T].

    Attributes
    ----------
    ac : additions performed (accumulate)
    mac : multiply-accumulates performed; in `Result.stage_counts` the multiplications and divisions
    events : spikes read, or, of a neuron layer or a pool, spikes that leave it
    neurons : neurons that could have spiked: 0 where the input is analog
    comparisons : of membranes with thresholds and of currents with each other; ANDs and ORs of spikes
    shifts : of whole numbers, by constants
    """

    ac: np.ndarray
    mac: np.ndarray
    events: np.ndarray
    neurons: np.ndarray
    comparisons: np.ndarray
    shifts: np.ndarray

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and time step that the layer reads, after pooling; NaN where the input is analog."""
        neurons = int(self.neurons.sum())
        return int(self.events.sum()) / neurons if neurons else math.nan

    @classmethod
    def none(cls, time_steps: int) -> Self:
        """No operations in so many time steps."""
        return cls(*np.zeros((len(OPERATIONS), time_steps), np.int64))

    def __add__(self, other: Self) -> Self:
        """Add up, field by field."""
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in OPERATIONS))


OPERATIONS = tuple(each.name for each in dataclasses.fields(OperationCount))


@dataclass(frozen=True, eq=False)
class Result:
    """Outcome of one forward pass.

    Attributes
    ----------
    logits : [B, K], mean over the time steps
    logits_per_step : [T, B, K]
    spikes : by official hook name, in the official order; empty unless recorded. The official path of a stage
        ('block.0.attn.q_lif') serves as well
    currents : by official neuron path ('block.0.attn.q_lif'), [T, B, C, H, W]; of the attention's neurons
        [T, B, h, 1, d], of the head's [T, B, C]; empty unless record="currents"
    streams : the residual stream behind each layer that adds to it ('block.0.mlp.fc2_conv'), [T, B, C, H, W]; empty
        unless record="currents"
    sums : in fixed point, what entered a register, before it did: by neuron path the accumulators, counts or streams
        that the neurons read; by layer path the accumulators that entered the stream; as currents
    counts : by weight layer ('MS_SSA_Conv0_q_conv'); its path ('block.0.attn.q_conv') serves as well
    stage_counts : what is done besides the weight layers, by kind and then by official module: 'bias' of a layer;
        'residual', added behind it; 'leak' and 'threshold' of neurons; 'pool' of their spikes, an OR; 'max_pool' of
        currents; 'attention': K AND V ('block.0.attn.kv'), the sum over tokens ('..talking_heads_lif'), Q AND mask
        ('..masked'); 'token_mean', 'time_mean'; 'register', in fixed point: numbers brought to other fraction bits
    overflows : in fixed point, by register ('block.0.attn.q_lif.membrane'): the numbers that did not fit, int64[T]
    """

    logits: np.ndarray
    logits_per_step: np.ndarray
    spikes: Mapping[str, Spikes]
    currents: Mapping[str, np.ndarray]
    counts: Mapping[str, OperationCount]
    stage_counts: Mapping[str, Mapping[str, OperationCount]]
    streams: Mapping[str, np.ndarray] = field(default_factory=dict)
    sums: Mapping[str, np.ndarray] = field(default_factory=dict)
    overflows: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Sizes, and what is recorded."""
        T, B, K = self.logits_per_step.shape
        recorded = {"spikes": self.spikes, "currents": self.currents, "streams": self.streams}
        kept = ", ".join(f"{len(table)} {name}" for name, table in recorded.items() if table) or "nothing"
        return f"<Result of {B} x {K} logits, T = {T}; recorded: {kept}>"

    @property
    def other_counts(self) -> dict[str, OperationCount]:
        """The stage counts by kind, added up over all stages, in arrays of their own."""
        none = OperationCount.none(len(self.logits_per_step))
        return {kind: reduce(add, stages.values(), none) for kind, stages in self.stage_counts.items()}
