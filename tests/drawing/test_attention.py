"""The picture of the attention maps follows the maps."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdt_ref.measuring.attention_map import AttentionMap, attention_maps
from tests.networks import Network, input_of, model_of


@pytest.mark.slow
def test_the_picture_follows_the_maps(drawing: Any, tmp_path: Path) -> None:
    """A channel more in the mask, a spike more at a token: another picture, there and nowhere else."""
    n = Network(drive=1.5, batch=1, pooling_stat="0001", num_heads=4)  # 4x4 tokens, 4x4 channels
    [seen] = attention_maps(model_of(n)(input_of(n), record=True).spikes)
    photo = Image.new("RGB", (8, 8), "gray")

    def pixels(shown: AttentionMap) -> np.ndarray:
        drawing.draw(tmp_path / "map.png", [shown], range(3), photo, "photo")
        return np.asarray(Image.open(tmp_path / "map.png").convert("RGB")).astype(int)

    before = pixels(seen)
    assert np.array_equal(before, pixels(seen))
    _, _, _, tokens, channels, *_ = drawing.figure([seen], range(3), photo, "photo").axes  # of step 1
    height, width = before.shape[:2]

    def share_that_changed(after: np.ndarray, axes: Any, row: int, column: int) -> tuple[float, int]:
        """Of one of 4x4 cells of the axes, the share of the pixels that differ; and how many do beside it."""
        box = axes.get_position()
        top, left = (1 - box.y1) * height, box.x0 * width
        high, wide = box.height * height / 4, box.width * width / 4
        inside = np.zeros((height, width), np.bool_)
        inside[
            round(top + row * high) : round(top + (row + 1) * high),
            round(left + column * wide) : round(left + (column + 1) * wide),
        ] = True
        differ = (before != after).any(axis=2)
        differ[round(top + 4 * high) + 1 :] = False  # below stands the number of channels
        return float(differ[inside].mean()), int((differ & ~inside).sum())

    mask, passing = seen.mask.copy(), seen.passing.copy()
    mask[1, 6] ^= True  # head 1, its channel 2
    changed, beside = share_that_changed(pixels(dataclasses.replace(seen, mask=mask)), channels, 1, 2)
    assert changed > 0.7
    assert beside < 100  # a line of pixels around
    passing[1, 0, 3] = 0 if passing[1, 0, 3] else passing.max()
    assert passing.max() == seen.passing.max()  # the scale stays
    changed, beside = share_that_changed(pixels(dataclasses.replace(seen, passing=passing)), tokens, 0, 3)
    assert changed > 0.02
    assert beside == 0


@pytest.mark.slow
def test_any_number_of_blocks_steps_and_heads_fits(drawing: Any) -> None:
    """Photos do not overlap, and stay within the sheet; long time is wrapped; no text leaves it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for n in (
        Network(time_steps=1, num_heads=1, dim=136, height=4, width=4, batch=1),
        Network(time_steps=16, depth=3, num_heads=16, batch=1, height=8, width=16, drive=1.5),
        Network(time_steps=9, num_heads=2, batch=1, height=16, width=8),
    ):
        maps = attention_maps(model_of(n)(input_of(n), record=True).spikes)
        photo = Image.new("RGB", (n.width, n.height))
        made = drawing.figure(maps, range(n.time_steps), photo, "m" * 99 + ".jpg")
        FigureCanvasAgg(made).draw()
        sheet = made.bbox
        boxes = [axes.get_tightbbox() for axes in made.axes] + [text.get_window_extent() for text in made.texts]
        assert len(made.axes) == 1 + n.depth * (2 * n.time_steps + 1)
        for i, box in enumerate(boxes):
            assert sheet.x0 <= box.x0 < box.x1 <= sheet.x1
            assert sheet.y0 <= box.y0 < box.y1 <= sheet.y1
            assert not any(box.overlaps(other) for other in boxes[:i])
