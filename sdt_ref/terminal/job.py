"""The commands that run over data sets: their options, the bar, and what an interrupted one says.

A run with an output is kept chunk by chunk, and goes on where it was interrupted; without one it is only computed.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .. import interrupt
from ..errors import ConfigError, SdtError
from ..inputs.selection import Selected
from ..jobs.folder import PartsFolder
from ..jobs.identity import Identity
from ..jobs.job import CHUNK, Job, Part
from ..jobs.running import ThisProcess, Workers, fingerprints_of, identity_of, parts
from . import cli
from .progress import counting, kernels_loading
from .screen import Screen


@dataclass(frozen=True)
class Running:
    """A job that is on its way.

    Attributes
    ----------
    identity : of the run, where it has an output
    folder : of its finished chunks, where it has an output and more than one sample
    parts : yields what came of each chunk, in the order of the data
    """

    identity: Identity | None
    folder: PartsFolder | None
    parts: Callable[[], Iterator[Part]]


def add_options(to: cli.Parser, chunk: int = CHUNK) -> None:
    """Add the options of every command that runs over a data set; `chunk` is the default of the one of that name."""
    to.add_argument(
        "--chunk",
        type=cli.whole_number,
        default=chunk,
        metavar="N",
        help=f"samples that are computed and kept at a time (default: {chunk}); changes no result",
    )


def require(options: argparse.Namespace) -> None:
    """Refuse options that are out of range, before anything is read."""
    cli.require_range(options, "chunk")


@contextmanager
def running(
    options: argparse.Namespace,
    job: Job,
    data: Selected,
    verb: str,
    output: str | None = None,
    so_far: Callable[[], str] = lambda: "",
    option: str = "--output FILE",
) -> Iterator[Running]:
    """Yield a job to run, with a bar; an output's finished chunks are removed at the end, but kept if it fails.

    Not if it fails by what the user gave: the same command would fail again. A ConfigError is the disk's or the
    cluster's.

    Parameters
    ----------
    verb : for the bar, such as 'evaluating'
    output : the file that is written in here
    so_far : what is known by now, for the bar and for the line that an interrupted command ends with
    option : names an output

    Raises ConfigError when the folder of finished chunks belongs to another run.
    """
    screen, total, done = Screen(stderr=True), len(data), 0
    identity, folder = None, None
    if output is not None:
        with counting(screen, "reading", total) as shown:
            identity = identity_of(job, fingerprints_of(data, lambda number: shown(number, "reading")))
        folder = PartsFolder(output, identity, job.task.settings(), total) if total > 1 else None
    workers: Workers = ThisProcess(job, data, options.threads)

    def words() -> str:
        if total == 1:
            return ""
        goes_on = "the same command goes on there" if output else f"with {option} it could go on there"
        return "; ".join([f"after {done:,} of {total:,}", *filter(None, [so_far()]), goes_on])

    def in_order() -> Iterator[Part]:
        nonlocal done
        arithmetic = getattr(job.task, "arithmetic", "float32")
        with kernels_loading(screen, arithmetic), counting(screen, verb, total) as shown:
            for chunk, part in parts(workers, total, folder, options.chunk, lambda n: shown(n, so_far() or verb)):
                yield part
                done = chunk.stop
                shown(done, so_far() or verb)

    try:
        with interrupt.adding_words(words):
            yield Running(identity, folder, in_order)
    except Exception as error:
        if folder and (folder.is_empty() or (isinstance(error, SdtError) and not isinstance(error, ConfigError))):
            folder.remove()
        raise
    if folder:
        folder.remove()
