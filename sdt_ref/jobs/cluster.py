"""The chunks of a job, computed by the workers of dask.distributed: processes here, or on many machines.

The scheduler places chunks, and gives those of a worker that ended to others. What stands here is what it does not do:
a few chunks ahead and no more, one code on all workers, weights that travel once, and a limit for a worker that hangs.
"""

import contextlib
import dataclasses
import pickle
import time
import uuid
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pkgutil import resolve_name
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from .. import errors
from ..errors import ConfigError, SdtError, reason_of, shown
from ..inputs.selection import Selected, fingerprints
from . import connecting
from .at_worker import CODE, DATA, WEIGHTS, Answer, Call, Order, compute, keep, kept, own_versions, packed
from .job import Job, Part
from .running import require_unchanged

TIME_LIMIT = 600.0  # seconds
AHEAD = 2  # chunks per worker that are given: one that is computed, one that waits there
SPREAD = 8  # chunks per worker between the first that is not done and the last that is given
LOOK = 1.0  # seconds between two looks at what each worker holds
NO_WORKER = 60.0  # seconds without any worker, after which the run ends
ANSWER = 120.0  # seconds for a scheduler, or a worker, to answer a question; both may be busy
SLOWEST = 10e6  # bytes a second, at which weights arrive at least
MOST_TRIES = 3  # workers at which a chunk may take too long
MOST_LACKS = 10  # answers that something is lacking


@dataclass
class _Given:
    """A chunk that is on its way: its futures by key, and how often it was in vain."""

    chunk: range
    futures: dict[str, Any] = field(default_factory=dict)
    hung: int = 0
    lacked: int = 0


@contextlib.contextmanager
def cluster(
    job: Job,
    data: Selected,
    place: int | str,
    threads: int | None = None,
    time_limit: float = TIME_LIMIT,
    prints: np.ndarray | None = None,
) -> Iterator["Cluster"]:
    """Yield a cluster that is ready to compute a job.

    Parameters
    ----------
    place : a number of processes, which are started here, or the address of a scheduler
    threads : of each worker; None takes one for processes here, else what the worker was started with
    time_limit : seconds that a worker may take for a chunk
    prints : see `running.ThisProcess`

    Raises ConfigError when there is no such cluster, or its workers have other code.
    """
    here = isinstance(place, int)
    with connecting.local(place, threads or 1) if isinstance(place, int) else connecting.remote(place) as client:
        yield Cluster(client, job, data, None if here else threads, time_limit, prints)


