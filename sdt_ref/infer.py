"""Command line: a picture or a recording to a class, with the spikes and additions that it took."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .camera.frames import SPLITS, prepare
from .camera.opening import open_recording
from .camera.recording import EventFile, Survey, survey
from .camera.trials import list_trials, only, table_beside
from .errors import ConfigError
from .inputs.image import open_picture, preprocess
from .inputs.reading import given_or_sample
from .network.model import SpikeDrivenTransformer
from .result import OperationCount, Result
from .terminal import cli
from .weights.config import MOST_STEPS, Preprocessing
from .weights.wiring import in_words

BAR = 32  # characters of a full bar
OF_RECORDINGS = ("steps", "split", "trial", "figure")  # options that a picture has no use for


@dataclass(frozen=True)
class Seen:
    """What the network is shown, and what can be told of it.

    Attributes
    ----------
    x : [1, 3, size, size] of a picture; [1, T, 2, size, size] of a recording
    lines : for the screen, with markup
    facts : for --json
    recording, told : of a recording
    """

    x: np.ndarray
    lines: tuple[str, ...]
    facts: dict[str, object]
    recording: EventFile | None = None
    told: Survey | None = None


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Classify one picture or recording; exit code 0, or 2 for bad input."""
    options = _parser().parse_args(argv)
    for name in ("top", "trial"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise ConfigError(f"--{name}: expected 1 or more, found {getattr(options, name)}")
    if options.steps is not None and not 1 <= options.steps <= MOST_STEPS:
        raise ConfigError(f"--steps: expected 1 to {MOST_STEPS}, found {options.steps}")
    if options.figure is not None:
        from .drawing import canvas

        canvas.require(options.figure, options.input, options.weights, options.formats)
    model = cli.load_model(options, options.input)
    how = model.preprocessing.at(options.size)
    screen = cli.Screen(stderr=True)
    waiting = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        given_or_sample(options.input, how) as (source, name),
        cli.kernels_loading(screen),
        Progress(*waiting, console=screen, transient=True, disable=not screen.is_terminal) as progress,
    ):
        progress.add_task("computing", total=None)
        seen = (_recording if how.frames else _picture)(source, cli.plain(name), how, model, options)
        model.warm_up()
        start = time.perf_counter()
        result = model(seen.x, record=options.figure is not None)
        seconds = time.perf_counter() - start
        if options.figure is not None:
            from .drawing.recording import draw

            assert seen.recording is not None
            assert seen.told is not None
            draw(options.figure, seen.recording, seen.told, seen.x[0], result)
    ranking = model.rank(result.logits[0])[: options.top]
    if options.json:
        cli.print_json(_summary(model, seen, how.size, ranking, result, seconds))
    else:
        console = cli.Screen()
        for line in seen.lines:
            console.print(line)
        if seen.recording is not None:
            cli.show_repairs(console, seen.recording.repairs)
        _show_classes(console, model)
        _show_ranking(console, ranking)
        _show_stages(console, result)
        steps = len(result.logits_per_step)
        console.print(f"{seconds:.3f} s on {model.threads} threads, {model.arithmetic.name}, {steps} time steps")
    return 0


def _parser() -> cli.Parser:
    parser = cli.parser("infer", "python -m sdt_ref.infer photo.jpg --top 3")
    parser.add_argument(
        "input",
        nargs="?",
        metavar="PICTURE|RECORDING",
        help="any picture that Pillow opens, or an event camera's recording: AEDAT 2.0, 3.1 or 4, N-MNIST, npz "
        "(default: a photo of a cat that ships, or a digit, if the weights read recordings)",
    )
    parser.add_argument("--top", type=int, default=5, metavar="K", help="classes to print (default: 5)")
    parser.add_argument("--steps", type=int, metavar="T", help="frames to make of a recording (default: the weights')")
    parser.add_argument(
        "--split", choices=SPLITS, help="cut a recording by number of events (default) or by time into frames"
    )
    parser.add_argument(
        "--trial", type=int, metavar="N", help="row of the table *_labels.csv beside a recording, from 1"
    )
    parser.add_argument("--figure", metavar="F.png", help="draw a recording, its frames and the spikes of each stage")
    cli.add_model_options(parser)
    return parser


def _picture(
    source: Path, name: str, how: Preprocessing, model: SpikeDrivenTransformer, options: argparse.Namespace
) -> Seen:
    for option in OF_RECORDINGS:
        if getattr(options, option) is not None:
            raise ConfigError(f"--{option}: expected weights for recordings with it, found weights for pictures")
    picture = open_picture(source)
    x = preprocess(picture, how)[None]
    line = f"[bold]{name}[/]  {picture.width}x{picture.height}, seen at {how.size}x{how.size}"
    return Seen(x, (line,), {"image": str(source)})


