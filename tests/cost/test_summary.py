"""The report is the mean over pictures, and says the same in CSV and JSON."""

import csv
import io
import json

import numpy as np
import pytest

from sdt_ref.cost.summary import take_stock, to_csv, to_json
from sdt_ref.cost.technology import TECHNOLOGIES, energy
from tests.networks import Network, input_of, model_of

FLOAT = TECHNOLOGIES["45nm-float32"]


# the report and the command


def test_report_of_two_pictures_is_the_mean_of_both() -> None:
    n = Network(batch=2, pooling_stat="0011")
    model, x = model_of(n), input_of(n)
    both, first, second = (take_stock(model, inputs, 8, FLOAT) for inputs in (x, x[:1], x[1:]))
    assert both is not None
    assert first is not None
    assert second is not None
    parts = [energy(each.account, FLOAT) for each in (first, second)]
    for cell, pj in energy(both.account, FLOAT).items():
        assert pj == pytest.approx((parts[0][cell] + parts[1][cell]) / 2)
    totals = [sum(pj.sum() for pj in each.values()) for each in parts]
    assert both.average.spreads["counted"].mean == pytest.approx(np.mean(totals))
    assert both.average.spreads["counted"].deviation == pytest.approx(np.std(totals, ddof=1))
    assert take_stock(model, [], 8, FLOAT) is None


def test_csv_and_json_say_the_same() -> None:
    n = Network(batch=1, dvs_mode=True)
    report = take_stock(model_of(n), input_of(n), 8, FLOAT)
    assert report is not None
    rows = list(csv.DictReader(io.StringIO(to_csv(report))))
    summary = json.loads(json.dumps(to_json(report, memory=True), allow_nan=False))
    assert "nan" not in to_csv(report)
    assert sum(float(row["picojoules"]) for row in rows) == pytest.approx(summary["picojoules"]["counted"]["mean"])
    acs = sum(
        sum(kind.get("ac", []))
        for stage in summary["stages"].values()
        for name, kind in stage.items()
        if name != "formula"
    )
    assert acs == sum(float(row["ac"]) for row in rows)
    assert {(row["stage"], row["kind"]) for row in rows} == {
        (stage, kind) for stage, kinds in summary["stages"].items() for kind in kinds if kind != "formula"
    }
