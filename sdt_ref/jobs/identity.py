"""What a run is: two of the same identity have the same results, bit for bit, with the same libraries.

Threads, workers, the size of chunks and the paths of files are no part of it, nor are the versions of libraries: what
the decoder of a picture makes of it may differ from one to the next.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, fields
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Self

from ..errors import ConfigError, shown

PACKAGE = __package__.partition(".")[0]
SHORT = 16  # hexadecimal digits of each part in a digest
SHA256 = re.compile(r"[0-9a-f]{64}")
DIGEST = re.compile(rf"[0-9a-f]{{{SHORT}}}(-[0-9a-f]{{{SHORT}}}){{3}}")


@dataclass(frozen=True)
class Identity:
    """Four parts, each a sha256 in hexadecimal digits.

    Attributes
    ----------
    weights : of the tensors, settings and class names, see `weights.file.digest`
    data : of the fingerprints of the samples, in their order, see `inputs.selection.fingerprints`
    settings : of all else that changes numbers, see `settings_digest`
    code : of the package's sources, see `code_digest`
    """

    weights: str
    data: str
    settings: str
    code: str

    @property
    def digest(self) -> str:
        """The beginnings of the four, joined by '-'."""
        return "-".join(part[:SHORT] for part in astuple(self))

    def to_json(self) -> str:
        """The four as one JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; raises ConfigError for anything else."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.keys() != {*PARTS}:
            raise ConfigError(f"run: expected a JSON object of {', '.join(PARTS)}, found {shown(text)}")
        for part, value in found.items():
            if not isinstance(value, str) or not SHA256.fullmatch(value):
                raise ConfigError(f"run: {part}: expected a sha256, 64 hexadecimal digits, found {shown(value)}")
        return cls(**found)

    def different_from(self, other: "Identity | str") -> list[str]:
        """The names of the parts that differ from those of another run, which may be known by its digest alone."""
        if isinstance(other, str):
            own, known = self.digest.split("-"), other.split("-")
        else:
            own, known = list(astuple(self)), list(astuple(other))
        return [part for part, here, there in zip(PARTS, own, known, strict=True) if here != there]


PARTS = tuple(each.name for each in fields(Identity))


def settings_digest(settings: Mapping[str, Any]) -> str:
    """The sha256 of settings as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@cache
def code_digest() -> str:
    """The sha256 of the package's Python sources, with their paths in the package, in the order of these."""
    whole = hashlib.sha256()
    for path, content in sorted(_sources(files(PACKAGE), "")):
        whole.update(f"{path} {len(content)}\n".encode() + content)
    return whole.hexdigest()


def _sources(folder: Traversable, path: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _sources(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(".py"):
            found.append((path + entry.name, entry.read_bytes()))
    return found
