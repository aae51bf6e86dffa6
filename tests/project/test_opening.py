"""Every file that a user names is opened in one place, `sdt_ref/files.py`; the exceptions stand here with reasons."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "sdt_ref"

OPENERS = {"open", "read_text", "read_bytes"}  # as functions, or as methods of a path
LIBRARIES = {
    ("np", "load"), ("np", "fromfile"), ("np", "memmap"), ("np", "loadtxt"), ("np", "genfromtxt"),
    ("Image", "open"), ("io", "open"), ("zipfile", "ZipFile"), ("tarfile", "open"), ("h5py", "File"),
    ("torch", "load"), ("aedat", "Decoder"),
}  # fmt: skip
# opened before
OF_OTHER_OBJECTS = {(a, "open") for a in ("source", "pack", "archive", "self", "table", "h5a", "h5o")}
OF_OTHER_OBJECTS |= {(a, "open") for a in ("selection", "calibrated", "evaluated")}

# module and call -> why it may
ALLOWED = {
    ("files.py", "os.open"): "the one place",
    ("camera/aedat4.py", "path.open"): "writes a copy into a folder of its own",
    ("camera/aedat4_process.py", "aedat.Decoder"): "a process of its own, of a path that the reader has opened before",
    ("camera/npz.py", "zipfile.ZipFile"): "of a file that is open",
    ("golden/dumps/npz.py", "zipfile.ZipFile"): "of a file that is open",
    ("hdf5/reading.py", "h5py.File"): "of a file that is open",
    ("hdf5/writing.py", "h5py.File"): "of a file that is open",
    ("hdf5/writing.py", "path.open"): "writes to the unfinished file that `files` has made",
    ("interrupt.py", "os.open"): "of the system's null device",
    ("measuring/results/npz.py", "zipfile.ZipFile"): "writes to the unfinished file that `files` has made",
    ("measuring/results/table.py", "part.open"): "writes to the unfinished file that `files` has made",
    ("weights/presets.py", "source.read_text"): "a resource of the package",
    ("weights/torch_file.py", "zipfile.ZipFile"): "of a file that is open",
    ("drawing/notebook.py", "Image.open"): "of a picture in memory that it has drawn",
    ("hdf5/apart.py", "os.open"): "of the system's null device",
    ("hdf5/apart.py", "open"): "of what the system says about this process",
    ("jobs/identity.py", "entry.read_bytes"): "a module of the package",
    ("jobs/job.py", "np.load"): "of bytes in memory",
    ("inputs/image.py", "Image.open"): "of a file that is open",
    ("inputs/image.py", "os.open"): "of the system's null device",
    ("kernels/policy.py", "file.read_bytes"): "a kernel that it has kept",
    ("kernels/policy.py", "source.read_bytes"): "a module of the package",
    ("kernels/policy.py", "Path.read_bytes"): "a module of the package",
    ("terminal/screen.py", "os.open"): "of the system's null device",
    ("page/write.py", "files.read_text"): "a resource of the package",
}


def name_of(node: ast.expr) -> str:
    """'np' of np.load, 'Path' of Path(x).open, 'files' of (files(a) / b).read_text; '' of what has no name."""
    while True:
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Attribute):
            return node.attr
        if isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.BinOp):
            node = node.left
        else:
            return ""


def calls_that_open(source: str) -> Iterator[str]:
    """What a module opens, as 'np.load'."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id == "open":
            yield "open"
        elif isinstance(node.func, ast.Attribute):
            call = name_of(node.func.value), node.func.attr
            if call in LIBRARIES or (node.func.attr in OPENERS and call not in OF_OTHER_OBJECTS):
                yield ".".join(call)


def opened() -> set[tuple[str, str]]:
    """Module and call, of the whole package."""
    modules = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    return {(module, call) for module, source in modules.items() for call in calls_that_open(source)}


def test_only_files_opens_what_a_user_names() -> None:
    assert opened() - ALLOWED.keys() == set(), "open it with open_plain or read_text of sdt_ref/files.py"


def test_no_exception_is_out_of_date() -> None:
    assert ALLOWED.keys() <= opened()


@pytest.mark.parametrize(
    ("source", "call"),
    [
        ("open(path)", "open"),
        ("Path(path).open('rb')", "Path.open"),
        ("path.read_text()", "path.read_text"),
        ("(folder / name).read_bytes()", "folder.read_bytes"),
        ("np.load(path)", "np.load"),
        ("np.fromfile(path)", "np.fromfile"),
        ("Image.open(path)", "Image.open"),
        ("zipfile.ZipFile(path)", "zipfile.ZipFile"),
        ("h5py.File(path)", "h5py.File"),
    ],
)
def test_each_way_to_open_is_seen(source: str, call: str) -> None:
    assert list(calls_that_open(source)) == [call]
