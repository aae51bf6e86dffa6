"""`python -m tests.fuzz`: see the package's text."""
# ruff: noqa: E402 - what is imported starts threads

import os

for name in (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
):  # before NumPy starts threads, each of which claims address space
    os.environ[name] = "1"

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from . import campaign, coverage
from .case import GRAMMARS
from .judging import FAILED, OUTCOMES


def main() -> int:
    """Run a campaign, or one kept input again; exit code 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Run the commands on hostile input.")
    parser.add_argument("--minutes", type=float, metavar="N", help="how long (default: 1, or as --inputs needs)")
    parser.add_argument("--inputs", type=int, metavar="N", help="how many")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="the same seed gives the same inputs (default: 0)"
    )
    parser.add_argument("--kinds", metavar="A,B", help=f"of {', '.join(GRAMMARS)} (default: all)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where failures are kept (default: a new folder)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="inputs at a time (default: 2)")
    parser.add_argument("--again", type=Path, metavar="FOLDER/NNN", help="run one kept input again")
    parser.add_argument("--coverage", choices=coverage.KINDS, help="search with atheris, guided by coverage")
    options = parser.parse_args()
    kinds = options.kinds.split(",") if options.kinds else list(GRAMMARS)
    if unknown := set(kinds) - set(GRAMMARS):
        parser.error(f"--kinds: unknown {', '.join(sorted(unknown))}; known: {', '.join(GRAMMARS)}")
    keep = options.keep or Path(tempfile.mkdtemp(prefix="sdt-fuzz-kept-"))
    if options.coverage:  # before the package is imported
        coverage.search(options.coverage, options.minutes or 1.0, options.seed, keep)
    from . import warm

    warm.up()
    if options.again:
        return _again(options.again)
    minutes = options.minutes if options.minutes or options.inputs else 1.0
    screen = Console(stderr=True)
    words = TextColumn("{task.description}"), TimeElapsedColumn()
    # without a thread that draws: a fork would not take it along, but perhaps a lock that it holds
    with Progress(*words, console=screen, transient=True, auto_refresh=False, disable=not screen.is_terminal) as shown:
        task = shown.add_task("")

        def progress(report: campaign.Report) -> None:
            shown.update(task, description=f"{report.inputs:,} inputs, {len(report.failures):,} failed")
            shown.refresh()

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        report = campaign.run(
            kinds,
            options.seed,
            keep,
            minutes=minutes,
            most=options.inputs,
            at_a_time=options.workers,
            progress=progress,
        )
    print("\n".join(table(report)))
    for failure in report.failures:
        print(f"\n{failure.folder}: {failure.grammar}, {failure.kind}, input {failure.number}: {failure.why}")
    if not report.failures and not options.keep:
        keep.rmdir()
    return bool(report.failures)


def table(report: campaign.Report) -> list[str]:
    """A line for each grammar and kind, and one for all."""
    rows = [("grammar", "kind", "inputs", *OUTCOMES, "slowest s", "MiB")]
    whole = campaign.Row()
    for (grammar, kind), row in sorted(report.rows.items()):
        rows.append((grammar, kind, *_cells(row)))
        for outcome, count in row.counts.items():
            whole.counts[outcome] = whole.counts.get(outcome, 0) + count
        whole.slowest, whole.memory = max(whole.slowest, row.slowest), max(whole.memory, row.memory)
    rows.append(("all", "", *_cells(whole)))
    wide = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return ["  ".join(cell.ljust(w) if n < 2 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, wide, strict=True)))
            for row in rows]  # fmt: skip


def _cells(row: campaign.Row) -> tuple[str, ...]:
    counts = [f"{row.counts.get(outcome, 0):,}" for outcome in OUTCOMES]
    return f"{sum(row.counts.values()):,}", *counts, f"{row.slowest:.2f}", f"{row.memory:.0f}"


def _again(folder: Path) -> int:
    verdict = campaign.run_again(folder)
    for name in ("stdout", "stderr"):
        print(f"{name}: {verdict.pop(name)[-4000:]!r}")
    print(", ".join(f"{name}: {value}" for name, value in verdict.items()))
    return verdict["outcome"] == FAILED


if __name__ == "__main__":
    sys.exit(main())
