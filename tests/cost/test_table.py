"""The layers as a table for a paper: what a row says is what was counted; its sum is that of the rows above it."""

import csv
import io
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings

from sdt_ref.cost.official import OfficialStatistic
from sdt_ref.cost.summary import Summary, take_stock, to_json
from sdt_ref.cost.table import OTHER, rows, to_csv, to_latex, to_markdown
from sdt_ref.cost.technology import TECHNOLOGIES
from sdt_ref.result import Result
from sdt_ref.weights.names import counted_as, hook
from sdt_ref.weights.wiring import INPUT
from tests.networks import Network, input_of, model_of
from tests.strategies import networks

FLOAT = TECHNOLOGIES["45nm-float32"]
SMALL = Network(batch=1, time_steps=4, pooling_stat="0011", drive=1.0)


def report_of(n: Network, arithmetic: str = "float32", statistic: OfficialStatistic | None = None) -> Summary:
    report = take_stock(model_of(n, arithmetic), input_of(n), max(n.height, n.width), FLOAT, statistic)
    assert report is not None
    return report


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@given(networks())
@settings(max_examples=25)
def test_the_last_row_is_the_sum_of_those_above_it_and_what_json_says(n: Network) -> None:
    square = Network(**{**vars(n), "width": n.height})
    for arithmetic in ("float32", "fixed"):
        report = report_of(square, arithmetic)
        *parts, total = read(to_csv(report))
        assert total["layer"] == "total"
        for column in ("sop_ac", "sop_mac"):
            exact = sum(float(row[column]) for row in parts)
            assert float(total[column]) == (exact if square.batch == 1 else pytest.approx(exact, rel=1e-14))
        facts = to_json(report, memory=False)["picojoules"]
        for column, name in (("energy_formula_pj", "formula"), ("energy_counted_pj", "counted")):
            assert float(total[column]) == pytest.approx(sum(float(row[column]) for row in parts), rel=1e-14)
            assert float(total[column]) == pytest.approx(facts[name]["mean"], rel=1e-12)


@pytest.mark.parametrize(
    "n", [SMALL, Network(batch=1, dvs_mode=True, frames=True, in_channels=2, drive=1.0)], ids=["picture", "dvs frames"]
)
def test_a_row_says_what_its_layer_read_did_and_cost(n: Network) -> None:
    """Against the result itself: rates of the official hooks, operations of the layers."""
    model, x = model_of(n), input_of(n)
    result, report = model(x, record=True), report_of(n)
    table = {row.layer: row for row in rows(report)}
    for words, stages in report.layers().items():
        stage = report.account.stages[stages[0]]
        if stage.layer is None:
            row, module = table[f"{words} (Q + K)"], stages[0].removesuffix(".talking_heads_lif")
            both = [rates_of(result, hook(f"{module}.{part}_lif")) for part in "qk"]
            assert row.rates == pytest.approx(both[0] + both[1], rel=1e-12)
            assert (row.ac, row.mac) == (result.stage_counts["attention"][stages[0]].ac.sum(), 0)
        else:
            row = table[words]
            counts = [result.counts[counted_as(layer)] for s in stages if (layer := report.account.stages[s].layer)]
            assert row.ac == sum(count.ac.sum() for count in counts)
            assert row.mac == sum(count.mac.sum() for count in counts)
            source = report.account.stages[stage.reads[0]]
            if source.kind == INPUT:
                assert all(map(math.isnan, row.rates))
            else:
                assert row.rates == pytest.approx(rates_of(result, source.hook), rel=1e-12)
        assert row.counted == pytest.approx(row.ac * FLOAT.add + row.mac * FLOAT.mac, rel=1e-12)
        assert row.formula == pytest.approx(sum(report.estimates[s].energy(FLOAT) for s in stages), rel=1e-12)
    assert [name.removesuffix(" (Q + K)") for name in table] == [*report.layers(), OTHER, "total"]
    listed = sum(row.counted for row in table.values() if row.layer not in (OTHER, "total"))
    assert table[OTHER].counted == pytest.approx(report.average.spreads["counted"].mean - listed, rel=1e-9)
    assert table[OTHER].counted > 0


def rates_of(result: Result, name: str) -> np.ndarray:
    """Mean of the dense official tensor at each step, as the official hook takes it."""
    spikes = result.spikes[name].to_dense()
    return np.asarray(spikes.reshape(len(spikes), -1).mean(axis=1))


def test_the_mean_is_that_of_the_time_steps() -> None:
    for row in read(to_csv(report_of(SMALL))):
        steps = [float(row[f"firing_rate_t{t}"]) for t in range(4)]
        assert float(row["firing_rate_mean"]) == pytest.approx(sum(steps) / 4, nan_ok=True)
        none = row["layer"] in ("patch embedding: proj conv", OTHER, "total")
        assert [math.isnan(step) for step in steps] == [none] * 4


