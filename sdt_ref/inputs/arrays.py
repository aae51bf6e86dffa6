"""Which arrays the network takes, checked before anything is computed."""

import sys
from typing import Any

import numpy as np

from ..errors import InputError, is_nested, shown
from ..weights.architecture import Architecture
from ..weights.config import ModelConfig

MOST_AXES = 5
MOST_NUMBERS = 1 << 32  # of an input: 16 GB in float32, which are not claimed for a shape that repeats one number


def as_frames(x: Any, architecture: Architecture, config: ModelConfig, dtype: np.dtype) -> tuple[np.ndarray, int]:
    """Check an input and put time first.

    Parameters
    ----------
    x : (B, C, H, W), a static image repeated over T, or (B, T, C, H, W), frames; any real type

    Returns
    -------
    image : dtype[1 or T, B, C, H, W]
    time_steps : T, from the settings for a static image, from the data for frames

    Raises
    ------
    InputError
        wrong rank, channels, type or size; NaN or infinite values
    """
    if "numpy.ma" in sys.modules and np.ma.isMaskedArray(x):  # naming it would import it: 20 ms
        raise InputError("input: expected an array without a mask, found a masked array; fill it first")
    if is_nested(x, MOST_AXES):
        raise InputError(f"input: expected axes (B, C, H, W) or (B, T, C, H, W), found more than {MOST_AXES}")
    try:
        array = np.asarray(x)
    except Exception as error:  # ragged lists, tensors that require grad or live on a GPU: whatever the source raises
        raise InputError(f"input: expected an array of real numbers, found {type(x).__name__} ({error})") from None
    if array.dtype.kind not in "fiub":
        raise InputError(f"input: expected real numbers, found type {shown(array.dtype)}")
    if array.ndim not in (4, 5):
        raise InputError(f"input: expected axes (B, C, H, W) or (B, T, C, H, W), found shape {shown(array.shape)}")
    if 0 in array.shape:
        raise InputError(f"input: expected no empty axis, found shape {shown(array.shape)}")
    channels, height, width = array.shape[-3:]
    if channels != architecture.in_channels:
        raise InputError(
            f"input: expected {architecture.in_channels} channels, found {channels} in shape {shown(array.shape)}; "
            "the order is (B, C, H, W) or (B, T, C, H, W)"
        )
    divisor = config.size_divisor
    if height % divisor or width % divisor:
        raise InputError(
            f"input: expected height and width divisible by {divisor} (pooling_stat {config.pooling_stat}), "
            f"found {height}x{width}"
        )
    if array.size > MOST_NUMBERS:
        raise InputError(
            f"input: expected at most {MOST_NUMBERS:,} numbers, found shape {shown(array.shape)}; run fewer samples "
            "at a time, or smaller ones"
        )
    with np.errstate(over="ignore", under="ignore"):  # what overflows is refused below
        image = array.astype(dtype)
    bad = image.size - int(np.count_nonzero(np.isfinite(image)))
    if bad:
        raise InputError(f"input: expected finite numbers in {dtype}, found {bad} NaN or infinite of {image.size}")
    if array.ndim == 4:
        return image[None], config.time_steps
    return image.swapaxes(0, 1), array.shape[1]
