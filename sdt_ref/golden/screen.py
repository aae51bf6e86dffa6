"""Comparisons of traces and what hardware needs, on a screen."""

from itertools import groupby

import numpy as np

from ..terminal.screen import Screen, table
from ..terminal.words import many
from ..weights.arithmetic import FIXED
from .differences import Cause, Comparison, Difference
from .dumps import Dump
from .trace_file import Trace
from .widths import ListLengths, Sizing

MOST_EVENTS = 24  # in words; --json has them all
BARS = " ▁▂▃▄▅▆▇█"
BINS = 10  # of a histogram in words


def show_comparison(
    screen: Screen, golden: Trace, dump: Dump, comparison: Comparison, why: Cause | None, *, alone: bool
) -> None:
    """Print the first difference, what led to it, and all stages; `alone`: registers were compared in isolation."""
    compared = sum(summary.compared for summary in comparison.stages.values())
    different = sum(summary.different for summary in comparison.stages.values())
    if found := comparison.first:
        screen.print(_place(found, alone))
        for who, value in (("inputs" if alone else "golden", found.expected), ("device", found.found)):
            screen.print(f"  {who}{_number(value):>{12 if isinstance(value, int) else 24}}  {found.hexadecimal(value)}")
        if found.note:
            screen.print(f"  {found.note}")
        if why is not None:
            _show_cause(screen, golden, why)
        screen.print()
    shown = table("stage", "numbers", "differ", "by up to", "from step", "in")
    shown.columns[5].justify, shown.columns[5].no_wrap = "left", False
    for stage, summary in comparison.stages.items():
        cells = ["", "", "", ""]
        if summary.first is not None:
            cells = [
                f"{summary.different:,}",
                f"{summary.largest:,}" if isinstance(summary.largest, int) else f"{summary.largest:.1e}",
                str(summary.first.step),
                ", ".join(summary.quantities),
            ]
        shown.add_row(stage, f"{summary.compared:,}", *cells)
    screen.print_table(shown)
    steps = ", ".join(map(str, dump.steps))
    result = f"{different:,} differ" if different else "all equal"
    screen.print(f"\n{len(dump.values)} records, {compared:,} numbers of time steps {steps}: {result}")
    if golden.arithmetic is not FIXED and comparison.farthest is not None:
        within = f"numbers within {comparison.tolerance:g} count as equal"
        screen.print(f"[dim]{within}; the farthest are {comparison.farthest:.1e} apart[/]")
    absent = len(golden.records) - len(dump.values)
    if absent:
        screen.print(f"[dim]not in the dump: {absent} of the golden trace's {len(golden.records)} records[/]")
    if dump.extra:
        screen.print(f"[dim]not in the golden trace, so not compared: {len(dump.extra)} records of the dump[/]")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else repr(value)


def _place(found: Difference, alone: bool) -> str:
    record = found.record
    row, column = divmod(found.token, record.width)
    where = f" (row {row}, column {column})" if record.tokens > 1 else ""
    what = "register that its own inputs do not give" if alone else "difference"
    return (
        f"[bold]first {what}[/]: step {found.step}, {record.stage}, [bold]{record.quantity}[/], "
        f"token {found.token}{where}, channel {found.channel}"
    )


def _show_cause(screen: Screen, golden: Trace, why: Cause) -> None:
    for name, value in why.registers.items():
        screen.print(f"  computed from {name} = {_number(value)}")
    for what in why.not_shown:
        screen.print(f"  not shown: {what}")
    if not why.source:
        return
    where = f"{why.source}{' (pooled)' if why.pooled else ''}"
    if not why.events:
        screen.print(f"  no event of {where} contributed")
        return
    kind = "events" if why.source.endswith("/spikes") else "pixels" if len(why.events[0]) == 2 else "set bits"
    screen.print(f"  {len(why.events):,} {kind} of {where} contributed:")
    for (token, *plane), events in groupby(why.events[:MOST_EVENTS], key=lambda event: (event[0], *event[2:])):
        of_plane = f", bit {plane[0]}" if plane else ""
        screen.print(f"    token {token}{of_plane}: channels {' '.join(str(event[1]) for event in events)}")
    if len(why.events) > MOST_EVENTS:
        screen.print(f"    and {len(why.events) - MOST_EVENTS:,} more; --json lists all")


