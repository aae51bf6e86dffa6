"""The statistic as the official code prints it."""

import numpy as np
import pytest

import sdt_ref
from sdt_ref.cost.official import OfficialStatistic
from sdt_ref.engine.events import SpikeEvents

# the official statistic


def test_official_statistic_divides_by_one_batch_less() -> None:
    statistic = OfficialStatistic()
    batches = [np.zeros((4, b, 2, 1, 1), np.uint8) for b in (3, 3, 1)]
    batches[0][1] = 1
    batches[2][1, 0, 0] = 1
    for dense_spikes in batches:
        statistic.add({"lif": SpikeEvents.from_dense(dense_spikes)})
    table = statistic.table()
    assert table["firing_rate"]["t1"]["lif"] == (1 + 0 + 0.5) / 2  # the short batch weighs as much as the others
    assert table["firing_rate"]["t0"]["lif"] == 0
    assert list(table) == ["non_zero", "firing_rate"]
    assert list(table["non_zero"]) == ["t0", "t1", "t2", "t3"]


@pytest.mark.parametrize("T", [3, 5])
def test_official_statistic_knows_four_time_steps(T: int) -> None:
    with pytest.raises(sdt_ref.SdtError, match=f"expected 4 time steps, found {T}"):
        OfficialStatistic().add({"lif": SpikeEvents.from_dense(np.ones((T, 1, 1, 1, 1), np.uint8))})


def test_official_statistic_of_one_batch_is_refused() -> None:
    statistic = OfficialStatistic()
    statistic.add({"lif": SpikeEvents.from_dense(np.ones((4, 1, 1, 1, 1), np.uint8))})
    with pytest.raises(sdt_ref.SdtError, match="expected two batches at least, found 1"):
        statistic.table()
