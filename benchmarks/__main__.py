"""Command line: one table of engines on one network, every engine in the same order on the same cores."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from sdt_ref.model import SpikeDrivenTransformer
from sdt_ref.presets import PRESETS
from sdt_ref.weights import Weights, load

from .engines import Forward, event_engine, torch_engine
from .networks import calibrated, photo, uniform

ENGINES: dict[str, Callable[[Weights, int], tuple[Forward, Callable[[np.ndarray], list[np.ndarray]]]]] = {
    "sdt_ref": event_engine,
    "PyTorch eager": torch_engine,
    "PyTorch eager, folded": lambda w, threads: torch_engine(w, threads, folded=True),
    "PyTorch compile, folded": lambda w, threads: torch_engine(w, threads, folded=True, compiled=True),
}
# Between float32 engines, which add in different orders, a membrane on the threshold may fall on the other side. One
# such spike can turn a channel of an attention mask and so reach all tokens of that step; with random weights it
# then spreads through the later blocks. So the engines are held to each other where nothing has spread yet.
EARLY = 13  # hooks of the patch embedding and of block 0
ALLOWED = 1e-3  # of their spikes may differ


def main() -> int:
    """Check the engines against each other, then time them round by round."""
    options = _parser().parse_args()
    console = Console(highlight=False, soft_wrap=True)
    weights = _weights(options)
    x = photo(options.size or weights.preprocessing.size, options.batch)
    _show_rates(console, weights, x)
    engines = {name: make(weights, options.threads) for name, make in ENGINES.items()}
    reference = engines["sdt_ref"][1](x)
    hooks = list(SpikeDrivenTransformer(weights)(x, record=True).spikes)
    for name, (forward, spikes_of) in engines.items():
        different = [int((a != b).sum()) for a, b in zip(reference, spikes_of(x), strict=True)]
        first = next((f", first in {hook}" for hook, count in zip(hooks, different, strict=True) if count), "")
        console.print(f"{name}: {sum(different):,} of {sum(a.size for a in reference):,} spikes differ{first}")
        if sum(different[:EARLY]) > ALLOWED * sum(a.size for a in reference[:EARLY]):
            console.print("that is another network, not another order of additions: no times")
            return 1
        forward(x)  # warm up, compile
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(options.runs):
        for name, (forward, _spikes) in engines.items():
            start = time.perf_counter()
            forward(x)
            seconds[name].append(time.perf_counter() - start)
    _show_times(console, seconds, options)
    return 0


def _parser() -> argparse.ArgumentParser:
    example = "example: python -m benchmarks --network sdt-8-512 --threads 2"
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, epilog=example)
    parser.add_argument("--network", default="sdt-8-512", choices=[*PRESETS, "shipped"], help="default: sdt-8-512")
    parser.add_argument("--size", type=int, help="pixels (default: the network's own)")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=7, help="timed rounds; medians are printed (default: 7)")
    parser.add_argument("--seed", type=int, default=1, help="of the random weights (default: 1)")
    parser.add_argument("--rate", type=float, help="one firing rate for all layers (default: the published ones)")
    return parser


def _weights(options: argparse.Namespace) -> Weights:
    if options.network == "shipped":
        return load()
    preset = PRESETS[options.network]
    size = options.size or preset.settings["size"]
    return calibrated(preset.dim, preset.depth, size, preset.settings["pooling_stat"], preset.architecture.num_classes,
                      None if options.rate is None else uniform(options.rate), options.seed)  # fmt: skip


def _show_rates(console: Console, weights: Weights, x: np.ndarray) -> None:
    counts = SpikeDrivenTransformer(weights)(x).counts
    console.print("firing rates that the layers read, after pooling:")
    console.print(", ".join(f"{n} {c.firing_rate:.3f}" for n, c in counts.items() if c.firing_rate is not None))
    additions, multiplications = (sum(int(getattr(c, k).sum()) for c in counts.values()) for k in ("ac", "mac"))
    console.print(f"sdt_ref: {additions / 1e9:.2f} G additions, {multiplications / 1e9:.2f} G multiplications\n")


def _show_times(console: Console, seconds: dict[str, list[float]], options: argparse.Namespace) -> None:
    table = Table(box=None, title=f"{options.network}, batch {options.batch}, {options.threads} threads, ms")
    for heading in ("engine", "median", "min", "max", "sdt_ref is faster by"):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    for name, times in seconds.items():
        ratio = statistics.median(other / own for other, own in zip(times, seconds["sdt_ref"], strict=True))
        row = [f"{1000 * f(times):.1f}" for f in (statistics.median, min, max)]
        table.add_row(name, *row, "" if name == "sdt_ref" else f"{ratio:.2f} x")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
