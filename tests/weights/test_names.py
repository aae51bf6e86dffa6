"""Names of stages: the official hooks and counts, word for word, and back."""

import pytest

from sdt_ref.weights.architecture import Architecture
from sdt_ref.weights.names import counted_as, group, hook, layer_in_words, short, stage_of
from sdt_ref.weights.wiring import wiring

STAGES = wiring(Architecture(16, 12, 3, 5, 64, "lif"))


@pytest.mark.parametrize(
    ("stage", "official", "of_group", "for_readers"),
    [
        ("patch_embed.proj_lif", "MS_SPS_lif", "patch embedding", "conv 0"),
        ("patch_embed.proj_lif3", "MS_SPS_lif3", "patch embedding", "conv 3"),
        ("block.0.attn.shortcut_lif", "MS_SSA_Conv0_first_lif", "block 0", "input"),
        ("block.11.attn.q_lif", "MS_SSA_Conv11_q_lif", "block 11", "Q"),
        ("block.1.attn.kv", "MS_SSA_Conv1_kv_before", "block 1", "K AND V"),
        ("block.1.attn.talking_heads_lif", "MS_SSA_Conv1_kv", "block 1", "mask"),
        ("block.1.attn.masked", "MS_SSA_Conv1_x_after_qkv", "block 1", "Q AND mask"),
        ("block.3.mlp.fc2_lif", "MS_MLP_Conv3_fc2_lif", "block 3", "MLP hidden"),
        ("head_lif", "head_lif", "head", "head"),
    ],
)
def test_stages(stage: str, official: str, of_group: str, for_readers: str) -> None:
    assert (hook(stage), group(stage), short(stage)) == (official, of_group, for_readers)
    assert STAGES[stage].hook == official


def test_every_hook_leads_back_to_its_stage() -> None:
    hooks = {stage.hook: name for name, stage in STAGES.items() if stage.hook}
    assert len(hooks) == 4 + 12 * 9 + 1  # none stands for two
    assert {official: stage_of(official) for official in hooks} == hooks


@pytest.mark.parametrize(
    ("layer", "counted", "words"),
    [
        ("patch_embed.proj_conv", "MS_SPS_proj_conv", "patch embedding: proj conv"),
        ("patch_embed.rpe_conv", "MS_SPS_rpe_conv", "patch embedding: rpe conv"),
        ("block.10.attn.k_conv", "MS_SSA_Conv10_k_conv", "block 10: attention q, k, v"),
        ("block.0.attn.proj_conv", "MS_SSA_Conv0_proj_conv", "block 0: attention proj"),
        ("block.0.mlp.fc1_conv", "MS_MLP_Conv0_fc1_conv", "block 0: MLP fc1"),
        ("head", "head", "classifier"),
    ],
)
def test_layers(layer: str, counted: str, words: str) -> None:
    assert (counted_as(layer), layer_in_words(layer)) == (counted, words)
