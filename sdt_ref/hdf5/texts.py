"""Texts of variable length, which are read by a process of its own, with limits of time and memory.

They stand in a heap, which HDF5 walks object by object: damage makes it walk without end, and nothing stops it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from .refused import Refused

PATIENCE, MEMORY = 10, 2 << 30  # seconds and bytes

READER = """
import io, json, sys
sys.path[:], path, name, memory, seconds = json.loads(sys.argv[1])
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
except (ImportError, ValueError, OSError):
    pass
import h5py, numpy
stream = open(0, "rb")
with h5py.File(stream if stream.seekable() else io.BytesIO(stream.read()), "r") as file:
    value = numpy.asarray(file[path].attrs[name], object)
    texts = [v.decode() if isinstance(v, bytes) else str(v) for v in value.ravel()]
    json.dump(texts if value.shape else texts[0], sys.stdout)
"""


def read_texts(stream: BinaryIO, name: str, path: str) -> Any:
    """The text of an attribute, or the list of its texts; Refused where it cannot be read.

    Parameters
    ----------
    path : of the group or array that the attribute is of; '' is the root
    """
    # the process limits its own time, too: this one may be ended while it waits
    command = [sys.executable, "-P", "-c", READER, json.dumps([sys.path, path or "/", name, MEMORY, PATIENCE])]
    with _as_standard_input(stream) as given:
        try:
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True, **given)
            return json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            raise Refused(f"attribute '{name}': expected text, found damage") from None


@contextmanager
def _as_standard_input(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    try:
        number = stream.fileno()
    except OSError:  # bytes in memory
        stream.seek(0)
        yield {"input": stream.read()}
        return
    at = os.lseek(number, 0, os.SEEK_CUR)
    try:
        yield {"stdin": number}
    finally:
        os.lseek(number, at, os.SEEK_SET)  # the other process has moved it, which our buffer does not know
