"""Command line: a formats file for fixed point, from sample pictures."""

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .errors import ConfigError, FormatError
from .files import require_writable
from .fixed import formats
from .inputs.datasets import Samples
from .inputs.reading import read
from .measuring.calibration import Widths, calibrate
from .terminal import cli
from .weights import file as weights


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate; exit code 0, or 2 for bad input."""
    options = _parser().parse_args(argv)
    if options.limit < 1:
        raise ConfigError(f"--limit: expected 1 or more, found {options.limit}")
    require_writable(options.output, FormatError, *options.data, options.weights)
    network = weights.load(options.weights)
    how = network.preprocessing.at(options.size)
    widths = Widths(options.weight_bits, options.input_bits, options.membrane_bits, options.stream_bits)
    formats.Formats({name: {"bits": bits} for name, bits in vars(widths).items()}, {})  # refuses widths out of range
    pictures = Samples(options.data, network.classes, options.split, options.limit, how.frames)
    require_writable(options.output, FormatError, *pictures.files)
    screen = cli.Screen(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        cli.kernels_loading(screen),
        Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar,
    ):
        repairs: Counter[str] = Counter()

        def inputs() -> Iterator[np.ndarray]:
            for _, source in bar.track(pictures, total=len(pictures), description="calibrating"):
                yield read(source, how, network.config.time_steps, as_official=True, repairs=repairs)[None]

        chosen = calibrate(network, inputs(), widths, options.threads)
    formats.save(options.output, chosen)
    if options.json:
        about = {"formats": options.output, "pictures": len(pictures), "repairs": dict(repairs)}
        cli.print_json({**about, **dataclasses.asdict(chosen)})
    else:
        cli.show_repairs(screen, repairs)
        console = cli.Screen()
        what = cli.many(len(pictures), "recording" if how.frames else "picture")
        console.print(f"{cli.plain(options.output)}: formats from {what}\n")
        for line in chosen.to_toml().splitlines():
            console.print(cli.plain(line))
    return 0


def _parser() -> cli.Parser:
    parser = cli.parser("calibrate", "python -m sdt_ref.calibrate cifar10.h5 --split train -o formats.toml")
    parser.add_argument("data", nargs="+", metavar="PICTURES_or_FOLDER_or_PACK.h5", help="what to calibrate on")
    parser.add_argument("-o", "--output", required=True, metavar="F.toml", help="formats file to write")
    parser.add_argument("--weights", metavar="W.h5", help="weights file (default: the shipped CIFAR-10 weights)")
    parser.add_argument(
        "--size", type=int, metavar="N", help="see pictures at N x N pixels instead of the weights' size"
    )
    parser.add_argument("--split", metavar="NAME", help="sub-folder or group to read (default: the validation part)")
    parser.add_argument("--limit", type=int, default=64, metavar="N", help="pictures, at most (default: 64)")
    for name, bits in vars(Widths()).items():
        parser.add_argument(f"--{name}-bits", type=int, default=bits, metavar="N", help=f"width (default: {bits})")
    parser.add_argument("--threads", type=int, metavar="N", help="cores to use (default: all); changes no result")
    return parser


if __name__ == "__main__":
    sys.exit(main())
