"""A picture or a recording becomes the network's input, whichever its weights read."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..camera.frames import prepare, prepare_stored
from ..camera.opening import open_recorded
from ..camera.recording import EventFile, FrameFile
from ..errors import ImageError, RecordingError
from ..weights.config import Preprocessing
from .image import open_picture, preprocess
from .standard_input import StandardInput, read_standard_input

SAMPLES = {
    False: ("cat.jpg", "the sample photo"),
    True: ("digit.bin", "the sample recording"),
}  # by whether the weights read recordings
Argument = TypeVar("Argument", str, str | None)
UNREADABLE = ImageError, RecordingError  # what `read` raises


def read(
    source: Any,
    preprocessing: Preprocessing,
    time_steps: int,
    *,
    strict_steps: bool = False,
    split: str | None = None,
    as_official: bool = False,
    repairs: Counter[str] | None = None,
) -> np.ndarray:
    """Read a source as the weights want it.

    Parameters
    ----------
    source : of a picture, as in `image.open_picture`; of a recording, as in `camera.opening.open_recorded`, or one
        that is open
    time_steps : T: frames to make of a recording's events
    strict_steps : frames that were counted before must be T, too; else they are taken, as many as they are
    split : of a recording, 'number' or 'time', see `camera.frames.integrate`; None takes the number, and frames as they
        were counted
    as_official : of a picture; see `image.open_picture`
    repairs : takes what was mended in a recording, or assumed of a picture, and how often; see
        `camera.recording.EventFile` and `image.open_picture`

    Returns
    -------
    float32[3, size, size] of a picture, [1, ...] of grey, [4, ...] of RGBA; float32[T, 2, size, size] of a recording

    Raises
    ------
    ImageError, RecordingError
        it cannot be read, or is of the other kind
    """
    if preprocessing.frames:
        recording = source if isinstance(source, EventFile) else open_recorded(source)
        if isinstance(recording, FrameFile):
            return prepare_stored(recording, preprocessing, time_steps if strict_steps else None, split)
        x = prepare(recording, preprocessing, time_steps, split or "number")
        if repairs is not None:
            repairs.update(recording.repairs)
        return x
    picture = open_picture(source, as_official=as_official, channels=preprocessing.channels, told=repairs)
    return preprocess(picture, preprocessing)


def source_of(argument: Argument) -> Argument | StandardInput:
    """What an argument of a command names: a path, or with '-' the standard input, which is read now.

    Raises ImageError as `read_standard_input` does.
    """
    return read_standard_input() if argument == "-" else argument


def first_steps(
    samples: Iterable[Sequence[Any]], preprocessing: Preprocessing, time_steps: int, *, strict_steps: bool = False
) -> int | None:
    """T of the first recording that can be read, which all others must have; None where none can, and of pictures.

    samples : (name, source, ...), and the rest as in `read`
    """
    for _, source, *_ in samples if preprocessing.frames else ():
        with suppress(*UNREADABLE):
            return len(read(source, preprocessing, time_steps, strict_steps=strict_steps))
    return None


def require_alike(name: str, x: np.ndarray, steps: int | None) -> None:
    """Raise RecordingError where an input has another T than the first: only frames that were counted before can."""
    if steps not in (None, len(x)):
        raise RecordingError(f"recording '{name}': expected {steps} frames, as before, found {len(x)}")


@contextmanager
def given_or_sample(
    source: str | StandardInput | None, recording: bool = False
) -> Iterator[tuple[Path | StandardInput, str]]:
    """Yield the path of a source, and its name in words; None stands for the picture, or recording, that ships."""
    if source is not None:
        found = Path(source) if isinstance(source, str) else source
        yield found, found.name
        return
    name, in_words = SAMPLES[recording]
    with as_file(files("sdt_ref") / "data" / name) as sample:
        yield sample, f"{name}, {in_words}"


def describe(source: Any, preprocessing: Preprocessing) -> str:
    """Size of a picture that can be read, '451x300'; format and sensor of a recording, 'N-MNIST, 34x34 pixels'."""
    if not preprocessing.frames:
        picture = open_picture(source, channels=preprocessing.channels)
        return f"{picture.width}x{picture.height}"
    recording = open_recorded(source)
    return recording.format + (", {}x{} pixels".format(*recording.sensor) if recording.sensor else "")
