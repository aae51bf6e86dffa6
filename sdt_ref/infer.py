"""Command line: a picture to a class, with the spikes and additions that it took."""

import dataclasses
import sys
import time
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from . import cli
from .errors import ConfigError
from .image import open_picture, preprocess
from .model import SpikeDrivenTransformer
from .result import OperationCount, Result
from .wiring import in_words

BAR = 32  # characters of a full bar


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Classify one picture; exit code 0, or 2 for bad input."""
    options = _parser().parse_args(argv)
    if options.top < 1:
        raise ConfigError(f"--top: expected 1 or more, found {options.top}")
    model = cli.load_model(options)
    how = model.preprocessing.at(options.size)
    with as_file(files(__package__) / "data" / "cat.jpg") as sample:
        source = Path(options.image) if options.image is not None else sample
        picture = open_picture(source)
    x = preprocess(picture, how)[None]
    screen = cli.Screen(stderr=True)
    waiting = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        cli.kernels_loading(screen),
        Progress(*waiting, console=screen, transient=True, disable=not screen.is_terminal) as progress,
    ):
        progress.add_task("computing", total=None)
        model.warm_up()
        start = time.perf_counter()
        result = model(x)
        seconds = time.perf_counter() - start
    ranking = model.rank(result.logits[0])[: options.top]
    if options.json:
        cli.print_json(_summary(model, source, how.size, ranking, result, seconds))
    else:
        console = cli.Screen()
        name = source.name if options.image is not None else f"{source.name}, the sample photo"
        console.print(f"[bold]{cli.plain(name)}[/]  {picture.width}x{picture.height}, seen at {how.size}x{how.size}")
        _show_classes(console, model)
        _show_ranking(console, ranking)
        _show_stages(console, result)
        steps = len(result.logits_per_step)
        console.print(f"{seconds:.3f} s on {model.threads} threads, {model.arithmetic.name}, {steps} time steps")
    return 0


def _parser() -> cli.Parser:
    parser = cli.parser("infer", "python -m sdt_ref.infer photo.jpg --top 3")
    parser.add_argument("image", nargs="?", help="any picture that Pillow opens (default: a photo of a cat that ships)")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="classes to print (default: 5)")
    cli.add_model_options(parser)
    return parser


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
    size, classes = model.preprocessing.size, model.classes
    known = ", ".join(classes) if len(classes) <= 12 else ", ".join(classes[:6]) + ", ..."
    console.print(
        f"[dim]The weights know {len(classes)} classes at {size}x{size}, nothing else: {cli.plain(known)}[/]\n"
    )


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
    source: Path,
    size: int,
    ranking: list[tuple[str, float]],
    result: Result,
    seconds: float,
) -> dict[str, object]:
    def layer(count: OperationCount) -> dict[str, object]:
        per_step = {kind: np.asarray(getattr(count, kind)).tolist() for kind in ("ac", "mac", "events")}
        return {"firing_rate": count.firing_rate, **per_step}

    return {
        "image": str(source),
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
