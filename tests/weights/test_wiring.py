"""The network as a list: the stages in the order of the data flow, and what they are called."""

import pytest

from sdt_ref.weights.wiring import counted_as, in_words, wiring
from tests.golden.test_trace import NETWORKS
from tests.networks import Network, input_of, model_of, weights_of


def test_wiring_names_each_stage_behind_those_that_it_reads() -> None:
    for n, _ in NETWORKS.values():
        weights = weights_of(n)
        stages = wiring(weights.architecture, weights.config)
        seen: set[str] = set()
        for name, stage in stages.items():
            assert {*stage.reads, *([stage.residual] if stage.residual else [])} <= seen
            seen.add(name)


def test_hooks_and_layers_are_those_of_a_run() -> None:
    n = Network(depth=2)
    weights = weights_of(n)
    stages = wiring(weights.architecture, weights.config).values()
    result = model_of(n)(input_of(n), record=True)
    assert [stage.hook for stage in stages if stage.hook] == list(result.spikes)
    assert [counted_as(stage.layer) for stage in stages if stage.layer] == list(result.counts)


@pytest.mark.parametrize(
    ("layer", "counted", "words"),
    [
        ("patch_embed.proj_conv1", "MS_SPS_proj_conv1", "patch embedding: proj conv1"),
        ("block.3.attn.q_conv", "MS_SSA_Conv3_q_conv", "block 3: attention q, k, v"),
        ("block.3.attn.proj_conv", "MS_SSA_Conv3_proj_conv", "block 3: attention proj"),
        ("block.0.mlp.fc1_conv", "MS_MLP_Conv0_fc1_conv", "block 0: MLP fc1"),
        ("head", "head", "classifier"),
    ],
)
def test_a_weight_layer_s_names(layer: str, counted: str, words: str) -> None:
    assert counted_as(layer) == counted
    assert in_words(counted) == words
