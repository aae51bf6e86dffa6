"""Files: what is read is a plain file, and as long as it may be; what is written is whole, or not there.

Every file that a user names is opened here. A pipe may never open and a device never end, so neither is read by its
path; '-' is the one way to read from a pipe (`inputs.standard_input`).
"""

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .errors import SdtError, one_line, shown

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # as a Path has it, which keeps one slash; a drive is one letter
LONGEST_TEXT = 1 << 20  # bytes of a text: settings, formats, class names
LONGEST_PATH = 400  # characters of a path in a message
NAMED = 40  # characters of a name that its unfinished file has, too: a name may be as long as the disk allows


def as_path(path: Any, what: str, error: type[SdtError]) -> Path:
    """A path as such; raises `error` for what is none."""
    if not isinstance(path, (str, os.PathLike)):
        raise error(f"{what}: expected a path, found {shown(path)}")
    return Path(path)


def require_file(path: str | os.PathLike[str], what: str, error: type[SdtError]) -> None:
    """Raise `error` unless the path is a plain file; `what` names it in the message, such as 'weights file'."""
    path = as_path(path, what, error)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if URL.match(str(path)):
            url = str(path).replace(":/", "://", 1)
            raise error(f"{what} '{_named(url)}' is a URL; expected a file: download it first") from None
        raise error(f"{what} '{_named(path)}' does not exist") from None
    except (OSError, ValueError) as reason:  # a name too long, a folder that may not be entered, a null byte
        words = getattr(reason, "strerror", None) or reason
        raise error(f"{what} '{_named(path)}': expected a file, found a path that cannot be read ({words})") from None
    _require_plain(mode, path, what, error)


def open_plain(path: str | os.PathLike[str], what: str, error: type[SdtError]) -> BinaryIO:
    """Open a plain file to read its bytes.

    Raises `error` when the path is none, which is found out without waiting for the other end of a pipe.
    """
    require_file(path, what, error)
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as reason:
        raise error(f"{what} '{_named(path)}' cannot be read: {reason.strerror or reason}") from None
    opened = os.fdopen(handle, "rb")
    try:  # the path may name another file by now
        _require_plain(os.fstat(handle).st_mode, Path(path), what, error)
    except SdtError:
        opened.close()
        raise
    return opened


def read_text(path: str | os.PathLike[str], what: str, error: type[SdtError], longest: int = LONGEST_TEXT) -> str:
    """Read a text in UTF-8 of at most `longest` bytes; a byte order mark is left out.

    Raises `error` when the path is no plain file, and when it holds more, or no text.
    """
    with open_plain(path, what, error) as file:
        try:
            content = file.read(longest + 1)
        except OSError as reason:
            raise error(f"{what} '{_named(path)}' cannot be read: {reason.strerror or reason}") from None
    if len(content) > longest:
        raise error(f"{what} '{_named(path)}': expected a text of at most {longest:,} bytes, found more")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise error(
            f"{what} '{_named(path)}': expected text in UTF-8, found byte {reason.start} that is none"
        ) from None


def _require_plain(mode: int, path: Path, what: str, error: type[SdtError]) -> None:
    if stat.S_ISDIR(mode):
        raise error(f"{what} '{_named(path)}': expected a file, found a folder")
    if not stat.S_ISREG(mode):
        raise error(f"{what} '{_named(path)}': expected a file, found a pipe or a device; save it as a file first")


def require_writable(
    path: str | os.PathLike[str], error: type[SdtError], *inputs: str | os.PathLike[str] | None
) -> None:
    """Raise `error`, before anything is computed, unless a file of this name can be written, and none is lost by it.

    Parameters
    ----------
    inputs : files that are read; None stands for one that was not given
    """
    target = _file_name(path, error)
    for source in inputs:
        if source is not None and target.exists() and Path(source).exists() and target.samefile(source):
            raise error(f"cannot write '{_named(target)}': it is an input of this command; name another file")
    _part_beside(target, error).unlink()


def require_new_folder(path: str | os.PathLike[str], error: type[SdtError]) -> None:
    """Raise `error`, before anything is computed, unless the path is an empty folder, or one can be made there."""
    if not str(path):
        raise error("cannot write '': expected the name of a folder")
    target = Path(path)
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise error(f"folder '{_named(target)}': expected a new or an empty one; choose another name")
        with tempfile.TemporaryDirectory(dir=target.resolve().parent, prefix=f"{target.name[:NAMED]}.", suffix=".part"):
            pass
    except OSError as reason:
        raise error(f"cannot write to '{_named(target)}': {in_words(reason)}") from None


@contextmanager
def written_whole(path: str | os.PathLike[str], error: type[SdtError]) -> Iterator[Path]:
    """Yield a path beside the target to write to; what was written there then becomes the target, or vanishes.

    Raises `error` when the folder or the file cannot be written.
    """
    target = _file_name(path, error)
    part = _part_beside(target, error)
    try:
        yield part
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(target.resolve())  # a link stays one
    except OSError as reason:
        raise error(f"cannot write '{_named(target)}': {reason.strerror or reason}") from None
    finally:
        part.unlink(missing_ok=True)


def _file_name(path: str | os.PathLike[str], error: type[SdtError]) -> Path:
    """The path, unless it names something that a file must not take the place of."""
    if not os.fspath(path):
        raise error("cannot write '': expected the name of a file")
    target = Path(path)
    try:
        if target.is_dir():
            raise error(f"cannot write '{_named(target)}': it is a folder; name a file in it")
        if target.exists() and not target.is_file():
            raise error(f"cannot write '{_named(target)}': it is a device or a pipe; name a file")
    except OSError as reason:  # a name too long, a folder that may not be entered
        raise error(f"cannot write '{_named(target)}': {in_words(reason)}") from None
    return target


def _named(path: str | os.PathLike[str]) -> str:
    """A path in a message, in which something must follow it."""
    return one_line(os.fspath(path), LONGEST_PATH)


def _part_beside(target: Path, error: type[SdtError]) -> Path:
    try:
        folder, name = os.path.split(target.resolve())
        handle, name = tempfile.mkstemp(dir=folder, prefix=f"{name[:NAMED]}.", suffix=".part")
    except OSError as reason:
        raise error(f"cannot write '{_named(target)}': {in_words(reason)}") from None
    os.close(handle)
    return Path(name)


def in_words(reason: OSError) -> str:
    """What the system says of a path that cannot be written, without its number, and what to do about it."""
    if reason.errno == errno.ENAMETOOLONG:
        return "the name is too long for the disk; choose a shorter one"
    if reason.errno == errno.ENOENT:
        return "its folder does not exist; make that folder, or choose another"
    return f"{reason.strerror or reason}; choose a folder that can be written"
