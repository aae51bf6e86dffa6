"""What a dump is, and the checks that all formats share."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import TraceError, shown
from ...fixed.registers import WIDE
from ..records import Record
from ..trace_file import Trace

MOST_DIGITS = 18  # of a number or an address; no register has more


@dataclass
class Dump:
    """Records of a device, in the shapes of a golden trace.

    Attributes
    ----------
    steps : time steps that it holds
    values : by record, [steps, tokens, channels]: int64, or float64 where the trace holds real numbers
    sent : by record of spikes that came as a list, its events in the order of the list, int64[events, 3]: step, token
        and channel
    extra : records that the golden trace lacks, so that they cannot be compared
    """

    steps: list[int]
    values: dict[str, np.ndarray] = field(default_factory=dict)
    sent: dict[str, np.ndarray] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)


def find_record(golden: Trace, name: str) -> Record:
    """The record of the golden trace that has this name; raises TraceError where there is none."""
    if name not in golden.records:
        stage, _, quantity = name.rpartition("/")
        named = f"record {shown(name)}"
        if stage in golden.stages and quantity in golden.stages[stage].quantities:
            if quantity not in golden.quantities(golden.stages[stage]):
                raise TraceError(f"{named} is of fixed point, and the golden trace of {golden.arithmetic.name}")
            raise TraceError(f"{named} is not in the golden trace; record it there, or leave it out here")
        raise TraceError(f"unknown {named}; records are STAGE/QUANTITY, such as '{next(iter(golden.records))}'")
    return golden.records[name]


def require_whole(record: Record) -> None:
    """Raise TraceError where a record holds real numbers, for a form that has whole ones alone."""
    if record.real:
        raise TraceError(f"record '{record.name}' holds real numbers; write it to a file that ends in .npz or .h5")


def checked(record: Record, values: Any, steps: list[int]) -> np.ndarray:
    """Raise TraceError unless the values have a record's type and shape and fit its register.

    Any real number fits a real one; one that is not finite will be a difference.
    """
    check_type(record, values.dtype)
    if values.shape != (shape := (len(steps), record.tokens, record.channels)):
        raise TraceError(
            f"record '{record.name}': expected [steps, tokens, channels] = {shape}, found {shown(values.shape)}"
        )
    array, name = np.asarray(values[()]), record.name
    if record.real:
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    low, high = record.limits
    wrong = (array != 0) & (array != 1) if record.quantity == "spikes" else (array < low) | (array > high)
    if wrong.any():
        step, token, channel = (int(part[0]) for part in np.nonzero(wrong))
        raise TraceError(
            f"record '{name}': expected {low} to {high}, found {array[step, token, channel]} at step {steps[step]}, "
            f"token {token}, channel {channel}; numbers are signed"
        )
    return array.astype(WIDE)


def check_type(record: Record, dtype: np.dtype) -> None:
    """Raise TraceError unless numbers of this type can be a record's."""
    kinds, numbers = ("iubf", "real numbers") if record.real else ("iub", "whole numbers")
    if record.quantity == "spikes":
        kinds, numbers = "iubf", "0 and 1"
    if dtype.kind not in kinds:
        raise TraceError(f"record '{record.name}': expected {numbers}, found {dtype}")


def take_events(dump: Dump, record: Record, events: np.ndarray) -> None:
    """Enter events [n, 3] of one record; raises TraceError when one is out of range or stands twice."""
    name = record.name
    limits = record.tokens, record.channels
    for column, what, limit in ((1, "token", limits[0]), (2, "channel", limits[1])):
        wrong = (events[:, column] < 0) | (events[:, column] >= limit)
        if wrong.any():
            found = events[wrong][0, column]
            raise TraceError(f"record '{name}': {what}: expected 0 to {limit - 1}, found {found}")
    values = np.zeros((len(dump.steps), *limits), WIDE)
    places = np.searchsorted(dump.steps, events[:, 0]), events[:, 1], events[:, 2]
    np.add.at(values, places, 1)
    if (values > 1).any():
        step, token, channel = (int(part[0]) for part in np.nonzero(values > 1))
        raise TraceError(
            f"record '{name}': the spike of step {dump.steps[step]}, token {token}, channel {channel} is listed "
            f"{values[step, token, channel]} times"
        )
    dump.values[name], dump.sent[name] = values, events


def canonical(values: np.ndarray, steps: Iterable[int]) -> np.ndarray:
    """The spikes of dense values in canonical order: int64[events, 3], step, token and channel."""
    step, token, channel = np.nonzero(values)
    return np.stack([np.asarray(list(steps))[step], token, channel], axis=1)


def not_a_number(text: str, expected: str = "a whole number") -> str:
    """What is wrong with a text that is no number: an unknown value, or something else than was expected."""
    unknown = re.search(r"[xXzZ?]", text)
    if unknown:
        return (
            f"found {shown(text, 40)}, which holds an unknown value ({unknown[0]}); reset the device, or look at its "
            "drivers"
        )
    return f"expected {expected}, found {shown(text, 40)}"
