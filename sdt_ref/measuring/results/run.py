"""What makes two runs the same: equal weights, data, settings and code give equal numbers."""

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Self

from ...errors import ConfigError, shown

SHORT = 16  # hexadecimal digits of each part in a digest
SHA256 = re.compile(r"[0-9a-f]{64}")
DIGEST = re.compile(rf"[0-9a-f]{{{SHORT}}}(-[0-9a-f]{{{SHORT}}}){{3}}")


@dataclass(frozen=True)
class Run:
    """The identity of a run, a sha256 in hexadecimal for each part.

    Attributes
    ----------
    weights : of the parameters
    data : of the content, not of the path
    settings : of those that change numbers
    code : of the package's sources
    """

    weights: str
    data: str
    settings: str
    code: str

    @property
    def digest(self) -> str:
        """The beginnings of the four, joined by '-'."""
        return "-".join(part[:SHORT] for part in dataclasses.astuple(self))

    def to_json(self) -> str:
        """The four as one JSON object."""
        return json.dumps(dataclasses.asdict(self))

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

    def different_from(self, other: "Run | str") -> list[str]:
        """The parts that differ from those of another run, which may be known by its digest alone."""
        if isinstance(other, str):
            mine, its = self.digest.split("-"), other.split("-")
        else:
            mine, its = list(dataclasses.astuple(self)), list(dataclasses.astuple(other))
        return [part for part, here, there in zip(PARTS, mine, its, strict=True) if here != there]


PARTS = tuple(each.name for each in dataclasses.fields(Run))
