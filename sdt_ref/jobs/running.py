"""The chunks of a job, in the order of the data: those that were kept, and those that are computed now."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np

from ..errors import ConfigError
from ..inputs.selection import Selected, fingerprints
from .folder import PartsFolder
from .identity import Identity, code_digest, settings_digest
from .job import CHUNK, Compute, Job, Part, chunks_of


class Workers(Protocol):
    """Whoever computes chunks."""

    def compute(self, chunks: Iterable[range]) -> Iterator[tuple[range, Part]]:
        """Yield chunks as they finish, in any order; takes a few from `chunks` at a time."""


class ThisProcess:
    """Computes the chunks here, one after the other, with the network's own threads.

    Parameters
    ----------
    prints : of all samples, where they were read before; raises ConfigError for one that has changed since
    """

    def __init__(self, job: Job, data: Selected, threads: int | None, prints: np.ndarray | None = None) -> None:
        self._job, self._data, self._threads, self._prints = job, data, threads, prints

    def compute(self, chunks: Iterable[range]) -> Iterator[tuple[range, Part]]:
        """Yield chunks in their order."""
        ready: Compute | None = None
        for chunk in chunks:
            ready = ready or self._job.task.prepare(self._job.weights, self._threads)
            if self._prints is not None:
                require_unchanged(self._data, chunk, self._prints)
            yield chunk, ready(self._data.items(chunk))


def identity_of(job: Job, prints: np.ndarray) -> Identity:
    """What this run is; prints : of all samples, see `fingerprints_of`."""
    content = hashlib.sha256(prints.tobytes()).hexdigest()
    return Identity(job.weights_digest, content, settings_digest(job.settings), code_digest())


def fingerprints_of(data: Selected, told: Callable[[int], None] = lambda _: None) -> np.ndarray:
    """Read all of the data: uint8[n, 32]. `told` is called with the number of samples read so far."""
    prints = np.empty((len(data), 32), np.uint8)
    for chunk in chunks_of(len(data), [], CHUNK):
        told(chunk.start)
        for number, found in zip(chunk, fingerprints(data.items(chunk)), strict=True):
            prints[number] = np.frombuffer(found, np.uint8)
    return prints


def require_unchanged(data: Selected, chunk: range, prints: np.ndarray) -> None:
    """Raise ConfigError where a sample of a chunk is another one than when all were read."""
    for number, found, item in zip(chunk, fingerprints(data.items(chunk)), data.items(chunk), strict=True):
        if found != prints[number].tobytes():
            raise ConfigError(
                f"sample '{item.name}': expected it as it was when the command started, found it changed; leave the "
                "data alone, remove the unfinished output, and start again"
            )


def parts(
    workers: Workers,
    total: int,
    folder: PartsFolder | None = None,
    size: int = CHUNK,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[range, Part]]:
    """Yield all chunks of a run of `total` samples, in the order of the data.

    Parameters
    ----------
    folder : where finished chunks are found and kept; None keeps those in memory that finish before their turn
    size : samples of a chunk; changes no result
    progress : called with the number of samples that are done
    """
    finished = folder.finished() if folder else []
    waiting: dict[int, tuple[range, Part | None]] = {chunk.start: (chunk, None) for chunk in finished}
    done = sum(map(len, finished))
    computed = workers.compute(chunks_of(total, finished, size))
    at = 0
    while at < total:
        while at not in waiting:
            chunk, part = next(computed, (None, None))
            if chunk is None or part is None:
                raise ConfigError(f"expected the sample {at} of {total}, found no worker that computes it; try again")
            if folder:
                folder.keep(chunk, part)
            waiting[chunk.start] = chunk, None if folder else part
            done += len(chunk)
            progress(done)
        chunk, kept = waiting.pop(at)
        if kept is None:
            assert folder is not None
            kept = folder.load(chunk)
        yield chunk, kept
        at = chunk.stop
