"""Memory for spikes grows with the events; ImageNet sizes fit into 1.5 GB."""

import gc
import subprocess
import sys
import tracemalloc
import weakref

import numpy as np
import pytest

from sdt_ref.engine.events import SpikeEvents
from sdt_ref.engine.neuron import Neuron
from sdt_ref.engine.run import Run
from sdt_ref.engine.set_operations import intersect, pool, pool_tokens, sum_tokens
from sdt_ref.engine.stored import StoredCurrent
from sdt_ref.engine.storing import store
from sdt_ref.engine.synapse import Synapse
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.weights.arithmetic import FLOAT32
from sdt_ref.weights.folding import Layer, NeuronParameters, fold
from tests.networks import Network, input_of, model_of, weights_of

GRID, CHANNELS = (4, 1, 112, 112), 96
NEURONS = int(np.prod(GRID)) * CHANNELS
SCRATCH = 2 << 20  # tiles of two threads, and a row offset per token
ROW_BYTES = 8 * int(np.prod(GRID)) * 3  # offsets, and their pieces while they are joined


def peak_of(action: object) -> int:
    assert callable(action)
    action()  # compile
    tracemalloc.start()
    action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def current(rate: float) -> StoredCurrent:
    """Currents that make this part of the neurons fire, at every step."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random((1, 112 * 112, CHANNELS), np.float32) < rate, np.float32(5), np.float32(-5))
    return StoredCurrent.from_array(GRID, np.broadcast_to(x, (4, *x.shape[1:])))


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 0.3])
def test_firing_allocates_for_its_events_only(rate: float) -> None:
    """No array of one byte per neuron: at rate 0 the layer needs no more than its row offsets and the tiles."""
    neuron = Neuron("n", NeuronParameters(np.float32(0.5), np.float32(1)))
    x = current(rate)
    events = neuron(x, Run(4, 2)).n_events
    assert events == pytest.approx(rate * NEURONS, rel=0.05)
    peak = peak_of(lambda: neuron(x, Run(4, 2)))
    assert peak < SCRATCH + ROW_BYTES + 2 * 2 * events  # the pieces and the joined list, two bytes an event
    if rate <= 0.01:
        assert peak < NEURONS


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1])
def test_pooling_allocates_for_its_events_only(rate: float) -> None:
    neuron = Neuron("n", NeuronParameters(np.float32(0.5), np.float32(1)))
    spikes = neuron(current(rate), Run(4, 2))
    pooled: list[SpikeEvents] = []

    def action() -> None:
        pooled[:] = [pool(spikes, 2, Run(4, 2))]

    peak = peak_of(action)
    assert peak < SCRATCH + ROW_BYTES + 3 * 2 * pooled[0].n_events


def spikes_at(rate: float) -> SpikeEvents:
    return Neuron("n", NeuronParameters(np.float32(0.5), np.float32(1)))(current(rate), Run(4, 2))


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1])
def test_masks_allocate_for_their_events_only(rate: float) -> None:
    spikes = spikes_at(rate)
    assert peak_of(lambda: intersect(spikes, spikes, Run(4, 2))) < SCRATCH + ROW_BYTES + 2 * 2 * spikes.n_events
    spread = pool_tokens(spikes, 8, Run(4, 2)).n_events
    assert peak_of(lambda: pool_tokens(spikes, 8, Run(4, 2))) < SCRATCH + ROW_BYTES + 2 * 2 * spread
    assert peak_of(lambda: sum_tokens(spikes)) < SCRATCH


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("window", [1, 3])
def test_weight_layers_allocate_their_current_and_a_tile(rate: float, window: int) -> None:
    outputs, spikes = 64, spikes_at(rate)
    layer = Layer(np.zeros((outputs, CHANNELS, window, window), np.float32), np.zeros(outputs, np.float32))
    synapse = Synapse("layer", layer)
    current_bytes = NEURONS // CHANNELS * outputs * 4
    assert peak_of(lambda: store(synapse(spikes), Run(4, 2))) < SCRATCH + current_bytes


def test_in_fixed_point_a_network_holds_its_weights_once() -> None:
    """In the narrowest type, in panels; nothing keeps the rows that were cut into panels."""
    weights = weights_of(Network(dim=512, hidden=2048, in_channels=3))
    tracemalloc.start()
    model = SpikeDrivenTransformer(weights, "fixed")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    panels = [layer.panels for layer in model.weight_layers.values()]
    assert {each.dtype for each in panels[1:]} == {np.dtype(np.int8)}
    assert held < 1.2 * sum(each.nbytes for each in panels)


def test_a_network_holds_its_weights_once() -> None:
    """No copy in another layout, and while it is built only one layer in float64 besides."""
    weights = weights_of(Network(dim=512, hidden=2048, in_channels=3))
    folded = fold(weights, FLOAT32).layers
    nbytes = {name: layer.weight.nbytes + layer.bias.nbytes for name, layer in folded.items()}
    tracemalloc.start()
    model = SpikeDrivenTransformer(weights)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert model.architecture.dim == 512
    assert held < 1.05 * sum(nbytes.values())
    assert peak < 1.05 * sum(nbytes.values()) + 6 * max(
        nbytes.values()
    )  # twice in float64, once rounded, once in panels


@pytest.mark.parametrize("arithmetic", ["float32", "float64", "fixed"])
def test_a_network_keeps_no_raw_weights(arithmetic: str) -> None:
    """What was read from the file is let go: it would be a second copy of all weights."""
    weights = weights_of(Network(depth=2))
    tensors = [weakref.ref(tensor) for tensor in weights.tensors.values()]
    model = SpikeDrivenTransformer(weights, arithmetic)
    del weights
    gc.collect()
    assert model.layer("head").weight.size
    assert not any(tensor() is not None for tensor in tensors)


def test_the_inference_path_never_makes_spikes_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing calls to_dense, from_dense or to_scipy, whatever the network."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a dense spike tensor was made")

    for name in ("to_dense", "from_dense", "to_scipy"):
        monkeypatch.setattr(SpikeEvents, name, refuse)
    for n in (Network(), Network(dvs_mode=True, spike_mode="plif"), Network(hidden=16, frames=True)):
        model_of(n)(input_of(n), record=True)


IMAGENET = r"""
import re, sys
from pathlib import Path
import numpy as np
from sdt_ref.weights.architecture import Architecture
from sdt_ref.weights.tensors import tensor_shapes
from sdt_ref.weights.config import ModelConfig, Preprocessing
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.weights.file import Weights

