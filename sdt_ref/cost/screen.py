"""The report on a screen: the layers, all operations, the sums."""

from ..terminal.screen import Screen, table
from .account import SYNAPSES
from .official import OfficialStatistic
from .published import PUBLISHED_RATIO, READ_RATE, Row, energies, ratios, without_spikes
from .summary import Summary
from .technology import energy, memory_traffic

KINDS = {
    SYNAPSES: "weight layers",
    "bias": "biases",
    "residual": "shortcuts",
    "leak": "neurons: leak",
    "threshold": "neurons: threshold",
    "pool": "pooling of spikes (OR)",
    "max_pool": "pooling of currents (max)",
    "attention": "attention: mask and add",
    "token_mean": "mean over tokens",
    "time_mean": "mean over time",
    "register": "registers: other units",
}


def show(screen: Screen, report: Summary, memory: bool) -> None:
    """Print the report; with `memory` also the words that move."""
    how, steps = report.technology, report.account.time_steps
    screen.print(f"{report.arithmetic}, {steps} time steps; {how.name}: {how.mac:g} pJ per MAC, {how.add:g} pJ per AC")
    screen.print(f"[dim]{how.source}[/]\n")
    _show_layers(screen, report)
    _show_formula(screen, report)
    _show_kinds(screen, report)
    _show_sums(screen, report)
    if memory:
        _show_memory(screen, report)


def _show_layers(screen: Screen, report: Summary) -> None:
    """What was counted, layer by layer."""
    many = report.average.pictures > 1
    shown = table("weight layer", "fires", "read", "operations", "of dense", "uJ", *["+-"] * many)
    counted, account = energy(report.account, report.technology), report.account
    for words, stages in report.layers().items():
        kind = SYNAPSES if (stages[0], SYNAPSES) in counted else "attention"
        done = sum(account.get(stage, kind, field).sum() for stage in stages for field in ("ac", "mac"))
        dense = sum(account.get(stage, SYNAPSES, "dense").sum() for stage in stages)
        spent = sum(counted[stage, kind].sum() for stage in stages)
        spread = [_mega(report.deviation(words))] * many
        share = f"{done / dense:.1%}" if dense else ""
        shown.add_row(words, *_shown_rates(report, stages[0]), _count(done), share, _mega(spent), *spread)
    screen.print_table(shown)
    screen.print(
        "[dim]fires: spikes per neuron and step of the layer before; read: behind the pool;\n"
        "operations: additions, analog MACs, in attention K AND V summed over tokens[/]\n"
    )


def _show_formula(screen: Screen, report: Summary) -> None:
    """The paper's formula, and what separates it from the count."""
    shown = table("by the formula", "millions", "+ pooling", "- borders", "= counted", "uJ")
    for words, stages in report.layers().items():
        parts = [report.estimates[stage] for stage in stages]
        formula, pooling, borders = (
            sum(part.macs + part.acs for part in parts), sum(p.pooling for p in parts), -sum(p.borders for p in parts)
        )  # fmt: skip
        equal = _mega(formula + pooling - borders) if parts[0].complete else ""
        spent = _mega(sum(part.energy(report.technology) for part in parts))
        shown.add_row(words, _mega(formula), _mega(pooling, nothing=""), _mega(borders, nothing=""), equal, spent)
    screen.print_table(shown)
    screen.print(
        "[dim]FLOPs x rate at which neurons fire x time steps;\n"
        "attention: (rate of Q + rate of K) x tokens x channels[/]\n"
    )


def _shown_rates(report: Summary, stage: str) -> tuple[str, str]:
    """Firing rates over all time steps, as its neurons fire and behind the pool."""
    rates = report.rates(stage)
    if rates is None:
        return ("analog", "analog") if (stage, SYNAPSES) in report.account.cells else ("", "")
    return f"{rates[0]:.3f}", f"{rates[1]:.3f}"


def _show_kinds(screen: Screen, report: Summary) -> None:
    """All operations, also those besides the weight layers."""
    shown = table("all operations", "additions", "products", "comparisons", "shifts", "uJ")
    counted = energy(report.account, report.technology)
    fields = ("ac", "mac", "comparisons", "shifts")
    present = {kind for _, kind in counted}
    for kind, words in KINDS.items():
        if kind in present:
            spent = sum(pj.sum() for (_, k), pj in counted.items() if k == kind)
            shown.add_row(words, *(_count(report.account.total(field, kind)) for field in fields), _mega(spent))
    total = *(_count(report.account.total(field)) for field in fields), _mega(sum(pj.sum() for pj in counted.values()))
    shown.add_row("[bold]sum[/]", *(f"[bold]{value}[/]" for value in total))
    screen.print_table(shown)
    screen.print(
        "[dim]products: MACs, their addition included, and divisions;\n"
        f"AND and OR cost {report.technology.bit:g} pJ, shifts by a constant {report.technology.shift:g}[/]\n"
    )


