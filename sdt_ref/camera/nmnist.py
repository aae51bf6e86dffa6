"""N-MNIST's .bin: five bytes an event, without a header.

Byte 0 is x, byte 1 y; of the other three, big-endian, the highest bit is the polarity and 23 bits are the time in
microseconds. A y of 240 is no event: the camera's clock has passed 2^13 microseconds once more.
Source: Orchard et al., Converting Static Image Datasets to Spiking Neuromorphic Datasets Using Saccades, 2015.
"""

import numpy as np

from .events import CameraEvents

RECORD = 5
SENSOR = 34, 34


def decode(raw: bytes | np.ndarray) -> CameraEvents:
    """Decode whole records: uint8[5 n] -> n events."""
    x, y, high, middle, low = np.frombuffer(raw, np.uint8).reshape(-1, RECORD).T
    t = (high & 0x7F).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
    return CameraEvents(t, x.astype(np.int32), y.astype(np.int32), high >> 7)
