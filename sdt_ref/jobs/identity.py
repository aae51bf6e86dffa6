"""What a run is: two of the same identity have the same results, bit for bit.

Threads, workers, the size of chunks and the paths of files are no part of it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

PACKAGE = __package__.partition(".")[0]
SHORT = 16  # hexadecimal digits of each part in `digest`


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
        """The beginnings of all four."""
        return "-".join(part[:SHORT] for part in asdict(self).values())

    def different_from(self, other: "Identity") -> list[str]:
        """The names of the parts that differ."""
        return [name for name, part in asdict(self).items() if part != getattr(other, name)]

    def to_json(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Identity":
        """Raises ValueError unless the text is what `to_json` writes."""
        found = json.loads(text)
        names = [*cls.__dataclass_fields__]
        if not isinstance(found, dict) or list(found) != names or not all(map(_is_sha256, found.values())):
            raise ValueError(f"expected a sha256 of each of {', '.join(names)}")
        return cls(**found)


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


def _is_sha256(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")
