"""What is computed on what: a task, the weights, the samples; and what comes of a chunk of them."""

import dataclasses
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..inputs.selection import Item, Selection
from ..weights.file import Weights

CHUNK = 64  # samples that are computed, kept, and sent at a time
NOTES = "notes"  # the member of a part's file that holds them


@dataclass(frozen=True)
class Part:
    """What a task made of one chunk.

    Attributes
    ----------
    arrays : by name; no objects
    notes : JSON
    """

    arrays: Mapping[str, np.ndarray]
    notes: Mapping[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """As an .npz file, which holds nothing of when or where it was made."""
        stream, content = io.BytesIO(), {**self.arrays, NOTES: np.array(json.dumps(self.notes))}
        np.savez(stream, **content)  # type: ignore[arg-type]  # NumPy 2.0 lacks the parameter that this would be
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Part":
        """Read what `to_bytes` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        return cls(arrays, json.loads(str(arrays.pop(NOTES))))


Compute = Callable[[Iterable[Item]], Part]


class Task(Protocol):
    """A computation, sample by sample. It is pickled, and so holds settings and no network."""

    def settings(self) -> Mapping[str, Any]:
        """All that changes numbers, beside weights, data and code; as JSON."""

    def prepare(self, weights: Weights, threads: int | None) -> Compute:
        """Make ready to compute chunks, one after the other, with so many threads; None takes all cores."""


@dataclass(frozen=True, eq=False)
class Job:
    """A task on samples."""

    task: Task
    weights: Weights
    selection: Selection

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that changes numbers, beside the data, the code and what the weights file says.

        T and the size are those that the run has, be they chosen or the weights' own; pictures have no steps of theirs.
        """
        chosen, own = self.task.settings(), self.weights.preprocessing
        return {
            **chosen,
            "time_steps": self.weights.config.time_steps,
            "size": own.at(chosen.get("size")).size,
            "strict_steps": own.frames and chosen.get("strict_steps", False),
        }

    @property
    def weights_digest(self) -> str:
        """See `without_time_steps`."""
        return without_time_steps(self.weights)


def without_time_steps(weights: Weights) -> str:
    """The sha256 of weights without T and without where they come from."""
    config = dataclasses.replace(weights.config, time_steps=1)
    return dataclasses.replace(weights, config=config, provenance={}).digest


def chunks_of(total: int, finished: Iterable[range], size: int) -> Iterator[range]:
    """What is left of range(total) without the finished ranges, which ascend, in ranges of at most `size`."""
    at = 0
    for there in [*finished, range(total, total)]:
        for start in range(at, there.start, size):
            yield range(start, min(start + size, there.start))
        at = there.stop