def test_by_the_official_statistic_the_rates_and_the_formula_are_the_official_ones() -> None:
    n = Network(batch=5, time_steps=4, pooling_stat="0011", drive=1.0)
    statistic = OfficialStatistic(2)
    own, official = report_of(n), report_of(n, statistic=statistic)
    printed = statistic.table()["firing_rate"]
    text = to_csv(official)
    table = {row["layer"]: row for row in read(text)}
    for row in read(to_csv(own)):
        for column in ("sop_ac", "sop_mac", "energy_counted_pj"):  # these are counts
            assert table[row["layer"]][column] == row[column]
    for words, stages in official.layers().items():
        stage = official.account.stages[stages[0]]
        source = official.account.stages[stage.reads[0]]
        if source.kind == INPUT:
            continue
        name = words if stage.layer else f"{words} (Q + K)"
        of_hooks = [source.hook] if stage.layer else [
            hook(stages[0].replace("talking_heads", part)) for part in ("q", "k")
        ]  # fmt: skip
        rates = [sum(printed[f"t{t}"][each] for each in of_hooks) for t in range(4)]
        assert [float(table[name][f"official_firing_rate_t{t}"]) for t in range(4)] == pytest.approx(rates, rel=1e-12)
        mine = next(row for row in rows(own) if row.layer == name)
        column = "energy_formula_at_official_rates_pj"
        if sum(mine.rates):
            expected = mine.formula * sum(rates) / sum(mine.rates)  # it is linear in the rates
            assert float(table[name][column]) == pytest.approx(expected, rel=1e-9)
    first = "patch embedding: proj conv"
    assert table[first]["energy_formula_at_official_rates_pj"] == read(to_csv(own))[0]["energy_formula_pj"]
    *parts, total = read(text)
    assert float(total[column]) == pytest.approx(sum(float(row[column]) for row in parts), rel=1e-12)
    for form in (to_latex, to_markdown):
        assert "firing_num.py: 1.5000 times the true ones" in form(official)
        assert "official" not in form(own)
        assert "firing" not in to_markdown(own)
    assert r"firing rate as firing\_num.py prints it" in to_latex(official)


def numbers_of(cells: list[str]) -> list[float]:
    return [float(cell.replace(",", "").strip("*") or "nan") for cell in cells[1:]]


def assert_rounded(cells: list[list[str]], report: Summary) -> None:
    """Every cell is the number of the CSV, rounded; counts of one input in full."""
    for shown, row in zip(cells, rows(report), strict=True):
        assert shown[0].strip("*") == row.layer
        *rates, ac, mac, formula, counted = numbers_of(shown)
        assert rates == pytest.approx(row.shown_rates, abs=5.1e-5, nan_ok=True)
        assert (ac, mac) == (row.ac, row.mac)
        assert (formula, counted) == pytest.approx((row.formula / 1e6, row.counted / 1e6), abs=5.1e-4)


@pytest.mark.parametrize("T", [1, 4, 16])
def test_latex_is_a_table_that_compiles(T: int) -> None:
    """Read by its grammar: each line but rules ends in two backslashes and fills all columns; nothing is unescaped."""
    report = report_of(Network(**{**vars(SMALL), "time_steps": T}))
    text = to_latex(report)
    comments = [line for line in text.splitlines() if line.startswith("%")]
    assert comments[0].startswith(f"% One input at 8x8, float32, {T} time steps; 45nm-float32: 4.6 pJ per MAC")
    assert comments[-1] == r"% It needs \usepackage{booktabs}."
    begin, *body, end = text.splitlines()[len(comments) :]
    columns = re.fullmatch(r"\\begin\{tabular\}\{(lr+)\}", begin)
    assert columns is not None
    assert end == r"\end{tabular}"
    assert len(columns[1]) == T + 6
    rule = re.compile(r"\\(top|mid|bottom)rule|(\\cmidrule\(lr\)\{\d+-\d+\} ?)+")
    assert [line for line in body if rule.fullmatch(line)].count(r"\midrule") == 2
    lines = [line for line in body if not rule.fullmatch(line)]
    for line in lines:
        assert line.endswith(r" \\")
        spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}\{c\}\{[^{}]*\}", line)]
        assert len(re.split(r"(?<!\\)&", line)) + sum(spans) - len(spans) == T + 6
        bare = re.sub(r"\\multicolumn\{\d+\}\{c\}|\$[^$]*\$|\\[&%$#_{}]|\\\\$", "", line)
        assert not re.search(r"[%$#_~^\\]", bare), line
        assert bare.count("{") == bare.count("}")
    ranges = re.findall(r"\{(\d+)-(\d+)\}", next(line for line in body if "cmidrule" in line))
    assert ranges == [("2", f"{T + 2}"), (f"{T + 3}", f"{T + 4}"), (f"{T + 5}", f"{T + 6}")]
    assert_rounded([line.removesuffix(r" \\").split(" & ") for line in lines[2:]], report)


def test_markdown_is_a_table_below_a_line() -> None:
    report = report_of(SMALL)
    about, empty, *lines = to_markdown(report).splitlines()
    assert about.startswith("One input at 8x8, float32, 4 time steps; 45nm-float32: 4.6 pJ per MAC, 0.9 pJ per AC.")
    assert empty == ""
    assert {line.count("|") for line in lines} == {11}
    assert re.fullmatch(r"\| :-- (\| --: ){9}\|", lines[1])
    assert_rounded([line[2:-2].split(" | ") for line in lines[2:]], report)


def test_of_many_inputs_the_means_are_told() -> None:
    report = report_of(Network(**{**vars(SMALL), "batch": 3}))
    assert to_markdown(report).startswith("Means over 3 inputs at 8x8")
    total = read(to_csv(report))[-1]
    assert float(total["sop_ac"]) * 3 == pytest.approx(round(float(total["sop_ac"]) * 3), abs=1e-6)
