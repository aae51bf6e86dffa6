"""The weights file: versioned HDF5 with the official tensors, unfolded, in lossless float32, and all settings.

/weights/patch_embed/proj_conv/weight    float32, official shape (dots of the official name are slashes)
attributes of the root, texts in UTF-8 of fixed length (variable-length texts crash HDF5 when a file is corrupt):
    format           "sdt_ref weights"
    schema_version   1
    config           JSON of ModelConfig
    preprocessing    JSON of Preprocessing
    classes          JSON list of class names, in label order
    provenance       JSON object: source file, its sha256, and whatever is known of its making
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import SdtError, WeightsError
from ..files import require_file, written_whole
from .architecture import Architecture
from .config import ModelConfig, Preprocessing
from .tensors import infer, tensor_shapes

FORMAT = "sdt_ref weights"
SCHEMA_VERSION = 1
DEFAULT = "sdt-2-256-cifar10"
DEFAULT_OF_RECORDINGS = "sdt-2-64-nmnist"


@dataclass(frozen=True)
class Weights:
    """Everything that a weights file holds.

    Attributes
    ----------
    tensors : official name -> float32 array of the official shape, BatchNorm unfolded
    config, preprocessing : settings
    classes : class names in label order
    provenance : where the weights come from

    Raises WeightsError when tensors are missing, misshapen, unknown or not finite, or do not fit the settings.
    """

    tensors: Mapping[str, np.ndarray]
    config: ModelConfig
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    provenance: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, tensor in self.tensors.items():
            if tensor.dtype != np.float32:
                raise WeightsError(f"tensor '{name}': expected float32, found {tensor.dtype}")
            bad = tensor.size - int(np.count_nonzero(np.isfinite(tensor)))
            if bad:
                raise WeightsError(
                    f"tensor '{name}': expected finite numbers, found {bad} NaN or infinite of {tensor.size}"
                )
            if name.endswith("running_var") and tensor.min() < 0:
                raise WeightsError(f"tensor '{name}': expected variances of 0 or more, found {tensor.min()}")
        architecture = self.architecture
        if len(self.classes) != architecture.num_classes:
            raise WeightsError(
                f"class names: expected {architecture.num_classes}, one per row of head.weight, found "
                f"{len(self.classes)}"
            )
        if architecture.dim % self.config.num_heads:
            raise WeightsError(
                f"setting 'num_heads': expected a divisor of {architecture.dim} channels, found {self.config.num_heads}"
            )

    @cached_property
    def architecture(self) -> Architecture:
        """The sizes that the tensors tell."""
        return infer({name: tensor.shape for name, tensor in self.tensors.items()})


def shipped_path(name: str = DEFAULT) -> Path:
    """Weights that ship: inside an installed package, or beside it in a checkout or an editable install."""
    package = Path(__file__).parents[1]
    for folder in (package / "shipped", package.parent / "weights"):
        if (folder / f"{name}.h5").is_file():
            return folder / f"{name}.h5"
    raise WeightsError(
        f"the shipped weights '{name}.h5' are not in {package / 'shipped'}: reinstall sdt_ref, or pass a file"
    )


def save(path: str | os.PathLike[str], weights: Weights) -> None:
    """Write a weights file: beside the target first, then renamed, so that no half-written file is ever seen.

    Raises WeightsError when the folder cannot be written.
    """
    with written_whole(path, WeightsError) as part, h5py.File(part, "w", libver="v108") as file:
        # layouts older than v108 limit a text to 64 KB
        file.attrs["schema_version"] = SCHEMA_VERSION
        for attribute, text in (
            ("format", FORMAT),
            ("config", weights.config.to_json()),
            ("preprocessing", weights.preprocessing.to_json()),
            ("classes", json.dumps(weights.classes)),
            ("provenance", json.dumps(dict(weights.provenance))),
        ):
            file.attrs[attribute] = np.bytes_(text.encode())
        group = file.create_group("weights")
        for tensor_name, tensor in weights.tensors.items():
            group.create_dataset(tensor_name.replace(".", "/"), data=tensor)


def load(path: str | os.PathLike[str] | None = None) -> Weights:
    """Read a weights file; None reads the shipped default, and a bare name such as 'sdt-2-64-nmnist' what ships so.

    Raises
    ------
    WeightsError
        in one line: the file is missing, truncated, not HDF5, of another schema or of a newer version; a tensor is
        missing, misshapen, of another type, unknown or not finite
    """
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise WeightsError(f"weights file: expected a path, found {type(path).__name__}")
    file_path = shipped_path() if path is None else Path(path)
    if path in (DEFAULT, DEFAULT_OF_RECORDINGS) and not file_path.exists():
        file_path = shipped_path(str(path))
    try:
        require_file(file_path, "weights file", WeightsError)
    except WeightsError as error:
        raise WeightsError(f"{error}; the weights that ship are {DEFAULT} and {DEFAULT_OF_RECORDINGS}") from None
    try:
        with h5py.File(file_path, "r") as file:
            return _read(file)
    except SdtError as error:
        raise WeightsError(f"weights file '{file_path}': {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # h5py raises OSError, RuntimeError, KeyError, TypeError, ValueError, ...
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"weights file '{file_path}': expected HDF5 written by sdt_ref.convert, found a file that cannot be read "
            f"({reason}); it may be truncated, or a .pth.tar: run python -m sdt_ref.convert on that"
        ) from None


def _read(file: Any) -> Weights:
    found = _text(file, "format")
    if found != FORMAT:
        raise WeightsError(
            f"attribute 'format': expected '{FORMAT}', found '{found}'; write the file with sdt_ref.convert"
        )
    if "schema_version" not in file.attrs or file.attrs.get_id("schema_version").dtype.kind != "i":
        raise WeightsError(f"attribute 'schema_version': expected {SCHEMA_VERSION}, found no whole number")
    version = int(file.attrs["schema_version"])
    if version < 1:
        raise WeightsError(f"attribute 'schema_version': expected {SCHEMA_VERSION}, found {version}")
    if version > SCHEMA_VERSION:
        raise WeightsError(
            f"schema version {version} is newer than {SCHEMA_VERSION}, which this sdt_ref reads; upgrade sdt_ref"
        )
    config = ModelConfig.from_mapping(_json(file, "config", dict))
    preprocessing = Preprocessing.from_mapping(_json(file, "preprocessing", dict))
    classes = tuple(str(name) for name in _json(file, "classes", list))
    provenance = _json(file, "provenance", dict)
    if not isinstance(file.get("weights"), h5py.Group):
        raise WeightsError("group 'weights' is missing")
    datasets: dict[str, h5py.Dataset] = {}

    def collect(name: str, node: object) -> None:
        official = name.replace("/", ".")
        if isinstance(node, h5py.Dataset):
            if official in datasets:
                raise WeightsError(f"tensor '{official}' stands twice, with dots and with slashes in its name")
            datasets[official] = node

    file["weights"].visititems(collect)
    # all shapes are checked before the first byte is read
    architecture = infer({name: node.shape or () for name, node in datasets.items()})
    for name, node in datasets.items():
        if node.dtype != np.float32:
            raise WeightsError(f"dataset 'weights/{name.replace('.', '/')}': expected float32, found {node.dtype}")
    tensors = {name: np.asarray(datasets[name][()], np.float32) for name in tensor_shapes(architecture)}
    return Weights(tensors, config, preprocessing, classes, provenance)


def _text(file: Any, name: str) -> str:
    if name not in file.attrs:
        raise WeightsError(f"attribute '{name}' is missing: expected text; write the file with sdt_ref.convert")
    kind = file.attrs.get_id(name).dtype
    if kind.kind != "S":
        raise WeightsError(
            f"attribute '{name}': expected text of fixed length, found {kind}; convert the checkpoint again"
        )
    return bytes(file.attrs[name]).decode()


def _json(file: Any, name: str, kind: type) -> Any:
    try:
        value = json.loads(_text(file, name))
    except json.JSONDecodeError as error:
        raise WeightsError(f"attribute '{name}': expected JSON, found {error}") from None
    if not isinstance(value, kind):
        raise WeightsError(f"attribute '{name}': expected a JSON {kind.__name__}, found {type(value).__name__}")
    return value
