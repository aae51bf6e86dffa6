"""What is no checkpoint is named for what it is, in one line."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sdt_ref import WeightsError, convert
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.checkpoint import convert as convert_checkpoint


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.pth"), io.BytesIO())
    return buffer.getvalue()


def saved_by_numpy(function: Any) -> bytes:
    buffer = io.BytesIO()
    function(buffer, np.zeros(3))
    return buffer.getvalue()


def hdf5(**attributes: str) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs.update(attributes)
    return buffer.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "an empty file"),
    "a web page": (b"<!DOCTYPE html><html><head><title>Drive - Virus scan warning</title>", "an HTML page"),
    "a web page after blanks": (b"\xef\xbb\xbf\r\n  <HTML lang='en'>\n", "an HTML page"),
    "a web page in UTF-16": ("<html><body>é".encode("utf-16"), "an HTML page"),
    "a web page behind a comment": (b"<!-- saved from https://example.org -->\n<html>", "an HTML page"),
    "a server's error": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML text"),
    "a Git LFS pointer": (LFS, "a Git LFS pointer"),
    "text": ("hello, the weights are elsewhere: größer".encode(), "text, which begins 'hello, the weights"),
    "JSON": (b'{"error": "not found"}', 'text, which begins \'{"error"'),
    "bytes": (bytes(range(1, 200)), "a file of no known kind"),
    "zeros": (bytes(1000), "a file of no known kind"),
    "TorchScript": (zipped("m/data.pkl", "m/code/__torch__/m.py", "m/constants.pkl", "m/version"), "a TorchScript archive"),
    "older TorchScript": (zipped("m/model.json", "m/tensors/0", "m/code/m.py", "m/attributes.pkl"), "a TorchScript archive"),
    "torch.export": (zipped("m/archive_format", "m/models/model.json", "m/data/weights/w0"), "a program of torch.export"),
    "a document": (zipped("[Content_Types].xml", "word/document.xml"), "an Office document"),
    "an open document": (zipped("mimetype", "content.xml"), "an OpenDocument"),
    "a jar": (zipped("META-INF/MANIFEST.MF", "A.class"), "a Java archive"),
    "a plain zip": (zipped("readme.txt", "runs/", "runs/model_best.pth.tar", "b", "c"), r"a zip archive of 4 files \(readme.txt, runs/model_best.pth.tar, b, ...\)"),
    "an empty zip": (zipped(), "an empty zip archive"),
    "half a zip": (zipped("a/data.pkl", "b")[:60], "cannot be read"),
    "npz": (saved_by_numpy(np.savez), "a NumPy archive"),
    "npy": (saved_by_numpy(np.save), "a NumPy array"),
    "Keras 3": (zipped("metadata.json", "config.json", "model.weights.h5"), "a Keras model"),
    "Keras 2": (hdf5(keras_version="2.11"), "a Keras model"),
    "HDF5": (hdf5(title="x"), "an HDF5 file"),
    "half an HDF5": (hdf5(title="x")[:100], "an HDF5 file"),
    "ONNX": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x97\x01\n\x05", "a model of ONNX or TensorFlow"),
    "a SavedModel": (b"\x08\x01\x12\x97\xab\x01\n\xf0\x02\n\x0e", "a model of ONNX or TensorFlow"),
    "TFLite": (b"\x1c\0\0\0TFL3\x14\0 \0", "a file of TensorFlow"),
    "a TensorFlow checkpoint": (bytes(40) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "a file of TensorFlow"),
    "gzip": (gzip.compress(b"x"), "a gzip archive"),
    "bzip2": (bz2.compress(b"x"), "a bzip2 archive"),
    "xz": (lzma.compress(b"x"), "an xz archive"),
    "tar": (tarred(), "a tar archive"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(20), "a PNG picture"),
    "a plain pickle": (pickle.dumps({"w": [1.0]}), "a pickle that PyTorch did not write"),
    "NumPy arrays in a pickle": (pickle.dumps({"w": np.zeros(3)}), "a pickle that PyTorch did not write"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_checkpoint_is_named(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = FILES[name]
    path = tmp_path / "model_best.pth.tar"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        convert_checkpoint(path)
    assert convert.main([str(path), str(tmp_path / "w.h5")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_file_that_is_converted_already() -> None:
    with pytest.raises(WeightsError, match="a weights file, which is converted already; pass it by --weights"):
        convert_checkpoint(weights_file.shipped_path())
