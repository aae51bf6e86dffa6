"""The hash of a trace, computed anew after damage, so that what lies behind the check of the hash is reached."""

import contextlib
import os
from pathlib import Path

import h5py
import numpy as np

from sdt_ref.golden.hashing import array_hash, file_hash

from .hdf5 import numbers


def sign(path: Path) -> bool:
    """Give a trace the hash of its content; whether it could be computed. HDF5 itself may crash, so a fork tries it."""
    process = os.fork()
    if not process:
        os._exit(not _sign(path))
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def _sign(path: Path) -> bool:
    with (
        contextlib.suppress(ValueError, TypeError, RuntimeError, OSError, KeyError, AttributeError, MemoryError),
        h5py.File(path, "r+") as file,
    ):
        schema = int(file.attrs["schema_version"])
        hashes = {"input": array_hash((), [numbers(file["input"])], schema)} if schema > 1 else {}
        for stage, group in file["records"].items():
            for quantity, node in group.items():
                bits, height, width, channels = (
                    int(node.attrs[name]) for name in ("bits", "height", "width", "channels")
                )
                said = bits, np.asarray(node.attrs["fraction"], np.int64).tolist(), height, width, channels
                arrays = (
                    (numbers(node["offsets"]), numbers(node["channels"])) if quantity == "spikes" else (numbers(node),)
                )
                hashes[f"{stage}/{quantity}"] = array_hash(said, arrays, schema)
        file.attrs["sha256"] = np.bytes_(file_hash(bytes(file["header"][()]).decode(), hashes).encode())
        return True
    return False
