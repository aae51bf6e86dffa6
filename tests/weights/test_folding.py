"""BatchNorm folded into the weights gives what BatchNorm behind the convolution gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref import WeightsError
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.weights.arithmetic import FLOAT32, FLOAT64
from sdt_ref.weights.file import Weights
from sdt_ref.weights.folding import BATCH_NORM_EPSILON, fold
from tests.equality import assert_same
from tests.networks import Network, weights_of

MODULES = ["patch_embed.proj_conv", "patch_embed.proj_conv2", "patch_embed.rpe_conv", "block.0.attn.k_conv",
           "block.0.attn.proj_conv", "block.0.mlp.fc1_conv", "block.0.mlp.fc2_conv"]  # fmt: skip


def unfolded(weights: Weights, module: str, x: np.ndarray) -> np.ndarray:
    """gamma * (conv(x) + bias - mean) / sqrt(var + eps) + beta at one output position, float64; x : [C_in, k, k]."""
    t = {name: np.asarray(tensor, np.float64) for name, tensor in weights.tensors.items()}
    norm = module.replace("conv", "bn")
    y = np.tensordot(t[f"{module}.weight"], x, axes=3) + t.get(f"{module}.bias", 0)
    scaled = (y - t[f"{norm}.running_mean"]) / np.sqrt(t[f"{norm}.running_var"] + 1e-5)
    return t[f"{norm}.weight"] * scaled + t[f"{norm}.bias"]


@given(st.integers(0, 2**32 - 1), st.sampled_from(MODULES))
def test_folded_equals_unfolded(seed: int, module: str) -> None:
    weights = weights_of(Network(seed=seed))
    layer = fold(weights, FLOAT64).layers[module]
    x = np.random.default_rng(seed).standard_normal(layer.weight.shape[1:])
    folded = np.tensordot(layer.weight, x, axes=3) + layer.bias
    np.testing.assert_allclose(folded, unfolded(weights, module, x), rtol=1e-12, atol=1e-12)


def test_folding_literal() -> None:
    """gamma 3, beta 1, mean 2, var 4 - eps: gain 3 / 2, so weight 10 -> 15 and bias 6 -> (6 - 2) * 1.5 + 1 = 7."""
    weights = weights_of(Network())
    tensors = dict(weights.tensors)
    for part, value in (("weight", 3), ("bias", 1), ("running_mean", 2), ("running_var", 4 - BATCH_NORM_EPSILON)):
        tensors[f"block.0.mlp.fc1_bn.{part}"] = np.full(24, value, np.float32)
    tensors["block.0.mlp.fc1_conv.weight"] = np.full((24, 16, 1, 1), 10, np.float32)
    tensors["block.0.mlp.fc1_conv.bias"] = np.full(24, 6, np.float32)
    changed = Weights(tensors, weights.config, weights.preprocessing, weights.classes, {})
    layer = fold(changed, FLOAT32).layers["block.0.mlp.fc1_conv"]
    assert set(layer.weight.ravel().tolist()) == {15.0}
    assert set(layer.bias.tolist()) == {7.0}


def test_float32_is_float64_rounded_once() -> None:
    weights = weights_of(Network())
    narrow, wide = fold(weights, FLOAT32), fold(weights, FLOAT64)
    for module, layer in wide.layers.items():
        assert_same(narrow.layers[module].weight, layer.weight.astype(np.float32), module)


def test_no_bias_is_minus_zero() -> None:
    weights = weights_of(Network(drive=0))
    zeros = {"bias": -0.0, "running_mean": 0.0}
    tensors = {
        name: np.full_like(tensor, zeros[part]) if (part := name.rpartition(".")[2]) in zeros else tensor
        for name, tensor in weights.tensors.items()
    }
    parameters = fold(Weights(tensors, weights.config, weights.preprocessing, weights.classes, {}), FLOAT32)
    assert not any(np.signbit(layer.bias[layer.bias == 0]).any() for layer in parameters.layers.values())


def test_neuron_constants() -> None:
    lif = fold(weights_of(Network()), FLOAT32).neurons
    assert {n.leak for n in lif.values()} == {0.5}
    assert {name: n.threshold for name, n in lif.items() if n.threshold != 1} == {"block.0.attn.talking_heads_lif": 0.5}
    weights = weights_of(Network(spike_mode="plif"))
    for arithmetic in (FLOAT32, FLOAT64):
        for name, neuron in fold(weights, arithmetic).neurons.items():
            assert neuron.leak.dtype == arithmetic.dtype
            assert neuron.leak == arithmetic.sigmoid(weights.tensors[f"{name}.w"])


# w: the leak in float32, the leak in float64; as torch.sigmoid gives them on an x86 processor
SIGMOIDS = {
    -0.9727813: ("0x1.18e90a0000000p-2", "0x1.18e90a410f390p-2"),
    -0.6487099: ("0x1.5f84e00000000p-2", "0x1.5f84e03a6caf4p-2"),
    0.0: ("0x1.0000000000000p-1", "0x1.0000000000000p-1"),
    0.2796476: ("0x1.23903e0000000p-1", "0x1.23903cecad20ap-1"),
    1.7: ("0x1.b0e9f00000000p-1", "0x1.b0e9edf9b14ecp-1"),
    -3.25: ("0x1.31c8280000000p-5", "0x1.31c8280cf1c3dp-5"),
}


@pytest.mark.parametrize("w", SIGMOIDS)
def test_the_leak_is_pinned_bit_by_bit(w: float) -> None:
    """NumPy's float32 exponential differs from processor to processor; this one must not."""
    narrow, wide = SIGMOIDS[w]
    assert float(FLOAT32.sigmoid(np.array(w, np.float32))).hex() == narrow
    assert float(FLOAT64.sigmoid(np.array(w, np.float32))).hex() == wide


