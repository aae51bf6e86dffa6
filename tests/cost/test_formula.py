"""The paper's formula: sizes by hand; with pooling and borders it is what was counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdt_ref.cost import formula, published
from sdt_ref.cost.account import SYNAPSES, Accountant
from tests.networks import Network, input_of, model_of
from tests.strategies import networks

# the formula


def test_flops_of_the_published_networks() -> None:
    """8-512 at 224: as semantics of the layers say, by hand."""
    sizes = formula.flops(published.PUBLISHED["sdt-8-512"].architecture, published.IMAGENET, 224, 224)
    assert sizes["patch_embed.proj_conv"] == 9 * 224 * 224 * 3 * 64
    assert sizes["patch_embed.proj_conv1"] == 9 * 112 * 112 * 64 * 128
    assert sizes["patch_embed.proj_conv3"] == 9 * 28 * 28 * 256 * 512
    assert sizes["patch_embed.rpe_conv"] == 9 * 14 * 14 * 512 * 512
    assert sizes["block.7.attn.q_conv"] == 196 * 512 * 512
    assert sizes["block.0.mlp.fc1_conv"] == 196 * 512 * 2048
    assert sizes["head"] == 512 * 1000
    assert len(sizes) == 6 + 8 * 6


@given(networks(), st.sampled_from(["float32", "fixed"]))
@settings(max_examples=30)
def test_formula_plus_pooling_less_borders_is_what_was_counted(n: Network, arithmetic: str) -> None:
    model, x = model_of(n, arithmetic), input_of(n)
    account = Accountant(model).account(x)
    tokens = formula.n_tokens(model.config, n.height, n.width)
    sizes = formula.flops(model.architecture, model.config, n.height, n.width)
    table = formula.estimates(account, sizes, tokens, n.dim, n.batch)
    for name, estimate in table.items():
        if account.stages[name].layer is None:
            module = name.removesuffix(".talking_heads_lif")
            q, k = (account.hook(f"{module}.{p}_lif").sum() for p in "qk")
            assert estimate.acs == pytest.approx((q + k) * n.batch * tokens * n.dim)
            assert not estimate.complete
            continue
        if name == "patch_embed.proj_lif" and arithmetic == "fixed":  # bit planes add what the formula multiplies
            assert not estimate.complete
            assert estimate.macs == n.batch * sizes["patch_embed.proj_conv"] * (n.time_steps if n.frames else 1)
            continue
        assert estimate.complete
        counted = (account.get(name, SYNAPSES, "ac") + account.get(name, SYNAPSES, "mac")).sum()
        assert estimate.macs + estimate.acs + estimate.pooling + estimate.borders == pytest.approx(counted, abs=1e-6)
        assert estimate.pooling >= -1e-6
        assert estimate.borders <= 1e-6
        if account.stages[name].window == 1:
            assert estimate.borders == pytest.approx(0, abs=1e-6)
        if not account.stages[name].pooled:
            assert estimate.pooling == pytest.approx(0, abs=1e-6)


def test_the_ratio_of_the_abstract() -> None:
    """Which rates give 87.2, with Q, K and V and without."""
    for dim, rate in ((384, 0.0196), (512, 0.0184), (768, 0.0171)):
        found = formula.rate_for_ratio(published.PUBLISHED_RATIO, 196, dim, 4, with_qkv=True)
        assert found == pytest.approx(rate, abs=5e-5)
        assert formula.attention_ratio(196, dim, 4, found, found) == pytest.approx(87.2)
    impossible = formula.rate_for_ratio(published.PUBLISHED_RATIO, 196, 512, 4, with_qkv=False)
    assert impossible == pytest.approx(2 * 196 * 4.6 / (4 * 0.9) / 87.2)
    assert impossible > 2  # more than all of Q and K: the operator alone is cheaper than the abstract says
    assert formula.attention_ratio(196, 512, 4, 2.0) > 250
