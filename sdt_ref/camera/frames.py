"""Events become the frames that the network reads: counts per time step, polarity and pixel, and nothing else.

Source: spikingjelly 0.0.0.0.12, integrate_events_by_fixed_frames_number; the official code scales nothing. Its Resize
of torchvision 0.14 averages 2x2 pixels; from 0.17 on it weighs 4x4 of them.
"""

import numpy as np

from ..errors import RecordingError
from ..weights.config import MOST_STEPS, Preprocessing
from .recording import EventFile, FrameFile, Survey, survey

SPLITS = ("number", "time")


def integrate(
    recording: EventFile, steps: int, split: str, sensor: tuple[int, int], surveyed: Survey | None = None
) -> np.ndarray:
    """Count the events of a recording into frames.

    Parameters
    ----------
    steps : T
    split : 'number': frame i takes the events i * (n // T) and on, in the order of the file, and the last one what
        remains; 'time': frame i takes the times from first + i * (duration // T), and the last one what remains
    sensor : width and height, pixels
    surveyed : what a reading of it found; None reads it once more

    Returns
    -------
    int64[T, 2, H, W], channel 0 the events of polarity 0 and channel 1 those of polarity 1

    Raises
    ------
    RecordingError
        no events, or events beyond the sensor; by time, fewer than T microseconds
    """
    surveyed = surveyed or survey(recording)
    if not surveyed.events:
        raise RecordingError(f"recording '{recording.name}': expected events, found none")
    if split == "time" and surveyed.duration < steps:
        raise RecordingError(
            f"recording '{recording.name}': expected at least {steps} us to split by time into {steps} frames, "
            f"found {surveyed.duration} us"
        )
    width, height = sensor
    frames = np.zeros((steps, 2, height, width), np.int64)
    number = 0
    for events in recording.read():
        if split == "number":
            index = np.arange(number, number + len(events)) // max(surveyed.events // steps, 1)
            if surveyed.events < steps:  # then n // T is 0, and every frame but the last is empty
                index[:] = steps - 1
        else:
            index = (events.t - surveyed.first) // (surveyed.duration // steps)
        number += len(events)
        if (events.x >= width).any() or (events.y >= height).any():
            raise RecordingError(
                f"recording '{recording.name}': expected events within {width}x{height} pixels, "
                f"found x up to {events.x.max()} and y up to {events.y.max()}"
            )
        np.add.at(frames, (np.minimum(index, steps - 1), events.p, events.y, events.x), 1)
    return frames


def prepare(
    recording: EventFile,
    preprocessing: Preprocessing,
    steps: int,
    split: str = "number",
    surveyed: Survey | None = None,
) -> np.ndarray:
    """Make of a recording what the network reads.

    Parameters
    ----------
    preprocessing : of the weights: the sensor, and the size that its frames are brought to
    steps, split, surveyed : as in `integrate`

    Returns
    -------
    float32[T, 2, size, size], counts of events or means of such

    Raises
    ------
    RecordingError
        another sensor than the weights read; or as in `integrate`
    """
    side = _side(recording, preprocessing)
    return fit(integrate(recording, steps, split, (side, side), surveyed), preprocessing)


def prepare_stored(
    stored: FrameFile, preprocessing: Preprocessing, steps: int | None = None, split: str | None = None
) -> np.ndarray:
    """Make of frames that were counted before what the network reads: the counts are taken as they are.

    Parameters
    ----------
    steps, split : how they should have been cut; None takes them as they were

    Returns
    -------
    float32[T, 2, size, size], T as the file has it

    Raises
    ------
    RecordingError
        another sensor than the weights read, another T, or a cut that cannot be made any more
    """
    found = stored.shape[0]
    if steps not in (None, found) or found > MOST_STEPS:
        raise RecordingError(
            f"recording '{stored.name}': expected {steps or f'at most {MOST_STEPS}'} frames, found {found} that were "
            "counted before; leave out --time-steps, or choose the recording that they are of"
        )
    if split is not None:
        raise RecordingError(
            f"recording '{stored.name}': expected events, to split them by {split}, found frames that were "
            "counted before; leave out --split-by, or choose the recording that they are of"
        )
    _side(stored, preprocessing)
    return fit(stored.read(), preprocessing)


def _side(recording: EventFile | FrameFile, preprocessing: Preprocessing) -> int:
    """Width and height of the sensor that the weights read, which the recording's must be."""
    side = preprocessing.sensor or preprocessing.size
    if recording.sensor not in (None, (side, side)):
        width, height = recording.sensor or (0, 0)
        raise RecordingError(
            f"recording '{recording.name}': expected a sensor of {side}x{side} pixels, which the weights read, found "
            f"{width}x{height}; choose other --weights"
        )
    return side


def fit(frames: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Bring frames to the size that the network reads.

    Parameters
    ----------
    frames : whole numbers or fractions [T, 2, H, W], H = W

    Returns
    -------
    float32[T, 2, size, size]
    """
    side, size = frames.shape[-1], preprocessing.size
    if side == 2 * size:
        frames = _weighed(_weighed(frames)).astype(np.float32) if preprocessing.antialias else _mean_2x2(frames)
    elif side < size:
        before = (size - side) // 2
        frames = np.pad(frames, ((0, 0), (0, 0), *((before, size - side - before),) * 2))
    elif side > size:
        raise RecordingError(
            f"frames: expected a size of {side} pixels, as the sensor has, half of it, or more, found {size}; "
            "choose another --size"
        )
    return frames.astype(np.float32)


def _mean_2x2(frames: np.ndarray) -> np.ndarray:
    T, C, H, W = frames.shape
    return frames.reshape(T, C, H // 2, 2, W // 2, 2).sum(axis=(3, 5)) / 4


def _weighed(frames: np.ndarray) -> np.ndarray:
    """Halve the last axis by weights 1 3 3 1, of which the border cuts one off, and put the axis before it last."""
    weights, padded = (1.0, 3.0, 3.0, 1.0), np.pad(frames, ((0, 0),) * 3 + ((1, 1),))
    inside = np.pad(np.ones(frames.shape[-1]), 1)
    total = sum(w * inside[k : len(inside) - 3 + k : 2] for k, w in enumerate(weights))
    halved = sum(padded[..., k : padded.shape[-1] - 3 + k : 2] * (w / total) for k, w in enumerate(weights))
    return np.swapaxes(halved, -1, -2)
