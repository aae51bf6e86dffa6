"""The weights file: versioned HDF5 with the official tensors, unfolded, in lossless float32, and all settings.

/weights/patch_embed/proj_conv/weight    float32, official shape (dots of the official name are slashes)
attributes of the root, texts in UTF-8 of fixed length (variable-length texts crash HDF5 when a file is corrupt):
    format           "sdt_ref weights"
    schema_version   2
    config           JSON of ModelConfig
    preprocessing    JSON of Preprocessing
    classes          JSON list of class names, in label order
    provenance       JSON object: source file, its sha256, and whatever is known of its making
    sha256           of these four texts, and of the tensors' names, types, shapes and bytes: see `digest`

Schema 1, which is read as well, had no sha256: whether such a file is damaged cannot be told.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import WeightsError, shown
from ..files import open_plain, written_whole
from ..hdf5 import File, created, opened
from .architecture import Architecture
from .config import ModelConfig, Preprocessing
from .tensors import infer, tensor_shapes

FORMAT = "sdt_ref weights"
SCHEMA_VERSION = 2
UNCHECKED = 1  # the schema without a sha256
TEXTS = ("config", "preprocessing", "classes", "provenance")
EXPECTED, REMEDY = "HDF5 written by sdt_ref.convert", "convert the checkpoint"
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
    checked : whether they are known to be as they were written; not so from a file of schema 1, which has no sha256

    Raises WeightsError when tensors are missing, misshapen, unknown or not finite, or do not fit the settings.
    """

    tensors: Mapping[str, np.ndarray]
    config: ModelConfig
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    provenance: Mapping[str, Any]
    checked: bool = True

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

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """All but the tensors, as a file holds it."""
        values = (self.config.to_json(), self.preprocessing.to_json())
        return dict(zip(TEXTS, (*values, json.dumps(self.classes), json.dumps(dict(self.provenance))), strict=True))

    @cached_property
    def digest(self) -> str:
        """The sha256 of all that a file holds, in hexadecimal digits, see `digest`."""
        return digest(self.texts, self.tensors)


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
    with written_whole(path, WeightsError) as part, created(part, libver="v108") as file:
        # layouts older than v108 limit a text to 64 KB
        file.attrs["schema_version"] = SCHEMA_VERSION
        for name, text in {"format": FORMAT, **weights.texts, "sha256": weights.digest}.items():
            file.attrs[name] = np.bytes_(text.encode())
        group = file.create_group("weights")
        for tensor_name, tensor in weights.tensors.items():
            group.create_dataset(tensor_name.replace(".", "/"), data=tensor)


def digest(texts: Mapping[str, str], tensors: Mapping[str, np.ndarray]) -> str:
    """The sha256 of all that a file holds, in hexadecimal digits.

    Of the texts in the order of `TEXTS`, then of the tensors in the order of their names: each is preceded by a line
    with its name, its type, its shape and its number of bytes, such as 'head.bias <f4 (10,) 40'. Texts are of type utf8
    and of no shape; tensors' numbers are in little-endian and row-major order.
    """
    whole = hashlib.sha256()
    for name in TEXTS:
        text = texts[name].encode()
        whole.update(f"{name} utf8 () {len(text)}\n".encode() + text)
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name], "<f4")
        whole.update(f"{name} {tensor.dtype.str} {tensors[name].shape} {tensor.nbytes}\n".encode())
        whole.update(tensor.data)
    return whole.hexdigest()


def load(path: str | os.PathLike[str] | None = None) -> Weights:
    """Read a weights file; None reads the shipped default, and a bare name such as 'sdt-2-64-nmnist' what ships so.

    Raises
    ------
    WeightsError
        in one line: the file is missing, truncated, not HDF5, of another schema or of a newer version, or not as it was
        written; a tensor is missing, misshapen, of another type, unknown or not finite
    """
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise WeightsError(f"weights file: expected a path, found {type(path).__name__}")
    ships = path is None or (path in (DEFAULT, DEFAULT_OF_RECORDINGS) and not Path(path).exists())
    file_path = shipped_path(DEFAULT if path is None else str(path)) if ships else Path(path or "")
    try:
        stream = open_plain(file_path, "weights file", WeightsError)
    except WeightsError as error:
        raise WeightsError(f"{error}; the weights that ship are {DEFAULT} and {DEFAULT_OF_RECORDINGS}") from None
    with (
        stream,
        opened(stream, f"weights file '{file_path}'", WeightsError, EXPECTED, REMEDY, strange=not ships) as file,
    ):
        return _read(file)


def _read(file: File) -> Weights:
    found = file.text("format")
    if found != FORMAT:
        raise WeightsError(
            f"attribute 'format': expected '{FORMAT}', found {shown(found)}; write the file with sdt_ref.convert"
        )
    version = file.whole("schema_version")
    if version > SCHEMA_VERSION:
        raise WeightsError(
            f"schema version {version} is newer than {SCHEMA_VERSION}, which this sdt_ref reads; upgrade sdt_ref"
        )
    if version < UNCHECKED:
        raise WeightsError(f"attribute 'schema_version': expected {UNCHECKED} or {SCHEMA_VERSION}, found {version}")
    texts = {name: file.text(name) for name in TEXTS}
    config = ModelConfig.from_mapping(_json(texts, "config", dict))
    preprocessing = Preprocessing.from_mapping(_json(texts, "preprocessing", dict))
    classes = tuple(str(name) for name in _json(texts, "classes", list))
    provenance = _json(texts, "provenance", dict)
    weights = Weights(_tensors(file), config, preprocessing, classes, provenance, version > UNCHECKED)
    if weights.checked and file.text("sha256") != digest(texts, weights.tensors):
        raise WeightsError("expected what was written, found a file that was changed since; copy or convert it again")
    return weights


def _tensors(file: File) -> dict[str, np.ndarray]:
    """Read all tensors, whose names, shapes and types are checked before the first byte is read."""
    paths: dict[str, str] = {}
    for path in file.arrays:
        group, _, name = path.partition("/")
        official = name.replace("/", ".")
        if group != "weights" or not name:
            continue
        if official in paths:
            raise WeightsError(f"tensor '{official}' stands twice, with dots and with slashes in its name")
        paths[official] = path
    if not paths:
        raise WeightsError("group 'weights' is missing")
    architecture = infer({name: file[path].shape for name, path in paths.items()})
    for path in paths.values():
        if file[path].dtype != np.float32:
            raise WeightsError(f"dataset '{path}': expected float32, found {file[path].dtype}")
    return {name: np.asarray(file[paths[name]][()], np.float32) for name in tensor_shapes(architecture)}


def _json(texts: Mapping[str, str], name: str, kind: type) -> Any:
    try:
        value = json.loads(texts[name])
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"attribute '{name}': expected JSON, found {error}") from None
    if not isinstance(value, kind):
        raise WeightsError(f"attribute '{name}': expected a JSON {kind.__name__}, found {type(value).__name__}")
    return value
