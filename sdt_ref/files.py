"""Files: what is read is a plain file, and as long as it may be; what is written is whole, or not there.

Every file that a user names is opened here. A pipe may never open and a device never end, so neither is read by its
path; '-' is the one way to read from a pipe (`inputs.standard_input`).
"""

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from . import interrupt
from .errors import SdtError, one_line, shown

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # as a Path has it, which keeps one slash; a drive is one letter
LONGEST_TEXT = 1 << 20  # bytes of a text: settings, formats, class names
LONGEST_PATH = 400  # characters of a path in a message
NAMED = 40  # characters of a name that its unfinished file has, too: a name may be as long as the disk allows
FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}  # a disk, a limit, a user's share of a disk


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
        status = os.fstat(handle)
        _require_plain(status.st_mode, Path(path), what, error)
        if not status.st_size and _has_bytes(handle):
            raise error(f"{what} '{_named(path)}': expected a file on a disk, found one that the system makes up")
    except SdtError:
        opened.close()
        raise
    return opened


def _has_bytes(handle: int) -> bool:
    """Whether a file that says that it is empty is not: the system's own, some of which never end."""
    try:
        return bool(os.read(handle, 1))
    except OSError:  # there will be some
        return True


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether anything is there, be it a link to nowhere."""
    return os.path.lexists(path)


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
            raise error(f"cannot write '{_named(path)}': it is an input of this command; name another file")
    with _said(path, error), _part_beside(target, _make_file):
        pass


def require_new_folder(path: str | os.PathLike[str], error: type[SdtError]) -> None:
    """Raise `error`, before anything is computed, unless the path is an empty folder, or one can be made there."""
    with _said(path, error), _part_beside(_folder_name(path, error), os.mkdir):
        pass


def write(path: str | os.PathLike[str], content: bytes, error: type[SdtError]) -> None:
    """Write a file, which appears when it is complete. Raises `error` when it cannot be written."""
    with written_whole(path, error) as part:
        part.write_bytes(content)


@contextmanager
def written_whole(path: str | os.PathLike[str], error: type[SdtError]) -> Iterator[Path]:
    """Yield a path beside the target to write to; what was written there then becomes the target, or vanishes.

    Raises `error` when the folder or the file cannot be written.
    """
    target = _file_name(path, error)
    with _said(path, error), _part_beside(target, _make_file) as part:
        yield part
        _keep(part)
        part.replace(target)


@contextmanager
def folder_written_whole(path: str | os.PathLike[str], error: type[SdtError]) -> Iterator[Path]:
    """Yield a folder beside the target to write to; it then becomes the target, or vanishes with all that is in it.

    Raises `error` when the target is no new or empty folder, or cannot be written.
    """
    target = _folder_name(path, error)
    with _said(path, error):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _part_beside(target, os.mkdir) as part:
            yield part
            if os.name == "nt" and target.exists():  # elsewhere a folder takes the place of an empty one
                target.rmdir()
            part.replace(target)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder for what is needed for a while. Raises OSError where there is no room for temporary files."""
    with _part_beside(Path(tempfile.gettempdir(), "sdt_ref"), partial(os.mkdir, mode=0o700)) as folder:
        yield folder


@contextmanager
def _said(path: str | os.PathLike[str], error: type[SdtError]) -> Iterator[None]:
    """Turn what the system says into one line about the path that was asked for."""
    try:
        yield
    except OSError as reason:
        raise error(f"cannot write '{_named(path)}': {_in_words(reason)}") from None


def _file_name(path: str | os.PathLike[str], error: type[SdtError]) -> Path:
    """Where the path leads, unless that is something that a file must not take the place of; a link stays one."""
    if not os.fspath(path):
        raise error("cannot write '': expected the name of a file")
    with _said(path, error):
        mode = _mode(path)
    if mode is not None and stat.S_ISDIR(mode):
        raise error(f"cannot write '{_named(path)}': it is a folder; name a file in it")
    if mode is not None and not stat.S_ISREG(mode):
        raise error(f"cannot write '{_named(path)}': it is a device or a pipe; name a file")
    return Path(os.path.realpath(path))


def _folder_name(path: str | os.PathLike[str], error: type[SdtError]) -> Path:
    """Where the path leads, unless that is something else than a new or an empty folder."""
    if not os.fspath(path):
        raise error("cannot write '': expected the name of a folder")
    with _said(path, error):
        mode = _mode(path)
        if mode is not None and not (stat.S_ISDIR(mode) and not os.listdir(path)):
            raise error(f"folder '{_named(path)}': expected a new or an empty one; choose another name")
    return Path(os.path.realpath(path))


def _mode(path: str | os.PathLike[str]) -> int | None:
    """What is there, behind all links; None where nothing is. Raises OSError where that cannot be found out."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None
    except ValueError as reason:  # a null byte
        raise OSError(str(reason)) from None


@contextmanager
def _part_beside(target: Path, make: Callable[[Path], object]) -> Iterator[Path]:
    """Make a file or a folder beside the target, and remove it at the end if it is still there.

    Also where a signal ends the process, from the moment at which it is made.
    """
    part = target.with_name(f"{target.name[:NAMED]}.{os.urandom(6).hex()}.part")
    with interrupt.undone_at_end(partial(_remove, part)):
        with interrupt.making:
            make(part)
        try:
            yield part
        finally:
            _remove(part)


def _make_file(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _remove(part: Path) -> None:
    with suppress(OSError):  # the folder has vanished, or can no more be written
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _keep(file: Path) -> None:
    """Bring a file onto the disk: some find out only then that there is no room."""
    handle = os.open(file, os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as reason:
        if reason.errno not in (errno.EINVAL, errno.ENOSYS):  # a file system that does not know this
            raise
    finally:
        os.close(handle)


def _in_words(reason: OSError) -> str:
    """What the system says of a path that cannot be written, without its number, and what to do about it."""
    if reason.errno == errno.ENAMETOOLONG:
        return "the name is too long for the disk; choose a shorter one"
    if reason.errno == errno.ENOENT:
        return "its folder does not exist; make that folder, or choose another"
    if reason.errno == errno.ELOOP:
        return "it is a link that leads to no end; remove the link, or choose another name"
    if reason.errno in FULL:
        return f"{reason.strerror}; make room, or choose a folder on another disk"
    return f"{reason.strerror or reason}; choose a folder that can be written"


def _named(path: str | os.PathLike[str]) -> str:
    """A path in a message, in which something must follow it."""
    return one_line(os.fspath(path), LONGEST_PATH)
