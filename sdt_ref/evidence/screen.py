"""The claims on a screen, each with its evidence as tables."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

from rich.table import Table

from ..terminal.screen import Screen, table
from ..terminal.words import plain
from . import addition_only, event_driven, linear, mask_and_add

SHOWN = 5  # violations of a kernel

CLAIMS = {
    "event_driven": "Event-driven: a silent input costs no addition, and removing spikes never adds one",
    "addition_only": "Binary, addition only: nothing that reads spikes multiplies data",
    "linear": "Linear: attention costs in proportion to tokens and to channels, at a fixed firing rate",
    "masking": "Mask and add: attention is AND and OR (where its neuron is no OR: AND and counting)",
}


def show(screen: Screen, about: str, evidence: dict[str, Any]) -> None:
    """Print all claims; `about`: of which run."""
    screen.print(f"{plain(about)}\n")
    shows: dict[str, Callable[[Screen, Any], None]] = {
        "event_driven": _show_layers,
        "addition_only": _show_kernels,
        "linear": _show_growths,
        "masking": _show_exhaustions,
    }
    for number, (key, claim) in enumerate(CLAIMS.items(), 1):
        screen.print(f"[bold]{number}. {claim}[/]")
        shows[key](screen, evidence[key])
        screen.print("   [green]holds[/]\n" if evidence[key].holds else "   [bold red]FAILS[/]\n")
    failed = [str(number) for number, key in enumerate(CLAIMS, 1) if not evidence[key].holds]
    screen.print("All four claims hold." if not failed else f"Claims that fail: {', '.join(failed)}.")


def _table(*headings: str, left: int = 1) -> Table:
    """With narrow gaps: these tables are wide."""
    return table(*headings, left=left, gap=1)


def _named(name: str, holds: bool) -> str:
    return plain(name) if holds else f"[red]{plain(name)} FAILS[/]"


def _show_layers(screen: Screen, found: event_driven.EventDriven) -> None:
    screen.print("[dim]additions of each layer on the spikes that it read, on fewer and fewer of them, on none[/]")
    shown = _table("layer", "spikes", *(f"{share:.0%}" for share in event_driven.KEPT))
    for layer in found.layers:
        shown.add_row(_named(layer.layer, layer.holds), f"{layer.events[0]:,}", *(f"{ac:,}" for ac in layer.ac))
    screen.print_table(shown)
    pairs = [pair for layer in found.layers for pair in zip(layer.ac, layer.reached, strict=True)]
    right = sum(ac == reached for ac, reached in pairs)
    screen.print(
        f"{right} of {len(pairs)} counts are the spikes times the outputs that each reaches, "
        "counted apart on dense tensors"
    )
    screen.print("\n[dim]what the Python bodies read of their arrays; expected: a row of weights for each addition[/]")
    shown = _table("kernel", "spikes", "window", "weights", "expected", "outputs", "expected", "biases", "expected")
    for seen in found.reads:
        pairs_of = zip(seen.read, seen.expected, strict=True)
        numbers = seen.spikes, seen.window, *(number for pair in pairs_of for number in pair)
        shown.add_row(_named(seen.kernel, seen.holds), *(f"{number:,}" for number in numbers))
    screen.print_table(shown)
    screen.print(
        f"with all neurons of the network silenced: {found.silenced:,} additions in all layers that read neurons"
    )


def _show_kernels(screen: Screen, found: addition_only.AdditionOnly) -> None:
    screen.print(
        "[dim]instructions read, for all types of numbers, and multiplications; other: addresses, loop bounds[/]"
    )
    machine = found.architecture or "assembly"
    headings = "kernel", "types", "LLVM IR", "on data", "other", machine, "on data", "other", "Python"
    shown = _table(*headings)
    for kernel in found.kernels:
        if kernel.exemption is None:
            refused = kernel.refused.partition(":")[0]  # of an error, its type
            body = f"refuses {refused}" if refused else "adds" if kernel.agrees else "differs"
            shown.add_row(_named(kernel.name, kernel.holds), *_counts(kernel), plain(body))
    screen.print_table(shown)
    screen.print(
        "[dim]Python: its body ran on numbers that have addition and no multiplication, to the same results[/]"
    )
    for kernel in found.kernels:
        for violation in kernel.violations[:SHOWN]:
            screen.print(f"   [red]{plain(kernel.name)}: {plain(violation)}[/]")
        if len(kernel.violations) > SHOWN:
            screen.print(f"   [red]{plain(kernel.name)}: and {len(kernel.violations) - SHOWN} more[/]")
    for name in found.unknown:
        screen.print(f"   [red]kernel {plain(name)} is not inspected: sdt_ref/evidence/exercises.py lacks it[/]")
    if found.architecture is None:
        screen.print("[bold yellow]The assembly was NOT read: there is no reader for this machine's.[/]")
    read, allowed = (sum(getattr(each, name) for each in found.modules) for name in ("lines", "allowed"))
    others = [(each.module, text) for each in found.modules for text in each.found]
    screen.print(
        f"\nPython between the kernels, {len(found.modules)} modules (engine/, network/, fixed/registers.py):\n"
        f"in {read:,} lines {allowed} products of sizes, or listed with a reason; {len(others)} others"
    )
    for module, text in others:
        screen.print(f"   [red]{module}.py, {plain(text)}[/]")
    screen.print("\nexempt by name, and seen to multiply or shift (Python: what those numbers refused):")
    shown = _table("kernel", "why", "in LLVM IR", f"in {machine}", "Python", left=5)
    for kernel in found.kernels:
        if kernel.exemption is not None:
            ir = [addition_only.operation(line) for code in kernel.codes for line in code.ir.on_data]
            compiled = [line for code in kernel.codes if code.machine is not None for line in code.machine.on_data]
            name = _named(kernel.name, kernel.holds)
            shown.add_row(name, kernel.exemption.why, _by_kind(ir), _by_kind(compiled), plain(kernel.refused))
    screen.print_table(shown)
    expected = found.counted if found.expected is None else found.expected
    shown = _table("multiplications and divisions of the whole run", "counted", "by the shapes")
    for name in {**found.counted, **expected}:
        counts = found.counted.get(name, 0), expected.get(name, 0)
        right = name in addition_only.COUNTED and counts[0] == counts[1]
        shown.add_row(_named(addition_only.COUNTED.get(name, name), right), *(f"{number:,}" for number in counts))
    shown.add_row("all else", "0", "0")
    screen.print_table(shown)


def _by_kind(instructions: list[str]) -> str:
    """How many there are of each, such as '20 vmulps, 24 vmulpd'."""
    kinds = Counter(line.split()[0] for line in instructions)
    return ", ".join(f"{count} {plain(kind)}" for kind, count in kinds.items()) or "none"


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


def _show_growths(screen: Screen, found: linear.LinearComplexity) -> None:
    screen.print(
        f"[dim]one attention, one time step, {found.firing_rate:.0%} of Q, K and V spike in one repeated pattern[/]"
    )
    for growth in found.growths:
        kept = "channels" if growth.of == "tokens" else "tokens"
        heading = f"{growth.of} (x {getattr(growth.costs[0], kept)} {kept})"
        shown = _table(heading, "spikes", "additions", "list reads", "softmax attention, MAC")
        for cost in growth.costs:
            numbers = cost.spikes, cost.additions, cost.reads, cost.softmax
            shown.add_row(f"{getattr(cost, growth.of):,}", *(f"{number:,}" for number in numbers))
        slopes = [f"{growth.slope(what):g}" for what in ("spikes", "additions", "reads", "softmax")]
        shown.add_row(_named("slope, log over log", growth.holds), *slopes)
        screen.print_table(shown)
    screen.print(
        "[dim]list reads: entries of the tokens' event lists that the engine's own attention reads, noticed\n"
        "by the lists as its kernels run in Python; the mask's own list is read once, whatever the tokens[/]"
    )


def _show_exhaustions(screen: Screen, found: mask_and_add.MaskAndAdd) -> None:
    screen.print("[dim]every Q, K and V of small sizes, against Boolean tensors[/]")
    shown = _table("attention's neuron", "rule", "cases", "not by the rule", "unlike an OR", left=2)
    for tried in found.exhaustions:
        numbers = f"{tried.cases:,}", f"{tried.wrong:,}", f"{tried.unlike_or:,}"
        shown.add_row(_named(tried.neuron, tried.holds), tried.rule, *numbers)
    screen.print_table(shown)
    for sizes, where in ((mask_and_add.SIZES, "sizes"), (mask_and_add.DVS_SIZES, "in dvs mode")):
        screen.print(f"[dim]{where}: {', '.join(f'T={T} N={N} C={C}' for T, N, C in sizes)}[/]")
    for tried in found.exhaustions:
        if tried.witness is not None:
            counts, by_or, by_neuron = (", ".join(map(str, numbers)) for numbers in dataclasses.astuple(tried.witness))
            screen.print(
                f"a witness, {tried.neuron}: K AND V at {counts} tokens in steps 0, 1, ...; "
                f"an OR says {by_or}, the neuron {by_neuron}"
            )
    if found.recorded:
        screen.print("\n[dim]K AND V, the mask, and Q AND the mask in the run, against Boolean tensors[/]")
        shown = _table("attention", "tokens", "channels", "spikes of Q, K, V", "most in a sum", "compared", "unlike")
        for seen in found.recorded:
            counted = seen.tokens, seen.channels, seen.spikes, seen.most, seen.compared, seen.wrong
            shown.add_row(_named(f"block {seen.block}", seen.holds), *(f"{number:,}" for number in counted))
        screen.print_table(shown)
