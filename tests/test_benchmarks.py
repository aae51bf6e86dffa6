"""The benchmark's networks fire as wanted, and its engines compute the same thing."""

import numpy as np
import pytest

from benchmarks.engines import event_engine, torch_engine
from benchmarks.networks import PUBLISHED, calibrated, photo, uniform
from sdt_ref.model import SpikeDrivenTransformer

SMALL = {"dim": 64, "depth": 2, "size": 32, "pooling_stat": "0011", "num_classes": 7}


def test_layers_fire_at_the_wanted_rates() -> None:
    weights = calibrated(**SMALL)  # type: ignore[arg-type]
    spikes = SpikeDrivenTransformer(weights)(photo(32), record=True).spikes
    stem = PUBLISHED["stem"]
    assert isinstance(stem, tuple)
    wanted = {"MS_SPS_lif": stem[0], "MS_SPS_lif1": stem[1], "MS_SPS_lif3": stem[3], "MS_SSA_Conv0_first_lif": 0.33,
              "MS_SSA_Conv1_q_lif": 0.22, "MS_SSA_Conv1_k_lif": 0.02, "MS_MLP_Conv1_fc2_lif": 0.15}  # fmt: skip
    for hook, rate in wanted.items():
        assert spikes[hook].firing_rate == pytest.approx(rate, rel=0.1, abs=0.01), hook  # type: ignore[attr-defined]


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two = (calibrated(**SMALL, rates=uniform(0.2), seed=5) for _ in range(2))  # type: ignore[arg-type]
    assert all(np.array_equal(one.tensors[name], two.tensors[name]) for name in one.tensors)


@pytest.mark.parametrize("folded", [False, True])
def test_the_dense_engine_computes_the_same_spikes(folded: bool) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'sdt_ref[bench]'")
    weights, x = calibrated(**SMALL), photo(32, batch=2)  # type: ignore[arg-type]
    (ours, our_spikes), (theirs, their_spikes) = event_engine(weights, 2), torch_engine(weights, 2, folded=folded)
    pairs = list(zip(our_spikes(x), their_spikes(x), strict=True))
    different = sum(int((a != b).sum()) for a, b in pairs)
    assert different <= sum(a.size for a, _ in pairs) // 100_000
    if not different:
        np.testing.assert_allclose(ours(x), theirs(x), atol=1e-4)
