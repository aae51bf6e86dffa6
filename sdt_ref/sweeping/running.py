"""Calibrate and evaluate, point by point; with an output, finished work is kept until it is written.

OUTPUT.parts holds, for point k, part 2k with its formats, part 2k + 1 with its labels; and while it is evaluated,
a folder with the chunks of that.
"""

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

from .. import interrupt
from ..errors import ConfigError, FormatError, SdtError
from ..fixed.formats import Formats
from ..inputs.reading import first_steps
from ..inputs.selection import Selected
from ..jobs.folder import PartsFolder
from ..jobs.identity import Identity, code_digest, settings_digest
from ..jobs.job import Job, Part, without_time_steps
from ..jobs.running import fingerprints_of
from ..measuring.accuracy import Accuracy, Classify, rows_of
from ..measuring.calibration import See, Seen, Widths, choose
from ..terminal import job as job_options
from ..terminal.progress import counting
from ..terminal.screen import Screen
from .grid import Grid, Outcome, Point, Row, joined, labels_of


@contextmanager
def swept(options: argparse.Namespace, grid: Grid) -> Iterator[Outcome]:
    """Yield what came of a grid; what is kept for `options.output` is removed at the end, but stays if that fails.

    Raises ConfigError when the folder of finished work belongs to another run.
    """
    sweep = _Sweep(options, grid)
    try:
        yield sweep.outcome()
    except SdtError as error:
        # a ConfigError may be the disk's; by others the same command would fail again
        if not isinstance(error, ConfigError) or sweep.is_empty():
            sweep.remove()
        raise
    sweep.remove()


class _Sweep:
    """A grid on its way."""

    def __init__(self, options: argparse.Namespace, grid: Grid) -> None:
        self._options, self._grid, self._points = options, grid, grid.points()
        self._evaluated, self._calibrated = grid.evaluated.open(), grid.calibrated.open()
        self._screen = Screen(stderr=True)
        self._folder: PartsFolder | None = None
        self._seen: tuple[int, Seen] | None = None  # of the last T
        if options.output is not None:
            prints = b"".join(_prints(self._screen, data) for data in (self._evaluated, self._calibrated))
            settings = grid.settings()
            identity = Identity(
                without_time_steps(grid.weights),
                hashlib.sha256(prints).hexdigest(),
                settings_digest(settings),
                code_digest(),
            )
            self._folder = PartsFolder(options.output, identity, settings, 2 * len(self._points))
        self._finished = {chunk.start for chunk in self._folder.finished()} if self._folder else set()

    def is_empty(self) -> bool:
        """Whether nothing was finished that is kept."""
        return not self._folder or not any(self._folder.path.rglob("*.part"))

    def remove(self) -> None:
        """Remove what was kept."""
        if self._folder:
            self._folder.remove()

    @property
    def _goes_on(self) -> str:
        return job_options.how_to_go_on(self._options.output)

    def outcome(self) -> Outcome:
        """Compute all points that are not there yet; of each T first all registers, then all labels."""
        rows: list[Row] = []
        found: list[Part] = []
        references: list[Part] = []  # of float32, one for each T
        for _, group in groupby(enumerate(self._points), lambda at: at[1].time_steps):
            points, done = list(group), len(rows)
            formats = [self._formats(number, point, done) for number, point in points]
            for (number, point), how in zip(points, formats, strict=True):
                part = how if isinstance(how, FormatError) else self._labels(number, point, how)
                if isinstance(part, FormatError):
                    rows.append(Row(point, refused=str(part)))
                    continue
                found.append(part)
                references += [part] * (point.bits is None)
                rows.append(Row.of(point, part, references[-1]))
        unreadable = dict.fromkeys((name, why) for part in found for name, why in part.notes["unreadable"])
        repairs = Counter(references[0].notes["repairs"])
        return Outcome(rows, len(self._calibrated), list(unreadable), repairs)

    def _there(self, step: int) -> Part | None:
        """What came of a step, if it was kept."""
        return self._folder.load(range(step, step + 1)) if self._folder and step in self._finished else None

    def _keep(self, step: int, part: Part) -> Part:
        if self._folder:
            self._folder.keep(range(step, step + 1), part)
        return part

    def _formats(self, number: int, point: Point, done: int) -> Formats | FormatError | None:
        """The registers of a point, or why there can be none; None for float32. `done` points are complete."""
        if point.bits is None:
            return None
        try:
            part = self._there(2 * number)
            if part is None:
                formats = self._calibrate(point, done)
                part = self._keep(2 * number, Part({}, {"formats": formats.to_toml()}))
            return Formats.from_toml(part.notes["formats"])
        except FormatError as error:
            return error

    def _calibrate(self, point: Point, done: int) -> Formats:
        assert point.bits
        weight, membrane, stream = point.bits
        widths = Widths(weight=weight, membrane=membrane, stream=stream)
        if self._seen is None or self._seen[0] != point.time_steps:
            self._seen = point.time_steps, self._see(point.time_steps, done)
        with interrupt.adding_words(lambda: f"after {done} of {len(self._points)} points; {self._goes_on}"):
            return choose(self._grid.weights_at(point.time_steps), self._seen[1], widths)

    def _see(self, time_steps: int, done: int) -> Seen:
        """What the float32 network of one T sees, which is the same for all widths."""
        grid, data, seen = self._grid, self._calibrated, Seen()
        weights, strict = grid.weights_at(time_steps), bool(grid.time_steps)
        preprocessing, every = weights.preprocessing.at(grid.size), data.items(range(len(data)))
        steps = first_steps(every, preprocessing, time_steps, strict_steps=strict)
        job = Job(See(grid.size, strict, steps), weights, grid.calibrated)
        far = f"{done} of {len(self._points)} points done"
        output = str(self._folder.path / f"calibration-{time_steps}") if self._folder else None
        with job_options.running(self._options, job, data, f"{far}; calibrating", output, lambda: far) as run:
            for part in run.parts():
                seen.add(part)
        return seen

    def _labels(self, number: int, point: Point, formats: Formats | None) -> Part | FormatError:
        """Labels and notes of all samples, at one point; or why its registers do not hold the run's numbers."""
        try:
            return self._there(2 * number + 1) or self._classify(number, point, formats)
        except FormatError as error:
            return error

    def _classify(self, number: int, point: Point, formats: Formats | None) -> Part:
        grid, counted, found = self._grid, Accuracy(), list[Part]()
        task = Classify("float32" if formats is None else "fixed", formats, grid.size, bool(grid.time_steps))
        job = Job(task, grid.weights_at(point.time_steps), grid.evaluated)
        far = f"{number} of {len(self._points)} points done"
        output = str(self._folder.path / f"point-{number + 1}") if self._folder else None

        def so_far() -> str:
            return f"{far}, top-1 {counted.top1 / counted.images:.2%}" if counted.images else far

        with job_options.running(self._options, job, self._evaluated, far, output, so_far) as run:
            for part in run.parts():
                counted.add(rows_of(part))
                found.append(labels_of(part))
            return self._keep(2 * number + 1, joined(found))


def _prints(screen: Screen, data: Selected) -> bytes:
    with counting(screen, "reading", len(data)) as shown:
        return fingerprints_of(data, lambda number: shown(number, "reading")).tobytes()
