"""Command line: the first difference between a trace and what a device or network held; the work is in `golden/`."""

import math
import sys
from collections.abc import Sequence
from typing import Any

from .errors import ConfigError, shown
from .golden.differences import EVENT_MODES, Cause, Comparison, Difference, cause, compare
from .golden.dumps import Dump, read_dump
from .golden.replay import isolated
from .golden.screen import show_comparison
from .golden.trace_file import Trace, open_trace
from .terminal import cli
from .terminal.progress import working
from .terminal.screen import Screen
from .weights.arithmetic import FIXED


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Compare; exit code 0 when all is equal, 1 at a difference, 2 for bad input."""
    options = command_line().parse_args(argv)
    if options.isolated and options.events != EVENT_MODES[0]:
        raise ConfigError("--isolated compares events as a set; leave out --events")
    with open_trace(options.golden) as golden, working(Screen(stderr=True), "comparing") as progress:
        tolerance = _tolerance(options.tolerance, golden)
        if options.isolated:
            golden.require_fixed("--isolated")
        dump = read_dump(options.dump, golden, options.record)
        if options.isolated:
            comparison = isolated(golden, golden.parameters(options.weights), dump, tolerance, progress)
        else:
            comparison = compare(golden, dump, options.events, tolerance)
        found = comparison.first
        why = cause(golden, found) if found and not options.isolated else None
        with cli.showing():
            if options.json:
                cli.print_json(_as_json(golden, dump, comparison, why))
            else:
                show_comparison(Screen(), golden, dump, comparison, why, alone=options.isolated)
    return cli.CHECK_FAILED if found else 0


def command_line() -> cli.Parser:
    """The options."""
    parser = cli.parser("compare", "python -m sdt_ref.compare run.h5 dut.npz")
    parser.add_argument("golden", metavar="GOLDEN.h5", help="trace that sdt_ref.trace wrote")
    parser.add_argument("dump", metavar="DUMP", help="what the device or network held: .h5, .npz, .csv or .mem")
    parser.add_argument(
        "--record", metavar="STAGE/QUANTITY", help="what a .mem file holds, if the file does not name it"
    )
    parser.add_argument(
        "--events",
        choices=EVENT_MODES,
        default=EVENT_MODES[0],
        help="whether the order of spikes counts (default: set)",
    )
    parser.add_argument(
        "--tolerance",
        metavar="N",
        help="distance of numbers that counts as equal (default: 0; of float32 1e-4, of float64 1e-6)",
    )
    parser.add_argument(
        "--isolated",
        action="store_true",
        help="restart every register from the device's own inputs, to find all errors",
    )
    parser.add_argument(
        "--weights",
        metavar="W.h5",
        help="for --isolated: weights that were traced (default: those that ship for pictures)",
    )
    return parser


def _tolerance(text: str | None, golden: Trace) -> float | None:
    """What --tolerance asks for: a whole number in fixed point, else a real one."""
    if text is None:
        return None
    fixed = golden.arithmetic is FIXED
    try:
        tolerance = int(text) if fixed else float(text)
    except ValueError:
        numbers = "a whole number in fixed point" if fixed else f"a number for {golden.arithmetic.name}"
        raise ConfigError(f"--tolerance: expected {numbers}, found {shown(text)}") from None
    if not 0 <= tolerance < math.inf:
        raise ConfigError(f"--tolerance: expected 0 or more, found {shown(tolerance)}")
    return tolerance


def _as_json(golden: Trace, dump: Dump, comparison: Comparison, why: Cause | None) -> dict[str, Any]:
    found = comparison.first
    apart = {"tolerance": comparison.tolerance, "farthest": _finite(comparison.farthest)}
    return {
        "golden": golden.sha256,
        "equal": found is None,
        "steps": dump.steps,
        "records": list(dump.values),
        "not_compared": dump.extra,
        **({} if golden.arithmetic is FIXED else {"arithmetic": golden.arithmetic.name, **apart}),
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
                "largest": _finite(summary.largest),
                "quantities": summary.quantities,
                "first": summary.first and _difference(summary.first),
            }
            for stage, summary in comparison.stages.items()
        },
    }


def _finite(value: float | None) -> float | None:
    """A number for JSON, which has none that is not finite."""
    return value if value is not None and math.isfinite(value) else None


def _difference(found: Difference) -> dict[str, Any]:
    return {
        "step": found.step,
        "stage": found.record.stage,
        "quantity": found.record.quantity,
        "token": found.token,
        "channel": found.channel,
        "expected": _finite(found.expected),
        "found": _finite(found.found),
        "expected_hex": found.hexadecimal(found.expected),
        "found_hex": found.hexadecimal(found.found),
        "note": found.note,
    }


if __name__ == "__main__":
    sys.exit(main())
