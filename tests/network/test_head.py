"""The head's means, over tokens and over time steps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref.engine.run import Run
from sdt_ref.network.head import mean_steps, mean_tokens
from tests.equality import assert_same
from tests.official_axes import stream_of
from tests.strategies import SEEDS


@given(SEEDS, st.integers(1, 5), st.integers(1, 5))
def test_means_are_sums_in_order(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    current = rng.standard_normal((3, 2, 7, height, width)).astype(np.float32)
    flat = current.reshape(3, 2, 7, -1)
    total = np.zeros((3, 2, 7), np.float32)
    for n in range(flat.shape[-1]):
        total = total + flat[..., n]
    mean = mean_tokens(stream_of(current), Run(3, 1))
    assert_same(mean.array, total / np.float32(flat.shape[-1]), "mean over tokens")
    logits = rng.standard_normal((3, 2, 5)).astype(np.float32)
    assert_same(mean_steps(logits, Run(3, 1)), (logits[0] + logits[1] + logits[2]) / np.float32(3), "mean over steps")
