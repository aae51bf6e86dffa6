"""Calibrate and evaluate, point by point; with an output, finished work is kept until it is written.

OUTPUT.parts holds, for point k, part 2k with its formats, part 2k + 1 with its labels; and while it is evaluated,
a folder with the chunks of that.
"""

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from .. import interrupt
from ..errors import FormatError
from ..fixed.formats import Formats
from ..inputs.reading import read, require_alike
from ..inputs.selection import Selected
from ..jobs.folder import PartsFolder
from ..jobs.identity import Identity, code_digest, settings_digest
from ..jobs.job import Job, Part
from ..jobs.running import fingerprints_of
from ..measuring.accuracy import Accuracy, Classify
from ..measuring.calibration import calibrate
from ..terminal import job as job_options
from ..terminal.progress import counting, kernels_loading
from ..terminal.screen import Screen
from .grid import Grid, Outcome, Point, Row, joined, labels_of


@contextmanager
def swept(options: argparse.Namespace, grid: Grid) -> Iterator[Outcome]:
    """Yield what came of a grid; what is kept for `options.output` is removed at the end, but stays if that fails.

    Raises ConfigError when the folder of finished work belongs to another run.
    """
    sweep = _Sweep(options, grid)
    yield sweep.outcome()
    if sweep.folder:
        sweep.folder.remove()


class _Sweep:
    """A grid on its way."""

    def __init__(self, options: argparse.Namespace, grid: Grid) -> None:
        self._options, self._grid, self._points = options, grid, grid.points()
        self._evaluated, self._calibrated = grid.evaluated.open(), grid.calibrated.open()
        self._screen = Screen(stderr=True)
        self.folder: PartsFolder | None = None
        if options.output is not None:
            prints = b"".join(_prints(self._screen, data) for data in (self._evaluated, self._calibrated))
            settings = grid.settings()
            identity = Identity(
                grid.weights.digest, hashlib.sha256(prints).hexdigest(), settings_digest(settings), code_digest()
            )
            self.folder = PartsFolder(options.output, identity, settings, 2 * len(self._points))
        self._finished = {chunk.start for chunk in self.folder.finished()} if self.folder else set()

    def outcome(self) -> Outcome:
        """Compute all points that are not there yet."""
        rows: list[Row] = []
        references: list[Part] = []  # of float32, one for each T
        for number, point in enumerate(self._points):
            try:
                formats = self._formats(number, point) if point.widths else None
                part = self._there(2 * number + 1) or self._classified(number, point, formats)
            except FormatError as error:
                rows.append(Row(point, refused=str(error)))
                continue
            if not point.widths:
                references.append(part)
            rows.append(Row.of(point, part, references[-1]))
        unreadable = dict.fromkeys((name, why) for part in references for name, why in part.notes["unreadable"])
        repairs = Counter(references[0].notes["repairs"])
        return Outcome(rows, len(self._calibrated), list(unreadable), repairs)

    def _there(self, step: int) -> Part | None:
        """What came of a step, if it was kept."""
        return self.folder.load(range(step, step + 1)) if self.folder and step in self._finished else None

    def _keep(self, step: int, part: Part) -> Part:
        if self.folder:
            self.folder.keep(range(step, step + 1), part)
        return part

    def _formats(self, number: int, point: Point) -> Formats:
        """The registers of a point."""
        part = self._there(2 * number)
        if part is None:
            formats = self._calibrated_at(number, point)
            part = self._keep(2 * number, Part({}, {"formats": formats.to_toml()}))
        return Formats.from_toml(part.notes["formats"])

    def _calibrated_at(self, number: int, point: Point) -> Formats:
        assert point.widths
        grid, total, done = self._grid, len(self._calibrated), f"{number} of {len(self._points)} points"
        weights, strict = grid.weights_at(point.time_steps), bool(grid.time_steps)
        preprocessing = weights.preprocessing.at(grid.size)

        def inputs() -> Iterator[np.ndarray]:
            first = None
            for at, item in enumerate(self._calibrated.items(range(total))):
                shown(at, f"{done} done; calibrating")
                x = read(item.source, preprocessing, point.time_steps, strict_steps=strict, as_official=True)
                first = first or x.shape
                require_alike(item.name, x, first)
                yield x[None]

        goes_on = "the same command goes on there" if self.folder else "with --output FILE it could go on there"
        with (
            interrupt.adding_words(lambda: f"after {done}; {goes_on}"),
            kernels_loading(self._screen, "float32"),
            counting(self._screen, f"{done} done; calibrating", total) as shown,
        ):
            return calibrate(weights, inputs(), point.widths, self._options.threads)

    def _classified(self, number: int, point: Point, formats: Formats | None) -> Part:
        """Labels and notes of all samples, at one point."""
        grid, counted, found = self._grid, Accuracy(), list[Part]()
        task = Classify("float32" if formats is None else "fixed", formats, grid.size, bool(grid.time_steps))
        job = Job(task, grid.weights_at(point.time_steps), grid.evaluated)
        done = f"{number} of {len(self._points)} points done"
        output = str(self.folder.path / f"point-{number + 1}") if self.folder else None

        def so_far() -> str:
            return f"{done}, top-1 {counted.top1 / counted.images:.2%}" if counted.images else done

        with job_options.running(self._options, job, self._evaluated, done, output, so_far) as run:
            for part in run.parts():
                counted.add(part)
                found.append(labels_of(part))
            return self._keep(2 * number + 1, joined(found))


def _prints(screen: Screen, data: Selected) -> bytes:
    with counting(screen, "reading", len(data)) as shown:
        return fingerprints_of(data, lambda number: shown(number, "reading")).tobytes()
