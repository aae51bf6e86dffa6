"""`calibrate`: it writes formats that run."""

import json
from pathlib import Path

import numpy as np
import pytest

import sdt_ref
from sdt_ref import calibrate, infer
from tests.shipped import CAT


@pytest.mark.slow
def test_calibrate_writes_formats_that_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "formats.toml"
    assert calibrate.main([str(CAT), "-o", str(target), "--weight-bits", "6"]) == 0
    assert "formats from 1 picture" in capsys.readouterr().out
    assert infer.main(["--formats", str(target), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["arithmetic"] == "fixed"
    assert all(sum(layer["mac"]) == 0 for layer in answer["layers"].values())
    assert sum(answer["layers"]["MS_SPS_proj_conv"]["ac"]) > 0
    model = sdt_ref.load(arithmetic="fixed", formats=target)
    assert not any(b.any() for r, b in model(np.zeros((1, 3, 32, 32))).overflows.items() if r.endswith("accumulator"))


def test_an_overflow_counts_in_the_picture_and_not_while_the_kernels_load(tmp_path: Path) -> None:
    """Black, with which they are loaded, overflows this register; the cat does not."""
    (tmp_path / "f.toml").write_text(
        'schema_version = 1\n[stage."block.1.attn.talking_heads_lif"]\nmembrane = { overflow = "error", bits = 11 }'
    )
    model = sdt_ref.load(arithmetic="fixed", formats=tmp_path / "f.toml")
    side = model.config.size_divisor
    with pytest.raises(sdt_ref.FormatError, match="do not fit"):
        model(np.zeros((1, 3, side, side)))
    assert infer.main([str(CAT), "--formats", str(tmp_path / "f.toml"), "--json"]) == 0


@pytest.mark.parametrize(("arguments", "message"), [
    ([str(CAT), "-o", "no/such/folder/f.toml"], "its folder does not exist; make that folder"),
    ([str(CAT), "-o", "f.toml", "--weight-bits", "1"], "'weight.bits': expected 2 to 48, found 1"),
    ([str(CAT), "-o", "f.toml", "--limit", "0"], "--limit: expected 1 or more"),
    ([str(CAT), "-o", "f.toml", "--membrane-bits", "2"], "a membrane needs 3 bits to hold its thresholds 1 and 0.5, found 2"),
    (["none.jpg", "-o", "f.toml"], "none.jpg"),
])  # fmt: skip
def test_calibrate_refuses(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                           capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert calibrate.main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
