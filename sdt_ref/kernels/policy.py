"""How every kernel is compiled, and where the compiled code is kept.

The policy: no `fastmath` (sums keep their order, nothing is contracted to a fused multiply-add), no `parallel`
(threads are started above, over output elements), the GIL is released, and the machine code is cached on disk.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba

config: Any = numba.core.config  # the NUMBA_* settings


@cache
def cache_folder() -> Path | None:
    """Return the folder of the compiled kernels; None where no folder can be written.

    Its name is a hash of all kernel sources, of the compilers' versions and of the settings that change the code. Numba
    by itself compares only the file in which a kernel stands, so a kernel that calls another one would go stale when
    that other one changes.
    """
    settings = (config.BOUNDSCHECK, config.OPT, config.DEBUGINFO_DEFAULT)
    digest = hashlib.sha256(repr((numba.__version__, llvmlite.__version__, settings)).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    for base in _candidate_folders():
        folder = base / digest.hexdigest()[:16]
        with contextlib.suppress(OSError):
            base.parent.mkdir(parents=True, exist_ok=True)
            for owned in (base, folder):
                owned.mkdir(mode=0o700, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            if _is_private(base) and _is_private(folder):
                return folder
    return None


def _is_private(folder: Path) -> bool:
    """Whether no other user can write here: compiled code is loaded by pickle, which runs what it reads."""
    status = folder.stat()
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


def _candidate_folders() -> list[Path]:
    candidates = []
    if config.CACHE_DIR:  # NUMBA_CACHE_DIR: the user's own choice
        candidates.append(Path(config.CACHE_DIR) / "sdt_ref")
    if os.environ.get("XDG_CACHE_HOME"):
        candidates.append(Path(os.environ["XDG_CACHE_HOME"]) / "sdt_ref")
    with contextlib.suppress(RuntimeError):  # no home folder
        candidates.append(Path.home() / ".cache" / "sdt_ref")
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    with contextlib.suppress(OSError):  # no folder for temporary files
        candidates.append(Path(tempfile.gettempdir()) / f"sdt_ref-{user}")
    return candidates


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` on its first call, or load it from the cache."""
    folder = cache_folder()
    chosen = config.CACHE_DIR
    config.CACHE_DIR = str(folder or "")
    try:
        return numba.njit(nogil=True, cache=folder is not None)(function)
    finally:
        config.CACHE_DIR = chosen
