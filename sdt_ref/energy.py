"""Command line: where the operations and the energy go, stage by stage; counted, and by the paper's formula."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from .cost import screen
from .cost.official import OfficialStatistic
from .cost.published import energies, ratios, without_spikes
from .cost.summary import take_stock, to_csv, to_json
from .cost.technology import DEFAULTS, TECHNOLOGIES, technology
from .errors import ConfigError
from .files import require_writable, written_whole
from .inputs.datasets import Samples
from .inputs.reading import SAMPLES, UNREADABLE, given_or_sample, read
from .network.model import SpikeDrivenTransformer
from .terminal import cli

LISTED = 20  # unreadable pictures named on the screen; --json names all


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Take stock; exit code 0, 1 when pictures were unreadable, 2 for bad input."""
    options = _parser().parse_args(argv)
    for name in ("limit", "batch"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise ConfigError(f"--{name}: expected 1 or more, found {getattr(options, name)}")
    outputs = [path for path in (options.csv, options.plot) if path is not None]
    if len(set(map(os.path.realpath, outputs))) < len(outputs):
        raise ConfigError(f"--csv and --plot: expected two files, found '{outputs[0]}' twice")
    if options.published and outputs:
        raise ConfigError("--published: expected neither --csv nor --plot with it; it prints tables alone")
    if options.published:
        if options.json:
            cli.print_json({"energies": energies(), "without_spikes": without_spikes(), "ratios": ratios()})
        else:
            screen.show_published(cli.Screen())
        return 0
    model = cli.load_model(options, *options.pictures[:1])
    how = technology(options.technology or DEFAULTS[model.arithmetic.name]).with_values(_own_values(options.pj))
    unreadable: list[tuple[str, str]] = []
    repairs: Counter[str] = Counter()
    with given_or_sample(None, model.preprocessing) as (sample, _):
        data, frames = options.pictures or [str(sample)], model.preprocessing.frames
        pictures = Samples(data, model.classes, options.split, options.limit, frames)
        _require_outputs(options, pictures)
        inputs = _readable(pictures, model, options.size, unreadable, repairs)
        if options.official_statistic:
            try:
                statistic = _official(model, inputs, options.batch)
                with cli.showing():
                    _show_official(statistic, options.json)
            finally:
                cli.show_repairs(cli.Screen(stderr=True), repairs)
                _show_unreadable(unreadable)
            return cli.CHECK_FAILED if unreadable else 0
        report = take_stock(model, inputs, model.preprocessing.at(options.size).size, how)
    if report is not None and options.csv is not None:
        with written_whole(options.csv, ConfigError) as part:
            part.write_text(to_csv(report), encoding="utf-8")
    if report is not None and options.plot is not None:
        from .drawing.energy import draw

        draw(options.plot, report)
    with cli.showing():
        if options.json:
            listed = [{"name": name, "reason": reason} for name, reason in unreadable]
            beside = {"repairs": dict(repairs), "unreadable": listed}
            cli.print_json({**({} if report is None else to_json(report, options.memory)), **beside})
        elif report is not None:
            console, size = cli.Screen(), report.size
            title = _title(options.pictures, report.average.pictures, model.preprocessing.frames)
            console.print(f"[bold]{title}[/], seen at {size}x{size}")
            screen.show(console, report, options.memory)
    if not options.json:
        cli.show_repairs(cli.Screen(stderr=True), repairs)
        _show_unreadable(unreadable)
    return cli.CHECK_FAILED if unreadable else 0


def _parser() -> cli.Parser:
    parser = cli.parser("energy", "python -m sdt_ref.energy photo.jpg --plot energy.png")
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="IMAGE|FOLDER|PACK.h5",
        help="pictures, or recordings if the weights read them; folders of them, packs (default: a sample that ships)",
    )
    parser.add_argument("--split", metavar="NAME", help="sub-folder or group to read (default: the validation part)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N pictures, evenly spread")
    parser.add_argument(
        "--technology", metavar="NAME", help=f"{', '.join(TECHNOLOGIES)} (default: 45nm-float32; fixed: 45nm-int32)"
    )
    parser.add_argument(
        "--pj",
        action="append",
        default=[],
        metavar="NAME=PJ",
        help="a value of your own, in pJ: multiply, add, compare, bit, shift or word; may be repeated",
    )
    parser.add_argument("--memory", action="store_true", help="also weights and membranes moved, and their energy")
    parser.add_argument("--csv", metavar="F.csv", help="write all counts: a row for each stage, kind and time step")
    parser.add_argument("--plot", metavar="F.png", help="draw rates and energy (.png, .svg or .pdf)")
    parser.add_argument(
        "--official-statistic", action="store_true", help="print what firing_num.py would, its divisor included"
    )
    parser.add_argument("--published", action="store_true", help="print the paper's figures beside its formula")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="its batch size (default: 64)")
    cli.add_model_options(parser)
    return parser


