"""Counting in chunks: whichever these are, the report is the same, and a part holds whole numbers."""

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdt_ref.cost.account import Accountant
from sdt_ref.cost.average import Average
from sdt_ref.cost.chunk import TakeStock
from sdt_ref.cost.official import OfficialStatistic
from sdt_ref.cost.summary import sum_up, take_stock, to_csv, to_json
from sdt_ref.cost.technology import TECHNOLOGIES
from sdt_ref.inputs.image import preprocess
from sdt_ref.inputs.selection import Item
from sdt_ref.jobs.job import Part
from sdt_ref.weights.wiring import wiring
from tests.networks import Network, model_of, weights_of

N = Network(time_steps=4, drive=1.0, num_heads=2, seed=4)
WEIGHTS = weights_of(N)
FLOAT = TECHNOLOGIES["45nm-float32"]
TASK = TakeStock(FLOAT, official=True)
UNREADABLE = 5


def pictures() -> list[Any]:
    """Seven, and one that cannot be read."""
    rng = np.random.default_rng(0)
    drawn: list[Any] = [Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(8)]
    drawn[UNREADABLE] = "none.png"
    return drawn


def counted(task: TakeStock, sizes: list[int]) -> Iterator[Part]:
    """Parts of chunks of these sizes, as they come back from a file."""
    compute = task.prepare(WEIGHTS, 1)
    items = [Item(str(number), source, -1) for number, source in enumerate(pictures())]
    for size in sizes:
        yield Part.from_bytes(compute(items[:size]).to_bytes())
        items = items[size:]
    assert not items


def report(task: TakeStock, sizes: list[int]) -> tuple[str, str, dict[str, Any], Average]:
    average, statistic = Average(wiring(WEIGHTS.architecture, WEIGHTS.config)), OfficialStatistic(2)
    for part in counted(task, sizes):
        average.add(part)
        statistic.add(part)
    summary = sum_up(average, WEIGHTS, task.arithmetic, 8, FLOAT, statistic)
    assert summary is not None
    return to_csv(summary), json.dumps(to_json(summary, memory=True)), statistic.table(), average


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
def test_chunks_of_any_size_give_the_same_bytes(arithmetic: str) -> None:
    """Also one in which nothing can be read; and they are those of pictures that are counted in one run."""
    task = replace(TASK, arithmetic=arithmetic)
    *whole, average = report(task, [8])
    assert (average.pictures, [name for name, _ in average.unreadable]) == (7, [str(UNREADABLE)])
    for sizes in ([1] * 8, [3, 3, 2], [5, 1, 2]):
        assert report(task, sizes)[:3] == tuple(whole)
    model, statistic = model_of(N, arithmetic), OfficialStatistic(2)
    inputs = [preprocess(x, WEIGHTS.preprocessing) for number, x in enumerate(pictures()) if number != UNREADABLE]
    summary = take_stock(model, inputs, 8, FLOAT, statistic)
    assert summary is not None
    assert [to_csv(summary), json.dumps(to_json(summary, memory=True)), statistic.table()] == whole


def test_sums_are_whole_numbers_and_those_of_the_accounts() -> None:
    (part,) = counted(TASK, [8])
    accountant = Accountant(model_of(N))
    inputs = [preprocess(x, WEIGHTS.preprocessing) for number, x in enumerate(pictures()) if number != UNREADABLE]
    accounts = [accountant.account(x[None]) for x in inputs]
    assert [part.arrays[name].dtype for name in ("cells", "exits", "hooked")] == [np.int64] * 3
    for (stage, kind), sums in zip(part.notes["cells"], part.arrays["cells"], strict=True):
        assert (sums == sum(account.cells[stage, kind] for account in accounts)).all()
    for stage, sums in zip(part.notes["exits"], part.arrays["exits"], strict=True):
        for row, name in zip(sums, ("comparisons", "saved", "additions"), strict=True):
            assert (row == sum(getattr(account.early_exit[stage], name) for account in accounts)).all()
    assert part.notes["exits"]
    assert part.arrays["numbers"].shape == (7, len(part.notes["names"]))


def test_the_settings_of_a_run_are_what_changes_its_numbers() -> None:
    """Not the name of a technology; the task travels without the network."""
    settings = TASK.settings()
    assert json.loads(json.dumps(settings)) == settings
    assert replace(TASK, technology=replace(FLOAT, name="mine", source="me")).settings() == settings
    others = [{"technology": FLOAT.with_values({"add": 1.0})}, {"arithmetic": "fixed"}, {"size": 16}, {"steps": 4}]
    others += [{"strict_steps": True}, {"as_official": False}, {"official": False}]
    assert all(replace(TASK, **other).settings() != settings for other in others)
    assert len(pickle.dumps(TASK)) < 1000
