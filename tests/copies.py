"""Import a copy of the package with a line of its source changed: to see tests go red, and checks find what they seek."""

import importlib
import itertools
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from unittest import mock

import numba

import sdt_ref

_numbers = itertools.count()


@contextmanager
def changed_copy(folder: Path, *changes: tuple[str, str, str], jit: bool = False) -> Iterator[ModuleType]:
    """Import the package under another name, after changes of (file, old text, new text).

    Each old text must stand in its file exactly once. Without jit the kernels run as plain Python, which is slow but
    needs no compilation.
    """
    name = f"sdt_copy_{next(_numbers)}"
    target = folder / name
    shutil.copytree(Path(sdt_ref.__file__).parent, target, ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new in changes:
        source = (target / file).read_text()
        assert source.count(old) == 1, f"{file}: {old!r} stands {source.count(old)} times"
        (target / file).write_text(source.replace(old, new))
    sys.path.insert(0, str(folder))
    try:
        with (
            mock.patch.object(numba.core.config, "DISABLE_JIT", not jit),
            mock.patch.object(numba.core.config, "CACHE_DIR", str(folder / "cache")),
        ):
            importlib.invalidate_caches()
            yield importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        for module in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
            del sys.modules[module]
