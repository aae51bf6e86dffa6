"""Events become the frames that the network reads: counts per time step, polarity and pixel, and nothing else.

Source: spikingjelly 0.0.0.0.12, integrate_events_by_fixed_frames_number; the official code scales nothing.
"""

import numpy as np

from ..errors import RecordingError
from .events import EventFile, survey

SPLITS = ("number", "time")


def integrate(recording: EventFile, steps: int, split: str, sensor: tuple[int, int]) -> np.ndarray:
    """Count the events of a recording into frames.

    Parameters
    ----------
    steps : T
    split : 'number': frame i takes the events i * (n // T) and on, in the order of the file, and the last one what
        remains; 'time': frame i takes the times from first + i * (duration // T), and the last one what remains
    sensor : width and height, pixels

    Returns
    -------
    int64[T, 2, H, W], channel 0 the events of polarity 0 and channel 1 those of polarity 1

    Raises
    ------
    RecordingError
        no events, or events beyond the sensor; by time, fewer than T microseconds
    """
    told = survey(recording)
    if not told.events:
        raise RecordingError(f"recording '{recording.name}': expected events, found none")
    if split == "time" and told.duration < steps:
        raise RecordingError(
            f"recording '{recording.name}': expected at least {steps} us to split by time into {steps} frames, "
            f"found {told.duration} us"
        )
    width, height = sensor
    frames = np.zeros((steps, 2, height, width), np.int64)
    number = 0
    for events in recording.read():
        if split == "number":
            index = np.arange(number, number + len(events)) // max(told.events // steps, 1)
            if told.events < steps:  # then n // T is 0, and every frame but the last is empty
                index[:] = steps - 1
        else:
            index = (events.t - told.first) // (told.duration // steps)
        number += len(events)
        if (events.x >= width).any() or (events.y >= height).any():
            raise RecordingError(
                f"recording '{recording.name}': expected events within {width}x{height} pixels, "
                f"found x up to {events.x.max()} and y up to {events.y.max()}"
            )
        np.add.at(frames, (np.minimum(index, steps - 1), events.p, events.y, events.x), 1)
    return frames
