"""Default registers hold what the weights read, and give the answer of float32 on both samples."""

from typing import Any

import numpy as np
import pytest

import sdt_ref
from sdt_ref.fixed.defaults import complete
from sdt_ref.fixed.formats import Formats
from sdt_ref.inputs.reading import read
from sdt_ref.weights.config import Preprocessing
from sdt_ref.weights.file import DEFAULT, DEFAULT_OF_RECORDINGS, shipped_path
from tests.equality import assert_same

DATA = shipped_path().parents[1] / "sdt_ref" / "data"


def in_register(values: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """What the default input register makes of numbers."""
    register = complete(None, preprocessing).format("", "input")
    return np.ldexp(register.fit(register.quantise(values)), -register.fraction)


@pytest.mark.parametrize(
    ("settings", "step"), [({}, 1), ({"sensor": 64}, 1 / 4), ({"sensor": 64, "antialias": True}, 1 / 64)]
)
def test_counts_of_several_hundred_are_exact(settings: dict[str, Any], step: float) -> None:
    """Whole ones, and means of 2x2 of them, of 4 x 4 by weights in 64ths where halved so."""
    counts = np.arange(0, 511 + step / 2, step)
    assert_same(in_register(counts, Preprocessing(32, frames=True, **settings)), counts, "counts")


@pytest.mark.parametrize(
    "mean", [(0.5,) * 3, (0.4914, 0.4822, 0.4465), (0.485, 0.456, 0.406), (0.0,) * 3, (1.0, 0.1, 0.2)]
)
@pytest.mark.parametrize(
    "std", [(0.5,) * 3, (0.247, 0.2435, 0.2616), (0.229, 0.224, 0.225), (0.2, 0.1, 0.05), (0.004, 1.0, 1.0)]
)
def test_no_value_of_a_normalised_picture_is_clipped(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    values = (np.arange(256)[:, None] / 255 - mean) / np.array(std)
    register = complete(None, Preprocessing(32, mean=mean, std=std)).format("", "input")
    assert (
        np.abs(in_register(values, Preprocessing(32, mean=mean, std=std)) - values).max() <= 2.0**-register.fraction / 2
    )
    if max(mean) < 0.6 and min(mean) > 0.4 and min(std) > 0.22:  # as usual
        assert (register.bits, register.fraction) == (10, 7)


@pytest.mark.parametrize(("weights", "sample"), [(DEFAULT, "cat.jpg"), (DEFAULT_OF_RECORDINGS, "digit.bin")])
def test_on_the_samples_the_answer_is_that_of_float32_and_nothing_is_clipped(weights: str, sample: str) -> None:
    model = sdt_ref.load(weights, "fixed")
    x = read(DATA / sample, model.preprocessing, model.config.time_steps)[None]
    result = model(x)
    assert model.predict(DATA / sample, top=1)[0][0] == sdt_ref.load(weights).predict(DATA / sample, top=1)[0][0]
    assert {register: int(beyond.sum()) for register, beyond in result.overflows.items() if beyond.any()} == {}
    if model.preprocessing.frames:
        assert x.max() > 4
        assert_same(in_register(x.astype(np.float64), model.preprocessing), x.astype(np.float64), "counts")


@pytest.mark.parametrize("text", [
    "[default]\nweight.bits = 8", "[default]\naccumulator.bits = 24", "[default]\nbias.bits = 16",
    "[stage.'patch_embed.proj_conv']\nweight.bits = 8", "[stage.'patch_embed.proj_conv']\naccumulator.bits = 24",
])  # fmt: skip
@pytest.mark.parametrize("weights", [DEFAULT, DEFAULT_OF_RECORDINGS])
def test_a_file_that_declares_widths_keeps_them_in_the_first_layer(text: str, weights: str) -> None:
    """None is refused that was not before: with 12-bit weights, an accumulator of 24 bits would be."""
    declared = Formats.from_toml(f"schema_version = 1\n{text}")
    model = sdt_ref.SpikeDrivenTransformer(sdt_ref.weights.load(weights), "fixed", 1, declared)
    names = ("weight", "bias", "accumulator")
    widths = [model.formats.register("patch_embed.proj_conv", name)["bits"] for name in names]
    assert widths == [8, 16, 24 if "accumulator" in text else 32]


@pytest.mark.parametrize("text", ["", "[default]\nweight.bits = 6", "[stage.'patch_embed.proj_conv']\nweight.bits = 6"])
def test_complete_formats_survive_a_file(text: str) -> None:
    whole = complete(Formats.from_toml(f"schema_version = 1\n{text}"), Preprocessing(32))
    again = Formats.from_toml(whole.to_toml())
    assert again == whole
    assert complete(again, Preprocessing(32, frames=True)) == whole  # nothing is left to a default
