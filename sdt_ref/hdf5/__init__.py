"""HDF5 files: the one place that opens them, to read and to write; nothing else imports h5py.

reading   a file that may come from anybody is looked at whole, then read
filters   that its arrays may be behind
chunks    whether they unpack to what an array says
apart     a process of its own, for what damage makes HDF5 do
writing   through a Python file, which a full disk does not crash
"""

from .reading import Array, File, Group, chunk_bytes, damage_named, is_array, is_group, looked_at, opened
from .refused import Refused
from .writing import Output, created

__all__ = [
    "Array", "File", "Group", "Output", "Refused", "chunk_bytes", "created", "damage_named", "is_array", "is_group",
    "looked_at", "opened",
]  # fmt: skip
