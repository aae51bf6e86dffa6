"""The header of a trace: what was run. It is read with limits, before anything is built from it."""

import dataclasses
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import TraceError, shown
from ..weights.architecture import Architecture
from ..weights.arithmetic import ARITHMETICS, FIXED
from ..weights.config import is_int
from ..weights.tensors import MAX_CHANNELS, MAX_PARAMETERS

LONGEST = 16 << 20  # bytes of the text
MOST_BLOCKS = 10_000
MOST = (1 << 63) - 1  # of what is counted
CHARGE = {True: "h = v + round((x - v) * leak)", False: "h = v + (x - v) * leak"}  # by whether it is fixed point
CONVENTION = {
    "fire": "spike = h >= threshold",
    "reset": "v = 0 if spike else h",
    "order": ["charge", "fire", "reset"],
    "initial_v": 0,
    "refractory": 0,
}
SIZES = {
    "dim": MAX_CHANNELS,
    "depth": MOST_BLOCKS,
    "in_channels": MAX_PARAMETERS,
    "num_classes": MAX_PARAMETERS,
    "hidden": MAX_CHANNELS,
}
SPIKE_MODES = ("lif", "plif")
SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Header:
    """What was run.

    Attributes
    ----------
    architecture, config : sizes and settings of the network
    formats : text of the formats file, complete; '' without registers
    parameters : sha256 of the parameters, see `hashing.digest`
    input : sha256 of the numbers in the input register, int64 in little-endian order; of real numbers, in their type
    time_steps : T of the run
    steps : time steps recorded
    neuron : the convention of all neurons, and of each stage its leak, rounding and threshold
    overflows : by register, numbers that did not fit in each of the T steps
    operations : by weight layer, additions and events of each of the T steps
    arithmetic : 'fixed', 'float32' or 'float64'
    """

    architecture: dict[str, Any]
    config: dict[str, Any]
    formats: str
    parameters: str
    input: str
    time_steps: int
    steps: list[int]
    neuron: dict[str, Any]
    overflows: dict[str, list[int]]
    operations: dict[str, dict[str, list[int]]]
    arithmetic: str = FIXED.name  # schema 1 does not name it


def require(condition: bool, what: str, expected: str, found: Any) -> None:
    """Raise TraceError unless `condition` holds."""
    if not condition:
        raise TraceError(f"{what}: expected {expected}, found {shown(found)}; record the run again")


def require_names(table: Any, what: str, known: Collection[str], optional: Collection[str] = ()) -> None:
    """Raise TraceError unless a table has these names, all of them but the optional ones, and no others."""
    require(isinstance(table, dict), what, "a table", table)
    for name in table:
        require(name in known, what, f"one of {len(known)} names, such as '{next(iter(known), '')}'", name)
    for name in known:
        require(name in table or name in optional, what, f"'{name}'", list(table))


def whole(value: Any, least: int, most: int) -> bool:
    """Tell whether a value is a whole number from `least` to `most`."""
    return is_int(value) and least <= value <= most


def parsed(text: str) -> Header:
    """The header that a text in JSON says, its types and sizes checked; raises TraceError."""
    try:
        table = json.loads(text, parse_constant=_not_finite)
    except (ValueError, RecursionError) as error:
        raise TraceError(f"header: expected JSON, found {shown(text, 40)} ({error}); record the run again") from None
    fields = [field.name for field in dataclasses.fields(Header)]
    require_names(table, "header", fields, optional=("arithmetic",))
    header = Header(**table)
    for name in ("formats", "parameters", "input", "arithmetic"):
        require(isinstance(table.get(name, ""), str), f"header: {name}", "a text", table.get(name))
    require(header.arithmetic in ARITHMETICS, "header: arithmetic", " or ".join(ARITHMETICS), header.arithmetic)
    for name in ("parameters", "input"):
        require(bool(SHA256.fullmatch(table[name])), f"header: {name}", "a sha256", table[name])
    _check_sizes(header)
    _check_steps(header)
    return header


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"numbers must be finite, and there is {text}")


def _check_sizes(header: Header) -> None:
    sizes, what = header.architecture, "header: architecture"
    require_names(sizes, what, [field.name for field in dataclasses.fields(Architecture)])
    for name, most in SIZES.items():
        require(whole(sizes[name], 1, most), f"{what}: {name}", f"1 to {most}", sizes[name])
    require(sizes["dim"] % 8 == 0, f"{what}: dim", "a multiple of 8", sizes["dim"])
    require(sizes["spike_mode"] in SPIKE_MODES, f"{what}: spike_mode", " or ".join(SPIKE_MODES), sizes["spike_mode"])
    require(isinstance(header.config, dict), "header: config", "a table", header.config)
    require_names(header.neuron, "header: neuron", ["charge", *CONVENTION, "stages"])
    stages = header.neuron["stages"]
    require(isinstance(stages, dict), "header: neuron: stages", "a table", stages)
    most = len(stages)  # every block has some: what is built from the header is no larger than its text
    require(sizes["depth"] <= most, f"{what}: depth", f"no more than the {most} stages of neurons", sizes["depth"])


def _check_steps(header: Header) -> None:
    T, steps = header.time_steps, header.steps
    require(whole(T, 1, MOST), "header: time_steps", "1 or more", T)
    require(isinstance(steps, list) and bool(steps), "header: steps", "time steps", steps)
    for before, step in zip([-1, *steps], steps, strict=False):
        require(whole(step, 0, T - 1), "header: steps", f"0 to {T - 1}", step)
        require(before < step, "header: steps", "each once, in order", steps)
