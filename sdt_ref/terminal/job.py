"""The commands that run over data sets: their options, the bar, and what an interrupted one says.

A run with an output is kept chunk by chunk, and goes on where it was interrupted; without one it is only computed.
"""

import argparse
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass

import numpy as np

from .. import interrupt
from ..errors import ConfigError, SdtError, shown
from ..inputs.selection import Selected
from ..inputs.standard_input import StandardInput
from ..jobs.cluster import TIME_LIMIT, Cluster, cluster
from ..jobs.folder import PartsFolder
from ..jobs.identity import Identity
from ..jobs.job import CHUNK, Job, Part
from ..jobs.running import ThisProcess, Workers, fingerprints_of, identity_of, parts
from . import cli
from .progress import counting, kernels_loading
from .screen import Screen

SCHEDULER = "DASK_SCHEDULER_ADDRESS"  # dask's own environment variable
OUTPUT = "--output FILE"
MOST_WORKERS = 1024  # processes on one machine
LONGEST_LIMIT = 1e6  # seconds


@dataclass
class Running:
    """A job that is on its way.

    Attributes
    ----------
    identity : of the run, where it has an output
    parts : yields what came of each chunk, in the order of the data
    kept : yields them again, where the run has an output, when all are there
    forget : removes what an interrupted run with this output and of this identity left
    by_worker : samples that each worker has computed so far, by its address; None without a cluster
    """

    identity: Identity | None
    parts: Callable[[], Iterator[Part]]
    kept: Callable[[], Iterator[Part]]
    forget: Callable[[], None]
    by_worker: Counter[str] | None = None


def add_options(to: cli.Parser, chunk: int = CHUNK) -> None:
    """Add the options of every command that runs over a data set; `chunk` is the default of the one of that name."""
    to.add_argument(
        "--chunk",
        type=cli.whole_number,
        default=chunk,
        metavar="N",
        help=f"samples that are computed and kept at a time (default: {chunk}); changes no result",
    )
    to.add_argument(
        "--workers",
        type=cli.whole_number,
        metavar="N",
        help="compute in N processes, each with one thread, or --threads of them; changes no result",
    )
    to.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="compute on the workers of a Dask scheduler, such as tcp://host:8786 (default, without --workers: the "
        f"environment variable {SCHEDULER}, if it is set); changes no result",
    )
    to.add_argument(
        "--time-limit",
        type=_seconds,
        default=TIME_LIMIT,
        metavar="S",
        help=f"seconds that a worker may take for a chunk, before another one computes it, too (default: "
        f"{TIME_LIMIT:g})",
    )


def require(options: argparse.Namespace) -> None:
    """Refuse options that are out of range, before anything is read."""
    cli.require_range(options, "chunk")
    cli.require_range(options, "workers", most=MOST_WORKERS)
    if options.workers is not None and options.scheduler is not None:
        raise ConfigError("expected --workers, for processes here, or --scheduler, for a cluster; found both")
    if not 0 < options.time_limit <= LONGEST_LIMIT:
        raise ConfigError(
            f"--time-limit: expected seconds above 0, up to {LONGEST_LIMIT:,.0f}, found {shown(options.time_limit)}"
        )


@contextmanager
def running(
    options: argparse.Namespace,
    job: Job,
    data: Selected,
    verb: str,
    output: str | None = None,
    so_far: Callable[[], str] = lambda: "",
    option: str = OUTPUT,
) -> Iterator[Running]:
    """Yield a job to run, with a bar; an output's finished chunks are removed at the end, or kept to go on from.

    Parameters
    ----------
    verb : for the bar, such as 'evaluating'
    output : the file that is written in here
    so_far : what is known by now, for the bar and for the line that an interrupted command ends with
    option : names an output

    Raises ConfigError when the folder of finished chunks belongs to another run.
    """
    screen, total, done = Screen(stderr=True), len(data), 0
    identity, folder, prints = None, None, None
    there: list[range] = []
    alone: list[Part] = []  # one sample is not worth a folder
    if output is not None:
        with counting(screen, "reading", total) as shown:
            prints = fingerprints_of(data, lambda number: shown(number, "reading"))
            identity = identity_of(job, prints)

    def words() -> str:
        if total == 1:
            return ""
        return "; ".join([f"after {done:,} of {total:,}", *filter(None, [so_far()]), how_to_go_on(output, option)])

    def in_order() -> Iterator[Part]:
        nonlocal done, folder
        workers = stack.enter_context(_workers(options, job, data, prints))
        if isinstance(workers, Cluster):
            run.by_worker = workers.by_worker
        if output is not None and identity is not None and total > 1:
            folder = PartsFolder(output, identity, job.settings, total)
        arithmetic = getattr(job.task, "arithmetic", "float32")
        with kernels_loading(screen, arithmetic), counting(screen, verb, total) as shown:
            for chunk, part in parts(workers, total, folder, options.chunk, lambda n: shown(n, so_far() or verb)):
                if folder is None and output is not None:
                    alone.append(part)
                there.append(chunk)
                yield part
                done = chunk.stop
                shown(done, so_far() or verb)

    def kept() -> Iterator[Part]:
        return map(folder.load, there) if folder else iter(alone)

    def forget() -> None:
        if output is not None and identity is not None:
            with suppress(ConfigError):  # of another run: not ours to remove
                PartsFolder(output, identity, job.settings, total).remove()

    run = Running(identity, in_order, kept, forget)
    try:
        with interrupt.adding_words(words), ExitStack() as stack:
            yield run
    except Exception as error:
        # a ConfigError may be the disk's or the cluster's; after others of ours the same command would fail again
        fails_again = isinstance(error, SdtError) and not isinstance(error, ConfigError)
        if folder and (fails_again or folder.is_empty()):
            folder.remove()
        raise
    if folder:
        folder.remove()


def how_to_go_on(output: str | None, option: str = OUTPUT) -> str:
    """What an interrupted command says of that; `option` names an output."""
    return "the same command goes on there" if output else f"with {option} it could go on there"


def _workers(
    options: argparse.Namespace, job: Job, data: Selected, prints: np.ndarray | None
) -> AbstractContextManager[Workers]:
    """Whoever computes: a cluster, if one is asked for, or this process, where one sample or standard input stays."""
    place = options.workers or options.scheduler or os.environ.get(SCHEDULER)
    stays = len(data) == 1 or any(isinstance(path, StandardInput) for path in job.selection.paths)
    if place and not stays:
        return cluster(job, data, place, options.threads, options.time_limit, prints)
    return nullcontext(ThisProcess(job, data, options.threads, prints))


def _seconds(text: str) -> float:
    """Read the option's number; argparse puts its name before the message."""
    try:
        return float(text) if math.isfinite(float(text)) else 0.0
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, found {shown(text)}") from None
