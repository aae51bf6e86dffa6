"""Guided by coverage: `python -m tests.fuzz --coverage KIND`, with atheris, of the readers that are plain Python.

What a reader raises beyond its own errors ends the search; libFuzzer keeps that input, and stops at 20 s or 4 GB.
"""

import importlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

KINDS = {  # the module under test, and the sound files to begin with: functions of `seeds` with their arguments
    "recordings": ("sdt_ref.camera.opening", [("recording", kind) for kind in
                   ("nmnist", "aedat2", "aedat3", "text", "npz", "npy", "npy of frames", "evt2", "evt21", "evt3", "dat")]),
    "checkpoints": ("sdt_ref.weights.container", [("checkpoint", form) for form in ("zip", "legacy", "safetensors")]),
    "formats": ("sdt_ref.fixed.formats", []),
}  # fmt: skip


def search(kind: str, minutes: float, seed: int, keep: Path) -> None:
    """Search until the time is over, and end the process."""
    try:
        import atheris
    except ImportError:
        sys.exit("--coverage needs atheris, which is not installed: pip install atheris")
    module, begin = KINDS[kind]
    with atheris.instrument_imports(include=["sdt_ref.camera", "sdt_ref.weights", "sdt_ref.fixed"]):
        reader = importlib.import_module(module)
        seeds = importlib.import_module("tests.fuzz.seeds")
    corpus, scratch = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    for n, (function, argument) in enumerate(begin):
        (corpus / str(n)).write_bytes(getattr(seeds, function)(argument))
    (corpus / "formats").write_text(seeds.FORMATS)
    keep.mkdir(parents=True, exist_ok=True)
    limits = ["-timeout=20", "-rss_limit_mb=4000", f"-max_total_time={int(60 * minutes)}", f"-artifact_prefix={keep}/"]
    atheris.Setup([kind, *limits, f"-seed={seed + 1}", str(corpus)], _reading(kind, reader, scratch / "input"))
    atheris.Fuzz()


def _reading(kind: str, reader: object, path: Path) -> Callable[[bytes], None]:
    """Read bytes whole; an error that a user can cause is an answer."""
    from sdt_ref.errors import SdtError

    def read(content: bytes) -> None:
        try:
            if kind == "recordings":
                for _ in reader.open_recording(content).read():
                    pass
                return
            path.write_bytes(content)
            if kind == "formats":
                reader.load(path)
                return
            with reader.opened(path):
                pass
        except SdtError:
            pass

    return read
