"""Command line: test vectors for RTL from a trace."""

import sys
from collections.abc import Sequence

from rich.table import Table

from .golden.export import MANIFEST, export
from .golden.trace_file import open_trace
from .terminal import cli


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Write the vectors of one trace; exit code 0, or 2 for bad input."""
    parser = cli.parser("vectors", "python -m sdt_ref.vectors run.h5 -o vectors/")
    parser.add_argument("trace", metavar="RUN.h5", help="trace that sdt_ref.trace wrote")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write; new, or empty")
    parser.add_argument("--weights", metavar="W.h5", help="weights that were traced (default: the shipped ones)")
    options = parser.parse_args(argv)
    screen = cli.Screen(stderr=True)
    with open_trace(options.trace) as trace, cli.working(screen, "writing") as progress:
        manifest = export(trace, trace.parameters(options.weights), options.output, progress)
    if options.json:
        cli.print_json({key: manifest[key] for key in ("format", "trace", "parameters", "corners", "sha256")})
        return 0
    console = cli.Screen()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for corner, case in manifest["corners"].items():
        table.add_row(corner, cli.plain(case["text"]))
    console.print(f"corner cases of {next(iter(manifest['corners'].values()))['layer']} and its neurons", style="dim")
    console.print(table)
    if manifest["corners_not_reached"]:
        console.print(f"not reached in this run or with these registers: {', '.join(manifest['corners_not_reached'])}")
    console.print(
        f"\n{cli.plain(options.output)}: {len(manifest['records'])} records, {len(manifest['layers'])} layers, "
        f"{len(manifest['corners'])} corner cases in {len(manifest['sha256']):,} files; {MANIFEST} says what is where"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
