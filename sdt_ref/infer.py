"""Command line: a picture or a recording to a class; the work is in `network/`."""

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .camera.frames import SPLITS, prepare, prepare_stored
from .camera.opening import open_recorded
from .camera.recording import EventFile, FrameFile, Survey, survey
from .camera.trials import Trial, list_trials, only, table_beside
from .errors import ConfigError, shown
from .inputs.image import open_picture, preprocess
from .inputs.reading import given_or_sample, source_of
from .inputs.standard_input import StandardInput
from .network.model import SpikeDrivenTransformer
from .result import OperationCount, Result
from .terminal import cli
from .terminal.answer import is_near_tie, margin, show_classes, show_ranking, show_stages, show_tie
from .terminal.progress import kernels_loading, working
from .terminal.screen import Screen, show_overflows, show_repairs
from .terminal.words import many, plain
from .weights.config import Preprocessing

OF_RECORDINGS = ("split_by", "trial", "figure")  # options that a picture has no use for


@dataclass(frozen=True)
class Shown:
    """What the network is shown, and what can be said of it.

    Attributes
    ----------
    x : [1, C, size, size] of a picture; [1, T, 2, size, size] of a recording
    lines : for the screen, with markup
    facts : for --json
    repairs : what was mended, or assumed, and how often
    recording, surveyed : of a recording
    """

    x: np.ndarray
    lines: tuple[str, ...]
    facts: dict[str, object]
    repairs: Mapping[str, int]
    recording: EventFile | None = None
    surveyed: Survey | None = None


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Classify one picture or recording; exit code 0, or 2 for bad input."""
    options = command_line().parse_args(argv)
    cli.require_range(options, "top", "trial")
    if options.figure is not None:
        from .drawing import canvas

        canvas.require(options.figure, options.input, options.weights, options.formats)
    source = source_of(options.input)
    model = cli.load_model(options, source)
    preprocessing = model.preprocessing.at(options.size)
    screen = Screen(stderr=True)
    with (
        given_or_sample(source, preprocessing.frames) as (shown_from, name),
        kernels_loading(screen, model.arithmetic.name),
        working(screen, "computing"),
    ):
        shown = (_recording if preprocessing.frames else _picture)(
            shown_from, plain(name), preprocessing, model, options
        )
        model.warm_up()
        start = time.perf_counter()
        result = model(shown.x, record=options.figure is not None)
        seconds = time.perf_counter() - start
        if options.figure is not None:
            from .drawing.recording import draw

            assert shown.recording is not None
            assert shown.surveyed is not None
            draw(options.figure, shown.recording, shown.surveyed, shown.x[0], result)
    ranking = model.rank(result.logits[0])[: options.top]
    if options.json:
        cli.print_json(_summary(model, shown, preprocessing.size, ranking, result, seconds))
    else:
        _show(model, shown, ranking, result, seconds)
    return 0


def command_line() -> cli.Parser:
    """The options."""
    gone = {"--steps": "'--steps' is now '--time-steps'", "--split": "'--split' is now '--split-by'"}
    parser = cli.parser("infer", "python -m sdt_ref.infer photo.jpg --top 3", gone)
    parser.add_argument(
        "input",
        nargs="?",
        metavar="PICTURE|RECORDING",
        help="any picture that Pillow opens, or an event camera's recording: AEDAT, N-MNIST, npz, npy, text, "
        "Prophesee's RAW and DAT, HDF5; '-' reads the standard input (default: a photo of a cat that ships, or a "
        "digit, if the weights read recordings)",
    )
    parser.add_argument("--top", type=cli.whole_number, default=5, metavar="K", help="classes to print (default: 5)")
    parser.add_argument(
        "--split-by", choices=SPLITS, help="cut a recording into frames by number of events (default) or by time"
    )
    parser.add_argument(
        "--trial", type=cli.whole_number, metavar="N", help="row of the table *_labels.csv beside a recording, from 1"
    )
    parser.add_argument("--figure", metavar="F.png", help="draw a recording, its frames and the spikes of each stage")
    cli.add_model_options(parser)
    return parser


def _picture(
    source: Path | StandardInput,
    name: str,
    preprocessing: Preprocessing,
    model: SpikeDrivenTransformer,
    options: argparse.Namespace,
) -> Shown:
    for option in OF_RECORDINGS:
        if getattr(options, option) is not None:
            name_in_full = f"--{option.replace('_', '-')}"
            raise ConfigError(f"{name_in_full}: expected weights for recordings with it, found weights for pictures")
    repairs: Counter[str] = Counter()
    picture = open_picture(source, channels=preprocessing.channels, told=repairs)
    x = preprocess(picture, preprocessing)[None]
    line = f"[bold]{name}[/]  {picture.width}x{picture.height}, seen at {preprocessing.size}x{preprocessing.size}"
    return Shown(x, (line,), {"image": str(source), "repairs": dict(repairs)}, repairs)


def _recording(
    source: Path | StandardInput,
    name: str,
    preprocessing: Preprocessing,
    model: SpikeDrivenTransformer,
    options: argparse.Namespace,
) -> Shown:
    recording = open_recorded(source)
    if isinstance(recording, FrameFile):
        return _frames(recording, source, name, preprocessing, options)
    if options.trial is not None:
        trials = _trials(source, options.trial)
        recording = only(recording, trials[options.trial - 1])
        name += f", trial {options.trial} of {len(trials)}"
    surveyed, split = survey(recording), options.split_by or "number"
    steps = model.config.time_steps
    x = prepare(recording, preprocessing, steps, split, surveyed)[None]
    side = preprocessing.sensor or preprocessing.size
    width, height = recording.sensor or (side, side)
    lines = [
        f"[bold]{name}[/]  {recording.format}, {width}x{height} pixels, {many(surveyed.events, 'event')} in "
        f"{surveyed.duration / 1000:,.1f} ms, {surveyed.on / surveyed.events:.0%} ON",
        f"{many(steps, 'frame')} by {split}, {_per_frame(surveyed, steps, split)}, seen at "
        f"{preprocessing.size}x{preprocessing.size}",
    ]
    if surveyed.backwards:
        kept = "taken in the order of the file" if split == "number" else "each taken at its own time"
        lines.append(f"[yellow]noticed[/] events earlier than the one before them, {kept}: {surveyed.backwards:,}")
    facts = {
        "recording": str(source),
        "trial": options.trial,
        "format": recording.format,
        "sensor": [width, height],
        "sensor_told_by": "the recording" if recording.sensor else "the weights",
        "events": surveyed.events,
        "events_on": surveyed.on,
        "duration_us": surveyed.duration,
        "backwards": surveyed.backwards,
        "repairs": dict(recording.repairs),
        "split": split,
    }
    return Shown(x, tuple(lines), facts, recording.repairs, recording, surveyed)


def _trials(source: Path | StandardInput, wanted: int) -> list[Trial]:
    """The trials of the table beside a recording, of which the wanted one, from 1, is there."""
    if isinstance(source, StandardInput):
        raise ConfigError(f"--trial: expected the path of a recording, which has a table beside it, found the {source}")
    trials = list_trials(table_beside(source))
    if wanted > len(trials):
        raise ConfigError(f"--trial: expected 1 to {len(trials)}, found {shown(wanted)}")
    return trials


def _frames(
    stored: FrameFile,
    source: Path | StandardInput,
    name: str,
    preprocessing: Preprocessing,
    options: argparse.Namespace,
) -> Shown:
    """What can be said of frames that were counted before: all but times."""
    for option in ("trial", "figure"):
        if getattr(options, option) is not None:
            raise ConfigError(
                f"--{option}: expected a recording of events with it, found frames that were counted before"
            )
    x = prepare_stored(stored, preprocessing, options.time_steps, options.split_by)[None]
    off, on = (int(n) if n == int(n) else n for n in stored.read().sum(axis=(0, 2, 3)).tolist())
    width, height = stored.sensor
    lines = (
        f"[bold]{name}[/]  {stored.format}, {width}x{height} pixels, {off + on:,.15g} events, {on / (off + on):.0%} ON",
        f"{many(stored.shape[0], 'frame')} as counted before, seen at {preprocessing.size}x{preprocessing.size}",
    )
    facts: dict[str, object] = {
        "recording": str(source),
        "trial": None,
        "format": stored.format,
        "sensor": [width, height],
        "sensor_told_by": "the recording",
        "events": off + on,
        "events_on": on,
        "duration_us": None,
        "backwards": None,
        "repairs": {},
        "split": None,
    }
    return Shown(x, lines, facts, {})


def _per_frame(surveyed: Survey, steps: int, split: str) -> str:
    if split == "number" and surveyed.events < steps:
        return "all events in the last"
    if split == "number":
        return f"{many(surveyed.events // steps, 'event')} each"
    return f"{surveyed.duration // steps / 1000:,.1f} ms each"


def _show(
    model: SpikeDrivenTransformer, shown: Shown, ranking: list[tuple[str, float]], result: Result, seconds: float
) -> None:
    screen = Screen()
    for line in shown.lines:
        screen.print(line)
    show_repairs(screen, shown.repairs)
    show_classes(screen, model)
    show_ranking(screen, ranking)
    show_tie(screen, model, result.logits[0])
    show_stages(screen, model, result)
    show_overflows(screen, result.overflows)
    steps = len(result.logits_per_step)
    screen.print(
        f"{seconds:.3f} s on {many(model.threads, 'thread')}, {model.arithmetic.name}, {many(steps, 'time step')}"
    )


def _summary(
    model: SpikeDrivenTransformer,
    shown: Shown,
    size: int,
    ranking: list[tuple[str, float]],
    result: Result,
    seconds: float,
) -> dict[str, object]:
    def layer(count: OperationCount) -> dict[str, object]:
        per_step = {kind: np.asarray(getattr(count, kind)).tolist() for kind in ("ac", "mac", "events")}
        rate = None if math.isnan(count.firing_rate) else count.firing_rate  # JSON has no NaN
        return {"firing_rate": rate, **per_step}

    return {
        **shown.facts,
        "size": size,
        "arithmetic": model.arithmetic.name,
        "time_steps": len(result.logits_per_step),
        "threads": model.threads,
        "seconds": seconds,
        "classes_known": len(model.classes),
        "predictions": [{"label": label, "score": score} for label, score in ranking],
        "margin": margin(result.logits[0]),
        "near_tie": is_near_tie(model, result.logits[0]),
        "logits": [float(v) for v in result.logits[0]],
        "overflows": {register: beyond.tolist() for register, beyond in result.overflows.items() if beyond.any()},
        "layers": {name: layer(count) for name, count in result.counts.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
