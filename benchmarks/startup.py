"""How long the command takes as a whole process: with an empty kernel cache, with a warm one, and its parts."""

import os
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 7

PARTS = {
    "interpreter alone": "pass",
    "import numpy": "import numpy",
    "import numba": "import numba",
    "import sdt_ref": "import sdt_ref",
    "import, load the shipped weights": "import sdt_ref; sdt_ref.load()",
    "import, load, first image": "import sdt_ref; sdt_ref.load().warm_up()",
}


def process_seconds(*arguments: str, cache: str) -> float:
    """Wall time of one Python process whose kernels are cached in this folder."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, env={**os.environ, "NUMBA_CACHE_DIR": cache}
    )
    return time.perf_counter() - start


def measure() -> dict[str, float]:
    """Seconds of each kind of start; medians, but for the first run, which happens once."""
    with tempfile.TemporaryDirectory() as cache:
        infer = ("-m", "sdt_ref.infer", "--json")
        seconds = {"infer, first run (compiles)": process_seconds(*infer, cache=cache)}
        seconds["infer, warm"] = statistics.median(process_seconds(*infer, cache=cache) for _ in range(RUNS))
        for name, code in PARTS.items():
            seconds[name] = statistics.median(process_seconds("-c", code, cache=cache) for _ in range(RUNS))
    return seconds
