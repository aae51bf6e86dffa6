"""Weights files: what is saved is loaded; what is damaged is refused."""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings

import sdt_ref
from sdt_ref import SpikeDrivenTransformer, WeightsError, load
from sdt_ref.camera.frames import prepare
from sdt_ref.camera.opening import open_recording
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.presets import class_names
from tests.equality import assert_same
from tests.networks import Network, weights_of
from tests.strategies import networks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "w.h5"
    weights_file.save(file, weights_of(Network()))
    return file


def test_the_shipped_event_weights_classify_the_shipped_recording() -> None:
    weights = weights_file.load(weights_file.shipped_path(weights_file.DEFAULT_OF_RECORDINGS))
    recording = open_recording(Path(sdt_ref.__file__).parent / "data" / "digit.bin")
    frames = prepare(recording, weights.preprocessing, weights.config.time_steps)
    logits = SpikeDrivenTransformer(weights, threads=1)(frames[None]).logits[0]
    assert weights.classes == tuple("0123456789")
    assert weights.classes[logits.argmax()] == "3"
    assert np.exp(logits).max() > 0.9 * np.exp(logits).sum()


@pytest.mark.slow
@settings(max_examples=15)
@given(networks())
def test_round_trip_is_lossless(tmp_path_factory: pytest.TempPathFactory, n: Network) -> None:
    file, weights = tmp_path_factory.mktemp("w") / "w.h5", weights_of(n)
    weights_file.save(file, weights)
    read = weights_file.load(file)
    assert list(read.tensors) == list(weights.tensors)
    for name, tensor in weights.tensors.items():
        assert_same(read.tensors[name], tensor, name)
    assert (read.config, read.preprocessing, read.classes) == (weights.config, weights.preprocessing, weights.classes)
    assert read.provenance == weights.provenance
    assert read.architecture.hidden == n.hidden


def test_texts_of_any_length(tmp_path: Path) -> None:
    """The class names of ImageNet-21k are longer than the 64 KB of older HDF5 layouts."""
    weights = dataclasses.replace(weights_of(Network()), provenance={"note": "x" * 200_000})
    weights_file.save(tmp_path / "w.h5", weights)
    assert weights_file.load(tmp_path / "w.h5").provenance == weights.provenance


def test_the_default_weights_load_and_say_where_they_come_from() -> None:
    weights = weights_file.load()
    assert weights.architecture.dim == 256
    assert weights.classes == class_names("cifar10")
    assert len(weights.provenance["sha256"]) == 64


