"""A client of dask.distributed: of processes that are started here, or of a scheduler that is there.

Nothing of dask's own is written to standard error: what matters is told by an error in one line.
"""

import contextlib
import importlib
import logging
import multiprocessing.resource_tracker
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

from .. import interrupt
from ..errors import ConfigError, reason_of, shown

EXTRA = "in the folder of sdt_ref: pip install '.[cluster]'"
CONNECT = 10.0  # seconds for a scheduler to answer, and for a first worker to be there
START = 60.0  # seconds for processes to start here
LEAVE = 5.0  # seconds for saying goodbye
DASK = "Dask Worker"  # how dask names the processes that it starts
# how soon a worker gives memory back: as dask sets it, the arrays of each layer are taken from the system anew, which
# makes the shipped network 1.2 times as slow
GIVEN_BACK = "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_"
LOGGERS = ("distributed", "tornado", "asyncio", "bokeh")


@contextlib.contextmanager
def local(workers: int, threads: int) -> Iterator[Any]:
    """Start so many processes here, and yield a client of them; they end with this process, however it ends.

    Raises ConfigError when dask.distributed is not installed, or they do not start.
    """
    distributed = _distributed()
    folder = ""

    def end() -> None:
        for process in multiprocessing.active_children():
            if process.name.startswith(DASK):
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)

    with interrupt.undone_at_end(end), contextlib.ExitStack() as stack:
        stack.callback(end)
        with interrupt.making:
            folder = tempfile.mkdtemp(prefix="sdt_ref-")
        try:
            _start_tracker()
            dask = importlib.import_module("dask")
            stack.enter_context(dask.config.set({"temporary-directory": folder, GIVEN_BACK: None}))
            with _without_interrupts():
                cluster = distributed.LocalCluster(
                    n_workers=0,
                    threads_per_worker=threads,
                    processes=True,
                    host="127.0.0.1",
                    protocol="tcp://",
                    dashboard_address=None,
                    memory_limit=0,  # none: a worker that dask pauses or ends by its own measure would be no error
                    silence_logs=logging.CRITICAL,
                    security=distributed.Security(require_encryption=False),
                )
            stack.callback(_closed, cluster)
            cluster.scale(workers)
            client = distributed.Client(cluster, timeout=CONNECT, set_as_default=False)
            stack.callback(_closed, client)
            client.wait_for_workers(workers, timeout=START)
        except Exception as error:
            raise ConfigError(
                f"--workers {workers}: expected so many processes to start, found {reason_of(error)}; use fewer"
            ) from None
        yield client


@contextlib.contextmanager
def remote(address: str) -> Iterator[Any]:
    """Yield a client of a scheduler.

    Raises ConfigError when dask.distributed is not installed, the scheduler does not answer, or has no worker.
    """
    distributed = _distributed()
    with contextlib.ExitStack() as stack:
        try:
            client = _closed_by_us(distributed)(address, timeout=CONNECT, set_as_default=False)
        except Exception as error:  # dask raises OSError, ValueError, TypeError, ... for what it cannot reach
            raise ConfigError(
                f"scheduler {shown(address)}: expected one that answers within {CONNECT:.0f} s, found none "
                f"({reason_of(error)}); check the address, and start one with 'dask scheduler'"
            ) from None
        stack.callback(_closed, client)
        try:
            client.wait_for_workers(1, timeout=CONNECT)
        except Exception:
            raise ConfigError(
                f"scheduler {shown(address)}: expected a worker, found none within {CONNECT:.0f} s; start some with "
                f"'dask worker {address}'"
            ) from None
        yield client


def _distributed() -> Any:
    """dask.distributed, made quiet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            distributed = importlib.import_module("distributed")
    except ImportError:
        raise ConfigError(f"--workers and --scheduler need dask.distributed; install it, {EXTRA}") from None
    for name in {*LOGGERS, *logging.root.manager.loggerDict}:  # dask gives some of them levels of their own
        if name.partition(".")[0] in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="distributed")
    return distributed


def _closed_by_us(distributed: Any) -> Any:
    """A client that is not closed when it vanishes: one that could not connect waits long for that, and complains."""
    return type("Client", (distributed.Client,), {"__del__": lambda _: None})


def _closed(closing: Any) -> None:
    """Close a client or a cluster; a scheduler that is lost changes nothing."""
    with contextlib.suppress(Exception):
        closing.close(timeout=LEAVE)


def _start_tracker() -> None:
    """Start Python's own process that removes semaphores of a process that was killed, and have it do so silently."""
    name, before = "PYTHONWARNINGS", os.environ.get("PYTHONWARNINGS")
    os.environ[name] = ",".join(filter(None, [before, "ignore:resource_tracker"]))
    multiprocessing.resource_tracker.ensure_running()
    if before is None:
        del os.environ[name]
    else:
        os.environ[name] = before


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Threads that are started in here, and so the processes that these start, take no Ctrl-C: it is for the client."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