def _require_outputs(options: argparse.Namespace, pictures: Samples) -> None:
    """Refuse, before anything is counted, what cannot be written or would take the place of something that is read."""
    read = [*pictures.files, *options.pictures, options.weights, options.formats]
    if options.csv is not None:
        require_writable(options.csv, ConfigError, *read)
    if options.plot is not None:
        from .drawing import canvas

        canvas.require(options.plot, *read)


def _own_values(assignments: list[str]) -> dict[str, float]:
    values = {}
    for text in assignments:
        name, _, value = text.partition("=")
        try:
            values[name] = float(value)
        except ValueError:
            raise ConfigError(f"--pj: expected NAME=PJ such as add=0.05, found '{text}'") from None
    return values


def _readable(
    pictures: Samples,
    model: SpikeDrivenTransformer,
    size: int | None,
    unreadable: list[tuple[str, str]],
    repairs: Counter[str],
) -> Iterator[np.ndarray]:
    """Inputs, as `sources.read` makes them, of those that can be read, while a bar shows how far."""
    how = model.preprocessing.at(size)
    screen = cli.Screen(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with (
        cli.kernels_loading(screen),
        Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar,
    ):
        for name, source in bar.track(pictures, total=len(pictures), description="counting"):
            try:
                alone = len(pictures) == 1  # then it is read as infer does
                x = read(source, how, model.config.time_steps, as_official=not alone, repairs=repairs)
            except UNREADABLE as error:
                unreadable.append((name, str(error)))
                continue
            yield x


def _official(model: SpikeDrivenTransformer, inputs: Iterator[np.ndarray], batch: int) -> OfficialStatistic:
    statistic = OfficialStatistic()
    while group := list(islice(inputs, min(batch, sys.maxsize))):
        statistic.add(model(np.stack(group), record=True).spikes)
    return statistic


def _show_official(statistic: OfficialStatistic, as_json: bool) -> None:
    """Print the dictionary of firing_num.py, or a table of it."""
    table, L = statistic.table(), statistic.batches
    if as_json:
        cli.print_json(table)
        return
    rates, console = table["firing_rate"], cli.Screen()
    shown = Table(box=None, pad_edge=False, header_style="dim")
    shown.add_column("hook", no_wrap=True)
    for step in rates:
        shown.add_column(step, justify="right", no_wrap=True)
    for hook in rates["t0"]:
        shown.add_row(hook, *(f"{rates[step][hook]:.6f}" for step in rates))
    console.print(shown)
    console.print(
        f"[dim]as firing_num.py prints it: the sum over {L} batches divided by {L - 1}, so each rate is "
        f"{L / (L - 1):.4f} times the true one[/]"
    )


def _title(named: list[str], number: int, frames: bool) -> str:
    if not named:
        return ", ".join(SAMPLES[frames])
    if len(named) == number == 1:
        return cli.plain(named[0])
    return f"{number:,} {'recordings' if frames else 'pictures'}: {cli.plain(', '.join(named))}"


def _show_unreadable(unreadable: list[tuple[str, str]]) -> None:
    console = cli.Screen(stderr=True)
    for name, reason in unreadable[:LISTED]:
        console.print(f"[red]unreadable[/] {cli.plain(name)}: {cli.plain(reason)}")
    if len(unreadable) > LISTED:
        console.print(f"... and {len(unreadable) - LISTED} more; --json lists all")


if __name__ == "__main__":
    sys.exit(main())
