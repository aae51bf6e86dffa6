"""AEDAT 4, as iniVation's software writes it: a description in XML, then compressed packets of events, frames and more.

The package `aedat` decodes it, an optional extra, in a process of its own (see aedat4_process.py). Frames, inertial
measurements and triggers are skipped. Microseconds since 1970; the description tells width and height of the sensor.
Source: iniVation, AEDAT 4.0; aedat 2.3.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import LONGEST_REASON, RecordingError, one_line
from ..files import temporary_folder
from ..interrupt import undone_at_end
from .checking import CUT, LARGEST, event_file
from .recording import CameraEvents, EventFile
from .source import Source

PROGRAM = Path(__file__).with_name("aedat4_process.py")
ENDS_EARLY = "failed to fill whole buffer"  # what the package says of a file that was cut
BYTES = 13  # an event, as the process writes it


def open_aedat4(source: Source) -> EventFile:
    """Open AEDAT 4.

    Raises RecordingError when the package is missing, the file is damaged, or has not one stream of events.
    """
    if importlib.util.find_spec("aedat") is None:
        raise RecordingError(
            f"recording '{source.name}' is AEDAT 4, which needs the package aedat; "
            "in the folder of sdt_ref: pip install '.[events]'"
        )
    with _decoder(source) as out:
        answer = _line(source, out)
    streams = answer.get("streams", [])
    if "error" in answer:
        raise _damaged(source, answer["error"])
    if len(streams) != 1:
        raise RecordingError(f"recording '{source.name}': expected one stream of events, found {len(streams)}")
    width, height = streams[0]
    if not (0 < width <= LARGEST and 0 < height <= LARGEST):
        raise RecordingError(
            f"recording '{source.name}': expected a sensor of 1 to {LARGEST} pixels a side, found {width}x{height}"
        )

    def decode_all(repairs: Counter[str]) -> Iterator[CameraEvents]:
        with _decoder(source) as out:
            ended = _line(source, out)
            if "error" not in ended:
                yield from _blocks(source, out)
                ended = _line(source, out)
        if ended["error"] == ENDS_EARLY:
            repairs[CUT] += 1
        elif ended["error"] is not None:
            raise _damaged(source, ended["error"])

    return event_file(source, "AEDAT 4", (width, height), decode_all)


@contextmanager
def _decoder(source: Source) -> Iterator[IO[bytes]]:
    """Start the process, yield what it writes, and end it, read to the end or not."""
    with _as_file(source) as path:
        command = [sys.executable, "-P", str(PROGRAM), str(path)]  # -P: modules beside the program hide no others
        few = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # each thread would claim memory
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=few
            )
        except OSError as error:
            raise RecordingError(f"recording '{source.name}': its decoder does not start: {error.strerror}") from None
        assert process.stdout is not None
        with undone_at_end(process.kill):
            try:
                with process.stdout as out:
                    yield out
            finally:
                process.kill()
                process.wait()


@contextmanager
def _as_file(source: Source) -> Iterator[Path]:
    """The path of a source; bytes that have none are written to a temporary file first."""
    if source.path is not None:
        yield source.path.resolve()
        return
    with ExitStack() as opened:
        yield _copied(source, opened)


def _copied(source: Source, opened: ExitStack) -> Path:
    """Copy a source to a temporary file, which lives until `opened` is closed."""
    with source.open() as stream:
        try:
            path = opened.enter_context(temporary_folder()) / "recording.aedat4"
            with path.open("wb") as copy:
                shutil.copyfileobj(stream, copy)
        except OSError as error:
            raise RecordingError(
                f"recording '{source.name}' is needed as a file, since it is AEDAT 4, and no copy of it can be written "
                f"to the folder for temporary files: {error.strerror or error}; make room, name another folder in "
                "TMPDIR, or give it as a file"
            ) from None
    return path


def _line(source: Source, out: IO[bytes]) -> dict[str, Any]:
    line = out.readline()
    if not line.endswith(b"\n"):  # the process is dead
        raise _damaged(source, "its decoder crashed")
    return json.loads(line)


def _blocks(source: Source, out: IO[bytes]) -> Iterator[CameraEvents]:
    while n := int.from_bytes(_exactly(source, out, 4), "little"):
        raw = _exactly(source, out, n * BYTES)
        x, y = np.frombuffer(raw, "<u2", 2 * n, 8 * n).reshape(2, n).astype(np.int32)
        yield CameraEvents(np.frombuffer(raw, "<i8", n), x, y, np.frombuffer(raw, np.uint8, n, 12 * n))


def _exactly(source: Source, out: IO[bytes], n: int) -> bytes:
    raw = out.read(n)
    if len(raw) < n:
        raise _damaged(source, "its decoder crashed")
    return raw


def _damaged(source: Source, reason: str) -> RecordingError:
    reason = one_line(reason, LONGEST_REASON)
    return RecordingError(f"recording '{source.name}' is a damaged AEDAT 4: {reason}; copy it again")