def _recording(
    source: Path, name: str, how: Preprocessing, model: SpikeDrivenTransformer, options: argparse.Namespace
) -> Seen:
    recording = open_recording(source)
    if options.trial is not None:
        trials = list_trials(table_beside(source))
        if options.trial > len(trials):
            raise ConfigError(f"--trial: expected 1 to {len(trials)}, found {options.trial}")
        recording = only(recording, trials[options.trial - 1])
        name += f", trial {options.trial} of {len(trials)}"
    told, split = survey(recording), options.split or "number"
    steps = options.steps or model.config.time_steps
    x = prepare(recording, how, steps, split, told)[None]
    side = how.sensor or how.size
    width, height = recording.sensor or (side, side)
    lines = [
        f"[bold]{name}[/]  {recording.format}, {width}x{height} pixels, {cli.many(told.events, 'event')} in "
        f"{told.duration / 1000:,.1f} ms, {told.on / told.events:.0%} ON",
        f"{cli.many(steps, 'frame')} by {split}, "
        + _per_frame(told, steps, split)
        + f", seen at {how.size}x{how.size}",
    ]
    if told.backwards:
        kept = "taken in the order of the file" if split == "number" else "each taken at its own time"
        lines.append(f"[yellow]noticed[/] events earlier than the one before them, {kept}: {told.backwards:,}")
    facts = {
        "recording": str(source),
        "trial": options.trial,
        "format": recording.format,
        "sensor": [width, height],
        "sensor_told_by": "the recording" if recording.sensor else "the weights",
        "events": told.events,
        "events_on": told.on,
        "duration_us": told.duration,
        "backwards": told.backwards,
        "repairs": dict(recording.repairs),
        "split": split,
    }
    return Seen(x, tuple(lines), facts, recording, told)


def _per_frame(told: Survey, steps: int, split: str) -> str:
    if split == "number" and told.events < steps:
        return "all events in the last"
    if split == "number":
        return f"{cli.many(told.events // steps, 'event')} each"
    return f"{told.duration // steps / 1000:,.1f} ms each"


def stages(result: Result) -> dict[str, OperationCount]:
    """Operations of each weight layer under a reader's name: 'block 0: q, k, v' adds up three layers."""
    named: dict[str, OperationCount] = {}
    for layer, count in result.counts.items():
        name = in_words(layer)
        if name in named:  # q, k and v read the same spikes
            have = named[name]
            named[name] = dataclasses.replace(have, ac=have.ac + count.ac, mac=have.mac + count.mac)
        else:
            named[name] = count
    return named


def _show_classes(console: Console, model: SpikeDrivenTransformer) -> None:
    how, classes = model.preprocessing, model.classes
    known = ", ".join(classes) if len(classes) <= 12 else ", ".join(classes[:6]) + ", ..."
    what = f"frames of {how.size}x{how.size}" if how.frames else f"{how.size}x{how.size}"
    console.print(f"[dim]The weights know {len(classes)} classes at {what}, nothing else: {cli.plain(known)}[/]\n")


def _show_ranking(console: Console, ranking: list[tuple[str, float]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    for _ in range(2):
        table.add_column(no_wrap=True, min_width=6)
    full = "#" if console.options.ascii_only else "█"
    for label, score in ranking:
        table.add_row(cli.plain(label), f"{score:6.1%}", f"[cyan]{full * round(score * BAR)}[/]")
    console.print(table)
    console.print()


def _show_stages(console: Console, result: Result) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage", no_wrap=True)
    for heading in ("firing rate", "additions", "multiplications"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, count in stages(result).items():
        rate, ac, mac = count.firing_rate, int(count.ac.sum()), int(count.mac.sum())
        table.add_row(
            name,
            "analog" if rate is None else f"{rate:.3f}",
            f"{ac:,}" if rate is not None else "",
            f"{mac:,}" if mac else "0",
        )
    totals = [sum(int(getattr(count, kind).sum()) for count in result.counts.values()) for kind in ("ac", "mac")]
    table.add_row("[bold]all weight layers[/]", "", *(f"[bold]{total:,}[/]" for total in totals))
    console.print(table)
    console.print(
        "[dim]firing rate: spikes per neuron and time step that the stage reads; operations: all time steps[/]\n"
    )


def _summary(
    model: SpikeDrivenTransformer,
    seen: Seen,
    size: int,
    ranking: list[tuple[str, float]],
    result: Result,
    seconds: float,
) -> dict[str, object]:
    def layer(count: OperationCount) -> dict[str, object]:
        per_step = {kind: np.asarray(getattr(count, kind)).tolist() for kind in ("ac", "mac", "events")}
        return {"firing_rate": count.firing_rate, **per_step}

    return {
        **seen.facts,
        "size": size,
        "arithmetic": model.arithmetic.name,
        "time_steps": len(result.logits_per_step),
        "threads": model.threads,
        "seconds": seconds,
        "classes_known": len(model.classes),
        "predictions": [{"label": label, "score": score} for label, score in ranking],
        "logits": [float(v) for v in result.logits[0]],
        "layers": {name: layer(count) for name, count in result.counts.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
