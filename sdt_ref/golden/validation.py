"""A trace that does not contradict itself: what its header says, and how its records are laid out.

All of it is checked when a trace is opened, so that whatever reads one may rely on it.
"""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from ..errors import SdtError, TraceError, shown
from ..fixed.formats import OVERFLOWS, ROUNDINGS, Format, Formats, leak_terms
from ..fixed.quantise import registers
from ..fixed.registers import WIDE
from ..hdf5 import Array, File, Group, is_array, is_group
from ..weights.architecture import Architecture
from ..weights.arithmetic import FIXED
from ..weights.config import ModelConfig
from ..weights.wiring import NEURON, Stage
from .header import CHARGE, CONVENTION, LONGEST, MOST, Header, require, require_names, whole
from .records import Record, grids, grown_by

WIDEST = 64  # bits of a register that has grown
NEURON_KEYS = {
    True: ("leak", "leak_rounding", "threshold", "bits", "fraction", "rounding", "overflow"),
    False: ("leak", "threshold"),
}
OPERATIONS = ("ac", "mac", "events", "neurons")
OVERFLOWING = ("accumulator", "membrane", "stream")
LABELS = ("bits", "height", "width", "channels")
Node: TypeAlias = "Array | Group"
Sizes = Mapping[str, tuple[int, int]]


def text_of(file: File) -> str:
    """The header's text; raises TraceError where there is none, or one that is too long."""
    node = file.arrays.get("header")
    if node is None or node.shape != () or node.dtype.kind != "S":
        raise TraceError("header: expected a text; record the run again")
    if node.dtype.itemsize > LONGEST:
        raise TraceError(f"header: expected at most {LONGEST:,} bytes, found {node.dtype.itemsize:,}")
    return bytes(node[()]).decode()


def formats_of(header: Header, architecture: Architecture) -> Formats | None:
    """The registers of a run, of stages that the network has; None of real numbers."""
    if header.arithmetic != FIXED.name:
        require(header.formats == "", "header: formats", f"none of {header.arithmetic}", header.formats)
        return None
    try:
        formats = Formats.from_toml(header.formats)
        formats.check_stages(registers(architecture))
    except SdtError as error:
        raise TraceError(f"header: {error}; record the run again") from None
    return formats


def check_tables(header: Header, stages: Mapping[str, Stage], config: ModelConfig) -> None:
    """Raise TraceError unless the tables of a header are of this network, and count each of its time steps."""
    dim, heads = header.architecture["dim"], config.num_heads
    require(dim % heads == 0, "header: config: num_heads", f"a divisor of {dim} channels", heads)
    layers = [stage.layer for stage in stages.values() if stage.layer is not None]
    require_names(header.operations, "header: operations", layers)
    for module, counts in header.operations.items():
        require_names(
            counts, f"header: operations: {module}", OPERATIONS, optional=OPERATIONS[1:]
        )  # older ones lack some
        for kind, per_step in counts.items():
            _check_counts(f"header: operations: {module}: {kind}", per_step, header.time_steps)
    of_stage = registers(Architecture(**header.architecture)) if header.arithmetic == FIXED.name else {}
    known = [f"{name}.{what}" for name, kinds in of_stage.items() for what in kinds if what in OVERFLOWING]
    require_names(header.overflows, "header: overflows", ["input", *known] if known else [], optional=known)
    for register, per_step in header.overflows.items():
        _check_counts(f"header: overflows: {register}", per_step, header.time_steps)
    neurons = header.neuron
    for name, value in {"charge": CHARGE[header.arithmetic == FIXED.name], **CONVENTION}.items():
        require(neurons[name] == value, f"header: neuron: {name}", shown(value), neurons[name])
    require_names(neurons["stages"], "header: neuron: stages", [s.name for s in stages.values() if s.kind == NEURON])


def _check_counts(what: str, per_step: Any, time_steps: int) -> None:
    right = isinstance(per_step, list) and len(per_step) == time_steps
    require(right, what, f"a number for each of {time_steps} time steps", per_step)
    for number in per_step:
        require(whole(number, 0, MOST), what, "0 or more", number)


def check_neurons(header: Header, stages: Mapping[str, Stage], formats: Formats | None, sizes: Sizes | None) -> None:
    """Raise TraceError unless the entry of every neuron layer is that of its register.

    `sizes`: of the tokens, see `grids`; None where nothing says them.
    """
    for name, entry in header.neuron["stages"].items():
        what = f"header: neuron: {name}"
        require_names(entry, what, NEURON_KEYS[formats is not None])
        if formats is None:
            for key, most in (("leak", 1.0), ("threshold", math.inf)):
                number = entry[key]
                right = isinstance(number, float) and 0 <= number <= most and math.isfinite(number)
                require(right, f"{what}: {key}", "a number of 0 or more" if key == "threshold" else "0 to 1", number)
        else:
            _check_register(what, entry, formats, stages[name], sizes)


