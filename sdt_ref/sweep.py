"""Command line: accuracy over a grid of fixed-point widths and time steps; the work is in `sweeping/`."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from .errors import ConfigError, shown
from .files import written_whole
from .fixed.formats import Formats
from .inputs.selection import Selection
from .sweeping import table
from .sweeping.grid import Grid, Outcome
from .sweeping.running import swept
from .sweeping.screen import show
from .terminal import cli
from .terminal import job as job_options
from .terminal.screen import Screen
from .weights.config import MOST_STEPS
from .weights.file import Weights

WIDTHS = {"weight": "8", "membrane": "16", "stream": "16"}  # and their defaults
MOST_POINTS = 1000


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Sweep; exit code 0, 1 when files were unreadable, 2 for bad input."""
    options = command_line().parse_args(argv)
    cli.require_range(options, "limit", "calibrate_limit")
    job_options.require(options)
    on = options.calibrate_on or options.data
    _require_outputs(options, options.data, on, options.weights)
    time_steps = _time_steps(options)
    if options.plot is not None:
        from .drawing import sweep as drawing

        if len(time_steps) > drawing.MOST_STEPS:
            raise ConfigError(
                f"--plot: expected at most {drawing.MOST_STEPS} values of T, found {len(time_steps)}; draw fewer"
            )
    widths = {name: _widths(name, getattr(options, f"{name}_bits")) for name in WIDTHS}
    weights = cli.load_weights(options)
    grid = _grid(options, weights, on, time_steps, widths)
    points = len(grid.points())
    if points > MOST_POINTS:
        raise ConfigError(f"expected at most {MOST_POINTS:,} points, found {points:,}; give shorter lists")
    _require_outputs(options, *grid.calibrated.open().files, *grid.evaluated.open().files)
    with swept(options, grid) as outcome:
        _write(options, outcome)
    with cli.showing():
        if options.json:
            cli.print_json(table.to_json(outcome))
        else:
            show(Screen(), outcome)
    return cli.CHECK_FAILED if outcome.unreadable else 0


def command_line() -> cli.Parser:
    """The options."""
    parser = cli.parser("sweep", "python -m sdt_ref.sweep cifar10.h5 --calibrate-split train --weight-bits 4,6,8")
    parser.add_argument(
        "data",
        metavar="FOLDER_or_PACK.h5",
        help="a folder per class, or a packed HDF5 file; recordings, if the weights read them",
    )
    for name, bits in WIDTHS.items():
        parser.add_argument(
            f"--{name}-bits", default=bits, metavar="LIST", help=f"widths, such as 4,6-8 (default: {bits})"
        )
    parser.add_argument(
        "--time-steps",
        metavar="LIST",
        help="numbers of time steps to take, and so the frames to make of a recording (default: as in the weights)",
    )
    parser.add_argument(
        "--split", metavar="NAME", help="part of the data set, a sub-folder or group (default: validation or test)"
    )
    parser.add_argument(
        "--classes-by-order", action="store_true", help="if neither names nor numbers match, as in evaluate"
    )
    parser.add_argument("--limit", type=cli.whole_number, metavar="N", help="classify N, evenly spread")
    parser.add_argument(
        "--calibrate-on", metavar="PICTURE_or_FOLDER_or_PACK.h5", help="what to calibrate on (default: the same data)"
    )
    parser.add_argument("--calibrate-split", metavar="NAME", help="part of it (default: validation or test)")
    parser.add_argument(
        "--calibrate-limit",
        type=cli.whole_number,
        default=64,
        metavar="N",
        help="calibrate on N, evenly spread (default: 64)",
    )
    parser.add_argument("--weights", metavar="W.h5", help="weights file, or the name of weights that ship")
    parser.add_argument(
        "--size", type=cli.whole_number, metavar="N", help="run at N x N pixels instead of the size in the weights"
    )
    parser.add_argument(
        "--threads", type=cli.whole_number, metavar="N", help="cores to use (default: all); changes no result"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="F.csv",
        help=f"write the table ({', '.join(table.FORMS)}); an interrupted command goes on where it was",
    )
    parser.add_argument("--plot", metavar="F.png", help="draw accuracy and flips over weight bits (.png, .svg or .pdf)")
    job_options.add_options(parser)
    return parser


def _grid(
    options: argparse.Namespace,
    weights: Weights,
    on: str,
    time_steps: tuple[int, ...],
    widths: dict[str, tuple[int, ...]],
) -> Grid:
    frames = weights.preprocessing.frames
    return Grid(
        weights,
        Selection((options.data,), frames, options.split, options.limit, weights.classes, options.classes_by_order),
        Selection((on,), frames, options.calibrate_split, options.calibrate_limit),
        time_steps,
        widths["weight"],
        widths["membrane"],
        widths["stream"],
        options.size,
    )


def _time_steps(options: argparse.Namespace) -> tuple[int, ...]:
    """T, each once; the option is then taken from the others, as `load_weights` knows only one T."""
    text, options.time_steps = options.time_steps, None
    found = [] if text is None else cli.numbers("--time-steps", text)
    for T in found:
        if not 1 <= T <= MOST_STEPS:
            raise ConfigError(f"--time-steps: expected 1 to {MOST_STEPS}, found {shown(T)}")
    return tuple(dict.fromkeys(found))


def _widths(name: str, text: str) -> tuple[int, ...]:
    """Widths of a register, each once. Raises FormatError for those that no network can have."""
    found = tuple(dict.fromkeys(cli.numbers(f"--{name}-bits", text)))
    for bits in found:
        Formats({name: {"bits": bits}}, {})
    return found


def _require_outputs(options: argparse.Namespace, *read: str | Path | None) -> None:
    """Refuse, before anything is computed, what cannot be written or would take the place of something that is read."""
    outputs = [path for path in (options.output, options.plot) if path is not None]
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise ConfigError(f"--output and --plot: expected two files, found '{options.plot}' twice")
    if options.output is not None:
        table.require(options.output, *read)
    if options.plot is not None:
        from .drawing import canvas

        canvas.require(options.plot, *read)


def _write(options: argparse.Namespace, outcome: Outcome) -> None:
    """Write the files that were asked for: all of them, or none."""
    with ExitStack() as stack:
        if options.output is not None:
            part = stack.enter_context(written_whole(options.output, ConfigError))
            part.write_bytes(table.to_table(outcome, options.output).encode())
        if options.plot is not None:
            from .drawing.sweep import draw

            draw(options.plot, outcome)


if __name__ == "__main__":
    sys.exit(main())
