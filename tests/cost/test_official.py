"""The statistic as the official code prints it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sdt_ref
from sdt_ref.cost.official import OfficialStatistic, events_per_step
from sdt_ref.engine.events import SpikeEvents
from sdt_ref.jobs.job import Part

# the official statistic


def add(statistic: OfficialStatistic, batch: np.ndarray) -> None:
    """Add the pictures of a batch, [T, B, ...]."""
    for b in range(batch.shape[1]):
        spikes = SpikeEvents.from_dense(batch[:, b : b + 1])
        hooks = [("lif", int(np.prod(batch.shape[2:])))]
        statistic.add(Part({"hooked": np.array([[events_per_step(spikes)]])}, {"hooks": hooks}))


@given(st.integers(1, 4), st.integers(5, 12), st.integers(0, 9))
def test_official_statistic_is_the_mean_rate_of_each_batch(batch: int, pictures: int, seed: int) -> None:
    """Asked at any time, and more than once; the last batch may be short."""
    spikes = (np.random.default_rng(seed).random((4, pictures, 3, 2, 1)) < 0.4).astype(np.uint8)
    statistic, parts = OfficialStatistic(batch), []
    for first in range(0, pictures, batch):
        parts.append(spikes[:, first : first + batch])
        add(statistic, parts[-1])
        if len(parts) > 1:
            means = sum(part.mean(axis=(1, 2, 3, 4)) for part in parts)
            expected = pytest.approx(means / (len(parts) - 1), rel=1e-12)
            assert statistic.rates()["lif"] == expected
            assert [statistic.table()["non_zero"][f"t{t}"]["lif"] for t in range(4)] == expected


def test_official_statistic_divides_by_one_batch_less() -> None:
    statistic = OfficialStatistic(3)
    batches = [np.zeros((4, b, 2, 1, 1), np.uint8) for b in (3, 3, 1)]
    batches[0][1] = 1
    batches[2][1, 0, 0] = 1
    for dense_spikes in batches:
        add(statistic, dense_spikes)
    table = statistic.table()
    assert (statistic.batches, statistic.factor) == (3, 3 / 2)
    assert table["firing_rate"]["t1"]["lif"] == (1 + 0 + 0.5) / 2  # the short batch weighs as much as the others
    assert table["firing_rate"]["t0"]["lif"] == 0
    assert list(table) == ["non_zero", "firing_rate"]
    assert list(table["non_zero"]) == ["t0", "t1", "t2", "t3"]


@pytest.mark.parametrize("T", [3, 5])
def test_official_statistic_knows_four_time_steps(T: int) -> None:
    with pytest.raises(sdt_ref.SdtError, match=f"expected 4 time steps, found {T}"):
        add(OfficialStatistic(64), np.ones((T, 1, 1, 1, 1), np.uint8))


def test_official_statistic_of_one_batch_is_refused() -> None:
    statistic = OfficialStatistic(2)
    add(statistic, np.ones((4, 2, 1, 1, 1), np.uint8))
    with pytest.raises(sdt_ref.SdtError, match="expected two batches at least, found 1"):
        statistic.table()
