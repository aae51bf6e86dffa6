"""The official code, spike for spike."""

from pathlib import Path

import pytest

from tests.golden_cases import Difference, case_names, compare, read_full, read_small

CASES = ["cifar10_trained", "cifar_static", "dvs_frames", "gesture_frames", "imagenet_small", "plif", "tet"]
ARITHMETICS = ["float64", "float32"]


def check(difference: Difference) -> None:
    print(difference)
    if difference.arithmetic == "float64":
        assert difference.different == 0, difference
        assert difference.logits <= 1e-9, difference
    else:
        assert difference.different <= difference.spikes // 100_000, difference
        assert difference.different or difference.logits <= 1e-4, difference
    assert (difference.current is None) == (difference.name == "cifar10_trained")
    assert difference.current is None or difference.current <= 1e-5 or difference.different, difference


def test_every_case_is_here() -> None:
    assert case_names() == CASES


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("name", CASES)
def test_small_copies(name: str, arithmetic: str) -> None:
    check(compare(read_small(name), arithmetic))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("name", CASES)
def test_full_cases(shared: Path, name: str, arithmetic: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[train]'")
    check(compare(read_full(shared / "golden", name), arithmetic))
