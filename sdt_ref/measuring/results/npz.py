"""NumPy's .npz: name <U[n], label and predicted int64[n], logits [n, K], classes <U[K], run: JSON; sums and scale.

The arrays are stored and not deflated, in a fixed order and with a fixed date: what deflate makes of the same bytes
differs from one version of zlib to the next. `numpy.load` reads the file without pickle.
"""

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...camera.array import Header, Strip, read_header
from ...camera.checking import GROWTH, HARMLESS
from ...errors import ConfigError, shown
from ...jobs.identity import Identity
from ...weights.torch_file import opened_zip
from .rows import BLOCK, LONGEST_NAME, Chunks, Content, Rows, reading, require_classes, require_scale, require_sound

UNIX, PLAIN_FILE = 3, 0o100644  # as the archive says on any system
NAME, LABEL, PREDICTED, LOGITS, CLASSES, RUN = "name", "label", "predicted", "logits", "classes", "run"
SUMS, SCALE = "sums", "scale"  # of fixed point
ALWAYS, FIXED = {NAME, LABEL, PREDICTED, LOGITS, CLASSES, RUN}, {SUMS, SCALE}
LONGEST_RUN = 1 << 12  # characters
WHOLE = np.dtype("<i8")

Members = Mapping[str, zipfile.ZipInfo]


def write_npz(
    part: Path, chunks: Chunks, n: int, longest: int, first: Rows, classes: Sequence[str], run: Identity
) -> None:
    """Write all rows, going through the chunks once for each array.

    Parameters
    ----------
    n, longest : images, and characters of their longest name
    first : rows of the same kind, possibly none
    """
    text, logits = np.dtype(f"<U{max(1, longest)}"), first.logits.dtype.newbyteorder("<")
    columns: dict[str, tuple[np.dtype[Any], tuple[int, ...], Callable[[Rows], Any]]] = {
        NAME: (text, (n,), lambda rows: rows.names),
        LABEL: (WHOLE, (n,), lambda rows: rows.labels),
        PREDICTED: (WHOLE, (n,), lambda rows: rows.predicted),
        LOGITS: (logits, (n, len(classes)), lambda rows: rows.logits),
    }
    whole = {CLASSES: np.array(list(classes), "U"), RUN: np.array(run.to_json())}
    if first.sums is not None:
        columns[SUMS] = WHOLE, (n, len(classes)), lambda rows: rows.sums
        whole[SCALE] = np.array(first.scale, np.float64)
    with zipfile.ZipFile(part, "w") as pack:
        for key, array in whole.items():
            little = array.astype(array.dtype.newbyteorder("<"))
            with _member(pack, key, little.dtype, little.shape) as stream:
                stream.write(little.tobytes())
        for key, (dtype, shape, of) in columns.items():
            with _member(pack, key, dtype, shape) as stream:
                done = 0
                for rows in chunks():
                    stream.write(np.array(of(rows), dtype).tobytes())
                    done += len(rows)
                if done != n:
                    raise ConfigError(f"results: expected {n:,} images as before, found {done:,}; start again")


