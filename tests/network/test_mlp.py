"""The spiking MLP's two shortcuts, by hand: weights of 0 leave the biases and what the shortcuts carry."""

import numpy as np
import pytest

from sdt_ref.engine.run import Run
from sdt_ref.network.mlp import SpikingMLP
from sdt_ref.network.parts import Parts
from sdt_ref.weights.folding import Layer, NeuronParameters, Parameters
from tests.official_axes import stream_of


def silent(outputs: int, inputs: int, bias: float) -> Layer:
    return Layer(np.zeros((outputs, inputs, 1, 1), np.float32), np.full(outputs, bias, np.float32))


@pytest.mark.parametrize(
    ("hidden", "added"),
    [(3, 20.0), (2, 100.0 + 20.0)],  # mlp_ratio 1: fc1 has a shortcut of its own, and fc2 adds to what that gives
)
def test_the_stream_grows_by_the_biases_on_its_way(hidden: int, added: float) -> None:
    layers = {"block.0.mlp.fc1_conv": silent(hidden, 2, 100), "block.0.mlp.fc2_conv": silent(2, hidden, 20)}
    neuron = NeuronParameters(np.float32(0.5), np.float32(1))
    mlp = SpikingMLP(0, Parts(Parameters(layers, {f"block.0.mlp.{name}_lif": neuron for name in ("fc1", "fc2")})))
    u = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 1, 2)
    result = mlp(stream_of(u), Run(1, 1))
    expected = stream_of(u + np.float32(added))
    assert result.array.tolist() == expected.array.tolist()
