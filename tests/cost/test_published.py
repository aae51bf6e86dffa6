"""The published energies, reckoned again."""

import pytest

from sdt_ref.cost import formula, published


def test_published_energies() -> None:
    rates = {name: published.explaining_rate(row) for name, row in published.PUBLISHED.items()}
    assert [row.millijoules for row in published.PUBLISHED.values()] == [3.90, 3.56, 4.50, 5.53, 6.09]
    for name, row in published.PUBLISHED.items():
        sizes = formula.flops(row.architecture, published.IMAGENET, 224, 224)
        first = sizes.pop("patch_embed.proj_conv") * 4.6
        assert (first + 4 * rates[name] * sum(sizes.values()) * 0.9) / 1e9 == pytest.approx(row.millijoules)
        assert 0.05 < rates[name] < 0.25
    block = formula.vanilla(published.PUBLISHED["sdt-8-512"].architecture, published.IMAGENET, 224, 224)
    assert block.attention == 8 * 2 * 196 * 196 * 512
    assert block.qkv == 8 * 3 * 196 * 512 * 512
    assert block.macs == sum(v for k, v in vars(block).items())