class Cluster:
    """Computes the chunks of a job on workers.

    Parameters
    ----------
    client : of dask.distributed
    others : see `cluster`

    Attributes
    ----------
    by_worker : samples that each has computed, by its address

    Raises ConfigError, naming the worker, where one has another version, code or NumPy, or lacks them.
    """

    def __init__(
        self,
        client: Any,
        job: Job,
        data: Selected,
        threads: int | None,
        time_limit: float,
        prints: np.ndarray | None = None,
    ) -> None:
        self._prints = prints
        self.by_worker: Counter[str] = Counter()
        self._client, self._job, self._data = client, job, data
        self._threads, self._time_limit = threads, time_limit
        self._run = uuid.uuid4().hex
        self._pickled = pickle.dumps((job.task, job.selection))
        self._sends = False
        self._numbers = iter(range(1 << 62))
        self._done: SimpleQueue[Any] = SimpleQueue()
        self._given: dict[int, _Given] = {}
        self._of_key: dict[str, _Given] = {}
        self._again: deque[_Given] = deque()
        self._hung: set[str] = set()
        self._holding: dict[str, float] = {}  # since when each worker that has chunks has finished none
        self._looked = self._seen = time.monotonic()
        self._workers = self._require_same_code()
        self._have_weights: set[tuple[str, int]] = set()  # workers, by address and process
        self._send_weights(self._workers)

    def compute(self, chunks: Iterable[range]) -> Iterator[tuple[range, Part]]:
        """Yield chunks as they finish.

        Raises ConfigError when the scheduler is lost, no worker is left, a chunk ends or holds up too many of them, or
        one has other data; and what `Task` raises.
        """
        left = iter(chunks)
        self._all_given = False
        while True:
            self._give_more(left)
            if self._all_given and not self._given:
                return
            with contextlib.suppress(Empty):
                future = self._done.get(timeout=min(LOOK, self._time_limit / 4))
                if (done := self._taken(future)) is not None:
                    yield done
            self._look()

    def _give_more(self, left: Iterator[range]) -> None:
        """Give chunks to workers, as long as few enough are on their way."""
        available = [worker for worker in self._workers if worker not in self._hung]
        while available and self._again:
            if (again := self._again.popleft()).chunk.start in self._given:  # not done meanwhile
                self._give(again, available)
        while available and len(self._given) < AHEAD * len(self._workers):
            oldest = next(iter(self._given.values()), None)
            if oldest is not None and not self._is_near(oldest.chunk):
                return
            chunk = next(left, None)
            if chunk is None:
                self._all_given = True
                return
            self._last = chunk
            given = self._given[chunk.start] = _Given(chunk)
            self._give(given, available)

    def _is_near(self, oldest: range) -> bool:
        return self._last.start - oldest.start < SPREAD * len(self._workers) * max(len(oldest), 1)

    def _give(self, given: _Given, available: Collection[str]) -> None:
        chunk, items = given.chunk, list(self._data.items(given.chunk))
        if self._prints is not None:
            require_unchanged(self._data, chunk, self._prints)
        order: Order = {
            "run": self._run,
            "code": self._versions["code of sdt_ref"],
            "numpy": self._versions["NumPy"],
            "weights": self._job.weights.digest,
            "job": self._pickled,
            "threads": self._threads,
            "chunk": (chunk.start, chunk.stop),
            "total": len(self._data),
            "prints": b"".join(fingerprints(items)),
            "sent": packed(items) if self._sends else None,
        }
        key = f"sdt_ref-{self._run}-{next(self._numbers)}"
        future = self._client.submit(
            pickle.loads,
            pickle.dumps(Call(compute, order)),
            key=key,
            pure=False,
            workers=list(available) if self._hung else None,
            allow_other_workers=bool(self._hung),  # where all of those end, too
        )
        given.futures[key], self._of_key[key] = future, given
        future.add_done_callback(self._done.put)

    def _taken(self, future: Any) -> tuple[range, Part] | None:
        """What a future says: a chunk that is done, or nothing, and the chunk is given again."""
        given = self._of_key.pop(future.key, None)
        if given is None or given.chunk.start not in self._given:  # another worker was first
            return None
        del given.futures[future.key]
        if (answer := self._answer_of(future, given)) is None:
            return None
        self._holding[answer["worker"]] = time.monotonic()
        self._hung.discard(answer["worker"])
        if "error" in answer:
            raise _error_of(*answer["error"])
        if "lacks" in answer:
            self._provide(answer, given)
            return None
        for key in given.futures:
            self._of_key.pop(key, None)
        del self._given[given.chunk.start]
        self.by_worker[answer["worker"]] += len(given.chunk)
        return given.chunk, Part.from_bytes(answer["part"])

    def _answer_of(self, future: Any, given: _Given) -> Answer | None:
        """What a worker answers; None where it hangs with the answer, and so others are given the chunk."""
        first, last = given.chunk.start, given.chunk.stop - 1
        if future.status == "finished":
            try:
                return self._client.sync(self._client.gather, future, callback_timeout=min(ANSWER, self._time_limit))
            except TimeoutError:
                for worker in self._ask(self._client.scheduler.who_has, keys=[future.key]).get(future.key, ()):
                    self._leave(worker, [])
                self._try_again(given)
                return None
            except Exception as lost:
                raise self._lost(reason_of(lost)) from None
        if future.status != "error":
            raise self._lost()
        error: Exception = future.exception(timeout=ANSWER)
        if type(error).__name__ == "KilledWorker":
            raise ConfigError(
                f"samples {first} to {last}: expected a worker that computes them, found that several ended at it; "
                "see whether their machines have enough memory, or use a smaller --chunk"
            )
        if isinstance(error, (ImportError, AttributeError)) and not given.lacked:  # it joined late, and has other code
            return {"worker": "", "pid": 0, "lacks": CODE}
        raise ConfigError(
            f"samples {first} to {last}: expected a worker that computes them, found {reason_of(error)} there; see its "
            "own output, and whether the command works without a cluster"
        )

    def _provide(self, answer: Answer, given: _Given) -> None:
        """Give a worker what it lacks, and the chunk again."""
        given.lacked += 1
        if given.lacked > MOST_LACKS:
            raise ConfigError(
                f"worker {answer['worker']}: expected that it keeps the {answer['lacks']}, found that it lacks them "
                "again and again; let fewer runs use the cluster at a time"
            )
        if answer["lacks"] == CODE:
            self._workers = self._require_same_code()
        if answer["lacks"] == DATA:
            self._sends = True
        on_their_way = (answer["worker"], answer["pid"]) in self._have_weights and given.lacked == 1
        if answer["lacks"] == WEIGHTS and not on_their_way:
            self._send_weights([answer["worker"]])
        self._again.append(given)

    def _look(self) -> None:
        """See what each worker holds, and leave the ones that hang."""
        now = time.monotonic()
        if now - self._looked < min(LOOK, self._time_limit / 4):
            return
        self._looked = now
        held = self._ask(self._client.scheduler.processing, workers=None)
        self._workers = list(held)
        self._hung &= set(held)
        if set(held) - self._hung:
            self._seen = now
        elif now - self._seen > NO_WORKER:
            raise ConfigError(
                f"expected a worker, found none for {NO_WORKER:.0f} s; start some with 'dask worker', and call the "
                "command again"
            )
        holding = {}
        for worker, keys in held.items():
            if own := [key for key in keys if key in self._of_key]:
                holding[worker] = self._holding.get(worker, now)
                if worker not in self._hung and now - holding[worker] > self._time_limit:
                    self._leave(worker, own)
        self._holding = holding
        self._give_again_what_hangs({key for worker in self._hung for key in held[worker]})

    def _give_again_what_hangs(self, keys: set[str]) -> None:
        """Give chunks again that workers which hang hold alone: the scheduler may move a chunk to one that was left."""
        for given in {id(found): found for key in keys if (found := self._of_key.get(key))}.values():
            if given.futures.keys() <= keys and not any(again is given for again in self._again):
                self._again.append(given)

    def _leave(self, worker: str, keys: Iterable[str]) -> None:
        """Have others compute what a worker holds, too, and restart it, which works where it has a nanny."""
        self._hung.add(worker)
        for given in {id(self._of_key[key]): self._of_key[key] for key in keys}.values():
            self._try_again(given)
        self._client.loop.add_callback(self._client.restart_workers, [worker], raise_for_error=False)

    def _try_again(self, given: _Given) -> None:
        """Give a chunk, at which a worker hangs, to another one; too many of them are refused."""
        given.hung += 1
        if given.hung == MOST_TRIES:
            raise ConfigError(
                f"samples {given.chunk.start} to {given.chunk.stop - 1}: expected a worker that computes them within "
                f"{self._time_limit:g} s, found {MOST_TRIES} that took longer; use a longer --time-limit, or a smaller "
                "--chunk"
            )
        self._again.append(given)

    def _require_same_code(self) -> list[str]:
        """Refuse workers that have no sdt_ref, or another one, or another NumPy; the addresses of all workers."""
        self._versions = own_versions()
        have = self._run_on_all(resolve_name, "sdt_ref:__version__")
        for worker, found in have.items():
            if isinstance(found, Exception):
                raise ConfigError(
                    f"worker {worker}: expected sdt_ref {self._versions['version of sdt_ref']}, found that it cannot "
                    f"be imported ({reason_of(found)}); install it there, {connecting.EXTRA}"
                )
        for worker, found in self._run_on_all(pickle.loads, pickle.dumps(Call(own_versions))).items():
            there = {"version of sdt_ref": have.get(worker)} if isinstance(found, Exception) else found
            for name, own in self._versions.items():
                if there.get(name) != own:
                    raise ConfigError(
                        f"worker {worker}: expected {name} {own}, as the client has, found "
                        f"{there.get(name, 'another')}; install the same there, and start the worker anew"
                    )
        return list(have)

    def _send_weights(self, workers: list[str]) -> None:
        """Send them to those that have not kept them of a run before."""
        weights = dataclasses.replace(self._job.weights)  # without what was computed of them: a worker does that itself
        asked = pickle.dumps(Call(kept, self._job.weights.digest))
        there = self._run_on_all(pickle.loads, asked, workers=workers)
        lacking = [worker for worker, process in there.items() if not isinstance(process, int)]
        self._have_weights |= {(worker, there[worker]) for worker in there if worker not in lacking}
        if not lacking:
            return
        sent = pickle.dumps(Call(keep, self._job.weights.digest, weights))
        seconds = ANSWER + len(sent) * len(lacking) / SLOWEST
        for worker, found in self._run_on_all(pickle.loads, sent, workers=lacking, seconds=seconds).items():
            if isinstance(found, SdtError):
                raise ConfigError(f"worker {worker}: {found}")
            if isinstance(found, int):
                self._have_weights.add((worker, found))

    def _run_on_all(
        self, function: Any, *arguments: Any, workers: list[str] | None = None, seconds: float = ANSWER
    ) -> dict[str, Any]:
        """What a function of the standard library returns, or raises, on each worker, beside what it computes."""
        return self._ask(self._client.run, function, *arguments, workers=workers, on_error="return", seconds=seconds)

    def _ask(self, question: Any, *arguments: Any, seconds: float = ANSWER, **named: Any) -> Any:
        """Have the scheduler answer, or raise ConfigError: it is lost, or a worker that it asks hangs."""
        try:
            return self._client.sync(question, *arguments, callback_timeout=seconds, **named)
        except (OSError, RuntimeError) as error:
            raise self._lost(reason_of(error)) from None

    def _lost(self, reason: str = "") -> ConfigError:
        return ConfigError(
            f"scheduler {shown(self._client.scheduler.address if self._client.scheduler else '')}: expected that it "
            f"answers, found it lost{f' ({reason})' * bool(reason)}; start it again, and call the command again"
        )


def _error_of(name: str, words: str) -> Exception:
    """An error of a worker, as it was raised there."""
    return MemoryError() if name == "MemoryError" else getattr(errors, name, SdtError)(words)
