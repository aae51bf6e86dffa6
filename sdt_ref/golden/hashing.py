"""What the hashes of a trace cover."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..fixed.quantise import FixedParameters
from ..fixed.quantise import digest as digest_of_registers
from ..weights.folding import Parameters

WHOLE_NUMBERS_ALONE = 1  # the schema whose hash takes every array as int64, so that it says nothing of other types


def array_hash(attributes: Sequence[Any], arrays: Sequence[np.ndarray], schema: int) -> bytes:
    """The hash of a record: of its attributes, and of its arrays' types (not in schema 1), shapes and bytes."""
    whole = hashlib.sha256(repr(tuple(attributes)).encode())
    for array in arrays:
        little = np.dtype("<i8") if schema == WHOLE_NUMBERS_ALONE else array.dtype.newbyteorder("<")
        whole.update(repr(array.shape if schema == WHOLE_NUMBERS_ALONE else (little.str, array.shape)).encode())
        whole.update(np.ascontiguousarray(array, little).tobytes())
    return whole.digest()


def file_hash(header: str, hashes: Mapping[str, bytes]) -> str:
    """The hash of a file: of its header, and of its arrays' hashes by their names."""
    whole = hashlib.sha256(header.encode())
    for name in sorted(hashes):
        whole.update(name.encode() + hashes[name])
    return whole.hexdigest()


def digest(parameters: Parameters) -> str:
    """The sha256 of all parameters: what two machines must share to be compared."""
    if isinstance(parameters, FixedParameters):
        return digest_of_registers(parameters)
    whole = hashlib.sha256()
    for name, layer in parameters.layers.items():
        for array in (layer.weight, layer.bias):
            little = array.dtype.newbyteorder("<")
            whole.update(repr((name, little.str, array.shape)).encode())
            whole.update(np.ascontiguousarray(array, little).tobytes())
    for name, neuron in parameters.neurons.items():
        whole.update(repr((name, float(neuron.leak).hex(), float(neuron.threshold).hex())).encode())
    return whole.hexdigest()
