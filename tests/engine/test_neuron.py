"""Neurons: literal cases checked by hand, and any currents against the oracle's neurons."""

from types import ModuleType

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import sdt_ref
from sdt_ref.dense import steps
from sdt_ref.weights.folding import NeuronParameters
from tests.equality import assert_same
from tests.strategies import DTYPES, SEEDS

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
