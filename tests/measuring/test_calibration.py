"""Calibration chooses fractions that its widths can run with."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref.fixed.formats import Formats
from sdt_ref.inputs.image import preprocess
from sdt_ref.inputs.selection import Item
from sdt_ref.jobs.job import Part
from sdt_ref.measuring import calibration
from tests.networks import Network, input_of, weights_of


@pytest.mark.parametrize("bits", [(3, 16), (48, 16), (16, 48), (48, 48), (48, 2)])
def test_calibration_chooses_fractions_that_its_widths_can_run_with(bits: tuple[int, int]) -> None:
    n = Network(batch=1)
    chosen = calibration.calibrate(weights_of(n), [input_of(n)], calibration.Widths(membrane=bits[0], stream=bits[1]))
    model = sdt_ref.SpikeDrivenTransformer(weights_of(n), "fixed", 1, Formats.from_toml(chosen.to_toml()))
    assert model(input_of(n)).logits.shape == (1, n.num_classes)


@pytest.mark.parametrize("size", [1, 3, 64])
def test_chunks_of_any_size_show_the_same(size: int) -> None:
    """And what `calibrate` sees of the same inputs."""
    n, widths = Network(seed=2), calibration.Widths(membrane=6, stream=5)
    weights, rng = weights_of(n), np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(7)]
    items = [Item(str(number), picture, -1) for number, picture in enumerate(pictures)]
    compute, seen = calibration.See().prepare(weights, 1), calibration.Seen()
    for at in range(0, 7, size):
        seen.add(Part.from_bytes(compute(items[at : at + size]).to_bytes()))
    model, alone = sdt_ref.SpikeDrivenTransformer(weights, "float32", 1), calibration.Seen()
    inputs = [preprocess(picture, weights.preprocessing)[None] for picture in pictures]
    for x in inputs:
        alone.run(model, x)
    assert list(seen.arrays()) == list(alone.arrays())
    assert (seen.arrays()["pixels"] == np.concatenate([x.reshape(1, -1) for x in inputs], axis=1)).all()
    for name, values in alone.arrays().items():
        assert (seen.arrays()[name].dtype, seen.arrays()[name].tobytes()) == (values.dtype, values.tobytes())
    chosen = calibration.choose(weights, seen, widths)
    assert chosen.to_toml() == calibration.calibrate(weights, inputs, widths).to_toml()


def test_the_widths_are_no_setting_of_a_run() -> None:
    settings = calibration.See().settings()
    assert json.loads(json.dumps(settings)) == settings == {
        "task": "calibrate", "size": None, "strict_steps": False, "steps": None
    }  # fmt: skip
    assert len(pickle.dumps(calibration.See())) < 1000
