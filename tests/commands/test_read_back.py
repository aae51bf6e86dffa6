"""No command reads the weights back out of the engine more than once: each time copies all of them."""

from collections import Counter
from pathlib import Path

import pytest

from sdt_ref import attention, compare, energy, explain, infer, report, sizing, trace, vectors
from sdt_ref.engine.synapse import PanelledLayer
from sdt_ref.weights.folding import Layer

pytestmark = pytest.mark.slow


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each layer of a model is read back."""
    counted: Counter[str] = Counter()
    layer = PanelledLayer.layer

    def counting(self: PanelledLayer) -> Layer:
        counted[self.module] += 1
        return layer(self)

    monkeypatch.setattr(PanelledLayer, "layer", counting)
    return counted


@pytest.mark.parametrize(
    ("command", "arguments", "most"),
    [
        (infer, [], 0),
        (energy, [], 1),
        (attention, [], 0),
        (explain, [], 1),
        (explain, ["--stage", "block.0.attn.q_lif"], 1),
        (report, ["-o", "r.html"], 1),
        (trace, ["-o", "t.h5"], 1),
    ],
)
def test_one_read_back_at_most(
    command: object,
    arguments: list[str],
    most: int,
    reads: Counter[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("jinja2")
    monkeypatch.chdir(tmp_path)
    assert command.main([*arguments, "--json"] if "-o" not in arguments else arguments) == 0  # type: ignore[attr-defined]
    assert max(reads.values(), default=0) <= most, reads


def test_the_golden_kit_reads_no_engine(
    reads: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It quantises the weights of the file, once."""
    monkeypatch.chdir(tmp_path)
    assert trace.main(["-o", "t.h5"]) == 0
    reads.clear()
    assert vectors.main(["t.h5", "-o", "v", "--json"]) == 0
    assert sizing.main(["t.h5", "--json"]) == 0
    assert compare.main(["t.h5", "t.h5", "--isolated", "--json"]) == 0
    capsys.readouterr()
    assert not reads
