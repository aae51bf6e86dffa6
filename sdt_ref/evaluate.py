"""Command line: accuracy on a folder or pack of pictures, or of recordings; the work is in `measuring/accuracy.py`."""

import argparse
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .camera.frames import SPLITS
from .errors import ConfigError, shown
from .files import exists
from .inputs.classes import Matched
from .inputs.selection import Selected, Selection
from .jobs.folder import require_same
from .jobs.identity import Identity
from .jobs.job import Job, Part
from .measuring import results
from .measuring.accuracy import Accuracy, Classify, interval, require_one_scale, rows_of
from .measuring.agreement import Agreement, compare
from .measuring.confusion import Confusion
from .measuring.results import UNREAD, ResultsFile, Rows
from .terminal import cli, confusion
from .terminal import job as job_options
from .terminal.screen import Screen, show_repairs, show_unreadable
from .terminal.words import many, plain

RENAMED = 2  # classes with another name in the weights that the screen shows; --json has all
DIFFERING = 10  # images with another label than another program's that the screen shows; --json has all


@dataclass
class Counted:
    """All that is counted of the rows of a run.

    Attributes
    ----------
    unreadable : (name, reason) of those that could not be read; a file of results keeps no reasons
    repairs : what was mended in recordings, and how often
    by_worker : images that each worker of a cluster computed
    """

    confusion: Confusion
    accuracy: Accuracy = field(default_factory=Accuracy)
    agreement: Agreement | None = None
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)
    by_worker: Counter[str] | None = None
    seconds: float = 0.0

    def of_parts(self, parts: Iterable[Part], one_scale: bool) -> Iterator[Rows]:
        """Yield what was computed, counted; with `one_scale` fixed-point sums of two scales are refused."""
        scales: set[float] = set()
        for part in parts:
            self.unreadable += [(name, reason) for name, reason in part.notes["unreadable"]]
            self.repairs.update(part.notes["repairs"])
            if one_scale:
                require_one_scale(part, scales)
            yield self._add(rows_of(part))

    def of_results(self, there: ResultsFile, data: Selected) -> Iterator[Rows]:
        """Yield what a complete run left, counted. Raises ConfigError where a row is not of the sample in its place."""
        samples = data.items(range(len(data)))
        for rows in there.rows():
            for name, label, sample in zip(rows.names, rows.labels.tolist(), samples, strict=False):
                if (name, label) != (sample.name, sample.label):
                    raise ConfigError(
                        f"results '{there.path}': expected {shown(sample.name)} with label {sample.label}, found "
                        f"{shown(name)} with label {label}; the file was edited: remove it, or choose another output"
                    )
            lost = np.flatnonzero(rows.predicted == UNREAD)
            self.unreadable += [(rows.names[number], "as in the results") for number in lost.tolist()]
            yield self._add(rows)

    def _add(self, rows: Rows) -> Rows:
        self.accuracy.add(rows)
        self.confusion.add(rows.labels, rows.predicted)
        return rows

    def in_words(self) -> str:
        """How accurate, as far as it is counted."""
        n, right = self.accuracy.images, self.accuracy.top1
        return "top-1 {:.2%}, 95 % interval {:.1%} to {:.1%}".format(right / n, *interval(right, n)) if n else ""


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate; exit code 0, 1 when files were unreadable, 2 for bad input."""
    options = command_line().parse_args(argv)
    cli.require_range(options, "limit")
    job_options.require(options)
    _require_outputs(options)
    weights = cli.load_weights(options)
    frames = weights.preprocessing.frames
    if not frames and options.split_by:
        raise ConfigError("--split-by: expected weights for recordings with it, found weights for pictures")
    task = Classify(*cli.arithmetic(options), options.size, options.time_steps is not None, options.split_by)
    selection = Selection(
        (options.data,), frames, options.split, options.limit, weights.classes, options.classes_by_order
    )
    data = selection.open()
    _require_outputs(options, *data.files)
    against = None if options.against is None else results.open_results(options.against, data.whole)
    if against is not None and against.classes not in (None, weights.classes):
        raise ConfigError(
            f"results '{against.path}': expected the classes of these weights, in their order, found others; compare "
            "results of the same classes"
        )
    counted = _evaluated(options, Job(task, weights, selection), data, against)
    assert data.matched is not None
    if options.plot is not None:
        from .drawing.confusion import draw

        draw(options.plot, counted.confusion)
    with cli.showing():
        if options.json:
            cli.print_json({**_summary(counted), "classes_matched": _matched(data.matched, weights.classes)})
        else:
            _show(counted, "recording" if frames else "image", _in_words(data.matched, weights.classes))
    return cli.CHECK_FAILED if counted.unreadable else 0


def _require_outputs(options: argparse.Namespace, *samples: Path) -> None:
    """Refuse, before anything is computed, what cannot be written or would take the place of something that is read."""
    read = options.data, options.weights, options.formats, options.against, *samples
    if options.output is not None:
        results.require(options.output, *read)
    if options.plot is not None:
        from .drawing import canvas

        canvas.require(options.plot, *read)


def _evaluated(options: argparse.Namespace, job: Job, data: Selected, against: ResultsFile | None) -> Counted:
    """Run the job, or read what a complete run left, and count; writes the output."""
    counted, start = Counted(Confusion(job.weights.classes)), time.perf_counter()
    with job_options.running(options, job, data, "evaluating", options.output, counted.in_words) as run:
        there = _complete(options.output, run.identity, len(data))
        rows = (
            counted.of_results(there, data) if there else counted.of_parts(run.parts(), one_scale=bool(options.output))
        )
        if against is None:
            deque(rows, maxlen=0)  # to their end
        else:
            counted.agreement = compare(rows, against.rows_at(data.numbers, data.whole), against.path)
        if there is not None:
            run.forget()
        elif options.output is not None and run.identity is not None:
            kept = lambda: map(rows_of, run.kept())  # noqa: E731
            results.write(options.output, kept, job.weights.classes, run.identity)
        counted.by_worker = run.by_worker
    counted.seconds = time.perf_counter() - start
    return counted


def _complete(output: str | None, identity: Identity | None, total: int) -> ResultsFile | None:
    """The results of this run, if they are there; raises ConfigError where the file is of another run, or is none."""
    if output is None or identity is None or not exists(output):
        return None
    there = results.open_results(output)
    if there.run is None:
        raise ConfigError(
            f"results '{output}': expected what evaluate --output writes, found labels alone; remove the file, or "
            "choose another output"
        )
    require_same(identity, there.run, f"results '{output}'")
    if there.n != total:
        raise ConfigError(
            f"results '{output}': expected {total:,} images, as this run has, found {there.n:,}; remove it, or choose "
            "another output"
        )
    return there


def command_line() -> cli.Parser:
    """The options."""
    gone = {"--steps": "'--steps' is now '--time-steps'"}
    parser = cli.parser("evaluate", "python -m sdt_ref.evaluate cifar10.h5 --limit 1000", gone)
    parser.add_argument(
        "data",
        metavar="FOLDER_or_PACK.h5",
        help="a folder per class, or a packed HDF5 file; recordings, if the weights read them",
    )
    parser.add_argument(
        "--split", metavar="NAME", help="part of the data set, a sub-folder or group (default: validation or test)"
    )
    parser.add_argument(
        "--classes-by-order",
        action="store_true",
        help="if neither names nor numbers match: the folders in natural order, '2' before '10', or the classes of a "
        "pack are the labels 0, 1, 2, ...",
    )
    parser.add_argument("--limit", type=cli.whole_number, metavar="N", help="classify N of them, evenly spread")
    parser.add_argument(
        "--split-by", choices=SPLITS, help="cut a recording into frames by number of events (default) or by time"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="R.npz|R.csv",
        help="write name, label, predicted label and logits of each image; an interrupted run goes on with the same "
        "command",
    )
    parser.add_argument(
        "--against", metavar="R.npz|R.csv|LABELS.npy", help="compare the labels with those of another run or program"
    )
    parser.add_argument("--plot", metavar="F.png", help="draw the confusion matrix (.png, .svg or .pdf)")
    cli.add_model_options(parser)
    job_options.add_options(parser)
    return parser


def _summary(counted: Counted) -> dict[str, object]:
    accuracy, n = counted.accuracy, counted.accuracy.images
    summary: dict[str, object] = {
        "images": n,
        "top1": accuracy.top1 / n if n else None,
        "top5": accuracy.top5 / n if n else None,
        "top1_right": accuracy.top1,
        "top1_interval": interval(accuracy.top1, n) if n else None,
        "top5_right": accuracy.top5,
        **counted.confusion.to_json(),
        "seconds": counted.seconds,
        "repairs": dict(counted.repairs),
        "unreadable": [{"name": name, "reason": reason} for name, reason in counted.unreadable],
    }
    if counted.by_worker is not None:
        summary["workers"] = dict(counted.by_worker)
    if counted.agreement is None:
        return summary
    return {**summary, "agreeing": counted.agreement.agreeing, "agreement": counted.agreement.to_json()}


def _matched(matched: Matched, classes: Sequence[str]) -> dict[str, object]:
    of = zip(matched.names, matched.labels, strict=True)
    return {"by": matched.by, "names": {name: {"label": label, "class": classes[label]} for name, label in of}}


def _in_words(matched: Matched, classes: Sequence[str]) -> str:
    """How the classes became labels, with the first of those that have another name in the weights."""
    named = [(name, classes[label]) for name, label in zip(matched.names, matched.labels, strict=True)]
    others = [f"{name} = {known}" for name, known in named if name != known]
    shown = ", ".join([*others[:RENAMED], *["..."] * (len(others) > RENAMED)])
    return f"by {matched.by}: {len(set(matched.labels))} of {len(classes)}{'; ' * bool(shown)}{shown}"


def _show(counted: Counted, one: str, classes: str) -> None:
    screen, accuracy, n = Screen(), counted.accuracy, counted.accuracy.images
    if n:
        low, high = interval(accuracy.top1, n)
        screen.print(
            f"top-1     {accuracy.top1 / n:8.2%}   {accuracy.top1:,} of {n:,}; 95 % interval {low:.1%} to {high:.1%}"
        )
        screen.print(f"top-5     {accuracy.top5 / n:8.2%}   {accuracy.top5:,} of {n:,}")
    if counted.agreement is not None:
        _show_agreement(screen, counted.agreement)
    screen.print(f"classes   {plain(classes)}")
    screen.print(f"time      {counted.seconds:7.1f} s   {n / counted.seconds:.0f} {one}s/s")
    if n:
        _show_classes(screen, counted.confusion)
    show_repairs(screen, counted.repairs)
    show_unreadable(screen, counted.unreadable)


def _show_agreement(screen: Screen, agreement: Agreement) -> None:
    """How many labels are those of the other program, whether one is right more often, and the first that differ."""
    n = agreement.images
    if not n:
        screen.print("agreeing  none of the images has a label on both sides")
        return
    screen.print(f"agreeing  {agreement.agreeing / n:8.2%}   {agreement.agreeing:,} of {n:,} labels")
    screen.print(
        f"McNemar   p {agreement.p_value:6.3g}   right here alone {agreement.ours_right:,}, there alone "
        f"{agreement.theirs_right:,}"
    )
    for name, label, ours, theirs in agreement.differing[:DIFFERING]:
        screen.print(f"differs   {plain(name)}: label {label}, here {ours}, there {theirs}")
    if (more := len(agreement.differing) - DIFFERING) > 0:
        screen.print(f"          and {many(more, 'image')} more: see --json")


def _show_classes(screen: Screen, counted: Confusion) -> None:
    """The classes' accuracies and the confusion matrix; of many classes, the worst."""
    few = len(counted.classes) <= confusion.FEW
    screen.print()
    confusion.show_per_class(screen, counted.per_class() if few else counted.worst(confusion.LISTED))
    screen.print()
    if few:
        confusion.show_matrix(screen, counted.classes, counted.counts)
    else:
        confusion.show_largest(screen, counted.largest(confusion.LISTED))


if __name__ == "__main__":
    sys.exit(main())
