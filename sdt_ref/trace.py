"""Command line: what every register, or current and membrane, of one run held, as a file; the work is in `golden/`."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .errors import TraceError
from .files import require_writable
from .golden.trace_file import Trace, open_trace
from .golden.writing import write_trace
from .inputs.reading import given_or_sample, read, source_of
from .terminal import cli
from .terminal.progress import kernels_loading, working
from .terminal.screen import Screen, show_overflows, show_repairs, table
from .terminal.words import plain
from .weights.arithmetic import FIXED


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Record a trace; exit code 0, or 2 for bad input."""
    options = command_line().parse_args(argv)
    require_writable(options.output, TraceError, options.image, options.weights, options.formats)
    steps = None if options.steps is None else cli.numbers("--steps", options.steps)
    image = source_of(options.image)
    model = cli.load_model(options, image)
    preprocessing = model.preprocessing.at(options.size)
    T, strict = model.config.time_steps, options.time_steps is not None
    with given_or_sample(image, preprocessing.frames) as (source, _):
        repairs: Counter[str] = Counter()
        x = read(source, preprocessing, T, strict_steps=strict, repairs=repairs)[None]
    screen = Screen(stderr=True)
    with kernels_loading(screen, model.arithmetic.name), working(screen, "recording") as progress:
        write_trace(options.output, model, x, options.stages.split(","), steps, progress)
    with open_trace(options.output) as trace:
        if options.json:
            cli.print_json({**_summary(options.output, trace), "repairs": dict(repairs)})
        else:
            show_repairs(screen, repairs)
            _show(options.output, trace)
    return 0


def command_line() -> cli.Parser:
    """The options."""
    example = "python -m sdt_ref.trace photo.jpg -o run.h5 --stages 'block.0.*,head*' --steps 0-1"
    parser = cli.parser("trace", example)
    parser.add_argument(
        "image",
        nargs="?",
        metavar="PICTURE|RECORDING",
        help="what to run on; '-' reads the standard input (default: a sample that ships)",
    )
    parser.add_argument("-o", "--output", required=True, metavar="RUN.h5", help="trace file to write")
    parser.add_argument("--stages", default="*", metavar="P,P", help="patterns of stages to record (default: all)")
    parser.add_argument("--steps", metavar="A-B,C", help="time steps to record (default: all)")
    cli.add_model_options(parser, default=FIXED.name)
    return parser


def _show(path: str, trace: Trace) -> None:
    screen = Screen()
    shown = table("stage", "recorded", "tokens", "channels", "events", left=2, gap=1)
    for stage in trace.stages.values():
        records = [trace.records[f"{stage.name}/{q}"] for q in stage.quantities if f"{stage.name}/{q}" in trace.records]
        if records:
            spiking = f"{stage.name}/spikes" in trace.records
            events = f"{len(trace.events(f'{stage.name}/spikes')[1]):,}" if spiking else ""
            quantities = " ".join(record.quantity for record in records)
            shown.add_row(stage.name, quantities, f"{records[0].tokens:,}", f"{records[0].channels:,}", events)
    screen.print_table(shown)
    size, steps = Path(path).stat().st_size, trace.header.steps
    screen.print(
        f"\n{plain(path)}: {len(trace.records)} records of {len(steps)} of {trace.header.time_steps} time steps, "
        f"{size / 1e6:.1f} MB"
    )
    screen.print(f"sha256 of the content {trace.sha256}")
    show_overflows(screen, trace.header.overflows)


def _summary(path: str, trace: Trace) -> dict[str, object]:
    return {
        "trace": path,
        "sha256": trace.sha256,
        "arithmetic": trace.arithmetic.name,
        "parameters": trace.header.parameters,
        "input": trace.header.input,
        "steps": trace.header.steps,
        "records": {
            name: {
                "bits": record.bits,
                "shape": [len(trace.header.steps), record.tokens, record.channels],
            }
            for name, record in trace.records.items()
        },
        "overflows": trace.header.overflows,
    }


if __name__ == "__main__":
    sys.exit(main())
