"""`calibrate`: it writes formats that run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref import calibrate, infer
from sdt_ref.measuring.calibration import Seen
from sdt_ref.weights import file as weights_file
from tests.networks import Network, weights_of
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


def some_pictures(folder: Path) -> list[str]:
    """Seven pictures, tiny weights, and the arguments that name both and the output."""
    weights_file.save(folder / "w.h5", weights_of(Network()))
    (folder / "data").mkdir()
    rng = np.random.default_rng(0)
    for number in range(7):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / "data" / f"{number}.png")
    return [*map(str, (folder / "data", "--weights", folder / "w.h5", "-o", folder / "f.toml", "--threads", 1))]


def test_an_interrupted_run_goes_on_and_ends_at_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For chunks of any size; what was seen is not run again, also with other widths; other data are refused."""
    line, output, run = some_pictures(tmp_path), tmp_path / "f.toml", Seen.run
    seen: list[Any] = []

    def stopping(self: Seen, *given: Any) -> None:
        if len(seen) == stop:
            raise KeyboardInterrupt
        seen.append(given)
        run(self, *given)

    monkeypatch.setattr(Seen, "run", stopping)
    stop, expected = -1, {}
    for bits in ("6", "16"):
        written = set()
        for size in ("1", "3", "64"):
            assert calibrate.main([*line, "--membrane-bits", bits, "--chunk", size]) == 0
            written.add((output.read_bytes(), capsys.readouterr().out))
            output.unlink()
        ((expected[bits], _),) = written
    assert expected["6"] != expected["16"]
    seen.clear()
    stop = 5
    assert calibrate.main([*line, "--chunk", "2"]) == 130
    assert [path.name for path in (tmp_path / "f.toml.parts").glob("*.part")] != []
    assert calibrate.main([*line, "--limit", "5"]) == 2
    assert "f.toml.parts': expected this run, found one of other data" in capsys.readouterr().err
    assert not output.exists()
    seen.clear()
    stop = -1
    assert calibrate.main([*line, "--membrane-bits", "6"]) == 0
    assert len(seen) == 3  # four of the seven were finished
    assert output.read_bytes() == expected["6"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "f.toml", "w.h5"]


def test_a_picture_that_cannot_be_read_ends_it_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then the picture is taken away, and the same command works."""
    line = some_pictures(tmp_path)
    (tmp_path / "data" / "5.png").write_bytes(b"no picture")
    assert calibrate.main([*line, "--chunk", "2"]) == 2
    assert "5.png': expected a format that Pillow reads" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "w.h5"]
    (tmp_path / "data" / "5.png").unlink()
    assert calibrate.main([*line, "--chunk", "2"]) == 0
