"""Command line: how wide and how deep hardware must be, from traces; the work is in `golden/widths.py`."""

import dataclasses
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from .golden.screen import show_sizing
from .golden.trace_file import open_trace
from .golden.widths import Sizing, sizing
from .terminal import cli
from .terminal.screen import Screen


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Report on traces of one machine; exit code 0, or 2 for bad input."""
    options = command_line().parse_args(argv)
    with ExitStack() as opened:
        traces = [opened.enter_context(open_trace(path)) for path in options.traces]
        for trace in traces:
            trace.require_fixed("sizing")
        parameters = traces[0].parameters(options.weights)
        report = sizing(traces, parameters)
    if options.json:
        cli.print_json(_as_json(report))
    else:
        show_sizing(Screen(), report)
    return 0


def command_line() -> cli.Parser:
    """The options."""
    parser = cli.parser("sizing", "python -m sdt_ref.sizing run.h5 another.h5")
    parser.add_argument("traces", nargs="+", metavar="RUN.h5", help="traces of the same weights and formats")
    parser.add_argument(
        "--weights", metavar="W.h5", help="weights that were traced (default: those that ship for pictures)"
    )
    return parser


def _as_json(report: Sizing) -> dict[str, Any]:
    return {
        "runs": report.runs,
        "registers": [{**dataclasses.asdict(width), "seen": width.seen} for width in report.widths.values()],
        "margins": [dataclasses.asdict(margin) for margin in report.margins.values()],
        "lists": [
            {
                "stage": lists.stage,
                "events_per_step": {"mean": float(np.mean(lists.steps)), "worst": max(lists.steps)},
                "events_per_token": {"mean": lists.mean, "p99": lists.percentile(99), "worst": lists.worst},
                "histogram": lists.lengths[: lists.worst + 1].tolist(),
            }
            for lists in report.lists.values()
        ],
        "weight_rows": report.rows,
    }


if __name__ == "__main__":
    sys.exit(main())
