"""Command line: accuracy on a folder or pack of pictures, or of recordings; the work is in `measuring/accuracy.py`."""

import sys
import time
from collections.abc import Sequence

import numpy as np

from .camera.array import read_npy_header
from .camera.frames import SPLITS
from .errors import ConfigError, reason_of, shown
from .files import open_plain
from .inputs.classes import Matched
from .inputs.selection import Selection
from .jobs.job import Job
from .measuring.accuracy import Accuracy, Classify, interval
from .terminal import cli
from .terminal import job as job_options
from .terminal.screen import Screen, show_repairs, show_unreadable
from .terminal.words import plain

RENAMED = 2  # classes with another name in the weights that the screen shows; --json has all


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate; exit code 0, 1 when files were unreadable, 2 for bad input."""
    options = command_line().parse_args(argv)
    cli.require_range(options, "limit")
    job_options.require(options)
    weights = cli.load_weights(options)
    frames = weights.preprocessing.frames
    if not frames and options.split_by:
        raise ConfigError("--split-by: expected weights for recordings with it, found weights for pictures")
    task = Classify(*cli.arithmetic(options), options.size, options.time_steps is not None, options.split_by)
    selection = Selection(
        (options.data,), frames, options.split, options.limit, weights.classes, options.classes_by_order
    )
    job, data, counted = Job(task, weights, selection), selection.open(), Accuracy()
    against = None if options.against is None else _read_labels(options.against, data.whole)[np.asarray(data.numbers)]
    agreeing = None if against is None else 0
    start = time.perf_counter()

    def so_far() -> str:
        if not counted.images:
            return ""
        low, high = interval(counted.top1, counted.images)
        return f"top-1 {counted.top1 / counted.images:.2%}, 95 % interval {low:.1%} to {high:.1%}"

    with job_options.running(options, job, data, "evaluating", None, so_far) as run:
        for part in run.parts():
            if against is not None and agreeing is not None:
                n = len(part.arrays["predicted"])
                agreeing += int((against[:n] == part.arrays["predicted"]).sum())
                against = against[n:]
            counted.add(part)
    seconds = time.perf_counter() - start
    assert data.matched is not None
    with cli.showing():
        if options.json:
            matched = {"classes_matched": _matched(data.matched, weights.classes)}
            workers = {} if run.by_worker is None else {"workers": dict(run.by_worker)}
            cli.print_json({**_summary(counted, seconds, agreeing), **workers, **matched})
        else:
            _show(counted, seconds, agreeing, frames, _in_words(data.matched, weights.classes))
    return cli.CHECK_FAILED if counted.unreadable else 0


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
    parser.add_argument("--against", metavar="LABELS.npy", help="count how many labels agree with another program's")
    cli.add_model_options(parser)
    job_options.add_options(parser)
    return parser


def _read_labels(path: str, total: int) -> np.ndarray:
    """The first `total` integers of a .npy file, whose header is looked at before its numbers are read."""
    with open_plain(path, "labels", ConfigError) as file:
        try:
            shape, _, dtype = read_npy_header(file)
        except Exception as error:  # numpy raises OSError, ValueError, EOFError, TokenError, MemoryError, ...
            raise ConfigError(f"labels '{path}': expected a .npy file of integers ({reason_of(error)})") from None
        if len(shape) != 1 or shape[0] < total or dtype.kind not in "iu":
            raise ConfigError(
                f"labels '{path}': expected at least {total} integers along one axis, found {shown(dtype)} of shape "
                f"{shown(shape)}"
            )
        content = file.read(total * dtype.itemsize)
    if len(content) < total * dtype.itemsize:
        raise ConfigError(f"labels '{path}': expected {total} integers, as its header says, found fewer")
    return np.frombuffer(content, dtype)


def _summary(counted: Accuracy, seconds: float, agreeing: int | None) -> dict[str, object]:
    n = counted.images
    summary: dict[str, object] = {
        "images": n,
        "top1": counted.top1 / n if n else None,
        "top5": counted.top5 / n if n else None,
        "top1_right": counted.top1,
        "top1_interval": interval(counted.top1, n) if n else None,
        "top5_right": counted.top5,
        "seconds": seconds,
        "repairs": dict(counted.repairs),
        "unreadable": [{"name": name, "reason": reason} for name, reason in counted.unreadable],
    }
    return summary if agreeing is None else {**summary, "agreeing": agreeing}


def _matched(matched: Matched, classes: Sequence[str]) -> dict[str, object]:
    of = zip(matched.names, matched.labels, strict=True)
    return {"by": matched.by, "names": {name: {"label": label, "class": classes[label]} for name, label in of}}


def _in_words(matched: Matched, classes: Sequence[str]) -> str:
    """How the classes became labels, with the first of those that have another name in the weights."""
    named = [(name, classes[label]) for name, label in zip(matched.names, matched.labels, strict=True)]
    others = [f"{name} = {known}" for name, known in named if name != known]
    shown = ", ".join([*others[:RENAMED], *["..."] * (len(others) > RENAMED)])
    return f"by {matched.by}: {len(set(matched.labels))} of {len(classes)}{'; ' * bool(shown)}{shown}"


def _show(counted: Accuracy, seconds: float, agreeing: int | None, recordings: bool, classes: str) -> None:
    screen, n = Screen(), counted.images
    if n:
        low, high = interval(counted.top1, n)
        screen.print(
            f"top-1     {counted.top1 / n:8.2%}   {counted.top1:,} of {n:,}; 95 % interval {low:.1%} to {high:.1%}"
        )
        screen.print(f"top-5     {counted.top5 / n:8.2%}   {counted.top5:,} of {n:,}")
        if agreeing is not None:
            screen.print(f"agreeing  {agreeing / n:8.2%}   {agreeing:,} of {n:,} labels")
    screen.print(f"classes   {plain(classes)}")
    screen.print(f"time      {seconds:7.1f} s   {n / seconds:.0f} {'recordings' if recordings else 'images'}/s")
    show_repairs(screen, counted.repairs)
    show_unreadable(screen, counted.unreadable)


if __name__ == "__main__":
    sys.exit(main())