def _show_sums(screen: Screen, report: Summary) -> None:
    shown = table("", "", "", show_header=False)
    many, spreads = report.average.pictures > 1, report.average.spreads
    for words, name in (
        ("weight layers, by the paper's formula", "formula"),
        ("weight layers, counted", "synapses"),
        ("all operations, counted", "counted"),
    ):
        shown.add_row(words, _milli(spreads[name].mean), f"+- {spreads[name].deviation / 1e9:.2g} mJ" if many else "")
    without = report.vanilla.macs * report.technology.mac
    shown.add_row("the same network without spikes, vanilla attention", _milli(without), "")
    screen.print_table(shown)
    by_formula, counted = (_times(without, spreads[name].mean) for name in ("formula", "counted"))
    acs, macs, dense = (_count(report.account.total(name)) for name in ("effective_acs", "effective_macs", "dense"))
    screen.print(
        f"which is {by_formula} the formula and {counted} all that was counted\n\n"
        f"synaptic operations: {acs} effective ACs and {macs} effective MACs,\nof {dense} dense ones"
    )
    exits = report.account.early_exit.values()
    if exits:
        made, saved, sums = (
            _count(sum(getattr(each, name).sum() for each in exits)) for name in ("comparisons", "saved", "additions")
        )
        screen.print(
            f"an attention that leaves a channel at its first hit, as an OR may, would save\n{saved} of {made} ANDs of "
            f"K with V, and all {sums} additions"
        )


def _show_memory(screen: Screen, report: Summary) -> None:
    how = report.technology

    def moved(name: str) -> str:
        numbers, bits = memory_traffic(report.account)[name]
        return f"{_count(numbers)} of {bits / (numbers or 1):.3g} bits, {_milli(bits / 32 * how.word)}"

    rows = _count(report.account.total("weight_rows"))
    screen.print(f"memory, {how.word:g} pJ per 32 bits: {rows} weight rows = {moved('weights')};")
    screen.print(f"membranes read and written: {moved('membranes')}")


def show_published(screen: Screen) -> None:
    """Print the paper's figures beside what its formula gives."""
    two_digits = dict.fromkeys(("published, mJ", "first conv", "all else at 1", "at the log's"), ".2f")
    _show_rows(screen, energies(), two_digits)
    screen.print(
        "[dim]ImageNet, 224x224, T = 4; mJ; rate: the mean firing rate of all layers but the first, weighed by FLOPs,\n"
        "at which the formula gives the published energy; conv x T: if the first convolution is paid at each step;\n"
        "at the log's: mJ by the formula at the rates of the one public log, of SDT-8-768 on one image[/]\n"
    )
    _show_rows(screen, without_spikes(), {"MACs, G": ".2f", "attention": ".0%", "mJ": ".2f", "times published": ".1f"})
    screen.print("[dim]the Transformer of equal size without spikes, with vanilla self-attention[/]\n")
    _show_rows(
        screen, ratios(), {"rate, with Q, K, V": ".4f", "rate, operator alone": ".2f", f"ratio at {READ_RATE}": ".1f"}
    )
    screen.print(
        f"[dim]rate: at which vanilla attention costs {PUBLISHED_RATIO} times as much as SDSA; with Q, K, V: one rate "
        "for what their layers\nread and for Q + K; operator alone: the rates of Q and K added up, at most 2: so it is "
        "cheaper than the abstract says[/]"
    )


def show_official(screen: Screen, statistic: OfficialStatistic) -> None:
    """Print the dictionary of firing_num.py as a table."""
    rates, L = statistic.table()["firing_rate"], statistic.batches
    shown = table("hook", *rates)
    for hook in rates["t0"]:
        shown.add_row(hook, *(f"{rates[step][hook]:.6f}" for step in rates))
    screen.print_table(shown)
    screen.print(
        f"[dim]as firing_num.py prints it: the sum over {L} batches divided by {L - 1}, so each rate is "
        f"{statistic.factor:.4f} times the true one[/]"
    )


def _show_rows(screen: Screen, rows: list[Row], how: dict[str, str]) -> None:
    shown = table(*rows[0])
    for row in rows:
        shown.add_row(
            *("" if v is None else format(v, how.get(k, ".3f" if isinstance(v, float) else "")) for k, v in row.items())
        )
    screen.print_table(shown)


def _mega(value: float, nothing: str = "0.000") -> str:
    """Millions; of picojoules: microjoules."""
    if abs(value) < 0.5:  # none, but for the last bits of a mean
        return nothing
    return "<0.001" if 0 < value < 5e2 else f"{value / 1e6:,.3f}"


def _milli(pj: float) -> str:
    return f"{pj / 1e9:.4g} mJ"


def _times(value: float, of: float) -> str:
    return f"{value / of:.1f} x" if of else "more than"


def _count(value: float) -> str:
    return f"{value:,.0f}"
