"""How long the command takes as a whole process: with an empty kernel cache, with a warm one, and its parts."""

import os
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 7

PARTS = {  # each does what the one before does, and more
    "the interpreter": "pass",
    "+ import numpy": "import numpy",
    "+ import numba": "import numpy, numba",
    "+ import sdt_ref": "import sdt_ref",
    "+ load the shipped weights": "import sdt_ref; sdt_ref.load()",
}


def process_seconds(*arguments: str, cache: str) -> float:
    """Wall time of one Python process whose kernels are cached in this folder."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def measure() -> dict[str, float]:
    """Seconds of each kind of start: medians, but for the first run, which happens once."""
    with tempfile.TemporaryDirectory() as cache:
        infer = ("-m", "sdt_ref.infer", "--json")
        first = process_seconds(*infer, cache=cache)

        def median(*arguments: str) -> float:
            return statistics.median(process_seconds(*arguments, cache=cache) for _ in range(RUNS))

        parts = {name: median("-c", code) for name, code in PARTS.items()}
        return {**parts, "infer, kernels cached": median(*infer), "infer, first run: compiles the kernels": first}
