"""Decode one AEDAT 4 file, in a process of its own: python aedat4_process.py FILE.

The package `aedat` panics on damaged files, which can end the whole process, and trusts the sizes in their headers.
So it runs here, with at most 3 GiB, and what happens to it is seen from outside. Imports nothing of sdt_ref, to start
fast.

Writes to standard output: a line of JSON, {"streams": [[width, height], ...]}; then blocks of events, each u32 n, then
n times i64, n x u16, n y u16 and n p u8, little-endian; n = 0 ends them; then a line of JSON, {"error": null or words}.
When the file cannot be opened, there is only the last line.
"""

import json
import sys
import warnings
from typing import Any

import numpy as np

MEMORY = 3 << 30  # bytes; a packet may claim 2^31
BLOCK = 1 << 16  # events


def main() -> None:
    """Decode the file that the command line names."""
    limit_memory()
    warnings.simplefilter("ignore")  # of frames in colours that the package does not know
    out = sys.stdout.buffer
    try:
        import aedat

        decoder = aedat.Decoder(sys.argv[1])
        streams = [stream for stream in decoder.id_to_stream().values() if stream["type"] == "events"]
        write_line(out, {"streams": [[stream["width"], stream["height"]] for stream in streams]})
    except BaseException as failed:  # a panic of Rust is no Exception
        write_line(out, {"error": str(failed) or type(failed).__name__})
        return
    error = None
    try:
        for packet in decoder:
            write_events(out, packet.get("events", ()))
    except BrokenPipeError:  # the reading process has gone
        sys.stderr.close()
        return
    except BaseException as failed:
        error = str(failed) or type(failed).__name__
    out.write(bytes(4))
    write_line(out, {"error": error})


def limit_memory() -> None:
    """Let an absurd claim of a file fail here, instead of filling the machine."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # not on this system, or less is allowed already
        pass


def write_line(out: Any, content: dict[str, Any]) -> None:
    """Write one line of JSON."""
    out.write(json.dumps(content).encode() + b"\n")
    out.flush()


def write_events(out: Any, events: Any) -> None:
    """Write blocks of events."""
    for first in range(0, len(events), BLOCK):
        block = events[first : first + BLOCK]
        out.write(len(block).to_bytes(4, "little"))
        for column, kind in (("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("on", "u1")):
            out.write(np.ascontiguousarray(block[column].astype(kind)).data)


if __name__ == "__main__":
    main()
