"""Command line: the first difference between a golden trace and what a device held."""

import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.table import Table

from .errors import ConfigError
from .golden.differences import EVENT_MODES, Cause, Comparison, Difference, cause, compare
from .golden.dumps import Dump, read_dump
from .golden.replay import isolated
from .golden.trace_file import Trace, open_trace
from .terminal import cli

MOST_EVENTS = 24  # in words; --json has them all


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Compare; exit code 0 when all is equal, 1 at a difference, 2 for bad input."""
    options = _parser().parse_args(argv)
    if options.tolerance < 0:
        raise ConfigError(f"--tolerance: expected 0 or more, found {options.tolerance}")
    if options.isolated and options.events != EVENT_MODES[0]:
        raise ConfigError("--isolated compares events as a set; leave out --events")
    with open_trace(options.golden) as golden, cli.working(cli.Screen(stderr=True), "comparing") as progress:
        dump = read_dump(options.dump, golden, options.record)
        if options.isolated:
            comparison = isolated(golden, golden.parameters(options.weights), dump, options.tolerance, progress)
        else:
            comparison = compare(golden, dump, options.events, options.tolerance)
        found = comparison.first
        why = cause(golden, found) if found and not options.isolated else None
        with cli.showing():
            if options.json:
                cli.print_json(_as_json(golden, dump, comparison, why))
            else:
                _show(golden, dump, comparison, why, options.isolated)
    return cli.CHECK_FAILED if found else 0


def _parser() -> cli.Parser:
    parser = cli.parser("compare", "python -m sdt_ref.compare run.h5 dut.npz")
    parser.add_argument("golden", metavar="GOLDEN.h5", help="trace that sdt_ref.trace wrote")
    parser.add_argument("dump", metavar="DUMP", help="what the device held: .h5, .npz, .csv or .mem")
    parser.add_argument(
        "--record", metavar="STAGE/QUANTITY", help="what a .mem file holds, if it does not say so itself"
    )
    parser.add_argument(
        "--events",
        choices=EVENT_MODES,
        default=EVENT_MODES[0],
        help="whether the order of spikes counts (default: set)",
    )
    parser.add_argument(
        "--tolerance", type=int, default=0, metavar="N", help="distance that counts as equal (default: 0)"
    )
    parser.add_argument(
        "--isolated",
        action="store_true",
        help="restart every register from the device's own inputs, to find all errors",
    )
    parser.add_argument(
        "--weights", metavar="W.h5", help="for --isolated: the weights traced (default: the shipped ones)"
    )
    return parser


def _show(golden: Trace, dump: Dump, comparison: Comparison, why: Cause | None, alone: bool) -> None:
    console = cli.Screen()
    compared = sum(summary.compared for summary in comparison.stages.values())
    different = sum(summary.different for summary in comparison.stages.values())
    if found := comparison.first:
        console.print(_place(found, alone))
        for who, value in (("inputs" if alone else "golden", found.expected), ("device", found.found)):
            console.print(f"  {who}{value:>12,}  {found.hexadecimal(value)}")
        if found.note:
            console.print(f"  {found.note}")
        if why is not None:
            _show_cause(console, golden, why)
        console.print()
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage", no_wrap=True)
    for heading in ("numbers", "differ", "by up to", "from step"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("in")
    for stage, summary in comparison.stages.items():
        cells = ["", "", "", ""]
        if summary.first is not None:
            cells = [
                f"{summary.different:,}",
                f"{summary.largest:,}",
                str(summary.first.step),
                ", ".join(summary.quantities),
            ]
        table.add_row(stage, f"{summary.compared:,}", *cells)
    console.print(table)
    steps = ", ".join(map(str, dump.steps))
    result = f"{different:,} differ" if different else "all equal"
    console.print(f"\n{len(dump.values)} records, {compared:,} numbers of time steps {steps}: {result}")
    absent = len(golden.records) - len(dump.values)
    if absent:
        console.print(f"[dim]not in the dump: {absent} of the golden trace's {len(golden.records)} records[/]")
    if dump.extra:
        console.print(f"[dim]not in the golden trace, so not compared: {len(dump.extra)} records of the dump[/]")


def _place(found: Difference, alone: bool) -> str:
    record = found.record
    row, column = divmod(found.token, record.width)
    where = f" (row {row}, column {column})" if record.tokens > 1 else ""
    what = "register that its own inputs do not give" if alone else "difference"
    return (
        f"[bold]first {what}[/]: step {found.step}, {record.stage}, [bold]{record.quantity}[/], "
        f"token {found.token}{where}, channel {found.channel}"
    )


def _show_cause(console: cli.Screen, golden: Trace, why: Cause) -> None:
    for name, value in why.registers.items():
        console.print(f"  computed from {name} = {value:,}")
    for what in why.not_shown:
        console.print(f"  not shown: {what}")
    if not why.source:
        return
    where = f"{why.source}{' (pooled)' if why.pooled else ''}"
    if not why.events:
        console.print(f"  no event of {where} contributed")
        return
    kind = "events" if len(why.events[0]) == 2 else "set bits"
    console.print(f"  {len(why.events):,} {kind} of {where} contributed:")
    for (token, *plane), events in groupby(why.events[:MOST_EVENTS], key=lambda event: (event[0], *event[2:])):
        of_plane = f", bit {plane[0]}" if plane else ""
        console.print(f"    token {token}{of_plane}: channels {' '.join(str(event[1]) for event in events)}")
    if len(why.events) > MOST_EVENTS:
        console.print(f"    and {len(why.events) - MOST_EVENTS:,} more; --json lists all")


def _as_json(golden: Trace, dump: Dump, comparison: Comparison, why: Cause | None) -> dict[str, Any]:
    found = comparison.first
    return {
        "golden": golden.sha256,
        "equal": found is None,
        "steps": dump.steps,
        "records": list(dump.values),
        "not_compared": dump.extra,
        "first": found
        and {
            **_difference(found),
            "computed_from": why.registers if why else {},
            "source": why.source if why else "",
            "pooled": bool(why and why.pooled),
            "events": [list(event) for event in why.events] if why else [],
            "not_shown": list(why.not_shown) if why else [],
        },
        "stages": {
            stage: {
                "compared": summary.compared,
                "different": summary.different,
                "largest": summary.largest,
                "quantities": summary.quantities,
                "first": summary.first and _difference(summary.first),
            }
            for stage, summary in comparison.stages.items()
        },
    }


def _difference(found: Difference) -> dict[str, Any]:
    return {
        "step": found.step,
        "stage": found.record.stage,
        "quantity": found.record.quantity,
        "token": found.token,
        "channel": found.channel,
        "expected": found.expected,
        "found": found.found,
        "expected_hex": found.hexadecimal(found.expected),
        "found_hex": found.hexadecimal(found.found),
        "note": found.note,
    }


if __name__ == "__main__":
    sys.exit(main())
