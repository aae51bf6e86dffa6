"""Files that are not read as recordings: what they are, and what to do about them."""

import re

from ..kinds import ARCHIVE, HDF5, INSTEAD, RECORDING, TABLE, VIDEO, ZIP, first_member, kind_of

COLUMNS = "numpy.savez('r.npz', t=t, x=x, y=y, p=p)"
REMEDIES = {
    RECORDING: f"read its events with a package of ROS (such as rosbags), and save them: {COLUMNS}",
    "a MATLAB file (.mat)": f"read it with MATLAB or scipy.io, and save: {COLUMNS}",
    "an Event Stream (.es)": f"convert it with loris or faery, or save: {COLUMNS}",
    VIDEO: "it has pictures, no events; a simulator, such as v2e, makes events of it",
    ARCHIVE: "unpack it, and give the recording in it",
    TABLE: f"read it with pandas or polars, and save: {COLUMNS}",
    "a Python pickle": f"it may run programs, so it is not read; where it was made, save: {COLUMNS}",
    INSTEAD: "it is not the file itself; download that again, logged in if need be",
    "a Git LFS pointer": "it is not the file itself; download that: git lfs pull",
}
READ = "a NumPy array (.npy)", "a NumPy archive (.npz)", "an empty zip archive", HDF5  # if only to say what is missing
ENDING = re.compile(rb".*(?:/|\.\w+)$", re.DOTALL)  # an array of .npz may have none


def is_of_events(head: bytes) -> bool:
    """Tell a recording that is not read, or a video, by its first bytes."""
    kind = kind_of(head)
    return kind is not None and kind.family in (RECORDING, VIDEO)


def name_foreign(head: bytes) -> str | None:
    """Name what is no recording that is read, and say what to do; None for what is not known."""
    kind = kind_of(head)
    if kind is None or kind.name in READ or (kind.name == ZIP and not ENDING.match(first_member(head))):
        return None
    return kind.advice(REMEDIES, "expected a recording of an event camera")