def test_datasets_have_the_official_names(path: Path) -> None:
    with h5py.File(path) as file:
        assert file["weights/patch_embed/proj_conv/weight"].shape == (2, 3, 3, 3)
        assert file["weights/block/0/attn/q_conv/weight"].dtype == np.float32
        assert file.attrs["schema_version"] == 2


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_the_file_mode_follows_the_umask(path: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    assert [entry.name for entry in path.parent.iterdir()] == ["w.h5"]


def edit(change: Callable[[h5py.File], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return apply


def set_attr(name: str, value: object) -> Callable[[Path], None]:
    fixed = np.bytes_(value.encode()) if isinstance(value, str) else value
    return edit(lambda file: file.attrs.__setitem__(name, fixed))


def set_json(name: str, **values: object) -> Callable[[Path], None]:
    def change(file: h5py.File) -> None:
        file.attrs[name] = np.bytes_(json.dumps({**json.loads(file.attrs[name]), **values}).encode())

    return edit(change)


def replace(name: str, value: np.ndarray) -> Callable[[Path], None]:
    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file[name] = value

    return edit(change)


def fill(name: str, value: float) -> Callable[[Path], None]:
    return edit(lambda file: file[name].__setitem__((0,), value))


Q = "weights/block/0/attn/q_conv/weight"

VAR = "weights/block/0/attn/q_bn/running_var"

BAD_FILES = {
    "missing": (Path.unlink, "does not exist"),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), "expected a file, found a folder"),
    "empty": (lambda p: p.write_bytes(b""), "expected HDF5 written by sdt_ref.convert, found a damaged one"),
    "text": (lambda p: p.write_text("weights"), "found a damaged one"),
    "a checkpoint": (lambda p: p.write_bytes(b"\x80\x02}q\0."), "found a Python pickle; convert the checkpoint"),
    "truncated": (lambda p: os.truncate(p, p.stat().st_size // 2), "found a damaged one"),
    "barely truncated": (lambda p: os.truncate(p, p.stat().st_size - 1), "found a damaged one"),
    "another format": (set_attr("format", "keras"), "attribute 'format': expected 'sdt_ref weights', found 'keras'"),
    "no format": (edit(lambda f: f.attrs.__delitem__("format")), "attribute 'format' is missing"),
    "newer": (set_attr("schema_version", 3), "schema version 3 is newer than 2, which this sdt_ref reads; upgrade"),
    "no version": (edit(lambda f: f.attrs.__delitem__("schema_version")), "attribute 'schema_version' is missing: expected a whole number"),
    "version in words": (set_attr("schema_version", "one"), "attribute 'schema_version'"),
    "version 0": (set_attr("schema_version", 0), "attribute 'schema_version': expected 1 or 2, found 0"),
    "text of variable length": (edit(lambda f: f.attrs.__setitem__("config", "{}")), "attribute 'config': expected text of fixed length"),
    "text that is none": (set_attr("config", 3), "attribute 'config': expected text of fixed length, found 3"),
    "not UTF-8": (edit(lambda f: f.attrs.__setitem__("config", np.bytes_(b"\xff"))), "found a damaged one ('utf-8' codec"),
    "config missing": (edit(lambda f: f.attrs.__delitem__("config")), "attribute 'config' is missing"),
    "config no JSON": (set_attr("config", "{"), "attribute 'config': expected JSON"),
    "config a list": (set_attr("config", "[]"), "attribute 'config': expected a JSON dict, found list"),
    "config unknown": (set_json("config", colour=1), "unknown setting 'colour'"),
    "config incomplete": (set_attr("config", "{}"), "setting 'time_steps' is missing"),
    "pooling_stat": (set_json("config", pooling_stat="0012"), "'pooling_stat': expected four characters of 0 and 1"),
    "pooling_stat short": (set_json("config", pooling_stat="001"), "'pooling_stat': expected four characters"),
    "pooling_stat number": (set_json("config", pooling_stat=1111), "'pooling_stat': expected four characters"),
    "T 0": (set_json("config", time_steps=0), "'time_steps': expected 1 to 4096, found 0"),
    "T true": (set_json("config", time_steps=True), "'time_steps': expected 1 to 4096, found True"),
    "heads": (set_json("config", num_heads=3), "'num_heads': expected a divisor of 16 channels, found 3"),
    "std 0": (set_json("preprocessing", std=[0, 1, 1]), "'std': expected positive numbers"),
    "mean text": (set_json("preprocessing", mean="0.5"), "'mean': expected three finite numbers"),
    "interpolation": (set_json("preprocessing", interpolation="magic"), "'interpolation': expected one of nearest"),
    "classes": (set_attr("classes", '["cat"]'), "class names: expected 5"),
    "group missing": (edit(lambda f: f.__delitem__("weights")), "group 'weights' is missing"),
    "group empty": (edit(lambda f: (f.__delitem__("weights"), f.create_group("weights"))), "group 'weights' is missing"),
    "a tensor twice": (replace("weights/head.weight", np.zeros((5, 16), np.float32)), "tensor 'head.weight' stands twice"),
    "tensor missing": (edit(lambda f: f.__delitem__(Q)), "tensor 'block.0.attn.q_conv.weight' is missing: expected shape (16, 16, 1, 1)"),
    "tensor misshapen": (replace(Q, np.zeros((16, 8, 1, 1), np.float32)), "expected shape (16, 16, 1, 1), found (16, 8, 1, 1)"),
    "tensor flat": (replace("weights/head/weight", np.zeros(80, np.float32)), "tensor 'head.weight': expected 2 axes"),
    "tensor scalar": (replace(Q, np.float32(1)), "expected shape (16, 16, 1, 1), found ()"),
    "tensor float64": (replace(Q, np.zeros((16, 16, 1, 1))), "expected float32, found float64"),
    "tensor text": (replace("weights/head/bias", np.array([b"x"] * 5)), "expected float32"),
    "tensor unknown": (replace("weights/block/0/attn/z", np.zeros(3, np.float32)), "tensor 'block.0.attn.z' of shape (3,) is not understood"),
    "NaN": (fill(Q, np.nan), "tensor 'block.0.attn.q_conv.weight': expected finite numbers, found 16 NaN or infinite of 256"),
    "infinite": (fill(VAR, np.inf), "tensor 'block.0.attn.q_bn.running_var': expected finite numbers"),
    "negative variance": (fill(VAR, -1), "expected variances of 0 or more, found -1.0"),
    "another weight": (fill(Q, 0.5), "expected what was written, found a file that was changed since; copy or convert it again"),
    "another name of a class": (set_attr("classes", json.dumps(["a", "b", "c", "d", "é"])), "found a file that was changed since"),
    "another T": (set_json("config", time_steps=2), "found a file that was changed since"),
    "another provenance": (set_attr("provenance", "{}"), "found a file that was changed since"),
    "no sha256": (edit(lambda f: f.attrs.__delitem__("sha256")), "attribute 'sha256' is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(path: Path, name: str) -> None:
    spoil, message = BAD_FILES[name]
    spoil(path)
    with pytest.raises(WeightsError) as caught:
        load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


FUZZ = """
import sys
from pathlib import Path
import numpy as np
import sdt_ref

path = Path(sys.argv[1])
content, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
load = sdt_ref.weights.file.load
written = load(path)
for k in range(2000):
    spoiled = bytearray(content)
    spoilt = len(content) // 4 if k % 2 else len(content)  # headers and attributes stand in front
    for place in rng.integers(0, spoilt, int(rng.integers(1, 7))):
        spoiled[place] ^= int(rng.integers(1, 256))
    path.write_bytes(spoiled)
    try:
        read = load(path)
    except sdt_ref.WeightsError:
        refused += 1
        continue
    if read.checked:
        assert (read.config, read.preprocessing, read.classes) == (written.config, written.preprocessing, written.classes)
        assert all(np.array_equal(read.tensors[name], tensor) for name, tensor in written.tensors.items())
print(refused)
"""


@pytest.mark.campaign
def test_damage_is_refused_or_changes_nothing(path: Path) -> None:
    """Flip bytes all over the file: it is refused, or it is as it was; h5py itself raises many kinds of errors."""
    done = subprocess.run([sys.executable, "-c", FUZZ, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1000


@pytest.mark.slow
def test_every_bit_of_every_tensor_is_checked(path: Path) -> None:
    content, weights = path.read_bytes(), weights_file.load(path)
    for name, tensor in weights.tensors.items():
        at = content.index(tensor.tobytes())
        for place in {at, at + tensor.nbytes // 2, at + tensor.nbytes - 1}:
            spoiled = bytearray(content)
            spoiled[place] ^= 1
            path.write_bytes(spoiled)
            with pytest.raises(WeightsError, match="found a file that was changed since"):
                load(path)
            assert name


def test_the_sha256_is_of_what_the_docstring_says(path: Path) -> None:
    with h5py.File(path, "r") as file:
        content = b""
        for name in ("config", "preprocessing", "classes", "provenance"):
            content += f"{name} utf8 () {len(file.attrs[name])}\n".encode() + file.attrs[name]
        tensors: dict[str, np.ndarray] = {}
        file["weights"].visititems(
            lambda name, node: tensors.update({name.replace("/", "."): node[()]} if hasattr(node, "dtype") else {})
        )
        for name in sorted(tensors):
            content += f"{name} <f4 {tensors[name].shape} {4 * tensors[name].size}\n".encode() + tensors[name].tobytes()
        assert file.attrs["sha256"] == hashlib.sha256(content).hexdigest().encode()


def test_a_file_of_schema_1_is_read_and_says_so(path: Path) -> None:
    """Its damage cannot be told: the attribute says which files these are."""
    assert load(path).checked
    edit(lambda f: (f.attrs.__delitem__("sha256"), f.attrs.__setitem__("schema_version", 1)))(path)
    assert not load(path).checked
    assert not weights_file.load(path).checked


@pytest.mark.parametrize("bad", ["a" * 300])
def test_paths_that_cannot_be_looked_at(bad: str) -> None:
    with pytest.raises(WeightsError, match="found a path that cannot be read"):
        load(bad)


def test_a_weights_path_of_another_type() -> None:
    with pytest.raises(WeightsError, match="expected a path, found int"):
        load(3)  # type: ignore[arg-type]


def test_huge_tensors_are_refused_before_they_are_read(path: Path) -> None:
    """A few bytes of HDF5 can claim terabytes."""
    with h5py.File(path, "r+") as file:
        for name in ("fc1_conv/weight", "fc1_conv/bias", "fc1_bn/weight", "fc1_bn/bias", "fc1_bn/running_mean",
                     "fc1_bn/running_var", "fc2_conv/weight"):  # fmt: skip
            full = f"weights/block/0/mlp/{name}"
            shape = [10**12 if side == 24 else side for side in file[full].shape]
            del file[full]
            file.create_dataset(full, shape, np.float32, chunks=tuple(min(side, 64) for side in shape))
    with pytest.raises(WeightsError, match="0 bytes are stored, which cannot hold the 4000000000000 that it claims"):
        load(path)


def test_saving_where_it_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"cannot write '.*': its folder does not exist; make that folder, or choose another"
    ):
        weights_file.save(tmp_path / "absent" / "w.h5", weights_of(Network()))
    target = tmp_path / "w.h5"
    target.mkdir()
    with pytest.raises(WeightsError, match="cannot write"):
        weights_file.save(target, weights_of(Network()))
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.h5"]


def test_a_crash_while_writing_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    with pytest.raises(KeyboardInterrupt):
        weights_file.save(path, weights_of(Network(seed=1)))
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["w.h5"]


def test_the_default_is_found_in_the_package_or_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "sdt_ref"
    package.mkdir(parents=True)
    monkeypatch.setattr(weights_file, "__file__", str(package / "weights/file.py"))
    with pytest.raises(WeightsError, match="reinstall sdt_ref, or pass a file"):
        weights_file.shipped_path()
    beside = package.parent / "weights"
    beside.mkdir()
    shutil.copy(Path(__file__).parents[2] / "weights" / f"{weights_file.DEFAULT}.h5", beside)
    assert weights_file.shipped_path().parent == beside
    shutil.copytree(beside, package / "shipped")
    assert weights_file.shipped_path().parent == package / "shipped"
