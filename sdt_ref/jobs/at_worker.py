"""What runs on a worker: it keeps weights by their digest, opens the data where they lie, and computes chunks.

A worker computes one chunk at a time, with all its threads; a second network beside the first would double its memory.
Answers are plain values, since the scheduler, through which they go, may lack this package.
"""

import io
import os
import pickle
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import numpy as np
import PIL
from PIL import features

from ..errors import ConfigError, SdtError, shown
from ..files import open_plain
from ..inputs.selection import Item, Selected, Selection, fingerprints
from ..inputs.standard_input import StandardInput
from ..weights.file import Weights, digest
from .identity import code_digest
from .job import Compute, Part, Task

KEPT = 2  # weights, networks and data sets that a worker remembers, the last ones used
CODE, WEIGHTS, DATA = "code", "weights", "data"  # what a worker can lack
PRINT = 32  # bytes of a fingerprint
READERS = ("aedat", "hdf5plugin")  # packages without which a worker cannot read what the client can

T = TypeVar("T")
_computing = threading.Lock()
_weights: dict[Hashable, Weights] = {}
_networks: dict[Hashable, Compute] = {}
_data: dict[Hashable, Selected] = {}


class Order(TypedDict):
    """A chunk to compute.

    run : of the client's call: data are opened once in it
    code, numpy : the client's
    weights : digest
    job : pickled (task, selection); None in place of a selection that has the standard input
    threads : to compute with; None takes the worker's own
    chunk : first sample, and the one behind the last
    total : of all samples
    prints : the fingerprints of its samples, 32 bytes each
    sent : its samples, see `packed`; None where the worker is to read them
    """

    run: str
    code: str
    numpy: str
    weights: str
    job: bytes
    threads: int | None
    chunk: tuple[int, int]
    total: int
    prints: bytes
    sent: list[tuple[str, Any, str | None, int]] | None


class Answer(TypedDict, total=False):
    """What came of it: who, and a part as its bytes, or what is lacking, or an error: its type's name, its words."""

    worker: str
    pid: int
    part: bytes
    lacks: str
    error: tuple[str, str]


class Call:
    """A call of a function here, which is made where it is unpickled: only a worker does that, not the scheduler."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


def own_versions() -> dict[str, str]:
    """What must be the same wherever chunks are computed, by what it is called."""
    from .. import __version__

    there = {name: str(find_spec(name) is not None) for name in READERS}
    decodes = f"{PIL.__version__} with libjpeg {features.version('jpg')}"
    return {
        "version of sdt_ref": __version__,
        "NumPy": np.__version__,
        "Pillow": decodes,
        **{f"package {name}": found for name, found in there.items()},
        "code of sdt_ref": code_digest(),
    }


def keep(name: str, weights: Weights) -> int:
    """Keep weights that were sent; the number of the process. Raises ConfigError when they are not of that digest."""
    if digest(weights.texts, weights.tensors) != name:
        raise ConfigError(f"weights: expected those of sha256 {name}, found others; try again")
    _remember(_weights, name, lambda: weights)
    return os.getpid()


def kept(name: str) -> int | None:
    """The number of the process, if it keeps the weights of this digest."""
    return os.getpid() if name in _weights else None


def compute(order: Order) -> Answer:
    """Compute a chunk; errors that a user can cause are part of the answer."""
    from distributed import get_worker

    worker = get_worker()
    answer: Answer = {"worker": worker.address, "pid": os.getpid()}
    if (order["code"], order["numpy"]) != (code_digest(), np.__version__):
        return {**answer, "lacks": CODE}
    with _computing:
        if order["weights"] not in _weights:
            return {**answer, "lacks": WEIGHTS}
        try:
            part = _part(order, worker.address, order["threads"] or worker.state.nthreads)
        except (SdtError, MemoryError) as error:
            return {**answer, "error": (type(error).__name__, str(error))}
    return {**answer, "part": part.to_bytes()} if part else {**answer, "lacks": DATA}


def packed(items: Iterable[Item]) -> list[tuple[str, Any, str | None, int]]:
    """Samples with their bytes, to be sent: (name, bytes, name of the file, label).

    A file that cannot be read is sent as its path. Raises ConfigError for the trials of a recording.
    """
    found = []
    for item in items:
        source, name = item.source, getattr(item.source, "name", None)
        if isinstance(source, io.BytesIO):
            content: Any = source.getvalue()
        elif isinstance(source, Path):
            name = str(source)
            try:
                with open_plain(source, "sample", ConfigError) as file:
                    content = file.read()
            except (SdtError, OSError):
                content = source
        else:
            raise ConfigError(
                f"recording '{item.name}': expected workers that read it where it lies, as trials are cut from a "
                "recording, found one that does not see the data; give a path that all workers see"
            )
        found.append((item.name, content, name, item.label))
    return found


class _Sent(io.BytesIO):
    """The bytes of a file, by the name that it has where it lies."""

    def __init__(self, content: bytes, name: str | None) -> None:
        super().__init__(content)
        self.name = name


def _part(order: Order, address: str, threads: int) -> Part | None:
    """What came of a chunk; None where the worker does not see the data."""
    task, selection = pickle.loads(order["job"])
    if order["sent"] is None and not _sees(selection):
        return None

    try:
        if order["sent"] is None:
            data = _remember(_data, (order["run"], order["job"]), selection.open)
            if len(data) != order["total"]:
                raise ConfigError(
                    f"expected {order['total']} samples, as the client has, found {len(data)}; give all workers the "
                    "same data"
                )
            items = list(data.items(range(*order["chunk"])))
        else:
            items = list(_unpacked(order["sent"]))
        _require_same(items, order["prints"])
    except SdtError as error:
        raise ConfigError(f"worker {address}: {error}") from None  # of this worker, and not of the data
    return _network(order, task, threads)(items)


def _network(order: Order, task: Task, threads: int) -> Compute:
    weights = _weights[order["weights"]]
    key = order["weights"], pickle.dumps(task), threads
    return _remember(_networks, key, lambda: task.prepare(weights, threads))


def _sees(selection: Selection | None) -> bool:
    return selection is not None and all(
        not isinstance(path, StandardInput) and os.path.exists(path) for path in selection.paths
    )


def _require_same(items: list[Item], prints: bytes) -> None:
    """Raise ConfigError unless samples have these fingerprints."""
    for number, found in enumerate(fingerprints(items)):
        if found != prints[number * PRINT : (number + 1) * PRINT]:
            raise ConfigError(
                f"sample {shown(items[number].name)}: expected the content that the client has, found other; copy the "
                "data there anew, or give a path that is the same for all"
            )


def _unpacked(sent: Iterable[tuple[str, Any, str | None, int]]) -> Iterator[Item]:
    for name, content, source, label in sent:
        yield Item(name, _Sent(content, source) if isinstance(content, bytes) else content, label)


def _remember(kept: dict[Hashable, T], key: Hashable, make: Callable[[], T]) -> T:
    """What was made for a key before, or is made now; the last few used are kept."""
    value = kept.pop(key) if key in kept else make()
    kept[key] = value
    for old in list(kept)[:-KEPT]:
        del kept[old]
    return value
