"""Pools, intersections and sums of spikes, against the same on dense tensors."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref import SpikeEvents
from sdt_ref.dense import layers as dense
from sdt_ref.engine.run import Run
from sdt_ref.engine.set_operations import intersect, pool, pool_tokens, sum_tokens
from tests.equality import assert_same, small_tiles
from tests.strategies import SEEDS, dense_spikes


@given(dense_spikes(), st.sampled_from([1, 2]), st.sampled_from([1, 2]))
def test_spike_pool_equals_the_dense_one(spikes: np.ndarray, stride: int, threads: int) -> None:
    spikes = np.repeat(np.repeat(spikes, stride, axis=3), stride, axis=4)
    spikes &= np.roll(spikes, 1, axis=(3, 4))  # neighbours are to differ
    with small_tiles(200):
        pooled = pool(SpikeEvents.from_dense(spikes), stride, Run(len(spikes), threads))
    assert_same(pooled.to_dense(), dense.max_pool(spikes, stride), "pooled")


def test_token_pool_literal() -> None:
    """One spike at token 1, channel 1 of 2 heads x 2 channels, 2x2 pixels: tokens 0-2, channels 0-1, head 1 untouched."""
    spikes = np.zeros((1, 1, 4, 2, 2), np.uint8)
    spikes[0, 0, 1, 0, 1] = 1
    spread = pool_tokens(SpikeEvents.from_dense(spikes), 2, Run(1, 1)).to_dense().reshape(4, 4)
    assert spread.tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


@given(dense_spikes(max_channels=30), st.sampled_from([1, 2, 3]))
def test_token_pool_equals_the_dense_one(spikes: np.ndarray, heads: int) -> None:
    T, B, d, H, W = spikes.shape
    spikes = np.concatenate([np.roll(spikes, h, axis=3) for h in range(heads)], axis=2)
    with small_tiles(200):
        spread = pool_tokens(SpikeEvents.from_dense(spikes), heads, Run(len(spikes), 2)).in_heads(heads)
    expected = dense.max_pool(spikes.reshape(T, B, heads, d, H * W).swapaxes(-1, -2), 1)
    assert_same(spread.to_dense(), np.ascontiguousarray(expected), "spread")


@given(dense_spikes(), SEEDS)
def test_intersection_is_an_and(spikes: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    other = (rng.random(spikes.shape) < 0.5).astype(np.uint8)
    mask = (rng.random(spikes.shape[:3]) < 0.5).astype(np.uint8)
    events, run = SpikeEvents.from_dense(spikes), Run(len(spikes), 2)
    with small_tiles(200):
        assert_same(intersect(events, SpikeEvents.from_dense(other), run).to_dense(), spikes & other, "K AND V")
        masked = intersect(events, SpikeEvents.from_dense(mask), run)
    assert_same(masked.to_dense(), spikes & mask[..., None, None], "Q AND mask")


@given(dense_spikes())
def test_token_sum_counts(spikes: np.ndarray) -> None:
    sums = sum_tokens(SpikeEvents.from_dense(spikes))
    assert_same(sums, spikes.sum(axis=(3, 4), dtype=np.int64), "sums")