@contextmanager
def _member(pack: zipfile.ZipFile, key: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    """Yield a file of the archive behind the header of its array."""
    info = zipfile.ZipInfo(f"{key}.npy")  # of 1980
    info.create_system, info.external_attr = UNIX, PLAIN_FILE << 16
    with pack.open(info, "w", force_zip64=True) as stream:
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        yield stream


def open_npz(path: str) -> Content:
    """Look at all arrays' headers; raises ConfigError where one is missing, of another type, or of another length."""
    with _opened(path) as (pack, members), ExitStack() as opened:
        strips = _strips(pack, members, opened)
        [classes], [run] = (strips[key].take(1) for key in (CLASSES, RUN))
        names = require_classes(np.atleast_1d(classes).tolist())
        digest = Identity.from_json(str(run)).digest
        scale = require_scale(float(strips[SCALE].take(1)[0])) if SCALE in strips else None
    return Content(names, digest, scale is not None, partial(_rows, path, len(names), scale))


@contextmanager
def _opened(path: str) -> Iterator[tuple[zipfile.ZipFile, Members]]:
    with reading(path) as file, opened_zip(file) as pack:
        infos = pack.infolist()
        members = {info.filename.removesuffix(".npy"): info for info in infos}
        if len(infos) != len(members) or members.keys() not in (ALWAYS, ALWAYS | FIXED):
            found = ", ".join(shown(info.filename) for info in infos[:8]) or "none"
            raise ConfigError(
                f"expected the arrays {', '.join(sorted(ALWAYS))}, in fixed point also {', '.join(sorted(FIXED))}, "
                f"found {found}"
            )
        if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
            raise ConfigError("expected arrays stored or deflated, found some compressed in another way")
        unpacked, size = sum(info.file_size for info in infos), os.fstat(file.fileno()).st_size
        if unpacked > max(GROWTH * size, HARMLESS):
            raise ConfigError(
                f"expected arrays that unpack to at most {GROWTH} times the {size} bytes of the file, found "
                f"{unpacked} bytes"
            )
        yield pack, members


def _strips(pack: zipfile.ZipFile, members: Members, opened: ExitStack) -> dict[str, Strip]:
    """Open every array at its numbers, as a strip of rows; the classes are one."""
    streams = {key: opened.enter_context(pack.open(info)) for key, info in members.items()}
    headers = {key: read_header(key, stream, members[key].file_size) for key, stream in streams.items()}
    n, classes = headers[NAME].shape[:1], headers[CLASSES].shape[:1]
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        NAME: ("U", n), LABEL: ("iu", n), PREDICTED: ("iu", n), LOGITS: ("f", (*n, *classes)),
        CLASSES: ("U", classes), RUN: ("U", ()), SUMS: ("iu", (*n, *classes)), SCALE: ("f", ()),
    }  # fmt: skip
    for key, header in headers.items():
        kinds, shape = expected[key]
        if header.dtype.kind not in kinds or header.shape != shape or header.fortran or len(n) + len(classes) != 2:
            raise ConfigError(
                f"expected {header.name} of kind '{kinds}' and of as many rows and classes as the others, found "
                f"{shown(header.dtype)} of shape {shown(header.shape)}"
            )
        _require_narrow(key, header)
    rows = {key: np.dtype((each.dtype, each.shape[key != CLASSES :])) for key, each in headers.items()}
    return {key: Strip(key, rows[key], n[0], stream) for key, stream in streams.items()}


def _require_narrow(key: str, header: Header) -> None:
    """Raise ConfigError where one row would take much memory."""
    most = {NAME: 4 * LONGEST_NAME, RUN: 4 * LONGEST_RUN, CLASSES: BLOCK}.get(key, 8)
    size = header.dtype.itemsize * (header.shape[0] if key == CLASSES else 1)
    if size > most:
        raise ConfigError(f"expected {header.name} of at most {most:,} bytes an item, found {size:,}")


def _rows(path: str, n_classes: int, scale: float | None, most: int) -> Iterator[Rows]:
    with _opened(path) as (pack, members), ExitStack() as opened:
        strips = _strips(pack, members, opened)
        if strips[LOGITS].dtype.shape != (n_classes,) or (SUMS in strips) != (scale is not None):
            raise ConfigError("expected the arrays that were opened, found others; leave the file as it is")
        first, n = 0, strips[NAME].length
        columns = {key: strips[key] for key in strips if key not in (CLASSES, RUN, SCALE)}
        most = max(1, min(most, BLOCK // sum(strip.dtype.itemsize for strip in columns.values())))
        while first < n:
            some = {key: strip.take(min(most, n - first)) for key, strip in columns.items()}
            whole = {key: _int64(key, some[key]) for key in (LABEL, PREDICTED, SUMS) if key in some}
            logits = some[LOGITS].astype(some[LOGITS].dtype.newbyteorder("="))
            names = some[NAME].tolist()
            rows = Rows(names, whole[LABEL], whole[PREDICTED], logits, whole.get(SUMS), scale)
            yield require_sound(rows, n_classes, first)
            first += len(rows)


def _int64(key: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "u" and values.size and int(values.max()) >= 1 << 63:
        raise ConfigError(f"expected numbers of 64 bits with a sign in array {shown(key)}, found a larger one")
    return values.astype(np.int64)
