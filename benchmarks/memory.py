"""Peak memory of a whole process that loads SDT-8-768 from a file and runs one image; Linux."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sdt_ref.weights import file as weights_file

from .networks import calibrated

SIZES = (224, 288)
CODE = """
import sys
from benchmarks.networks import photo
import sdt_ref
def peak():  # ru_maxrss would begin at that of the parent process
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
imported = peak()
model = sdt_ref.load(sys.argv[1], threads=int(sys.argv[3]))
loaded = peak()
model(photo(int(sys.argv[2])))
print(imported, loaded, peak())
"""


@dataclass(frozen=True)
class Peak:
    """Peak resident bytes of a process: after the imports, after loading, after one image.

    Attributes
    ----------
    size : pixels
    weights : bytes of the float32 weights in the file
    """

    size: int
    weights: int
    imported: int
    loaded: int
    image: int


def measure(threads: int, seed: int) -> list[Peak]:
    """One process for each size, batch 1."""
    weights = calibrated(768, 8, SIZES[0], seed=seed)
    nbytes = sum(tensor.nbytes for tensor in weights.tensors.values())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sdt-8-768.h5"
        weights_file.save(path, weights)
        del weights
        peaks = []
        for size in SIZES:
            command = [sys.executable, "-c", CODE, str(path), str(size), str(threads)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks.append(Peak(size, nbytes, *map(int, done.stdout.split())))
    return peaks