size = int(sys.argv[1])
rng = np.random.default_rng(0)
tensors = {}
for name, shape in tensor_shapes(Architecture(768, 8, 3, 1000, 3072, "lif")).items():
    if name.endswith("running_var"):
        value = np.ones(shape)
    elif name.endswith("running_mean") or "conv.bias" in name:
        value = np.zeros(shape)
    elif "_bn" in name:
        value = np.full(shape, 1.5 if name.endswith("weight") else -0.1)
    else:
        gain = 1 if "embed.proj_conv.weight" in name else 6  # pixels have variance 1, spikes about 1/6
        value = rng.standard_normal(shape, np.float32) * np.sqrt(gain / max(1, np.prod(shape[1:])))
    tensors[name] = np.asarray(value, np.float32)
weights = Weights(tensors, ModelConfig(4, "1111", 8, False, False), Preprocessing(224), tuple(map(str, range(1000))), {})
result = SpikeDrivenTransformer(weights)(rng.standard_normal((1, 3, size, size), np.float32))
rates = [count.firing_rate for count in result.counts.values() if count.neurons.any()]
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]
print(peak, min(rates), max(rates), result.logits.shape)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("size", [224, 288])
def test_sdt_8_768_runs_below_one_and_a_half_gigabytes(size: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMAGENET, str(size)], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    peak_kib, lowest, highest, *shape = done.stdout.split()
    print(done.stdout)
    assert shape == ["(1,", "1000)"]
    assert 0.001 < float(lowest) <= float(highest) < 0.9  # it fires plausibly, so the memory is that of real work
    assert int(peak_kib) < 1.5e9 / 1024
