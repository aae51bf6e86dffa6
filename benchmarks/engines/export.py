"""The folded PyTorch network as an ONNX model: fixed batch, time steps unrolled."""

import io
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

from sdt_ref.weights.file import Weights

from .pytorch import Hooks, Network

OPSET = 17
INPUT = "images"


def float32_model(weights: Weights, x: np.ndarray, *, hooks: bool = False) -> bytes:
    """The network for images of the shape of x; with `hooks` its outputs are all spikes instead of the logits."""
    network = Network(weights, folded=True)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the older one, and that the batch becomes fixed
        torch.onnx.export(
            Hooks(network) if hooks else network,
            (torch.from_numpy(x),),
            buffer,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
        )
    return buffer.getvalue()


def int8_model(weights: Weights, x: np.ndarray) -> bytes:
    """The network with its convolutions and classifier in 8 bits (QDQ), calibrated on x, by ONNX Runtime's quantiser.

    Spikes stay exact; weights are rounded per output channel, to 7 bits as advised where there is no VNNI.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quant_pre_process,
        quantize_static,
    )

    class Photos(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = [{INPUT: x}]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.left.pop() if self.left else None

    with tempfile.TemporaryDirectory() as folder:
        prepared, path = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(onnx.load_from_string(float32_model(weights, x)), prepared)
        quantize_static(
            prepared,
            path,
            Photos(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,
        )
        return path.read_bytes()
