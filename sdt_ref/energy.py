"""Command line: where the operations and the energy go, counted and by the paper's formula; the work is in `cost/`."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from .cost import table
from .cost.average import Average
from .cost.chunk import TakeStock
from .cost.official import OfficialStatistic
from .cost.published import energies, ratios, without_spikes
from .cost.screen import show, show_official, show_published
from .cost.summary import Summary, sum_up, to_csv, to_json
from .cost.technology import DEFAULTS, TECHNOLOGIES, technology
from .errors import ConfigError, shown
from .files import require_writable, written_whole
from .inputs.reading import SAMPLES, first_steps, given_or_sample, source_of
from .inputs.selection import Selection
from .jobs.job import Job
from .terminal import cli
from .terminal import job as job_options
from .terminal.screen import Screen, show_repairs, show_unreadable
from .terminal.words import plain
from .weights.wiring import wiring


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Take stock; exit code 0, 1 when pictures were unreadable, 2 for bad input."""
    options = command_line().parse_args(argv)
    cli.require_range(options, "limit", "batch")
    job_options.require(options)
    outputs = {f"--{name}": getattr(options, name) for name in ("csv", "table", "plot")}
    outputs = {option: path for option, path in outputs.items() if path is not None}
    _require_different(outputs)
    if options.published:
        if outputs:
            raise ConfigError("--published: expected neither --csv, --table nor --plot with it; it prints tables alone")
        _print_published(options.json)
        return 0
    _require_outputs(options)
    sources = [source_of(path) for path in options.pictures]
    weights, (arithmetic, formats) = cli.load_weights(options, *sources[:1]), cli.arithmetic(options)
    chosen = technology(options.technology or DEFAULTS[arithmetic]).with_values(_own_values(options.pj))
    statistic = OfficialStatistic(options.batch) if options.official_statistic else None
    average = Average(wiring(weights.architecture, weights.config))
    preprocessing, strict = weights.preprocessing.at(options.size), options.time_steps is not None
    with given_or_sample(None, preprocessing.frames) as (sample, _):
        paths = tuple(sources) or (str(sample),)
        selection = Selection(paths, preprocessing.frames, options.split, options.limit)
        data = selection.open()
        _require_outputs(options, *data.files)
        alone, every = len(data) == 1, data.items(range(len(data)))  # one alone is read as infer does
        steps = first_steps(every, preprocessing, weights.config.time_steps, strict_steps=strict)
        task = TakeStock(chosen, arithmetic, formats, options.size, strict, not alone, steps, statistic is not None)
        job, output = Job(task, weights, selection), next(iter(outputs.values()), None)
        try:
            with job_options.running(options, job, data, "counting", output, option="--csv F.csv") as run:
                for part in run.parts():
                    average.add(part)
                    if statistic is not None:
                        statistic.add(part)
                report = sum_up(average, weights, arithmetic, preprocessing.size, chosen, statistic)
                if report is not None:
                    _write(options, report)
            if statistic is not None:
                _print_statistic(statistic, options.json)
        finally:
            if statistic is not None:
                _show_trouble(average)
    if statistic is not None:
        return cli.CHECK_FAILED if average.unreadable else 0
    if options.json:
        listed = [{"name": name, "reason": reason} for name, reason in average.unreadable]
        beside = {"repairs": dict(average.repairs), "unreadable": listed}
        with cli.showing():
            cli.print_json({**({} if report is None else to_json(report, options.memory)), **beside})
    else:
        if report is not None:
            title = _title([str(source) for source in sources], average.pictures, preprocessing.frames)
            _print_report(report, title, options.memory)
        _show_trouble(average)
    return cli.CHECK_FAILED if average.unreadable else 0


def command_line() -> cli.Parser:
    """The options."""
    parser = cli.parser("energy", "python -m sdt_ref.energy photo.jpg --plot energy.png")
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="IMAGE|FOLDER|PACK.h5",
        help="pictures, or recordings if the weights read them; folders of them, packs; '-' reads the standard input "
        "(default: a sample that ships)",
    )
    parser.add_argument(
        "--split", metavar="NAME", help="part of the data set, a sub-folder or group (default: validation or test)"
    )
    parser.add_argument("--limit", type=cli.whole_number, metavar="N", help="count N of them, evenly spread")
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
    parser.add_argument(
        "--table", metavar="F.csv", help="write rates, operations and energy by layer, for a paper (.csv, .tex or .md)"
    )
    parser.add_argument("--plot", metavar="F.png", help="draw rates and energy (.png, .svg or .pdf)")
    parser.add_argument(
        "--official-statistic", action="store_true", help="print what firing_num.py would, its divisor included"
    )
    parser.add_argument("--published", action="store_true", help="print the paper's figures beside its formula")
    parser.add_argument("--batch", type=cli.whole_number, default=64, metavar="N", help="its batch size (default: 64)")
    cli.add_model_options(parser)
    job_options.add_options(parser)
    return parser


def _require_different(outputs: Mapping[str, str]) -> None:
    """Refuse two options, of those given, that would write one file."""
    first: dict[str, str] = {}
    for option, path in outputs.items():
        other = first.setdefault(os.path.realpath(path), option)
        if other != option:
            raise ConfigError(f"{other} and {option}: expected two files, found '{path}' twice")


def _require_outputs(options: argparse.Namespace, *pictures: Path) -> None:
    """Refuse, before anything is counted, what cannot be written or would take the place of something that is read."""
    read = [*pictures, *options.pictures, options.weights, options.formats]
    if options.csv is not None:
        require_writable(options.csv, ConfigError, *read)
    if options.table is not None:
        table.require(options.table, *read)
    if options.plot is not None:
        from .drawing import canvas

        canvas.require(options.plot, *read)


def _write(options: argparse.Namespace, report: Summary) -> None:
    """Write the files that were asked for: all of them, or none."""
    with ExitStack() as stack:
        for path, to_text in ((options.csv, to_csv), (options.table, partial(table.to_table, path=options.table))):
            if path is not None:
                stack.enter_context(written_whole(path, ConfigError)).write_bytes(to_text(report).encode())
        if options.plot is not None:
            from .drawing.energy import draw

            draw(options.plot, report)


def _print_published(as_json: bool) -> None:
    if as_json:
        cli.print_json({"energies": energies(), "without_spikes": without_spikes(), "ratios": ratios()})
    else:
        show_published(Screen())


def _print_statistic(statistic: OfficialStatistic, as_json: bool) -> None:
    with cli.showing():
        if as_json:
            cli.print_json(statistic.table())
        else:
            show_official(Screen(), statistic)


def _print_report(report: Summary, title: str, memory: bool) -> None:
    with cli.showing():
        screen = Screen()
        screen.print(f"[bold]{title}[/], seen at {report.size}x{report.size}")
        show(screen, report, memory)


def _own_values(assignments: list[str]) -> dict[str, float]:
    values = {}
    for text in assignments:
        name, _, value = text.partition("=")
        try:
            values[name] = float(value)
        except ValueError:
            raise ConfigError(f"--pj: expected NAME=PJ such as add=0.05, found {shown(text)}") from None
    return values


def _title(named: list[str], number: int, frames: bool) -> str:
    if not named:
        return ", ".join(SAMPLES[frames])
    if len(named) == number == 1:
        return plain(named[0])
    return f"{number:,} {'recordings' if frames else 'pictures'}: {plain(', '.join(named))}"


def _show_trouble(average: Average) -> None:
    screen = Screen(stderr=True)
    show_repairs(screen, average.repairs)
    show_unreadable(screen, average.unreadable)


if __name__ == "__main__":
    sys.exit(main())
