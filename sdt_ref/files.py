"""Writing files so that no half-written one is ever seen."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import SdtError


def require_writable(path: str | os.PathLike[str], error: type[SdtError]) -> None:
    """Raise `error`, before anything is computed, unless a file of this name can be written."""
    target = Path(path)
    if target.is_dir():
        raise error(f"cannot write '{target}': it is a folder; name a file in it")
    _part_beside(target, error).unlink()


@contextmanager
def written_whole(path: str | os.PathLike[str], error: type[SdtError]) -> Iterator[Path]:
    """Yield a path beside the target to write to; what was written there then becomes the target, or vanishes.

    Raises `error` when the folder or the file cannot be written.
    """
    target = Path(path)
    part = _part_beside(target, error)
    try:
        yield part
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(target)
    except OSError as reason:
        raise error(f"cannot write '{target}': {reason.strerror or reason}") from None
    finally:
        part.unlink(missing_ok=True)


def _part_beside(target: Path, error: type[SdtError]) -> Path:
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".", suffix=".part")
    except OSError as reason:
        raise error(f"cannot write '{target}': {reason.strerror}; choose a folder that can be written") from None
    os.close(handle)
    return Path(name)
