"""Command line: how wide and how deep hardware must be, from traces."""

import dataclasses
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from rich.table import Table

from .golden.trace_file import open_trace
from .golden.widths import ListLengths, Sizing, sizing
from .terminal import cli

BARS = " ▁▂▃▄▅▆▇█"
BINS = 10  # of a histogram in words


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Report on traces of one machine; exit code 0, or 2 for bad input."""
    parser = cli.parser("sizing", "python -m sdt_ref.sizing run.h5 another.h5")
    parser.add_argument("traces", nargs="+", metavar="RUN.h5", help="traces of the same weights and formats")
    parser.add_argument("--weights", metavar="W.h5", help="weights that were traced (default: the shipped ones)")
    options = parser.parse_args(argv)
    with ExitStack() as opened:
        traces = [opened.enter_context(open_trace(path)) for path in options.traces]
        parameters = traces[0].parameters(options.weights)
        report = sizing(traces, parameters)
    if options.json:
        cli.print_json(_as_json(report))
    else:
        _show(report)
    return 0


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for n, heading in enumerate(headings):
        table.add_column(heading, justify="right" if n else "left", no_wrap=True)
    return table


def _show(report: Sizing) -> None:
    console = cli.Screen()
    console.print(
        f"[bold]Registers[/], {report.runs} run{'s' * (report.runs > 1)}: the range seen and the bits that hold it"
    )
    table = _table("stage", "register", "bits", "least", "greatest", "seen", "proven")
    for width in report.widths.values():
        proven = "" if width.proven is None else str(width.proven)
        row = width.stage, width.register, str(width.bits), f"{width.least:,}", f"{width.greatest:,}"
        table.add_row(*row, str(width.seen), proven)
    console.print(table)
    console.print("[dim]proven: enough for any spikes, by the weights; a membrane's range: its input, h and v[/]")
    for width in report.widths.values():
        if width.did_not_fit:
            console.print(
                f"{width.did_not_fit:,} numbers did not fit the {width.register} of {width.stage}, "
                f"the first in time step {width.first_step}",
                style="yellow",
            )
    console.print()
    console.print("[bold]Thresholds[/]: the smallest distance of a membrane from its threshold")
    table = _table("stage", "threshold", "spiked with", "stayed below by")
    for margin in report.margins.values():
        sides = ["none did" if side is None else f"{side:,}" for side in (margin.above, margin.below)]
        table.add_row(margin.stage, f"{margin.threshold:,}", *sides)
    console.print(table)
    console.print("[dim]in units of the register; 0: h was exactly the threshold[/]\n")
    console.print("[bold]Event lists[/]: spikes of a time step, and of a token in a time step (the depth of a FIFO)")
    table = _table("stage", "a step", "worst", "a token", "99 %", "worst", "0 to worst")
    for lists in report.lists.values():
        steps = f"{np.mean(lists.steps):,.0f}", f"{max(lists.steps):,}"
        tokens = f"{lists.mean:.1f}", str(lists.percentile(99)), str(lists.worst)
        table.add_row(lists.stage, *steps, *tokens, _bars(lists))
    console.print(table)
    console.print("[dim]bars: how many tokens have lists from empty to the longest[/]\n")
    console.print(
        "[bold]Weight rows fetched[/] in each time step: one for each spike and output position that it reaches"
    )
    table = _table("layer", *(f"step {t}" for t in range(len(next(iter(report.rows.values()))))), "in all")
    for layer, rows in report.rows.items():
        table.add_row(layer, *(f"{row:,.0f}" for row in rows), f"{sum(rows):,.0f}")
    table.add_row(
        "total", *(f"{sum(step):,.0f}" for step in zip(*report.rows.values(), strict=True)), f"{_total(report):,.0f}"
    )
    console.print(table)


def _total(report: Sizing) -> float:
    return sum(map(sum, report.rows.values()))


def _bars(lists: ListLengths) -> str:
    """A histogram in characters, from empty lists to the longest."""
    counts = lists.lengths[: lists.worst + 1]
    bins = [part.sum() for part in np.array_split(counts, min(BINS, len(counts)))]
    return "".join(BARS[int(np.ceil(8 * n / max(bins)))] for n in bins)


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