def test_the_leak_is_that_of_torch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[train]'")
    w = np.random.default_rng(0).normal(0, 2, 2000).astype(np.float32)
    for arithmetic in (FLOAT32, FLOAT64):
        ours = np.array([arithmetic.sigmoid(value) for value in w])
        theirs = np.array([torch.sigmoid(torch.tensor(value).to(torch.from_numpy(ours).dtype)).item() for value in w])
        assert np.count_nonzero(ours != theirs) <= 4  # an ulp now and then: two C libraries
        np.testing.assert_array_max_ulp(ours, theirs.astype(ours.dtype), 1)


def test_extreme_leaks() -> None:
    for w, expected in ((-2000, 0.0), (-100, 0.0), (2000, 1.0)):
        assert FLOAT32.sigmoid(np.array(w, np.float32)) == expected


def test_folding_beyond_float32_is_refused_by_name() -> None:
    weights = weights_of(Network())
    tensors = dict(weights.tensors)
    tensors["block.0.mlp.fc1_bn.weight"] = np.full(24, 3e38, np.float32)
    tensors["block.0.mlp.fc1_bn.running_var"] = np.full(24, 1e-8, np.float32)
    huge = Weights(tensors, weights.config, weights.preprocessing, weights.classes, {})
    with pytest.raises(WeightsError, match=r"layer 'block.0.mlp.fc1_conv': BatchNorm folds to values beyond float32"):
        SpikeDrivenTransformer(huge)
    SpikeDrivenTransformer(huge, "float64")


@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
def test_a_network_holds_its_folded_weights_once_and_gives_them_back(arithmetic: str) -> None:
    weights = weights_of(Network(dim=80, hidden=24, in_channels=2))
    model = SpikeDrivenTransformer(weights, arithmetic)
    folded = fold(weights, model.arithmetic)
    back = model.read_back()
    assert set(back.layers) == set(folded.layers)
    for name, layer in folded.layers.items():
        assert_same(back.layers[name].weight, layer.weight, name)
        assert_same(back.layers[name].bias, layer.bias, name)
    assert back.neurons == folded.neurons
