"""Command line: a formats file for fixed point, from samples; the work is in `measuring/calibration.py`."""

import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from .errors import FormatError
from .files import require_writable
from .fixed import formats
from .inputs.reading import first_steps, source_of
from .inputs.selection import Selection
from .jobs.job import Job
from .measuring.calibration import See, Seen, Widths, choose
from .terminal import cli
from .terminal import job as job_options
from .terminal.screen import Screen, show_repairs
from .terminal.words import many, plain


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate; exit code 0, or 2 for bad input."""
    options = command_line().parse_args(argv)
    cli.require_range(options, "limit")
    job_options.require(options)
    require_writable(options.output, FormatError, *options.data, options.weights)
    network = cli.load_weights(options)
    preprocessing = network.preprocessing.at(options.size)
    widths = Widths(options.weight_bits, options.input_bits, options.membrane_bits, options.stream_bits)
    formats.Formats({name: {"bits": bits} for name, bits in vars(widths).items()}, {})  # refuses widths out of range
    paths = tuple(source_of(path) for path in options.data)
    selection = Selection(paths, preprocessing.frames, options.split, options.limit)
    data, strict = selection.open(), options.time_steps is not None
    require_writable(options.output, FormatError, *data.files)
    every = data.items(range(len(data)))
    steps = first_steps(every, preprocessing, network.config.time_steps, strict_steps=strict)
    job = Job(See(options.size, strict, steps), network, selection)
    seen, repairs = Seen(), Counter[str]()
    with job_options.running(options, job, data, "calibrating", options.output) as run:
        for part in run.parts():
            seen.add(part)
            repairs.update(part.notes["repairs"])
        chosen = choose(network, seen, widths)
        formats.save(options.output, chosen)
    if options.json:
        about = {"formats": options.output, "pictures": len(data), "repairs": dict(repairs)}
        cli.print_json({**about, **dataclasses.asdict(chosen)})
    else:
        show_repairs(Screen(stderr=True), repairs)
        console = Screen()
        what = many(len(data), "recording" if preprocessing.frames else "picture")
        console.print(f"{plain(options.output)}: formats from {what}\n")
        for line in chosen.to_toml().splitlines():
            console.print(Text(line))  # as in the file: TOML must not be broken in the middle of a line
    return 0


def command_line() -> cli.Parser:
    """The options."""
    parser = cli.parser("calibrate", "python -m sdt_ref.calibrate cifar10.h5 --split train -o formats.toml")
    parser.add_argument("data", nargs="+", metavar="PICTURES_or_FOLDER_or_PACK.h5", help="what to calibrate on")
    parser.add_argument("-o", "--output", required=True, metavar="F.toml", help="formats file to write")
    parser.add_argument("--weights", metavar="W.h5", help="weights file, or the name of weights that ship")
    parser.add_argument(
        "--size", type=cli.whole_number, metavar="N", help="run at N x N pixels instead of the size in the weights"
    )
    parser.add_argument(
        "--split", metavar="NAME", help="part of the data set, a sub-folder or group (default: validation or test)"
    )
    parser.add_argument(
        "--limit", type=cli.whole_number, default=64, metavar="N", help="read N, evenly spread (default: 64)"
    )
    cli.add_time_steps(parser)
    for name, bits in vars(Widths()).items():
        parser.add_argument(
            f"--{name}-bits", type=cli.whole_number, default=bits, metavar="N", help=f"width (default: {bits})"
        )
    parser.add_argument(
        "--threads", type=cli.whole_number, metavar="N", help="cores to use (default: all); changes no result"
    )
    job_options.add_options(parser, chunk=8)  # of which a part may have a hundred megabytes
    return parser


if __name__ == "__main__":
    sys.exit(main())
