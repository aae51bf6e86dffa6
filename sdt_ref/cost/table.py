"""The layers as a table for a paper: firing rates, synaptic operations, energy by the formula and counted.

CSV has the numbers in full, LaTeX (with booktabs) and Markdown round them. The last row is the sum of those above it.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from ..files import require_writable
from .account import SYNAPSES
from .summary import Summary
from .technology import energy

OTHER = "all other operations"  # without weights, and not in the formula


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    layer : its reader's name
    rates : firing rates that the formula takes, one for each time step; NaN where there are none
    ac, mac : synaptic operations that were counted, over all time steps; of an attention K AND V, summed over tokens
    formula, counted : energy, pJ
    """

    layer: str
    rates: tuple[float, ...]
    ac: float
    mac: float
    formula: float
    counted: float

    @property
    def shown_rates(self) -> tuple[float, ...]:
        """The rates, and their mean."""
        return *self.rates, math.fsum(self.rates) / len(self.rates)


def rows(report: Summary) -> list[Row]:
    """The layers as on the screen, all other operations, and the sum; by official rates if there are any."""
    account, by_formula = report.account, report.official or report.estimates
    left = {cell: float(pj.sum()) for cell, pj in energy(account, report.technology).items()}
    none, table = (math.nan,) * account.time_steps, []
    for words, stages in report.layers().items():
        kind = SYNAPSES if (stages[0], SYNAPSES) in left else "attention"
        ac, mac = (math.fsum(account.get(stage, kind, field).sum() for stage in stages) for field in ("ac", "mac"))
        formula = math.fsum(by_formula[stage].energy(report.technology) for stage in stages)
        counted = math.fsum(left.pop((stage, kind)) for stage in stages)
        name = words if kind == SYNAPSES else f"{words} (Q + K)"
        table.append(Row(name, tuple(by_formula[stages[0]].rates.tolist()), ac, mac, formula, counted))
    table.append(Row(OTHER, none, 0, 0, 0, math.fsum(left.values())))
    sums = (math.fsum(getattr(row, name) for row in table) for name in ("ac", "mac", "formula", "counted"))
    return [*table, Row("total", none, *sums)]


def require(path: str, *inputs: str | Path | None) -> None:
    """Raise ConfigError, before anything is counted, unless the ending is known and the table can be written."""
    if Path(path).suffix.lower() not in FORMS:
        raise ConfigError(f"table '{path}': expected a name that ends in {', '.join(FORMS)}")
    require_writable(path, ConfigError, *inputs)


def to_table(report: Summary, path: str) -> str:
    """The text of the table, in the form that the ending of the file's name says."""
    return FORMS[Path(path).suffix.lower()](report)


def to_csv(report: Summary) -> str:
    """Every number in full; rates that there are not are nan."""
    rate = "firing_rate" if report.statistic is None else "official_firing_rate"
    times = [*map("t{}".format, range(report.account.time_steps)), "mean"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    formula = "energy_formula_pj" if report.statistic is None else "energy_formula_at_official_rates_pj"
    writer.writerow(["layer", *(f"{rate}_{time}" for time in times), "sop_ac", "sop_mac", formula, "energy_counted_pj"])
    for row in rows(report):
        numbers = row.ac, row.mac, row.formula, row.counted
        writer.writerow([row.layer, *row.shown_rates, *(int(n) if n.is_integer() else n for n in map(float, numbers))])
    return text.getvalue()


def to_markdown(report: Summary) -> str:
    """A table as GitHub reads it, below a line that says what it is of."""
    times = range(report.account.time_steps)
    head = ["layer", *(f"rate, t{t}" for t in times), "mean rate", "SOPs: AC", "SOPs: MAC"]
    lines = [[*head, "formula, µJ", "counted, µJ"], [":--", *["--:"] * (len(head) + 1)]]
    lines += [_cells(row, "**{}**") for row in rows(report)]
    return f"{' '.join(_about(report))}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(report: Summary) -> str:
    """A tabular, below comments that say what it is of."""
    T = report.account.time_steps
    rates = "firing rate" if report.statistic is None else "firing rate as firing_num.py prints it"
    times = [f"$t_{{{t}}}$" for t in range(T)]
    return "".join(
        [
            *(f"% {line}\n" for line in (*_about(report), r"It needs \usepackage{booktabs}.")),
            f"\\begin{{tabular}}{{l{'r' * (T + 5)}}}\n\\toprule\n",
            f" & \\multicolumn{{{T + 1}}}{{c}}{{{_escaped(rates)}}} & \\multicolumn{{2}}{{c}}{{SOPs}}",
            " & \\multicolumn{2}{c}{energy, $\\mu$J} \\\\\n",
            f"\\cmidrule(lr){{2-{T + 2}}} \\cmidrule(lr){{{T + 3}-{T + 4}}} \\cmidrule(lr){{{T + 5}-{T + 6}}}\n",
            f"{' & '.join(['layer', *times, 'mean', 'AC', 'MAC', 'formula', 'counted'])} \\\\\n\\midrule\n",
            *(_latex_row(row) for row in rows(report)),
            "\\bottomrule\n\\end{tabular}\n",
        ]
    )


FORMS: Mapping[str, Callable[[Summary], str]] = {".csv": to_csv, ".tex": to_latex, ".md": to_markdown}


def _about(report: Summary) -> Sequence[str]:
    """What the table is of, in sentences."""
    n, steps, how = report.average.pictures, report.account.time_steps, report.technology
    inputs = "One input" if n == 1 else f"Means over {n:,} inputs"
    official = () if report.statistic is None else (
        f"The rates, and so the energy by the formula, are those of firing_num.py: {report.statistic.factor:.4f} "
        "times the true ones.",
    )  # fmt: skip
    return (
        f"{inputs} at {report.size}x{report.size}, {report.arithmetic}, {steps} time steps; {how.name}: "
        f"{how.mac:g} pJ per MAC, {how.add:g} pJ per AC.",
        *official,
        "Rates: of the neurons before a layer; of an attention Q and K added up; the first layer reads no spikes.",
        "SOPs: synaptic operations, counted.",
        f"{OTHER[0].upper()}{OTHER[1:]}: biases, shortcuts, neurons, pools, masks, means.",
    )


def _cells(row: Row, total: str = "{}") -> list[str]:
    """The texts of a row, rounded; `total` is how those of the sum are set."""
    rates = ["" if math.isnan(rate) else f"{rate:.4f}" for rate in row.shown_rates]
    sops = [f"{n:,.0f}" for n in (row.ac, row.mac)]
    cells = [row.layer, *rates, *sops, *(f"{pj / 1e6:,.3f}" for pj in (row.formula, row.counted))]
    return [total.format(cell) if row.layer == "total" and cell else cell for cell in cells]


def _latex_row(row: Row) -> str:
    rule = "\\midrule\n" if row.layer == "total" else ""
    return f"{rule}{' & '.join(map(_escaped, _cells(row)))} \\\\\n"


def _escaped(text: str) -> str:
    return re.sub(r"([&%$#_{}])", r"\\\1", text)
