"""HDF5 that is written survives a full disk."""

import errno
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from sdt_ref.hdf5 import created

WRITE = """
import resource, sys
from pathlib import Path
import numpy as np
from sdt_ref.hdf5 import created
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
rng = np.random.default_rng(0)
try:
    with created(Path(sys.argv[1]), track_order=True) as file:
        for i in range(20):
            file.create_dataset(f"a/{i}", data=rng.random((40, 50)), compression="gzip")
            file[f"a/{i}"].attrs["number"] = i
        file.attrs["done"] = 1
except OSError as error:
    print(error.errno)
else:
    print(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limits of resources")
def test_a_disk_that_is_full_at_any_byte_is_told_as_the_system_tells_it(tmp_path: Path) -> None:
    """HDF5 itself ends the process there; the limit of a file's size stands for the disk's."""
    limits = [0, 1, 2000, 4096, 100_000, 300_000]
    for limit in [*limits, 10**9]:
        done = subprocess.run(
            [sys.executable, "-c", WRITE, str(tmp_path / "f.h5"), str(limit)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr, done.returncode) == (f"{errno.EFBIG if limit < 10**9 else 0}\n", "", 0)
    assert (tmp_path / "f.h5").stat().st_size > max(limits)


def test_what_was_written_is_read_by_h5py(tmp_path: Path) -> None:
    with created(tmp_path / "f.h5", libver="v108") as file:
        file["a"] = np.arange(10_000)
    with h5py.File(tmp_path / "f.h5") as file:
        assert np.array_equal(file["a"][()], np.arange(10_000))
