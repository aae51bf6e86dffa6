"""Which arrays the network takes."""

import numpy as np
import pytest

import sdt_ref
from sdt_ref.inputs.arrays import as_frames
from sdt_ref.weights.architecture import Architecture
from sdt_ref.weights.config import ModelConfig
from tests.equality import assert_same
from tests.networks import Network, model_of


def test_time_comes_first() -> None:
    """A picture has one image and the settings' time steps, frames as many as there are; numbers are rounded once."""
    architecture, config = Architecture(16, 1, 1, 5, 24, "lif"), ModelConfig(4, "0000", 4, False, False)
    float32 = np.dtype(np.float32)
    picture = np.array([[0.1, 2.0]]).reshape(1, 1, 1, 2)
    image, time_steps = as_frames(picture, architecture, config, float32)
    assert_same(image, picture.astype(np.float32)[None], "image")
    assert time_steps == 4
    frames = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1, 1)
    image, time_steps = as_frames(frames, architecture, config, float32)
    assert image.ravel().tolist() == [0, 3, 1, 4, 2, 5]
    assert (image.shape, time_steps) == ((3, 2, 1, 1, 1), 3)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 8, 8)), r"expected axes \(B, C, H, W\) or \(B, T, C, H, W\), found shape \(3, 8, 8\)"),
        (np.zeros((1, 1, 8, 8)), "expected 3 channels, found 1"),
        (np.zeros((1, 8, 8, 3)), "expected 3 channels, found 8"),
        (np.zeros((0, 3, 8, 8)), "expected no empty axis"),
        (np.zeros((1, 0, 3, 8, 8)), "expected no empty axis"),
        (np.zeros((1, 3, 8, 6)), "divisible by 4 .pooling_stat 0011., found 8x6"),
        (np.zeros((1, 3, 8, 8), complex), "expected real numbers, found type complex128"),
        (np.full((1, 3, 8, 8), "a"), "expected real numbers"),
        (np.full((1, 3, 8, 8), np.nan), "expected finite numbers in float32, found 192 NaN or infinite of 192"),
        (np.full((1, 3, 8, 8), 1e300), "expected finite numbers in float32"),
        ("picture.jpg", "expected real numbers"),
        ([[1], [2, 3]], "expected an array of real numbers, found list"),
        (np.ma.masked_array(np.zeros((1, 3, 8, 8))), "found a masked array"),
        (None, "expected real numbers"),
    ],
)
def test_bad_input_is_refused_in_one_line(x: object, message: str) -> None:
    with pytest.raises(sdt_ref.SdtError, match=message) as caught:
        model_of(Network())(x)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, np.float16, np.float64])
def test_any_real_type_is_taken(dtype: type) -> None:
    x: np.ndarray = np.ones((1, 3, 8, 8), dtype)
    model = model_of(Network())
    assert_same(model(x).logits, model(x.astype(np.float32)).logits, "logits")
