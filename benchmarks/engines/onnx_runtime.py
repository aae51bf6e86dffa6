"""ONNX Runtime, float32 or int8. Its default settings measured best: all graph optimisations, memory arena on."""

from collections.abc import Callable

import numpy as np
import onnxruntime

from sdt_ref.weights.file import Weights

from .engine import Engine
from .export import INPUT, float32_model, int8_model


def make(name: str, weights: Weights, x: np.ndarray, threads: int, *, int8: bool = False) -> Engine:
    """Export, and optimise for the shape of x. The spikes are those of a second model, dropped after it ran."""

    def session(model: bytes) -> Callable[[np.ndarray], list[np.ndarray]]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.force_spinning_stop", "1")  # between runs the cores are another's
        ready = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return lambda images: ready.run(None, {INPUT: images})

    run = session(int8_model(weights, x) if int8 else float32_model(weights, x))
    if int8:
        return Engine(name, "int8", lambda x: run(x)[0], None)
    return Engine(name, "float32", lambda x: run(x)[0], lambda x: session(float32_model(weights, x, hooks=True))(x))
