"""Command line: everything that the README says about speed, measured on this machine; tables and one figure."""

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from sdt_ref.engine.tiles import MAX_THREADS
from sdt_ref.errors import ConfigError
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.terminal import cli
from sdt_ref.weights.file import Weights, load
from sdt_ref.weights.presets import PRESETS

from . import counters, fixed, growth, memory, reading, startup, sweep
from .ceiling import LEVELS, additions_per_second
from .compare import Row, compare
from .engines import ENGINES
from .networks import calibrated, photo

SHIPPED = "shipped"
NETWORKS = ("sdt-8-384", "sdt-8-512", "sdt-8-768", "sdt-2-512-cifar10", SHIPPED)
PARTS = ("engines", "fixed", "counters", "reading", "sweep", "growth", "startup", "memory")
DRAWN = {"engines", "sweep", "growth"}
PICTURES = (".png", ".pdf", ".svg")
G = 1e9
WIDTH = 110  # of the tables, also where the output is no terminal


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Run the chosen parts; exit code 1 when an engine computes another network."""
    options = _parser().parse_args(argv)
    console = Console(highlight=False, soft_wrap=True, width=WIDTH)
    drawing = _can_draw(console, options)
    engines: dict[str, list[Row]] = {}
    points: list[sweep.Point] = []
    growths: list[growth.Growth] = []
    if "engines" in options.parts:
        ceilings = _show_ceilings(console, options.threads)
        for network, batch in product(options.network, options.batch):
            engines[f"{network}, batch {batch}"] = _engines(console, network, batch, options, ceilings)
    if "fixed" in options.parts:
        _fixed(console, options)
    if "counters" in options.parts:
        _counters(console, options)
    if "reading" in options.parts:
        _reading(console, options)
    if "sweep" in options.parts:
        points = _sweep(console, options)
    if "growth" in options.parts:
        growths = _growth(console, options)
    if "startup" in options.parts:
        _startup(console)
    if "memory" in options.parts:
        _memory(console, options)
    if drawing:
        from .figure import draw  # matplotlib, for those who want the picture

        draw(options.figure, engines, points, growths)
        console.print(f"figure: {options.figure}")
    return 0 if all(row.same for rows in engines.values() for row in rows) else cli.CHECK_FAILED


def _can_draw(console: Console, options: argparse.Namespace) -> bool:
    """Whether a figure comes at the end; what stands in its way is said before an hour of measuring, not after it."""
    if DRAWN.isdisjoint(options.parts):
        return False
    if find_spec("matplotlib") is None:
        console.print("no figure: it needs matplotlib: pip install matplotlib")
        return False
    figure = options.figure
    if figure.suffix not in PICTURES:
        raise ConfigError(f"--figure {figure}: expected a name that ends in {', '.join(PICTURES)}")
    if figure.is_dir() or not os.access(figure if figure.exists() else figure.parent, os.W_OK):
        raise ConfigError(f"--figure {figure}: cannot be written; name a file in a folder that exists and takes files")
    return True


def _parser() -> argparse.ArgumentParser:
    example = "example: python -m benchmarks engines --network sdt-8-512 --batch 1"
    parser = cli.Parser(prog="python -m benchmarks", description=__doc__, epilog=example)
    parser.add_argument("parts", nargs="*", type=_one_of(PARTS), default=PARTS, metavar="PART",
                        help=f"of {', '.join(PARTS)}; default: all of them")  # fmt: skip
    parser.add_argument("--network", nargs="+", default=NETWORKS, type=_one_of([*PRESETS, SHIPPED]), metavar="NAME",
                        help=f"for engines, fixed and counters; default: {', '.join(NETWORKS)}")  # fmt: skip
    parser.add_argument("--batch", nargs="+", type=_number(1, 1024), default=[1, 16], metavar="B",
                        help="for engines, fixed and counters; default: 1 16")  # fmt: skip
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), type=_one_of(ENGINES), metavar="NAME",
                        help=f"default: {quoted(ENGINES)}")  # fmt: skip
    parser.add_argument("--threads", type=_number(1, MAX_THREADS), default=2, metavar="N", help="default: 2")
    parser.add_argument("--runs", type=_number(1, 10_000), default=7, metavar="N",
                        help="timed runs; medians are printed (default: 7)")  # fmt: skip
    parser.add_argument(
        "--seed", type=_number(0, 2**63), default=1, metavar="N", help="of the random weights (default: 1)"
    )
    parser.add_argument("--pack", type=Path, metavar="PACK.h5",
                        help="for reading: CIFAR-10 as JPEG files; default: a generated one")  # fmt: skip
    parser.add_argument("--figure", type=Path, default=Path("benchmarks.png"), help="default: benchmarks.png")
    return parser


def quoted(names: Collection[str]) -> str:
    """Names in a row; one of an engine may have a comma in it."""
    return ", ".join(f"'{name}'" if " " in name else name for name in names)


def _one_of(names: Collection[str]) -> Callable[[str], str]:
    def chosen(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"expected one of {quoted(names)}; found '{text}'")
        return text

    return chosen


def _number(least: int, most: int) -> Callable[[str], int]:
    def chosen(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"expected {least} to {most}, found '{text}'")
        return int(text)

    return chosen


def _weights(network: str, seed: int) -> Weights:
    if network == SHIPPED:
        return load()
    preset = PRESETS[network]
    size, pooling = preset.settings["size"], preset.settings["pooling_stat"]
    return calibrated(preset.dim, preset.depth, size, pooling, preset.architecture.num_classes, seed=seed)


def _engines(
    console: Console, network: str, batch: int, options: argparse.Namespace, ceilings: dict[str, float]
) -> list[Row]:
    weights = _weights(network, options.seed)
    x = photo(weights.preprocessing.size, batch)
    console.rule(f"{network}, batch {batch}")
    counts = SpikeDrivenTransformer(weights, threads=options.threads)(x).counts
    rates = ", ".join(f"{n} {c.firing_rate:.3f}" for n, c in counts.items() if c.firing_rate is not None)
    console.print(f"firing rates that the layers read, after pooling: {rates}")
    rows = compare(weights, x, options.engines, options.threads, options.runs, console.print)
    columns = ["engine", "median", "min", "max", "sdt_ref is faster by", "labels agree"]
    table = _table(f"{network}, batch {batch}, {options.threads} threads, ms", columns)
    for row in sorted(rows, key=lambda row: row.kind):
        if row.seconds:
            times = [f"{1000 * f(row.seconds):,.1f}" for f in (statistics.median, min, max)]
            ratio = "" if row is rows[0] else f"{row.ratio:.2f} x"
            table.add_row(row.name, *times, ratio, f"{row.labels:.0%}" if row.kind != "float32" else "")
    console.print(table)
    additions, macs = (sum(int(getattr(c, kind).sum()) for c in counts.values()) for kind in ("ac", "mac"))
    speed = additions / statistics.median(rows[0].seconds)
    shares = ", ".join(f"{speed / ceiling:.0%} of the ceiling from {level}" for level, ceiling in ceilings.items())
    console.print(f"sdt_ref: {additions / G:.2f} G additions and {macs / G:.3f} G multiplications")
    console.print(f"{speed / G:.1f} G additions/s, {shares}\n")
    return rows


def _show_ceilings(console: Console, threads: int) -> dict[str, float]:
    table = _table("load and add, float32, G additions/s", ["weights from", "1 thread", f"{threads} threads"])
    ceilings = {}
    for level, nbytes in LEVELS.items():
        one, ceilings[level] = additions_per_second(nbytes, 1), additions_per_second(nbytes, threads)
        table.add_row(level, f"{one / G:.1f}", f"{ceilings[level] / G:.1f}")
    console.print(table)
    return ceilings


def _fixed(console: Console, options: argparse.Namespace) -> None:
    columns = ["network", "batch", "threads", "float32", "fixed", "fixed is faster by", "G additions, both"]
    table = _table("fixed point with 8-bit weights beside float32, ms", columns)
    for network, batch in product(options.network, options.batch):
        weights = _weights(network, options.seed)
        x = photo(weights.preprocessing.size, batch)
        for pair in fixed.measure(weights, x, options.threads, options.runs):
            times = [f"{1000 * statistics.median(seconds):,.1f}" for seconds in (pair.float32, pair.fixed)]
            additions = " ".join(f"{n / G:.2f}" for n in pair.additions)
            table.add_row(network, str(batch), str(pair.threads), *times, f"{pair.ratio:.2f} x", additions)
    console.print(table)


def _counters(console: Console, options: argparse.Namespace) -> None:
    table = _table("counting operations, ms", ["network", "batch", "counting", "not counting", "counting takes"])
    for network, batch in product(options.network, options.batch):
        weights = _weights(network, options.seed)
        cost = counters.measure(weights, photo(weights.preprocessing.size, batch), options.threads, options.runs)
        times = [f"{1000 * statistics.median(seconds):,.2f}" for seconds in (cost.counting, cost.silent)]
        table.add_row(network, str(batch), *times, f"{cost.share:+.1%}")
    console.print(table)


def _reading(console: Console, options: argparse.Namespace) -> None:
    columns = ["pictures", "network", "images", "engine", "evaluate", "evaluate takes", "of the processor"]
    table = _table("evaluate beside the engine at batch 16, images/s; what it takes more, with the interval", columns)
    for case in reading.CASES:
        weights = _weights(case.network, options.seed)
        with reading.generated_pack(case.size, case.images, weights.classes, options.seed) as generated:
            pack = options.pack or generated if case.network == SHIPPED else generated
            cost = reading.measure(weights, pack, case.images, options.threads, options.runs)
        speeds = [f"{cost.images / statistics.median(seconds):.1f}" for seconds in (cost.engine, cost.road)]
        shares = ["{:+.1%} ({:+.1%} to {:+.1%})".format(*share) for share in (cost.extra, cost.extra_cpu)]
        table.add_row("{}x{}".format(*case.size), case.network, str(cost.images), *speeds, *shares)
    console.print(table)


def _sweep(console: Console, options: argparse.Namespace) -> list[sweep.Point]:
    points = sweep.measure(512, 8, 224, options.threads, options.runs, options.seed, console.print)
    names = list(points[0].seconds)
    table = _table("sdt-8-512 at one rate for all layers, batch 1, ms", ["rate", "G additions", *names])
    for point in points:
        times = [f"{1000 * statistics.median(point.seconds[name]):,.1f}" for name in names]
        table.add_row(f"{point.rate}", f"{point.additions / G:.2f}", *times)
    console.print(table)
    return points


def _growth(console: Console, options: argparse.Namespace) -> list[growth.Growth]:
    table = _table(
        "time = constant * quantity ^ slope", ["of", "with", "growing", "ms", "ms without spikes", "slope", "expected"]
    )
    growths = []
    for g in growth.measure(options.threads, options.seed):
        growths.append(g)
        grown = f"{g.x[0]:,.0f} to {g.x[-1]:,.0f}"
        times = [f"{1000 * s[0]:.1f} to {1000 * s[-1]:.1f}" for s in (g.seconds, g.fixed)]
        table.add_row(
            g.name,
            g.quantity,
            grown,
            *times,
            "lost in noise" if np.isnan(g.slope) else f"{g.slope:.2f}",
            f"{g.expected:g}",
        )
    console.print(table)
    return growths


def _startup(console: Console) -> None:
    table = _table("whole processes, medians", ["process", "s"])
    for name, seconds in startup.measure().items():
        table.add_row(name, f"{seconds:.2f}")
    console.print(table)


def _memory(console: Console, options: argparse.Namespace) -> None:
    columns = ["pixels", "weights in the file", "after imports", "after loading", "after one image"]
    table = _table("SDT-8-768, peak resident memory, MB", columns)
    for peak in memory.measure(options.threads, options.seed):
        values = (peak.weights, peak.imported, peak.loaded, peak.image)
        table.add_row(str(peak.size), *(f"{value / 1e6:,.0f}" for value in values))
    console.print(table)


def _table(title: str, columns: list[str]) -> Table:
    table = Table(box=None, title=title, title_justify="left")
    for k, column in enumerate(columns):
        table.add_column(column, justify="right" if k else "left", no_wrap=True)
    return table


if __name__ == "__main__":
    sys.exit(main())
