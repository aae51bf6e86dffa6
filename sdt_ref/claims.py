"""Command line: the four claims that the Spike-driven Transformer makes, each with its evidence."""

import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from rich.table import Table

from .evidence import addition_only, event_driven, linear, mask_and_add
from .inputs.image import open_picture, preprocess
from .network.model import SpikeDrivenTransformer
from .terminal import cli
from .weights.config import Preprocessing

SEED = 0  # of the frames that stand in for a photo
SHOWN = 5  # violations of a kernel

CLAIMS = {
    "event_driven": "Event-driven: a silent input costs no addition, and removing spikes never adds one",
    "addition_only": "Binary, addition only: nothing that reads spikes multiplies data",
    "linear": "Linear: attention costs in proportion to tokens and to channels, at a fixed firing rate",
    "masking": "Mask and add: attention is AND and OR (where its neuron is no OR: AND and counting)",
}


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Check all claims; exit code 0 if all of them hold, 1 if one fails, 2 for bad input."""
    parser = cli.parser("claims", "python -m sdt_ref.claims --arithmetic fixed")
    cli.add_model_options(parser)
    options = parser.parse_args(argv)
    model = cli.load_model(options)
    name, x = _sample(model.preprocessing.at(options.size), model)
    screen = cli.Screen(stderr=True)
    with cli.kernels_loading(screen):
        result = model(x, record=True)
    with cli.working(screen, "checking") as told:
        expected = addition_only.expected_counts(model, x, result)
        evidence = {
            "event_driven": event_driven.event_driven(model, x, told),
            "addition_only": addition_only.addition_only(result, progress=told, expected=expected),
            "linear": linear.linear_complexity(progress=told),
            "masking": mask_and_add.masks_and_adds(model, progress=told, result=result),
        }
    with cli.showing():
        if options.json:
            about = {"input": name, "arithmetic": model.arithmetic.name, "time_steps": len(result.logits_per_step)}
            cli.print_json({**about, "holds": _all_hold(evidence), **{key: _as_json(e) for key, e in evidence.items()}})
        else:
            _show(f"{name}, {model.arithmetic.name}, {len(result.logits_per_step)} time steps", evidence)
    return 0 if _all_hold(evidence) else cli.CHECK_FAILED


def _sample(how: Preprocessing, model: SpikeDrivenTransformer) -> tuple[str, np.ndarray]:
    """The sample photo; random counts of events for weights that read frames."""
    if how.frames:
        steps, channels = model.config.time_steps, model.architecture.in_channels
        counts = np.random.default_rng(SEED).poisson(0.5, (1, steps, channels, how.size, how.size))
        return f"random frames of {how.size}x{how.size}", counts.astype(np.float32)
    with as_file(files(__package__) / "data" / "cat.jpg") as sample:
        return f"cat.jpg, the sample photo, at {how.size}x{how.size}", preprocess(open_picture(sample), how)[None]


def _all_hold(evidence: dict[str, Any]) -> bool:
    return all(found.holds for found in evidence.values())


def _show(about: str, evidence: dict[str, Any]) -> None:
    console = cli.Screen()
    console.print(f"{cli.plain(about)}\n")
    show: dict[str, Callable[[cli.Screen, Any], None]] = {
        "event_driven": _show_layers,
        "addition_only": _show_kernels,
        "linear": _show_growths,
        "masking": _show_exhaustions,
    }
    for number, (key, claim) in enumerate(CLAIMS.items(), 1):
        console.print(f"[bold]{number}. {claim}[/]")
        show[key](console, evidence[key])
        console.print("   [green]holds[/]\n" if evidence[key].holds else "   [bold red]FAILS[/]\n")
    failed = [str(number) for number, key in enumerate(CLAIMS, 1) if not evidence[key].holds]
    console.print("All four claims hold." if not failed else f"Claims that fail: {', '.join(failed)}.")


def _table(*headings: str, left: int = 1) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for n, heading in enumerate(headings):
        table.add_column(heading, justify="right" if n >= left else "left", no_wrap=True)
    return table


def _named(name: str, holds: bool) -> str:
    return cli.plain(name) if holds else f"[red]{cli.plain(name)} FAILS[/]"


def _show_layers(console: cli.Screen, found: event_driven.EventDriven) -> None:
    console.print("[dim]additions of each layer on the spikes that it read, on fewer and fewer of them, on none[/]")
    table = _table("layer", "spikes", *(f"{share:.0%}" for share in event_driven.KEPT))
    for layer in found.layers:
        table.add_row(_named(layer.layer, layer.holds), f"{layer.events[0]:,}", *(f"{ac:,}" for ac in layer.ac))
    console.print_whole(table)
    pairs = [pair for layer in found.layers for pair in zip(layer.ac, layer.reached, strict=True)]
    right = sum(ac == reached for ac, reached in pairs)
    console.print(
        f"{right} of {len(pairs)} counts are the spikes times the outputs that each reaches, "
        "counted apart on dense tensors"
    )
    console.print("\n[dim]what the Python bodies read of their arrays; expected: a row of weights for each addition[/]")
    table = _table("kernel", "spikes", "window", "weights", "expected", "outputs", "expected", "biases", "expected")
    for seen in found.reads:
        pairs_of = zip(seen.read, seen.expected, strict=True)
        numbers = seen.spikes, seen.window, *(number for pair in pairs_of for number in pair)
        table.add_row(_named(seen.kernel, seen.holds), *(f"{number:,}" for number in numbers))
    console.print_whole(table)
    console.print(
        f"with all neurons of the network silenced: {found.silenced:,} additions in all layers that read neurons"
    )


def _show_kernels(console: cli.Screen, found: addition_only.AdditionOnly) -> None:
    console.print(
        "[dim]instructions read, for all types of numbers, and multiplications; other: addresses, loop bounds[/]"
    )
    machine = found.architecture or "assembly"
    headings = "kernel", "types", "LLVM IR", "on data", "other", machine, "on data", "other", "Python"
    table = _table(*headings)
    for kernel in found.kernels:
        if kernel.exemption is None:
            refused = kernel.refused.partition(":")[0]  # of an error, its type
            body = f"refuses {refused}" if refused else "adds" if kernel.agrees else "differs"
            table.add_row(_named(kernel.name, kernel.holds), *_counts(kernel), cli.plain(body))
    console.print_whole(table)
    console.print(
        "[dim]Python: its body ran on numbers that have addition and no multiplication, to the same results[/]"
    )
    for kernel in found.kernels:
        for violation in kernel.violations[:SHOWN]:
            console.print(f"   [red]{cli.plain(kernel.name)}: {cli.plain(violation)}[/]")
        if len(kernel.violations) > SHOWN:
            console.print(f"   [red]{cli.plain(kernel.name)}: and {len(kernel.violations) - SHOWN} more[/]")
    for name in found.unknown:
        console.print(f"   [red]kernel {cli.plain(name)} is not inspected: sdt_ref/evidence/exercises.py lacks it[/]")
    if found.architecture is None:
        console.print("[bold yellow]The assembly was NOT read: there is no reader for this machine's.[/]")
    read, allowed = (sum(getattr(each, name) for each in found.modules) for name in ("lines", "allowed"))
    others = [(each.module, text) for each in found.modules for text in each.found]
    console.print(
        f"\nPython between the kernels, {len(found.modules)} modules (engine/, network/, fixed/registers.py):\n"
        f"in {read:,} lines {allowed} products of sizes, or listed with a reason; {len(others)} others"
    )
    for module, text in others:
        console.print(f"   [red]{module}.py, {cli.plain(text)}[/]")
    console.print("\nexempt by name, and seen to multiply or shift (Python: what those numbers refused):")
    table = _table("kernel", "why", "in LLVM IR", f"in {machine}", "Python", left=5)
    for kernel in found.kernels:
        if kernel.exemption is not None:
            ir = [addition_only.operation(line) for code in kernel.codes for line in code.ir.on_data]
            compiled = [line for code in kernel.codes if code.machine is not None for line in code.machine.on_data]
            name = _named(kernel.name, kernel.holds)
            table.add_row(name, kernel.exemption.why, _by_kind(ir), _by_kind(compiled), cli.plain(kernel.refused))
    console.print_whole(table)
    expected = found.counted if found.expected is None else found.expected
    table = _table("multiplications and divisions of the whole run", "counted", "by the shapes")
    for name in {**found.counted, **expected}:
        counts = found.counted.get(name, 0), expected.get(name, 0)
        right = name in addition_only.COUNTED and counts[0] == counts[1]
        table.add_row(_named(addition_only.COUNTED.get(name, name), right), *(f"{number:,}" for number in counts))
    table.add_row("all else", "0", "0")
    console.print_whole(table)


def _by_kind(instructions: list[str]) -> str:
    """How many there are of each, such as '20 vmulps, 24 vmulpd'."""
    kinds = Counter(line.split()[0] for line in instructions)
    return ", ".join(f"{count} {cli.plain(kind)}" for kind, count in kinds.items()) or "none"


def _counts(kernel: addition_only.KernelEvidence) -> tuple[str, ...]:
    """Types; IR: instructions, multiplications on data and of addresses; the same of the assembly."""
    codes = kernel.codes
    ir = [(code.ir.instructions, len(code.ir.on_data), len(code.ir.on_addresses)) for code in codes]
    read = [
        (code.machine.instructions, len(code.machine.on_data), len(code.machine.on_either))
        for code in codes
        if code.machine is not None
    ]
    totals = [f"{sum(column):,}" for column in zip(*ir, strict=True)]
    totals += [f"{sum(column):,}" for column in zip(*read, strict=True)] if read else ["not read", "", ""]
    return str(len(codes)), *totals


def _show_growths(console: cli.Screen, found: linear.LinearComplexity) -> None:
    console.print(
        f"[dim]one attention, one time step, {found.firing_rate:.0%} of Q, K and V spike in one repeated pattern[/]"
    )
    for growth in found.growths:
        kept = "channels" if growth.of == "tokens" else "tokens"
        heading = f"{growth.of} (x {getattr(growth.costs[0], kept)} {kept})"
        table = _table(heading, "spikes", "additions", "list reads", "softmax attention, MAC")
        for cost in growth.costs:
            numbers = cost.spikes, cost.additions, cost.reads, cost.softmax
            table.add_row(f"{getattr(cost, growth.of):,}", *(f"{number:,}" for number in numbers))
        slopes = [f"{growth.slope(what):g}" for what in ("spikes", "additions", "reads", "softmax")]
        table.add_row(_named("slope, log over log", growth.holds), *slopes)
        console.print_whole(table)
    console.print(
        "[dim]list reads: entries of the tokens' event lists that the engine's own attention reads, noticed\n"
        "by the lists as its kernels run in Python; the mask's own list is read once, whatever the tokens[/]"
    )


def _show_exhaustions(console: cli.Screen, found: mask_and_add.MaskAndAdd) -> None:
    console.print("[dim]every Q, K and V of small sizes, against Boolean tensors[/]")
    table = _table("attention's neuron", "rule", "cases", "not by the rule", "unlike an OR", left=2)
    for tried in found.exhaustions:
        numbers = f"{tried.cases:,}", f"{tried.wrong:,}", f"{tried.unlike_or:,}"
        table.add_row(_named(tried.neuron, tried.holds), tried.rule, *numbers)
    console.print_whole(table)
    for sizes, where in ((mask_and_add.SIZES, "sizes"), (mask_and_add.DVS_SIZES, "in dvs mode")):
        console.print(f"[dim]{where}: {', '.join(f'T={T} N={N} C={C}' for T, N, C in sizes)}[/]")
    for tried in found.exhaustions:
        if tried.witness is not None:
            counts, by_or, by_neuron = (", ".join(map(str, numbers)) for numbers in dataclasses.astuple(tried.witness))
            console.print(
                f"a witness, {tried.neuron}: K AND V at {counts} tokens in steps 0, 1, ...; "
                f"an OR says {by_or}, the neuron {by_neuron}"
            )
    if found.recorded:
        console.print("\n[dim]K AND V, the mask, and Q AND the mask in the run, against Boolean tensors[/]")
        table = _table("attention", "tokens", "channels", "spikes of Q, K, V", "most in a sum", "compared", "unlike")
        for seen in found.recorded:
            counted = seen.tokens, seen.channels, seen.spikes, seen.most, seen.compared, seen.wrong
            table.add_row(_named(f"block {seen.block}", seen.holds), *(f"{number:,}" for number in counted))
        console.print_whole(table)


def _as_json(found: Any) -> dict[str, Any]:
    """Evidence as plain values; of compiled code the violations and the numbers, not every address."""
    if isinstance(found, addition_only.AdditionOnly):
        kernels = [
            {
                "name": kernel.name,
                "exempt": kernel.exemption and kernel.exemption.why,
                "holds": kernel.holds,
                "multiplications": list(kernel.violations),
                "python_refused": kernel.refused,
                "python_agrees": kernel.agrees,
                "codes": [
                    {
                        "types": code.types,
                        "ir_instructions": code.ir.instructions,
                        "ir_on_addresses": len(code.ir.on_addresses),
                        "assembly_instructions": None if code.machine is None else code.machine.instructions,
                        "assembly_on_addresses": None if code.machine is None else len(code.machine.on_either),
                    }
                    for code in kernel.codes
                ],
            }
            for kernel in found.kernels
        ]
        rest = {"architecture": found.architecture, "unknown": list(found.unknown), "counted": dict(found.counted)}
        expected = None if found.expected is None else dict(found.expected)
        modules = [{"holds": each.holds, **dataclasses.asdict(each)} for each in found.modules]
        return {"holds": found.holds, **rest, "expected": expected, "modules": modules, "kernels": kernels}
    return {"holds": found.holds, **dataclasses.asdict(found)}


if __name__ == "__main__":
    sys.exit(main())
