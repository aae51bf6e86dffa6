"""Calibration chooses fractions that its widths can run with."""

import pytest

import sdt_ref
from sdt_ref.fixed.formats import Formats
from sdt_ref.measuring import calibration
from tests.networks import Network, input_of, weights_of


@pytest.mark.parametrize("bits", [(3, 16), (48, 16), (16, 48), (48, 48), (48, 2)])
def test_calibration_chooses_fractions_that_its_widths_can_run_with(bits: tuple[int, int]) -> None:
    n = Network(batch=1)
    chosen = calibration.calibrate(weights_of(n), [input_of(n)], calibration.Widths(membrane=bits[0], stream=bits[1]))
    model = sdt_ref.SpikeDrivenTransformer(weights_of(n), "fixed", 1, Formats.from_toml(chosen.to_toml()))
    assert model(input_of(n)).logits.shape == (1, n.num_classes)
