"""HDF5: a trace, or any file with datasets records/STAGE/QUANTITY laid out as in a trace."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...errors import TraceError, shown
from ...files import open_plain
from ...fixed.registers import WIDE
from ...hdf5 import Array, Group, is_array, is_group, opened
from ..records import Record
from ..trace_file import Trace, open_trace
from ..validation import LABELS, check_labels
from .dump import Dump, checked, find_record, take_events


def read_h5(file: Path, golden: Trace) -> Dump:
    """Read a trace of another run, or a file laid out as one; raises TraceError without the name of the file."""
    with _opened_h5(file) as root:
        is_trace = "format" in root.attrs
    return _read_trace(file, golden) if is_trace else _read_plain_h5(file, golden)


@contextmanager
def _opened_h5(file: Path) -> Iterator[Group]:
    with (
        open_plain(file, "dump", TraceError) as stream,
        opened(stream, "", TraceError, "HDF5 of records", "write it again") as content,
    ):
        yield content.root


def _read_trace(file: Path, golden: Trace) -> Dump:
    with open_trace(file) as other:
        for what in ("arithmetic", "architecture", "config", "formats", "parameters", "input"):
            if getattr(other.header, what) != getattr(golden.header, what):
                verb = "differs" if what in ("arithmetic", "input") else "differ"
                raise TraceError(f"a trace of another run: its {what} {verb} from the golden's")
        steps = [step for step in other.header.steps if step in golden.header.steps]
        names = [name for name in other.records if name in golden.records]
        if not steps or not names:
            raise TraceError("has no record and time step in common with the golden trace")
        kept = [other.header.steps.index(step) for step in steps]
        dump = Dump(steps, extra=[name for name in other.records if name not in golden.records])
        for name in names:
            check_labels(other.records[name], golden.records[name])
            dump.values[name] = checked(golden.records[name], other.values(name)[kept], steps)
        return dump


def _read_plain_h5(file: Path, golden: Trace) -> Dump:
    dump = Dump(golden.header.steps)
    with _opened_h5(file) as root:
        stages = root.get("records")
        if not is_group(stages) or not len(stages):
            raise TraceError("expected groups records/STAGE, found none")
        for stage, group in stages.items():
            if not is_group(group) or not len(group):
                raise TraceError(f"expected a group {shown(f'records/{stage}')} that holds records, found one without")
            for quantity in group:
                record, node = find_record(golden, f"{stage}/{quantity}"), group[quantity]
                _check_declared(record, node)
                if is_group(node):
                    take_events(dump, record, _listed(record, node, dump.steps))
                elif is_array(node):
                    dump.values[record.name] = checked(record, node, dump.steps)
                else:
                    raise TraceError(f"record '{record.name}': expected a dataset, found a type without data")
    return dump


def _check_declared(record: Record, node: Array | Group) -> None:
    """Raise TraceError where attributes, which a dump may lack, are not those of the golden record."""
    for key in (*LABELS, "fraction"):
        if key not in node.attrs:
            continue
        stored, right = node.attrs.get_id(key), np.atleast_1d(getattr(record, key))
        expected = right.tolist() if key == "fraction" else int(right[0])
        found, shape = f"{stored.dtype} of shape {shown(stored.shape)}", stored.shape
        if shape is None:
            found = "nothing"
        elif stored.dtype.kind in "iuf" and math.prod(shape) <= max(1, record.channels):
            held = np.atleast_1d(node.attrs[key])
            if np.array_equal(held, right) or (right.size == 1 and held.size and (held == right).all()):
                continue
            found = shown(np.asarray(node.attrs[key]).tolist())
        raise TraceError(
            f"record '{record.name}': {key}: expected {shown(expected)}, found {found}; see its attributes"
        )


def _listed(record: Record, group: Group, steps: list[int]) -> np.ndarray:
    """Events [n, 3] of a group with offsets and channels, laid out as in a trace."""
    rows = len(steps) * record.tokens
    if record.quantity != "spikes":
        raise TraceError(f"record '{record.name}': expected a dataset, found a group; lists of events are of spikes")
    for part, most in (("offsets", rows + 1), ("channels", rows * record.channels)):
        node = group.get(part)
        if not is_array(node) or node.dtype.kind not in "iu" or len(node.shape or ()) != 1:
            found = f"{node.dtype} of shape {node.shape}" if is_array(node) else "no such dataset"
            raise TraceError(f"record '{record.name}': {part}: expected whole numbers along one axis, found {found}")
        if len(node) > most:
            raise TraceError(f"record '{record.name}': {part}: expected {most:,} numbers at most, found {len(node):,}")
    offsets, channels = (np.asarray(group[part][()], WIDE) for part in ("offsets", "channels"))
    if len(offsets) != rows + 1 or offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] != len(channels):
        raise TraceError(
            f"record '{record.name}': expected {rows + 1} offsets that rise from 0 to the number of channels, "
            f"{len(channels)}"
        )
    row = np.repeat(np.arange(rows), np.diff(offsets))
    return np.stack([np.asarray(steps)[row // record.tokens], row % record.tokens, channels], axis=1)
