"""Each stage alone: literal cases checked by hand, and laws on any input, against the oracle's layer."""

from types import ModuleType

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import sdt_ref
from sdt_ref import SpikeEvents
from sdt_ref.dense import layers as dense
from sdt_ref.dense import steps
from sdt_ref.engine.run import Run
from sdt_ref.engine.set_operations import intersect, pool, pool_tokens, sum_tokens
from sdt_ref.engine.stored import StoredCurrent
from sdt_ref.engine.storing import store
from sdt_ref.engine.synapse import Synapse
from sdt_ref.network.head import mean_steps, mean_tokens
from sdt_ref.network.sps import max_pool
from sdt_ref.weights.folding import Layer, NeuronParameters
from tests.equality import assert_same, small_tiles
from tests.strategies import dense_spikes

DTYPES = st.sampled_from([np.float32, np.float64])
SEEDS = st.integers(0, 2**32 - 1)


def random_layer(rng: np.random.Generator, outputs: int, inputs: int, window: int, dtype: type) -> Layer:
    weight = rng.standard_normal((outputs, inputs, window, window)).astype(dtype)
    return Layer(weight, rng.standard_normal(outputs).astype(dtype))


def current_of(layer: Layer, spikes: np.ndarray, run: Run) -> np.ndarray:
    """Official axes: [T, B, C_out, H, W]."""
    stream = store(Synapse("layer", layer)(SpikeEvents.from_dense(spikes)), run)
    return np.moveaxis(stream.array.reshape(*stream.grid, -1), -1, 2)


def stream_of(current: np.ndarray) -> StoredCurrent:
    """From official axes."""
    T, B, C, H, W = current.shape
    return StoredCurrent.from_array((T, B, H, W), np.moveaxis(current, 2, -1).reshape(T, -1, C))


# --- weight layers ----------------------------------------------------------------------------------------------------


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


# --- neurons ----------------------------------------------------------------------------------------------------------


# Two steps of float32 current whose second membrane, v + (x - v) / 2, is rounded twice. The first neuron then stays
# just below the threshold and the second meets it; rounded once, as in (v + x) / 2, it is the other way round.
TWO_ROUNDINGS = np.array(
    [
        [float.fromhex("0x1.4c4c6ep-4"), float.fromhex("0x1.0c14b6p-5")],
        [float.fromhex("0x1.f59d9cp+0"), float.fromhex("0x1.fbcfacp+0")],
    ],
    np.float32,
)


def spikes_of(current: np.ndarray, leak: float, threshold: float, package: ModuleType = sdt_ref) -> np.ndarray:
    """current : [T, C] of one position."""
    number = current.dtype.type
    neuron = package.engine.neuron.Neuron(
        "n", package.weights.folding.NeuronParameters(number(leak), number(threshold))
    )
    T, C = current.shape
    return neuron(
        package.engine.stored.StoredCurrent.from_array((T, 1), current.reshape(T, 1, C)), package.engine.run.Run(T, 1)
    ).to_dense()[:, 0]


def test_lif_literal() -> None:
    """x = 2 fires at once (equality), 1.5 on the second step: 0.75, then 0.75 + (1.5 - 0.75) / 2 = 1.125, reset to 0."""
    current = np.tile(np.array([2, 1.5, 1, 0], np.float32), (4, 1))
    assert spikes_of(current, 0.5, 1.0).T.tolist() == [[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_the_reset_is_hard() -> None:
    """1.75: 0.875, then 1.3125 fires; from 0, not from 0.3125, the third step reaches 0.875 only."""
    assert spikes_of(np.full((4, 1), 1.75, np.float32), 0.5, 1.0).ravel().tolist() == [0, 1, 0, 1]


def test_the_charge_has_two_roundings() -> None:
    for repeats in (1, 8, 9, 40):  # parts of a vector, whole ones, another panel
        spikes = spikes_of(np.tile(TWO_ROUNDINGS, repeats), 0.5, 1.0)
        assert spikes.tolist() == [[0, 0] * repeats, [0, 1] * repeats]
    assert steps(NeuronParameters(np.float32(0.5), np.float32(1)), TWO_ROUNDINGS)[1].tolist() == [[0, 0], [0, 1]]


def test_just_below_the_threshold_does_not_fire() -> None:
    below = np.nextafter(np.float32(2), np.float32(0))
    assert spikes_of(np.array([[2, below]], np.float32), 0.5, 1.0).tolist() == [[1, 0]]


@given(SEEDS, st.integers(1, 9), st.integers(1, 200), st.sampled_from([0.5, 0.27, 0.81]), DTYPES, st.booleans())
def test_neurons_equal_the_dense_ones(seed: int, T: int, C: int, leak: float, dtype: type, dyadic: bool) -> None:
    current = np.random.default_rng(seed).normal(1, 1.5, (T, C))
    current = (np.rint(current * 4) / 4 if dyadic else current).astype(dtype)
    expected = steps(NeuronParameters(dtype(leak), dtype(1)), current)[1]
    assert_same(spikes_of(current, leak, 1.0), expected, "spikes")


def test_the_attention_neuron_of_an_lif_is_an_or() -> None:
    counts = np.random.default_rng(0).integers(0, 4, (16, 500)).astype(np.float32)
    assert_same(spikes_of(counts, 0.5, 0.5), (counts >= 1).astype(np.uint8), "spikes")


def test_the_attention_neuron_of_a_slow_plif_remembers() -> None:
    """decay 0.3: one event gives 0.3, the second 0.3 + 0.7 * 0.3 = 0.51, which fires."""
    assert spikes_of(np.ones((4, 1), np.float32), 0.3, 0.5).ravel().tolist() == [0, 1, 0, 1]


# --- pools and masks --------------------------------------------------------------------------------------------------


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


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 3), st.integers(1, 3), st.integers(1, 9))
def test_pool_of_currents_knows_negative_numbers(seed: int, half_height: int, half_width: int, C: int) -> None:
    current = np.random.default_rng(seed).normal(-2, 1, (2, 3, C, 2 * half_height, 2 * half_width)).astype(np.float32)
    pooled = max_pool(stream_of(current), Run(len(current), 1))
    official = np.moveaxis(pooled.array.reshape(*pooled.grid, C), -1, 2)
    assert_same(official, dense.max_pool(current, 2), "pooled")


# --- means ------------------------------------------------------------------------------------------------------------


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
