"""OUTPUT.parts: the finished chunks of a run, each a file that is whole or not there; and whose run it is.

    run.json                   identity and settings
    000000000-000000064.part   of the samples 0 to 63: a sha256 of the run, the name and what follows; then an .npz file

The folder stays when a run is interrupted, and is removed when the output is complete.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError, shown
from ..files import open_plain, read_text, write
from ..inputs.datasets import UNFINISHED
from .identity import Identity
from .job import Part

RUN = "run.json"
NAME = re.compile(r"(\d{9})-(\d{9})\.part")
HALF_WRITTEN = re.compile(r".*\.[0-9a-f]{12}\.part")  # what a process that was killed was writing
SHA256 = 32  # bytes


class PartsFolder:
    """The finished chunks of one run.

    Parameters
    ----------
    output : the file that the run is to write
    identity, settings : of this run
    total : number of its samples

    Raises ConfigError when the folder holds another run, or anything else, or cannot be written.
    """

    def __init__(
        self, output: str | os.PathLike[str], identity: Identity, settings: Mapping[str, Any], total: int
    ) -> None:
        self.output, self.path, self._total = Path(output), Path(f"{os.fspath(output)}{UNFINISHED}"), total
        self._run = identity.to_json().encode()
        run = {"identity": json.loads(identity.to_json()), "settings": settings}
        try:
            self.path.mkdir(exist_ok=True)
            found = {entry.name for entry in self.path.iterdir()}
        except OSError as error:
            raise ConfigError(
                f"folder '{self.path}': expected to make it, for what is finished ({error.strerror}); choose another "
                "output"
            ) from None
        if RUN in found:
            self._require_same(identity, settings)
        elif others := {name for name in found if not HALF_WRITTEN.fullmatch(name)}:
            raise ConfigError(
                f"folder '{self.path}': expected what an interrupted run left, found {shown(min(others))}; remove the "
                "folder, or choose another output"
            )
        else:
            try:
                write(self.path / RUN, json.dumps(run).encode(), ConfigError)
            except ConfigError:
                with contextlib.suppress(OSError):
                    self.path.rmdir()
                raise

    def finished(self) -> list[range]:
        """The chunks that are there, ascending and apart. What was damaged on the disk is not."""
        found = []
        for entry in sorted(self.path.iterdir()):
            if (name := NAME.fullmatch(entry.name)) and self._content(entry) is not None:
                found.append(range(int(name[1]), int(name[2])))
        apart: list[range] = []
        for chunk in sorted(found, key=lambda chunk: (chunk.start, -chunk.stop)):
            if chunk.start >= (apart[-1].stop if apart else 0) and chunk.start < chunk.stop <= self._total:
                apart.append(chunk)
        return apart

    def is_empty(self) -> bool:
        """Whether no chunk is there."""
        return not any(self.path.glob("*-*.part"))

    def keep(self, chunk: range, part: Part) -> None:
        """Write what came of a chunk. Raises ConfigError when there is no room."""
        content = part.to_bytes()
        write(self._file(chunk), self._sha256(self._file(chunk), content) + content, ConfigError)

    def load(self, chunk: range) -> Part:
        """Read what came of a chunk. Raises ConfigError when it has vanished or was damaged since."""
        content = self._content(self._file(chunk))
        if content is None:
            raise ConfigError(
                f"folder '{self.path}': expected the samples {chunk.start} to {chunk.stop - 1}, which were there, "
                "found none; leave the folder alone while the command runs, and call it again"
            )
        return Part.from_bytes(content)

    def remove(self) -> None:
        """Remove the folder: the output is there. RUN goes last, should the process be killed meanwhile."""
        with contextlib.suppress(OSError):
            for entry in self.path.iterdir():
                if entry.name != RUN:
                    entry.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def _file(self, chunk: range) -> Path:
        return self.path / f"{chunk.start:09}-{chunk.stop:09}.part"

    def _content(self, file: Path) -> bytes | None:
        """What a file of a chunk holds, if it is as it was written, by this run."""
        with contextlib.suppress(ConfigError, OSError), open_plain(file, "part", ConfigError) as stream:
            content = stream.read()
            if self._sha256(file, content[SHA256:]) == content[:SHA256]:
                return content[SHA256:]
        return None

    def _sha256(self, file: Path, content: bytes) -> bytes:
        """Of the run, of the chunk by its name, and of what came of it."""
        return hashlib.sha256(self._run + file.name.encode() + content).digest()

    def _require_same(self, identity: Identity, settings: Mapping[str, Any]) -> None:
        file = self.path / RUN
        try:
            run = json.loads(read_text(file, "run", ConfigError))
            there, before = Identity.from_json(json.dumps(run["identity"])), dict(run["settings"])
        except (ValueError, TypeError, KeyError, RecursionError):  # ConfigError among them
            raise ConfigError(
                f"'{file}': expected what an interrupted run left, found something else; remove the folder, or choose "
                "another output"
            ) from None
        require_same(identity, there, f"folder '{self.path}'", differing(dict(settings), before))


def require_same(own: Identity, there: Identity | str, where: str, how: str = "") -> None:
    """Raise ConfigError, by name, where an output or a folder belongs to another run; `there` may be a digest alone."""
    if different := own.different_from(there):
        raise ConfigError(
            f"{where}: expected this run, found one of other {' and '.join(different)}{how}; remove it, or choose "
            "another output"
        )


def differing(own: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """The settings that differ, in words; nothing where none does."""
    names = [name for name in own if own[name] != before.get(name)]
    words = [f"{name} {shown(before.get(name))}, not {shown(own[name])}" for name in names]
    return f" ({'; '.join(words)})" if words else ""