def show_sizing(screen: Screen, report: Sizing) -> None:
    """Print widths, margins, list lengths and weight rows of traces."""
    _show_registers(screen, report)
    _show_thresholds(screen, report)
    _show_lists(screen, report)
    _show_rows(screen, report)


def _show_registers(screen: Screen, report: Sizing) -> None:
    screen.print(f"[bold]Registers[/], {many(report.runs, 'run')}: the range seen and the bits that hold it")
    shown = table("stage", "register", "bits", "least", "greatest", "seen", "proven", gap=1)
    for width in report.widths.values():
        proven = "" if width.proven is None else str(width.proven)
        row = width.stage, width.register, str(width.bits), f"{width.least:,}", f"{width.greatest:,}"
        shown.add_row(*row, str(width.seen), proven)
    screen.print_table(shown)
    screen.print("[dim]proven: enough for any spikes, by the weights; a membrane's range: its input, h and v[/]")
    for width in report.widths.values():
        if width.did_not_fit:
            screen.print(
                f"{width.did_not_fit:,} numbers did not fit the {width.register} of {width.stage}, "
                f"the first in time step {width.first_step}",
                style="yellow",
            )
    screen.print()


def _show_thresholds(screen: Screen, report: Sizing) -> None:
    screen.print("[bold]Thresholds[/]: the smallest distance of a membrane from its threshold")
    shown = table("stage", "threshold", "spiked with", "stayed below by", gap=1)
    for margin in report.margins.values():
        sides = ["none did" if side is None else f"{side:,}" for side in (margin.above, margin.below)]
        shown.add_row(margin.stage, f"{margin.threshold:,}", *sides)
    screen.print_table(shown)
    screen.print("[dim]in units of the register; 0: h was exactly the threshold[/]\n")


def _show_lists(screen: Screen, report: Sizing) -> None:
    screen.print("[bold]Event lists[/]: spikes of a time step, and of a token in a time step (the depth of a FIFO)")
    shown = table("stage", "a step", "worst", "a token", "99 %", "worst", "0 to worst", gap=1)
    for lists in report.lists.values():
        steps = f"{np.mean(lists.steps):,.0f}", f"{max(lists.steps):,}"
        tokens = f"{lists.mean:.1f}", str(lists.percentile(99)), str(lists.worst)
        shown.add_row(lists.stage, *steps, *tokens, _bars(lists))
    screen.print_table(shown)
    screen.print("[dim]bars: how many tokens have lists from empty to the longest[/]\n")


def _show_rows(screen: Screen, report: Sizing) -> None:
    screen.print(
        "[bold]Weight rows fetched[/] in each time step: one for each spike and output position that it reaches"
    )
    shown = table("layer", *(f"step {t}" for t in range(len(next(iter(report.rows.values()))))), "in all", gap=1)
    for layer, rows in report.rows.items():
        shown.add_row(layer, *(f"{row:,.0f}" for row in rows), f"{sum(rows):,.0f}")
    shown.add_row(
        "total", *(f"{sum(step):,.0f}" for step in zip(*report.rows.values(), strict=True)), f"{_total(report):,.0f}"
    )
    screen.print_table(shown)


def _total(report: Sizing) -> float:
    return sum(map(sum, report.rows.values()))


def _bars(lists: ListLengths) -> str:
    """A histogram in characters, from empty lists to the longest."""
    counts = lists.lengths[: lists.worst + 1]
    bins = [part.sum() for part in np.array_split(counts, min(BINS, len(counts)))]
    return "".join(BARS[int(np.ceil(8 * n / max(bins)))] for n in bins)
