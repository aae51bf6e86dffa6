"""How every kernel is compiled, and where the compiled code is kept.

The policy: no `fastmath` (sums keep their order, nothing is contracted to a fused multiply-add), no `parallel`
(threads are started above, over output elements), the GIL is released, and the machine code is cached on disk.
"""

import contextlib
import hashlib
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from ..errors import SdtError
from ..files import write

config: Any = numba.core.config  # the NUMBA_* settings
DIGEST = hashlib.sha256().digest_size
unkept: list[SdtError] = []  # why compiled code could not be written, in this process


@cache
def cache_folder() -> Path | None:
    """Return the folder of the compiled kernels; None where no folder can be written.

    Its name is a hash of all kernel sources, of the versions of Python and the compilers, and of the settings that
    change the code: a kernel that calls another one would go stale if only its own file were compared.
    """
    versions = sys.version_info[:2], getattr(sys, "abiflags", ""), numba.__version__, llvmlite.__version__
    settings = (config.BOUNDSCHECK, config.OPT, config.DEBUGINFO_DEFAULT)
    digest = hashlib.sha256(repr((versions, settings)).encode())
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
    compiled: Any = numba.njit(nogil=True)(function)
    folder = cache_folder()
    if folder is not None and not config.DISABLE_JIT:
        compiled._cache = KernelCache(function, folder)
    return compiled


class KernelCache(NullCache):
    """The compiled code of one kernel, a file for each signature: the code behind its SHA-256.

    A file that holds anything else, or none, is compiled anew and replaced; what cannot be written is not kept. Numba's
    own cache raises then, and would run machine code in which a bit has changed.

    Parameters
    ----------
    function : the kernel, in Python
    folder : to keep it in
    """

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
        self._identity = function.__module__, Path(function.__code__.co_filename).read_bytes()
        self._folder = folder

    def load_overload(self, sig, target_context):
        """The compiled code for a signature; None where it is not kept."""
        target_context.refresh()
        file = self._file(sig, target_context.codegen())
        try:
            kept = file.read_bytes()
            code = kept[DIGEST:]
            if _digest(file, code) == kept[:DIGEST]:
                return CompileResult._rebuild(target_context, *pickle.loads(code))
        except Exception:  # of the system, pickle or numba: whatever it is, the kernel can be compiled
            return None

    def save_overload(self, sig, data):
        """Keep the compiled code for a signature."""
        if data.library.has_dynamic_globals:  # addresses, which are others in the next process
            return
        file, code = self._file(sig, data.codegen), dumps(data._reduce())
        if file.is_dir():
            shutil.rmtree(file, ignore_errors=True)
        try:
            write(file, _digest(file, code) + code, SdtError)
        except SdtError as error:
            unkept.append(error)

    def _file(self, signature, codegen) -> Path:
        key = repr((self._identity, signature, codegen.magic_tuple()))  # the last names the processor
        return self._folder / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.nbc"


def _digest(file: Path, code: bytes) -> bytes:
    """Of the code and of the name, so that no kernel is taken for another."""
    return hashlib.sha256(file.name.encode() + code).digest()
