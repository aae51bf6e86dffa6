"""What a file is, by its content: a checkpoint that can be read, or the right name of something else."""

import os
import re
import zipfile
from pathlib import Path
from typing import BinaryIO

from ..errors import WeightsError, one_line, shown
from ..kinds import ARCHIVE, ARRAYS, HDF5, INSTEAD, kind_of, utf8

ZIP, PICKLE, SAFETENSORS = "zip", "pickle", "safetensors"
HEAD = 65_536  # bytes that are looked at; the attributes of an HDF5 file mostly stand there
BEGINNING = 4096  # of them, where all else says what it is

REMEDIES = {
    ARCHIVE: "unpack it, and convert what is in it",
    ARRAYS: "convert the .pth.tar that it came from",
    "a GGUF file": "convert the .pth.tar that it came from",
    "a Git LFS pointer": "run git lfs pull, or download the file itself",
    INSTEAD: "download the file itself",
}
# an entry of a zip archive -> what the archive is
ENTRIES: tuple[tuple[str, str], ...] = (
    (r"(.+/)?(archive_format|serialized_exported_program\.json)$",
     "a program of torch.export; save the state_dict() of the model it was made from"),
    (r"(.+/)?constants\.pkl$|(.+/)?code/__torch__.*|(.+/)?(model\.json|attributes\.pkl)$",
     "a TorchScript archive, a program; save the state_dict() of the model it was made from"),
    (r"\[Content_Types\]\.xml$", "an Office document (docx, xlsx, pptx)"),
    (r"mimetype$", "an OpenDocument or EPUB document"),
    (r"META-INF/.*", "a Java archive"),
    (r"MAR-INF/.*", "an archive of TorchServe; unpack it, and convert the checkpoint in it"),
    (r"model\.weights\.h5$", "a Keras model; expected a checkpoint of PyTorch"),
    (r".+\.npy$", "a NumPy archive (.npz); convert the .pth.tar that it came from"),
)  # fmt: skip


def recognise(path: Path, file: BinaryIO) -> str:
    """ZIP, PICKLE or SAFETENSORS; WeightsError that says what anything else is. The path is that of the open file."""
    head = file.read(HEAD)
    file.seek(max(0, os.fstat(file.fileno()).st_size - 8))
    tail = file.read(8)
    if head.startswith(b"PK\x03\x04"):
        return ZIP
    if head[6:9] == b"\0\0{":  # the length of a header in JSON, then its beginning
        return SAFETENSORS
    if re.match(rb"\x80[\x02-\x05]", head):
        return PICKLE
    raise WeightsError(f"checkpoint '{path}': expected a file of torch.save, found {_name(path, head, tail)}")


def _name(path: Path, head: bytes, tail: bytes) -> str:
    if not head:
        return "an empty file; download it again"
    if (kind := kind_of(head[:BEGINNING])) is not None:
        return _hdf5(path, head) if kind.name == HDF5 else kind.advice(REMEDIES, "give a checkpoint")
    if head[4:8] == b"TFL3" or tail == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb":
        return "a file of TensorFlow; expected a checkpoint of PyTorch"
    if re.match(rb"\x08[\x01-\x1f][\x12\x3a\x42]", head):
        return "a model of ONNX or TensorFlow (protobuf); convert the .pth.tar that it came from"
    return _text(head[:BEGINNING])


def _hdf5(path: Path, head: bytes) -> str:
    if b"sdt_ref weights" in head:
        return f"a weights file, which is converted already; pass it by --weights {path}"
    keras = any(name in head for name in (b"keras_version", b"model_weights", b"layer_names"))
    return "a Keras model (HDF5); expected a checkpoint of PyTorch" if keras else HDF5


def _text(head: bytes) -> str:
    text = utf8(head).decode(errors="ignore").strip()
    if not text or not all(character.isprintable() or character in "\t\n\r\f" for character in text):
        return "a file of no known kind"
    return f"text, which begins {shown(' '.join(text[:200].split()), 40)}"


def pickle_entry(path: Path, archive: zipfile.ZipFile) -> str:
    """The entry of a zip archive that torch.save wrote the object to; WeightsError that says what the archive is."""
    names = archive.namelist()
    for pattern, kind in ENTRIES:
        if any(re.match(pattern, name) for name in names):
            raise WeightsError(f"checkpoint '{path}': expected a file of torch.save, found {kind}")
    found = [name for name in names if re.fullmatch(r"([^/]+/)?data\.pkl", name)]
    if found:
        return found[0]
    files = [name for name in names if not name.endswith("/")]
    some = ", ".join(one_line(name, 40) for name in files[:3]) + (", ..." if len(files) > 3 else "")
    raise WeightsError(
        f"checkpoint '{path}': expected a file of torch.save, found a zip archive of {len(files)} files ({some}); "
        "unpack it, and convert the checkpoint in it"
    )