def _check_register(what: str, entry: dict[str, Any], formats: Formats, stage: Stage, sizes: Sizes | None) -> None:
    declared = formats.format(stage.name, "membrane")
    grown = 0 if sizes is None else grown_by(stage, sizes)
    least = declared.bits + grown
    most = WIDEST if stage.over_tokens and sizes is None else min(least, WIDEST)
    expected = f"{least}" if most == least else f"{least} to {most}"
    require(whole(entry["bits"], least, most), f"{what}: bits", expected, entry["bits"])
    for key, choices in (("rounding", ROUNDINGS), ("leak_rounding", ROUNDINGS), ("overflow", OVERFLOWS)):
        require(entry[key] in choices, f"{what}: {key}", f"one of {', '.join(choices)}", entry[key])
    for key in ("fraction", "rounding", "overflow"):
        value = getattr(declared, key)
        right = type(entry[key]) is type(value) and entry[key] == value
        require(right, f"{what}: {key}", shown(value), entry[key])
    register = Format(entry["bits"], declared.fraction)
    right = whole(entry["threshold"], register.low, register.high)
    require(right, f"{what}: threshold", f"{register.low} to {register.high}", entry["threshold"])
    require(isinstance(entry["leak"], str), f"{what}: leak", "a sum of powers of two", entry["leak"])
    try:
        leak_terms(entry["leak"].replace("2^-0", "2^0"))  # as a trace has always written it
    except SdtError as error:
        raise TraceError(f"{what}: {error}; record the run again") from None


# --- the input and the records ----------------------------------------------------------------------------------------


def size_of_input(file: File, header: Header, config: ModelConfig) -> tuple[int, int]:
    """Height and width of the dataset 'input', whose shape is checked."""
    node, T, channels = file.arrays.get("input"), header.time_steps, header.architecture["in_channels"]
    if node is None:
        raise TraceError("input: expected a dataset; record the run again")
    shape: tuple[int, ...] = node.shape or ()
    of_time = (T,) if len(shape) == 5 else ()
    right = len(shape) in (4, 5) and shape[:-2] == (1, *of_time, channels)
    right = right and all(n > 0 and n % config.size_divisor == 0 for n in shape[-2:])
    expected = f"[1, {channels}, H, W] or [1, {T}, {channels}, H, W] that the pools divide"
    require(right, "input", expected, shape)
    require(len(shape) == 5 or config.time_steps == T, "header: time_steps", f"{config.time_steps}", T)
    return int(shape[-2]), int(shape[-1])


def size_by_records(
    records: Mapping[str, Node], stages: Mapping[str, Stage], config: ModelConfig
) -> tuple[int, int] | None:
    """Height and width of the input by the first record that tells; None where all are of one token."""
    divisor = config.size_divisor
    unit = grids(stages, (divisor, divisor))
    for name, node in records.items():
        stage = stages[name.rpartition("/")[0]]
        if not any(s.over_tokens for s in (stage, *(stages[read] for read in stage.reads[:1]))):
            times = divisor // unit[stage.name][0]
            height, width = (label(node, key, name) * times for key in ("height", "width"))
            require(height > 0 and width > 0, f"record '{name}'", "tokens", (height, width))
            return height, width
    return None


def records_of(file: File, known: Mapping[str, tuple[str, ...]]) -> dict[str, Node]:
    """The records in a file, in the order of `known`: of each stage its quantities.

    Raises TraceError for what is no record, and where there is none.
    """
    found: dict[str, Node] = {}
    root: Any = file.root.get("records")
    if not is_group(root) or not len(root):
        raise TraceError("expected groups records/STAGE, found none; record the run again")
    for stage in root:
        group: Any = root.get(stage) if stage in known else None
        if not is_group(group) or not len(group):
            raise TraceError(f"expected groups records/STAGE, found {shown(stage)}; record the run again")
        for quantity in group:
            name, node = f"{stage}/{quantity}", group.get(quantity)
            if quantity not in known[stage]:
                raise TraceError(f"unknown record {shown(name)}; record the run again")
            right = is_group(node) if quantity == "spikes" else is_array(node)
            if not right or any(not is_array(node.get(p)) for p in parts(quantity)):
                raise TraceError(
                    f"record '{name}': expected {' and '.join(parts(quantity)) or 'a dataset'}; record the run again"
                )
            found[name] = node
    ordered = (f"{stage}/{quantity}" for stage, quantities in known.items() for quantity in quantities)
    return {name: found[name] for name in ordered if name in found}


def parts(quantity: str) -> tuple[str, ...]:
    """The datasets of a record that is a group; none of one that is a dataset itself."""
    return ("offsets", "channels") if quantity == "spikes" else ()


def labelled(node: Node, stage: str, quantity: str) -> Record:
    """The record that the attributes beside it say."""
    name = f"{stage}/{quantity}"
    bits, height, width, channels = (label(node, key, name) for key in LABELS)
    return Record(stage, quantity, bits, fraction_of(node, name), height, width, channels)


def label(node: Node, key: str, name: str) -> int:
    """An attribute that is a whole number; raises TraceError."""
    return int(_whole_attribute(node, key, name, 0))


def fraction_of(node: Node, name: str) -> np.ndarray:
    """The attribute 'fraction', int64[n]; raises TraceError."""
    return np.asarray(_whole_attribute(node, "fraction", name, 1), WIDE)


def _whole_attribute(node: Node, key: str, name: str, axes: int) -> Any:
    expected = "a whole number" if axes == 0 else "whole numbers along one axis"
    if key not in node.attrs:
        raise TraceError(f"record '{name}': {key}: expected {expected}, found none; record the run again")
    stored = node.attrs.get_id(key)
    right = stored.dtype.kind in "iu" and stored.shape is not None and len(stored.shape) == axes
    require(right, f"record '{name}': {key}", expected, f"{stored.dtype} of shape {stored.shape}")
    return node.attrs[key]


def check_labels(found: Record, expected: Record) -> None:
    """Raise TraceError unless the attributes of a record are what they must be."""
    for what in (*LABELS, "fraction"):
        held, right = getattr(found, what), getattr(expected, what)
        if what == "fraction":
            held, right = held.tolist(), right.tolist()
        require(held == right, f"record '{found.name}': {what}", shown(right), held)
