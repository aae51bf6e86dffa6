"""OpenVINO, float32 or int8.

Float32 is demanded, since on some processors it would compute in bfloat16. For int8 it runs the model of ONNX Runtime's
quantiser: it measured a fifth faster than that of `nncf.quantize`, which rounds between all operations of a neuron.
"""

import io
from collections.abc import Callable

import numpy as np
import openvino

from sdt_ref.weights.file import Weights

from .engine import Engine
from .export import float32_model, int8_model


def make(name: str, weights: Weights, x: np.ndarray, threads: int, *, int8: bool = False) -> Engine:
    """Export, and compile for the shape of x. The spikes are those of a second model, dropped after it ran."""
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}

    def compiled(model: bytes) -> Callable[[np.ndarray], list[np.ndarray]]:
        core = openvino.Core()
        ready = core.compile_model(core.read_model(io.BytesIO(model)), "CPU", settings)
        return lambda images: ready(images).to_tuple()

    run = compiled(int8_model(weights, x) if int8 else float32_model(weights, x))
    if int8:
        return Engine(name, "int8", lambda x: run(x)[0], None)
    return Engine(
        name, "float32", lambda x: run(x)[0], lambda x: list(compiled(float32_model(weights, x, hooks=True))(x))
    )
