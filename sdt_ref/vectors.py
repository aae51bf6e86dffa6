"""Command line: test vectors for RTL from a trace; the work is in `golden/export.py`."""

import sys
from collections.abc import Sequence

from .errors import TraceError
from .files import require_new_folder
from .golden.export import MANIFEST, export
from .golden.trace_file import open_trace
from .terminal import cli
from .terminal.progress import working
from .terminal.screen import Screen, table
from .terminal.words import plain


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Write the vectors of one trace; exit code 0, or 2 for bad input."""
    options = command_line().parse_args(argv)
    require_new_folder(options.output, TraceError)
    with open_trace(options.trace) as trace, working(Screen(stderr=True), "writing") as progress:
        trace.require_fixed("vectors")
        manifest = export(trace, trace.parameters(options.weights), options.output, progress)
    if options.json:
        cli.print_json({key: manifest[key] for key in ("format", "trace", "parameters", "corners", "sha256")})
        return 0
    screen = Screen()
    shown = table("", "", left=2, show_header=False)
    for corner, case in manifest["corners"].items():
        shown.add_row(corner, plain(case["text"]))
    screen.print(f"corner cases of {next(iter(manifest['corners'].values()))['layer']} and its neurons", style="dim")
    screen.print_table(shown)
    if manifest["corners_not_reached"]:
        screen.print(f"not reached in this run or with these registers: {', '.join(manifest['corners_not_reached'])}")
    screen.print(
        f"\n{plain(options.output)}: {len(manifest['records'])} records, {len(manifest['layers'])} layers, "
        f"{len(manifest['corners'])} corner cases in {len(manifest['sha256']):,} files; {MANIFEST} says what is where"
    )
    return 0


def command_line() -> cli.Parser:
    """The options."""
    parser = cli.parser("vectors", "python -m sdt_ref.vectors run.h5 -o vectors/")
    parser.add_argument("trace", metavar="RUN.h5", help="trace that sdt_ref.trace wrote")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write; new, or empty")
    parser.add_argument(
        "--weights", metavar="W.h5", help="weights that were traced (default: those that ship for pictures)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
