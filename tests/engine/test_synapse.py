"""Weight layers: literal cases checked by hand, and laws on any input, against the oracle's layer."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref.dense import layers as dense
from sdt_ref.engine.run import Run
from sdt_ref.weights.folding import Layer
from tests.equality import assert_same, small_tiles
from tests.official_axes import current_of, random_layer
from tests.strategies import DTYPES, SEEDS, dense_spikes


def test_linear_literal() -> None:
    """Channels 0 and 2 spike: their weight columns are added to the bias."""
    layer = Layer(
        np.array([[1, 10, 100], [2, 20, 200]], np.float32)[:, :, None, None], np.array([0.5, 0.25], np.float32)
    )
    spikes = np.array([1, 0, 1], np.uint8).reshape(1, 1, 3, 1, 1)
    run = Run(1, 1)
    assert current_of(layer, spikes, run).ravel().tolist() == [101.5, 202.25]
    assert run.counter.counts()["layer"].ac.tolist() == [4]
    assert run.counter.counts()["layer"].events.tolist() == [2]


def test_conv_literal_at_a_corner() -> None:
    """One spike at (0, 0) of 2x2 pixels reaches all four outputs, each through another tap."""
    weight = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    spikes = np.zeros((1, 1, 1, 2, 2), np.uint8)
    spikes[..., 0, 0] = 1
    run = Run(1, 1)
    current = current_of(Layer(weight, np.zeros(1, np.float32)), spikes, run)
    assert current[0, 0, 0].tolist() == [[4, 3], [1, 0]]
    assert run.counter.counts()["layer"].ac.tolist() == [4]


def test_canonical_order_literal() -> None:
    """(1e8 + 1) - 1e8 is 0 in float32, (1e8 - 1e8) + 1 is 1: only ascending channels give 0 here."""
    weight = np.array([1e8, 1, -1e8], np.float32).reshape(1, 3, 1, 1)
    spikes = np.ones((1, 1, 3, 1, 1), np.uint8)
    assert current_of(Layer(weight, np.zeros(1, np.float32)), spikes, Run(1, 1)).item() == 0.0


@given(dense_spikes(), st.sampled_from([1, 3]), st.integers(1, 100), DTYPES, SEEDS, st.sampled_from([1, 2]))
def test_weight_layers_equal_the_dense_ones(
    spikes: np.ndarray, window: int, outputs: int, dtype: type, seed: int, threads: int
) -> None:
    layer = random_layer(np.random.default_rng(seed), outputs, spikes.shape[2], window, dtype)
    run = Run(len(spikes), threads)
    with small_tiles(500):
        assert_same(current_of(layer, spikes, run), dense.conv(spikes, layer), "current")
    assert_same(run.counter.counts()["layer"].ac, dense.fan_out(spikes, layer), "additions")


@given(dense_spikes(), SEEDS)
def test_the_conv_is_the_textbook_convolution(spikes: np.ndarray, seed: int) -> None:
    """Against SciPy, on whole numbers, where every order of additions gives the same sum."""
    from scipy.signal import correlate

    rng = np.random.default_rng(seed)
    C = spikes.shape[2]
    layer = Layer(rng.integers(-9, 9, (2, C, 3, 3)).astype(np.float64), rng.integers(-9, 9, 2).astype(np.float64))
    current = current_of(layer, spikes, Run(len(spikes), 1))
    padded = np.pad(spikes, [(0, 0)] * 3 + [(1, 1)] * 2).astype(np.float64)
    for o in range(2):
        expected = (
            correlate(padded, layer.weight[None, None, o], mode="valid", method="direct")[:, :, 0] + layer.bias[o]
        )
        assert_same(current[:, :, o], expected, f"output {o}")


@given(dense_spikes(), st.sampled_from([1, 3]), SEEDS)
def test_no_events_leave_the_bias(spikes: np.ndarray, window: int, seed: int) -> None:
    layer = random_layer(np.random.default_rng(seed), 3, spikes.shape[2], window, np.float32)
    run = Run(len(spikes), 1)
    current = current_of(layer, np.zeros_like(spikes), run)
    assert (current == layer.bias[:, None, None]).all()
    assert run.counter.counts()["layer"].ac.sum() == 0


@given(dense_spikes(), st.sampled_from([1, 3]), SEEDS)
def test_disjoint_event_sets_add(spikes: np.ndarray, window: int, seed: int) -> None:
    """Exactly so on whole numbers; and counts are additive."""
    rng = np.random.default_rng(seed)
    first = spikes & (rng.random(spikes.shape) < 0.5)
    layer = Layer(rng.integers(-9, 9, (4, spikes.shape[2], window, window)).astype(np.float32), np.zeros(4, np.float32))
    runs = [Run(len(spikes), 1) for _ in range(3)]
    both, one, other = (current_of(layer, s, r) for s, r in zip((spikes, first, spikes - first), runs, strict=True))
    assert_same(both, one + other, "current")
    both_count, one_count, other_count = (run.counter.counts()["layer"].ac for run in runs)
    assert_same(both_count, one_count + other_count, "additions")
