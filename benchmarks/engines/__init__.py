"""The engines that are compared, one library per module."""

from importlib import import_module
from typing import Any

import numpy as np

from sdt_ref.weights.file import Weights

from .engine import Engine, MissingLibraryError

__all__ = ["ENGINES", "OURS", "Engine", "MissingLibraryError", "make"]

OURS = "sdt_ref"

# name -> module of this package, and what its `make` is told
ENGINES: dict[str, tuple[str, dict[str, Any]]] = {
    OURS: ("events", {}),
    "PyTorch eager": ("pytorch", {"folded": False}),
    "PyTorch eager, folded": ("pytorch", {"folded": True}),
    "PyTorch compiled": ("pytorch", {"folded": True, "compiled": True}),
    "ONNX Runtime": ("onnx_runtime", {}),
    "ONNX Runtime int8": ("onnx_runtime", {"int8": True}),
    "OpenVINO": ("openvino_engine", {}),
    "OpenVINO int8": ("openvino_engine", {"int8": True}),
    "SciPy sparse": ("scipy_sparse", {}),
}
OPTIONAL = ("torch", "onnx", "onnxruntime", "openvino")


def make(name: str, weights: Weights, x: np.ndarray, threads: int) -> Engine:
    """Make an engine ready for images of the shape of x [B, 3, H, W]; int8 engines are calibrated on them.

    Raises MissingLibraryError.
    """
    module, options = ENGINES[name]
    try:
        return import_module(f".{module}", __package__).make(name, weights, x, threads, **options)
    except ModuleNotFoundError as missing:
        if missing.name not in OPTIONAL:
            raise
        raise MissingLibraryError(f"{name} needs {missing.name}: pip install {missing.name}") from None
