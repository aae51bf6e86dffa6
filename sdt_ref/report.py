"""Command line: one run as a page to explore in a browser; the work is in `page/`."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .camera.opening import is_recording
from .cost.technology import DEFAULTS, TECHNOLOGIES, technology
from .errors import ConfigError, ImageError
from .files import require_writable
from .inputs.image import open_picture
from .inputs.reading import given_or_sample, source_of
from .page.write import require_jinja
from .terminal import cli
from .terminal.progress import kernels_loading, working
from .terminal.screen import Screen, show_repairs
from .terminal.words import plain

ENDINGS = (".html", ".htm")
RECORDINGS = "; for recordings there are python -m sdt_ref.explain and python -m sdt_ref.infer --figure"


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Write the report of one picture; exit code 0, or 2 for bad input."""
    options = command_line().parse_args(argv)
    require_jinja()
    _require_output(options.output, [options.image, options.weights, options.formats])
    image = source_of(options.image)
    model = cli.load_model(options)
    repairs: Counter[str] = Counter()
    with given_or_sample(image) as (source, _):
        try:
            picture = open_picture(source, channels=model.preprocessing.channels, told=repairs)
        except ImageError:
            if is_recording(source):
                raise ImageError(f"'{source}' is a recording; expected a picture{RECORDINGS}") from None
            raise
    if model.preprocessing.frames:
        raise ImageError(
            f"weights '{options.weights}' read event-camera frames; expected weights for pictures{RECORDINGS}"
        )
    steps = None if options.steps is None else cli.chosen("--steps", options.steps, model.config.time_steps)
    chosen = technology(options.technology or DEFAULTS[model.arithmetic.name])
    size = model.preprocessing.at(options.size).size
    screen = Screen(stderr=True)
    with kernels_loading(screen, model.arithmetic.name), working(screen, "computing") as progress:
        from .page.gather import Photo, gather
        from .page.write import render, write

        gathered = gather(model, Photo(_text(source.name), picture), _named(options.weights), size, chosen, steps)
        progress("the page")
        n_bytes = write(options.output, render(gathered))
    answer, sampled = gathered["answer"][0], gathered["sampled"]
    if options.json:
        cli.print_json(
            {
                "image": str(source),
                "repairs": dict(repairs),
                "report": options.output,
                "bytes": n_bytes,
                "size": size,
                "arithmetic": model.arithmetic.name,
                "steps": gathered["steps"],
                "answer": answer,
                "sampled": sampled,
            }
        )
        return 0
    screen = Screen()
    screen.print(f"{plain(source.name)}: [bold]{plain(answer['label'])}[/] {answer['score']:.1%}")
    show_repairs(screen, repairs)
    screen.print(f"{plain(options.output)}: {n_bytes / 1e6:.1f} MB, one file; open it in a browser")
    for sentence in sampled:
        screen.print(f"[dim]{plain(sentence)}[/]")
    return 0


def command_line() -> cli.Parser:
    """The options."""
    parser = cli.parser("report", "python -m sdt_ref.report photo.jpg -o report.html")
    parser.add_argument(
        "image",
        nargs="?",
        help="any picture that Pillow opens; '-' reads the standard input (default: a photo of a cat that ships)",
    )
    parser.add_argument("-o", "--output", required=True, metavar="REPORT.html", help="page to write")
    parser.add_argument("--steps", metavar="A-B,C", help="time steps to show (default: all, or 32 evenly spaced)")
    parser.add_argument(
        "--technology",
        metavar="NAME",
        help=f"of the energies: {', '.join(TECHNOLOGIES)} (default: 45nm-float32; fixed: 45nm-int32)",
    )
    cli.add_model_options(parser)
    return parser


def _require_output(output: str, inputs: Sequence[str | None]) -> None:
    """Raise ConfigError, before anything is computed, when the page cannot be written or would replace an input."""
    if Path(output).suffix.lower() not in ENDINGS:
        raise ConfigError(f"report '{output}': expected a name that ends in {' or '.join(ENDINGS)}")
    for name in inputs:
        try:
            same = name is not None and os.path.samefile(name, output)
        except (OSError, ValueError):  # one of them is not there
            continue
        if same:
            raise ConfigError(f"report '{output}': it is an input of this run; choose another name")
    require_writable(output, ConfigError)


def _named(weights: str | None) -> str:
    return "the weights that ship with sdt_ref" if weights is None else _text(Path(weights).name)


def _text(name: str) -> str:
    """A file's name as text: bytes that are none are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main())
