"""Results: their tables answer a name that they lack with what they have; paths of the official code serve as well."""

import copy
import pickle

import numpy as np
import pytest

import sdt_ref
from sdt_ref.errors import UnknownNameError
from sdt_ref.weights.wiring import wiring
from tests.equality import assert_same
from tests.networks import Network, input_of, model_of

NETWORK = Network(depth=2)


@pytest.fixture(scope="module")
def result() -> sdt_ref.Result:
    return model_of(NETWORK)(input_of(NETWORK), record="currents")


def test_an_unknown_name_is_answered_with_what_there_is(result: sdt_ref.Result) -> None:
    for table in (
        result.spikes,
        result.counts,
        result.currents,
        result.streams,
        result.stage_counts,
        result.stage_counts["leak"],
    ):
        with pytest.raises(UnknownNameError, match=r"expected one of its names, found 'q'; .*it has ") as caught:
            table["q"]
        assert next(iter(table)) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UnknownNameError, match="did you mean 'MS_SSA_Conv0_q_lif'"):
        result.spikes["MS_SSA_Conv0_q_lf"]
    assert issubclass(UnknownNameError, KeyError)  # so that a Mapping's own methods work
    assert "q" not in result.spikes
    assert result.counts.get("q") is None


def test_nothing_recorded_says_how_to_record() -> None:
    with pytest.raises(UnknownNameError, match="it is empty: spikes are recorded with record=True"):
        model_of(NETWORK)(input_of(NETWORK)).spikes["MS_SPS_lif"]


def test_official_paths_name_spikes_and_counts(result: sdt_ref.Result) -> None:
    model = model_of(NETWORK)
    for name, stage in wiring(model.architecture, model.config).items():
        if stage.hook:
            assert result.spikes[name] is result.spikes[stage.hook]
        if stage.layer:
            assert result.counts[stage.layer] is result.counts[model.weight_layers[stage.layer].name]
    assert "block.0.attn.q_lif" not in list(result.spikes)


def test_tables_are_copied_and_pickled_whole(result: sdt_ref.Result) -> None:
    for again in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert_same(again.counts["block.0.attn.q_conv"].ac, result.counts["MS_SSA_Conv0_q_conv"].ac, "additions")
        for table in (again.counts, again.stage_counts, again.stage_counts["leak"]):
            with pytest.raises(UnknownNameError, match="it has "):
                table["q"]
        assert list(again.spikes) == list(result.spikes)
        assert_same(again.spikes["block.0.attn.q_lif"].to_dense(), result.spikes["MS_SSA_Conv0_q_lif"].to_dense(), "q")


def test_a_model_and_a_result_say_what_they_are(result: sdt_ref.Result) -> None:
    assert repr(result) == "<Result of 2 x 5 logits, T = 3; recorded: 23 spikes, 19 currents, 6 streams>"
    assert repr(model_of(NETWORK)).startswith("<SpikeDrivenTransformer 2-16, float32: 3 channels of pictures at ")


def test_single_layers_and_neurons_are_those_read_back() -> None:
    for arithmetic in ("float32", "fixed"):
        model = model_of(NETWORK, arithmetic)
        parameters = model.read_back()
        assert list(parameters.layers) == list(model.weight_layers)
        for name, layer in parameters.layers.items():
            assert_same(model.layer(name).weight, layer.weight, name)
            assert_same(model.layer(name).bias, layer.bias, name)
        assert model.neurons == parameters.neurons


def test_the_read_back_is_a_copy() -> None:
    model, x = model_of(NETWORK), input_of(NETWORK)
    before = model(x).logits
    for layer in model.read_back().layers.values():
        layer.weight[:] = np.nan
    assert_same(model(x).logits, before, "logits")
