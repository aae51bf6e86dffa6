"""A process of its own for what HDF5 does with a file, since damage can crash it, or let it run without end.

Trees, heaps and chunks of a file point at each other, and HDF5 follows them without a limit. So a file is first looked
at by a copy of this process, which has little time and memory. Where a system cannot copy a process, nothing protects.
"""

import faulthandler
import gc
import json
import os
import select
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, NoReturn

from ..errors import reason_of
from .refused import Refused

SECONDS, MEMORY = 5, 512 << 20  # of the processor; bytes more than this process has
PATIENCE = 20  # seconds on the clock, in case that the copy waits for a lock which nobody holds there
CAN_FORK = hasattr(os, "fork") and sys.platform != "darwin"  # libraries of macOS do not bear it


def apart(work: Callable[[], Any], stream: BinaryIO) -> Any:
    """What `work` returns, which JSON can write, in a copy of this process.

    Raises Refused when it does, or when the copy crashes or does not end; ValueError, in the same words, for whatever
    else it raises. The position of the stream stays.
    """
    if not CAN_FORK:
        return work()
    at = _position(stream)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this process has threads: the copy needs none
        child = os.fork()
    if not child:
        _work(work, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as result:
            content = _read(result)
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if at is not None:
            os.lseek(stream.fileno(), at, os.SEEK_SET)  # the copy has moved it, which our buffer does not know
    if not content.endswith(b"\n"):
        raise Refused("expected HDF5 that can be read, found damage that HDF5 does not bear")
    kind, result = json.loads(content)
    if kind != "done":
        raise Refused(result) if kind == "refused" else ValueError(result)
    return result


def _position(stream: BinaryIO) -> int | None:
    """Where the file stands that copies of this process share; None of bytes in memory."""
    try:
        return os.lseek(stream.fileno(), 0, os.SEEK_CUR)
    except OSError:
        return None


def _read(result: Any) -> bytes:
    """All that the copy writes, until it ends or time is up."""
    content = b""
    while select.select([result], [], [], PATIENCE)[0]:
        found = os.read(result.fileno(), 1 << 16)
        if not found:
            return content
        content += found
    return b""


def _work(work: Callable[[], Any], writing: int) -> NoReturn:
    """Work in the copy, write the result, and end."""
    with suppress(BaseException):
        gc.disable()  # it would copy all memory
        for number in (signal.SIGINT, signal.SIGTERM):  # the lines of an end are the parent's
            signal.signal(number, signal.SIG_DFL)
        faulthandler.disable()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the last words of libraries that crash
        _limit()
        try:
            found = "done", work()
        except Refused as reason:
            found = "refused", str(reason)
        except Exception as reason:
            found = "raised", reason_of(reason)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(f"{json.dumps(found)}\n".encode())
    os._exit(0)


def _limit() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError, IndexError), open("/proc/self/statm") as sizes:  # Linux alone has it
        most = int(sizes.read().split()[0]) * resource.getpagesize() + MEMORY
        now, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most if now == resource.RLIM_INFINITY else min(most, now), hard))
