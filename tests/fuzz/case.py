"""What a grammar makes: a command line and the files that it reads; and what a run of it did."""

import dataclasses
import importlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

GRAMMARS = (
    *("weights", "traces", "dumps", "packs", "checkpoints"),
    *("formats", "settings", "recordings", "pictures", "labels", "options"),
)
SAME, CHANGED = "", "changed"  # what an oracle answers, or else in words what is wrong


@dataclass
class Case:
    """One input.

    Attributes
    ----------
    kind : of damage, such as 'bytes'; a row of the table is a grammar and a kind
    argv : command and arguments; paths are relative to the case's folder
    oracle : function of a module, (folder, done) -> SAME, CHANGED (which is counted) or what is wrong; it is asked
        where the command accepted the input
    outputs : names that the command may write where it accepts
    memory : MiB that the command may need
    stdin : file that is the standard input; '' for none
    may_lack_memory : whether "not enough memory" is an answer, because the command line asks for that much
    """

    kind: str
    argv: list[str]
    oracle: Callable[[Path, "Done"], str] | None = None
    outputs: tuple[str, ...] = ()
    memory: int = 512
    stdin: str = ""
    may_lack_memory: bool = False

    def to_json(self) -> str:
        """As a text that `from_json` reads."""
        oracle = f"{self.oracle.__module__}:{self.oracle.__qualname__}" if self.oracle else ""
        return json.dumps({**dataclasses.asdict(self), "oracle": oracle}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Case":
        """Read what `to_json` wrote."""
        values = json.loads(text)
        module, _, name = values.pop("oracle").partition(":")
        oracle = getattr(importlib.import_module(module), name) if name else None
        return cls(**{**values, "oracle": oracle, "outputs": tuple(values["outputs"])})


@dataclass(frozen=True)
class Done:
    """What a command did.

    Attributes
    ----------
    code : exit code
    out, err : what it printed
    seconds : that it took
    memory : MiB at its peak, above what the process had at its start
    left : what it changed in its folder, by name: 'new', 'changed' or 'gone'
    """

    code: int
    out: str
    err: str
    seconds: float = 0.0
    memory: float = 0.0
    left: Mapping[str, str] = dataclasses.field(default_factory=dict)


def grammar(name: str) -> ModuleType:
    """The module of a grammar; it has `make(rng, folder) -> Case`."""
    return importlib.import_module(f"tests.fuzz.grammars.{name}")


def make(name: str, seed: int, number: int, folder: Path) -> Case:
    """Write the files of one input; they depend on (seed, grammar, number) alone."""
    made: Any = grammar(name).make(random.Random(f"{seed}/{name}/{number}"), folder)
    assert isinstance(made, Case)
    return made
