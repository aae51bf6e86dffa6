"""The first convolution, by hand: products of pixels and weights, and the same from the pixels' bits."""

import numpy as np

from sdt_ref.engine.run import Run
from sdt_ref.engine.storing import store
from sdt_ref.network.encoder import Encoder, bit_planes
from sdt_ref.weights.folding import Layer


def test_one_pixel_at_a_corner_is_multiplied_by_one_tap_for_each_output() -> None:
    """A picture is read once, so that its 16 products within 2x2 pixels are counted at the first of three steps."""
    layer = Layer(np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3), np.array([0.5], np.float32))
    image = np.zeros((1, 1, 1, 2, 2), np.float32)
    image[..., 0, 0] = 2
    run = Run(3, 1)
    current = store(Encoder("MS_SPS_proj_conv", layer, "patch_embed.proj_conv")(image, 3), run)
    assert current.array.reshape(3, 4).tolist() == [[8.5, 6.5, 2.5, 0.5]] * 3
    assert run.counter.counts()["MS_SPS_proj_conv"].mac.tolist() == [16, 0, 0]


def test_the_bits_of_a_pixel_are_events_of_its_planes() -> None:
    """In 3 bits 3 is 011 and -2 is 110: channel p * C + c is bit p of channel c."""
    image = np.array([3, -2]).reshape(1, 1, 2, 1, 1)
    assert bit_planes(image, 3).to_dense().ravel().tolist() == [1, 0, 1, 1, 0, 1]
