"""The max pool of currents in the patch embedding."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_ref.dense import layers as dense
from sdt_ref.engine.run import Run
from sdt_ref.network.sps import max_pool
from tests.equality import assert_same
from tests.official_axes import stream_of
from tests.strategies import SEEDS


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 3), st.integers(1, 3), st.integers(1, 9))
def test_pool_of_currents_knows_negative_numbers(seed: int, half_height: int, half_width: int, C: int) -> None:
    current = np.random.default_rng(seed).normal(-2, 1, (2, 3, C, 2 * half_height, 2 * half_width)).astype(np.float32)
    pooled = max_pool(stream_of(current), Run(len(current), 1))
    official = np.moveaxis(pooled.array.reshape(*pooled.grid, C), -1, 2)
    assert_same(official, dense.max_pool(current, 2), "pooled")
