"""Results of each image in a file: what goes in comes out, in the same bytes however it came; hostile files are refused."""

import csv
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdt_ref.errors import ConfigError
from sdt_ref.jobs.identity import Identity
from sdt_ref.measuring.results import Rows, npz, open_results, require, rows, table, write

RUN = Identity("a" * 64, "b" * 64, "c" * 64, "0123456789abcdef" * 4)
DIGEST = f"{'a' * 16}-{'b' * 16}-{'c' * 16}-0123456789abcdef"
CLASSES = ("cat", 'a "dog", big', "two\nlines")
NAMES = [
    "cat/1.png", "a,b", 'say "x"', "two\nlines", "cr\rhere", "byte \udcff", "\ud800", "\\udcff", "\\u005cudcff", "\\\udcff", "\\x",
    " blank ", "\N{GREEK SMALL LETTER PI}\N{CAT FACE}", "", "\u2028\x85\x1c", "NA", "'", "#",
]  # fmt: skip
ENDINGS = ("npz", "csv")


def some(*, fixed: bool = False, dtype: Any = np.float32, names: list[str] = NAMES) -> Rows:
    """Rows, the third of which is of an unreadable image."""
    rng, n = np.random.default_rng(7), len(names)
    sums = rng.integers(-(10**6), 10**6, (n, len(CLASSES)))
    logits = (sums * 0.25).astype(dtype) if fixed else rng.normal(size=sums.shape).astype(dtype)
    predicted = logits.argmax(axis=1)
    logits[2], sums[2], predicted[2] = np.nan, 0, -1
    labels = rng.integers(0, len(CLASSES), n)
    return Rows(names, labels, predicted, logits, sums if fixed else None, 0.25 if fixed else None)


def chunked(whole: Rows, size: int) -> Callable[[], Iterator[Rows]]:
    return lambda: (whole[first : first + size] for first in range(0, len(whole), size))


def put(path: Path, whole: Rows, size: int = 5) -> Path:
    write(str(path), chunked(whole, size), CLASSES, RUN)
    return path


def read(path: Path, chunk: int = 4) -> Rows:
    parts = list(open_results(str(path)).rows(chunk))
    sums = None if parts[0].sums is None else np.concatenate([part.sums for part in parts])
    arrays = (np.concatenate([getattr(part, key) for part in parts]) for key in ("labels", "predicted", "logits"))
    return Rows([name for part in parts for name in part.names], *arrays, sums, parts[0].scale)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_was_written_is_read_whatever_the_names(ending: str, fixed: bool, dtype: Any, tmp_path: Path) -> None:
    whole = some(fixed=fixed, dtype=dtype)
    file = open_results(str(put(tmp_path / f"r.{ending}", whole)))
    assert (file.n, file.classes, file.run, file.has_sums) == (len(NAMES), CLASSES, DIGEST, fixed)
    found = read(tmp_path / f"r.{ending}")
    assert list(found.names) == NAMES
    assert found.scale == whole.scale
    assert found.logits.dtype == (dtype if ending == "npz" else np.float64)
    np.testing.assert_array_equal(found.logits.astype(dtype), whole.logits)
    for key in ("labels", "predicted", "sums"):
        np.testing.assert_array_equal(getattr(found, key), getattr(whole, key))


def test_float32_is_read_from_its_decimals_as_it_was(tmp_path: Path) -> None:
    """Any bits: powers of two, subnormal numbers, both zeros, the largest."""
    rng = np.random.default_rng(3)
    logits = rng.integers(0, 1 << 32, (3000, 3), dtype=np.uint32).view(np.float32)
    logits[:4] = [[0, -0.0, -1], [1e-45, 1e-44, 1.1754944e-38], [3.4028235e38, 16777216, 0.1], [np.inf, -np.inf, 0]]
    logits[4] = np.array([0x15AE43FD] * 3, np.uint32).view(
        np.float32
    )  # its 7.038531e-26 is another number, via float64
    logits = logits[~np.isnan(logits).any(axis=1)]
    n = len(logits)
    put(tmp_path / "r.csv", Rows(["x"] * n, np.zeros(n, np.int64), logits.argmax(axis=1), logits))
    found = read(tmp_path / "r.csv").logits.astype(np.float32)
    np.testing.assert_array_equal(found.view(np.uint32), logits.view(np.uint32))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("fixed", [False, True])
def test_bytes_are_the_same_however_the_rows_are_chunked(ending: str, fixed: bool, tmp_path: Path) -> None:
    path = tmp_path / f"r.{ending}"
    found = {put(path, some(fixed=fixed), size).read_bytes() for size in (1, 2, 7, 1000)}
    assert len(found) == 1


def test_an_archive_is_read_by_numpy_and_says_nothing_of_when_it_was_written(tmp_path: Path) -> None:
    put(tmp_path / "r.npz", some(fixed=True))
    with np.load(tmp_path / "r.npz") as arrays:
        assert sorted(arrays) == ["classes", "label", "logits", "name", "predicted", "run", "scale", "sums"]
        assert arrays["name"].tolist() == NAMES
        assert arrays["classes"].tolist() == list(CLASSES)
        assert arrays["scale"] == 0.25
        np.testing.assert_array_equal(arrays["logits"][3], arrays["sums"][3] * arrays["scale"])
        assert json.loads(arrays["run"].item()) == {"weights": RUN.weights, "data": RUN.data, "settings": RUN.settings, "code": RUN.code}  # fmt: skip
    with zipfile.ZipFile(tmp_path / "r.npz") as pack:
        assert {(each.date_time, each.compress_type, each.create_system) for each in pack.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED, 3)
        }


def test_a_table_by_hand(tmp_path: Path) -> None:
    logits = np.array([[0.1, -2, 1e20], [np.nan] * 3], np.float32)
    two = Rows(["a,b", "c\udcff"], np.array([2, 0]), np.array([2, -1]), logits)
    head = 'name,label,predicted,logit:cat,"logit:a ""dog"", big","logit:two\nlines"'
    expected = f'{head},run\n"a,b",2,2,0.1,-2.0,1e+20,{DIGEST}\nc\\udcff,0,-1,nan,nan,nan,{DIGEST}\n'
    assert put(tmp_path / "r.csv", two).read_text(encoding="utf-8") == expected
    fixed = Rows(["x"], np.array([0]), np.array([1]), np.array([[-0.5, 1, 0]]), np.array([[-2, 4, 0]]), 0.25)
    sums = 'sum:cat,"sum:a ""dog"", big","sum:two\nlines",scale'
    expected = f"{head},{sums},run\nx,0,1,-0.5,1.0,0.0,-2,4,0,0.25,{DIGEST}\n"
    assert put(tmp_path / "r.csv", fixed).read_text(encoding="utf-8") == expected


def test_python_reads_the_table(tmp_path: Path) -> None:
    whole = some()
    with open(put(tmp_path / "r.csv", whole), newline="", encoding="utf-8") as text:
        lines = list(csv.DictReader(text))
    assert [line["name"] for line in lines][:5] == NAMES[:5]
    assert [float(line["logit:cat"]) for line in lines[3:]] == [float(str(x)) for x in whole.logits[3:, 0]]
    assert {line["run"] for line in lines} == {DIGEST}


def test_the_identity_of_a_run() -> None:
    assert RUN.digest == DIGEST
    assert Identity.from_json(RUN.to_json()) == RUN
    other = Identity("a" * 64, "b" * 63 + "0", "c" * 64, "f" * 64)
    assert RUN.different_from(other) == ["data", "code"]
    assert RUN.different_from(other.digest) == ["code"]  # a digest has the beginnings alone
    assert RUN.different_from(RUN) == RUN.different_from(DIGEST) == []
    for text in (
        "",
        "[]",
        "{}",
        '{"weights": 1}',
        "[" * 9999,
        RUN.to_json().replace("a", "A"),
        RUN.to_json()[:-1] + ', "x": ""}',
    ):
        with pytest.raises(ConfigError, match="run: "):
            Identity.from_json(text)


def test_a_name_says_the_form_before_anything_is_computed(tmp_path: Path) -> None:
    for name in ("r.txt", "r", "r.npz.gz"):
        with pytest.raises(ConfigError, match=r"expected a name that ends in \.npz, \.csv"):
            require(str(tmp_path / name))
    with pytest.raises(ConfigError, match="its folder does not exist"):
        require(str(tmp_path / "absent" / "r.npz"))
    given = put(tmp_path / "r.NPZ", some())
    with pytest.raises(ConfigError, match="it is an input of this command"):
        require(str(given), given)
    require(str(tmp_path / "other.CSV"), given, None)
    assert list(tmp_path.iterdir()) == [given]


def replaced(whole: Rows, **changes: Any) -> Rows:
    fields = {key: getattr(whole, key) for key in ("names", "labels", "predicted", "logits", "sums", "scale")}
    return Rows(**fields | changes)


def changed(values: np.ndarray, at: Any, value: Any) -> np.ndarray:
    values = values.copy()
    values[at] = value
    return values


WRONG: dict[str, tuple[Callable[[Rows], Rows], str]] = {
    "NUL": (lambda r: replaced(r, names=["a\0b", *r.names[1:]]), "image 0: expected a name of at most"),
    "long name": (lambda r: replaced(r, names=["x" * 40000, *r.names[1:]]), "image 0: expected a name of at most"),
    "label": (lambda r: replaced(r, labels=changed(r.labels, 3, 3)), "image 3: label: expected 0 to 2, found 3"),
    "no label": (lambda r: replaced(r, labels=changed(r.labels, 4, -1)), "image 4: label: expected 0 to 2, found -1"),
    "predicted": (lambda r: replaced(r, predicted=changed(r.predicted, 5, -2)), "image 5: predicted: expected -1 to 2"),
    "not the greatest": (
        lambda r: replaced(r, logits=changed(r.logits, (6, (int(r.predicted[6]) + 1) % 3), 9e9)),
        "image 6: expected no logit above",
    ),
    "unreadable": (lambda r: replaced(r, logits=changed(r.logits, 2, 0)), "expected logits nan and sums 0 where"),
    "sums": (lambda r: replaced(r, sums=changed(r.sums, 2, 1)), "expected logits nan and sums 0 where"),
    "scale": (lambda r: replaced(r, scale=float("nan")), "scale: expected a finite number above 0, found nan"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_that_contradict_themselves_are_neither_written_nor_read(
    what: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, message = WRONG[what]
    wrong, path = change(some(fixed=True)), tmp_path / f"r.{ending}"
    with pytest.raises(ConfigError, match=message):
        put(path, wrong, 100)
    assert not list(tmp_path.iterdir())
    with monkeypatch.context() as unchecked:
        unchecked.setattr("sdt_ref.measuring.results.opening.require_sound", lambda *_: None)
        unchecked.setattr("sdt_ref.measuring.results.opening.require_scale", lambda *_: None)
        put(path, wrong)
    with pytest.raises(
        ConfigError, match=f"results '{path}'.*({message}|one scale and one run|expected decimals|bytes an item)"
    ):
        open_results(str(path))


def arrays(**changes: Any) -> dict[str, np.ndarray]:
    """A sound archive of one image, with other arrays; None leaves one out."""
    sound = {
        "name": np.array(["x"]), "label": np.array([1]), "predicted": np.array([0]),
        "logits": np.zeros((1, 2), np.float32), "classes": np.array(["a", "b"]), "run": np.array(RUN.to_json()),
    }  # fmt: skip
    return {key: value for key, value in (sound | changes).items() if value is not None}


def big(shape: str, descr: str = "<i8") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_that_numpy_wrote_is_read(save: Any, tmp_path: Path) -> None:
    save(tmp_path / "r.npz", **arrays(label=np.array([1], ">i2"), logits=np.array([[2, 1]], ">f8")))
    [found] = open_results(str(tmp_path / "r.npz")).rows()
    assert (found.labels.tolist(), found.logits.tolist()) == ([1], [[2.0, 1.0]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": None}, "expected the arrays"),
        ({"other": np.zeros(1)}, "expected the arrays"),
        ({"sums": np.zeros((1, 2), int)}, "expected the arrays"),
        ({"label": np.array([1, 1])}, "as many rows and classes"),
        ({"label": np.array([1.0])}, "as many rows and classes"),
        ({"predicted": np.array(0)}, "as many rows and classes"),
        ({"logits": np.zeros((1, 3), np.float32)}, "as many rows and classes"),
        ({"logits": np.asfortranarray(np.zeros((3, 2))), "name": np.array(["x"] * 3)}, "as many rows and classes"),
        ({"classes": np.array([], "U")}, "as many rows and classes"),
        ({"classes": np.array("ab")}, "as many rows and classes"),
        ({"name": np.array([{}], object)}, "objects of Python, which are never read"),
        ({"name": np.array(["x" * 40000])}, "at most 131,072 bytes an item"),
        ({"name": np.array(["a\0b"])}, "without NUL"),
        ({"run": np.array("{}")}, "run: expected a JSON object"),
        ({"run": np.array("x" * 9999)}, "at most 16,384 bytes an item"),
        ({"logits": np.zeros((1, 2), np.clongdouble)}, "as many rows and classes"),
        ({"label": np.array([2**63], np.uint64)}, "64 bits with a sign"),
        ({"label": np.array([2])}, "label: expected 0 to 1, found 2"),
        ({"sums": np.zeros((1, 2), int), "scale": np.array(0.0)}, "scale: expected a finite number above 0"),
    ],
)  # fmt: skip
def test_misshapen_archives_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.npz"
    np.savez(path, **arrays(**changes))
    with pytest.raises(ConfigError, match=f"results '{path}'.*{message}"):
        open_results(str(path))


def packed(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as pack:
        for key, content in members.items():
            pack.writestr(f"{key}.npy", content)
    return path


def as_bytes(**changes: Any) -> dict[str, bytes]:
    members = {}
    for key, array in arrays(**{key: value for key, value in changes.items() if not isinstance(value, bytes)}).items():
        stream = io.BytesIO()
        np.save(stream, array)
        members[key] = stream.getvalue()
    return members | {key: value for key, value in changes.items() if isinstance(value, bytes)}


@pytest.mark.slow
def test_archives_that_lie_about_their_size_are_refused_in_little_memory(tmp_path: Path) -> None:
    """A bomb of zeros; headers of 10^12 rows; what unpacks without a limit; headers that are none."""
    bomb = as_bytes(name=big("(25000000,)", "<U1") + bytes(100_000_000))
    lies = as_bytes(name=big("(1000000000000,)", "<U1"), label=big("(1000000000000,)"))
    tracemalloc.start()
    for members, method, message in (
        (bomb, zipfile.ZIP_DEFLATED, "unpack to at most 100 times"),
        (lies, zipfile.ZIP_STORED, "as its header says"),
        (as_bytes(), zipfile.ZIP_BZIP2, "compressed in another way"),
        (as_bytes(label=b"\x93NUMPY\x09\x00"), zipfile.ZIP_STORED, "format 1.0 or 2.0"),
        (as_bytes(label=big("(" * 90)), zipfile.ZIP_STORED, "expected a file that evaluate --output wrote"),
    ):
        path = packed(tmp_path / "r.npz", members, method)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        with pytest.raises(ConfigError, match=message):
            open_results(str(path))
        assert tracemalloc.get_traced_memory()[1] - before < 16 << 20  # a directory is read in pieces of 8 MiB
    tracemalloc.stop()


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "r.npz", some())
    sound = path.read_bytes()
    at = sound.index(some().logits[0].tobytes())
    for damaged in (sound[:100], sound[: len(sound) // 2], b"PK", sound[:at] + b"\x01" + sound[at + 1 :], b"no zip"):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match=f"results '{path}'") as error:
            open_results(str(path))
        assert "\n" not in str(error.value)
    packed(path, as_bytes())
    with zipfile.ZipFile(path, "a") as pack, pytest.warns(UserWarning, match="Duplicate"):
        pack.writestr("name.npy", as_bytes()["name"])
    with pytest.raises(ConfigError, match="expected the arrays"):
        open_results(str(path))


HEAD = "name,label,predicted,logit:a,logit:b,run\n"
GOOD = f"x,1,0,2.0,1.0,{DIGEST}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected name,label,predicted"),
        ("name,label\n", "line 1: expected name,label,predicted"),
        (HEAD.replace(",run", ""), "line 1: expected name,label,predicted"),
        (HEAD.replace(",run", ",sum:a,scale,run"), "line 1: expected name,label,predicted"),
        (HEAD.replace("logit:b", "sum:b"), "line 1: expected name,label,predicted"),
        (HEAD + GOOD + "y,1\n", "line 3: expected 6 columns, found 2"),
        (HEAD + GOOD + "\n", "line 3: expected 6 columns, found 0"),
        (HEAD + GOOD[:-1] + ",\n", "line 2: expected 6 columns, found 7"),
        (HEAD + GOOD.replace(",1,", ",nan,"), "line 2: expected whole numbers, found 'nan'"),
        (HEAD + GOOD.replace(",1,", ",1.0,"), "line 2: expected whole numbers, found '1.0'"),
        (HEAD + GOOD.replace(",1,", ",,"), "line 2: expected whole numbers, found ''"),
        (HEAD + GOOD.replace(",1,", ",\N{ARABIC-INDIC DIGIT ONE},"), "line 2: expected whole numbers"),
        (HEAD + GOOD.replace(",1,", ',"1,1",'), "expected numbers of 64 bits"),
        (HEAD + GOOD.replace(",1,", f",{10**19 - 1},"), "expected numbers of 64 bits"),
        (HEAD + GOOD.replace(",1,", f",{10**19},"), "line 2: expected whole numbers"),
        (HEAD + GOOD.replace(",1,", f",{'9' * 20},"), "line 2: expected whole numbers"),
        (HEAD + GOOD.replace(",1,", ",2,"), "image 0: label: expected 0 to 1, found 2"),
        (HEAD + GOOD.replace("2.0", "two"), "line 2: expected decimals, found 'two'"),
        (HEAD + GOOD.replace("2.0", "1_0"), "line 2: expected decimals, found '1_0'"),
        (HEAD + GOOD.replace("2.0", "-"), "expected numbers of 64 bits"),
        (HEAD + GOOD.replace(DIGEST, "abc"), "one scale and one run in all rows"),
        (HEAD + GOOD + GOOD.replace("aaaa", "aaab"), "line 3: expected one scale and one run in all rows"),
        (HEAD + GOOD.replace("x", "a\0b"), "without NUL|NUL"),
        (HEAD + '"x' + GOOD, "unexpected end of data"),
        (HEAD + '"x"y' + GOOD, "expected after"),
        (HEAD + GOOD.replace("x", "x" * 200_000), "field larger than field limit"),
    ],
)
def test_tables_that_are_none_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(HEAD + GOOD, encoding="utf-8-sig")
    assert open_results(str(path)).n == 1
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"results '{path}'.*({message})") as error:
        open_results(str(path))
    assert "\n" not in str(error.value)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(HEAD.encode() + b"\xff" + GOOD.encode())
    with pytest.raises(ConfigError, match="can't decode byte 0xff"):
        open_results(str(tmp_path / "r.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match="expected a file, found a folder"):
        open_results(str(tmp_path / "folder.csv"))


@pytest.mark.slow
def test_a_line_without_end_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one cell, in many cells, and in a row that goes over many lines."""
    monkeypatch.setattr(table, "LONGEST_RECORD", 1 << 20)
    for piece in ("x", "x,", '"\n",'):
        (tmp_path / "r.csv").write_text(HEAD + piece * (32 << 20), newline="")
        tracemalloc.start()
        with pytest.raises(ConfigError, match=r"expected rows of at most 1,048,576 characters|field larger than"):
            open_results(str(tmp_path / "r.csv"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100 << 20  # as lists of short texts take, and not 32 times as much


def test_labels_alone(tmp_path: Path) -> None:
    """Of any width and order; whole, or the first so many; what int64 does not hold agrees with nothing."""
    path = str(tmp_path / "results.csv")  # the first bytes tell what it is
    with open(path, "wb") as file:
        np.save(file, np.array([3, 1, 2**63 + 1, 0], ">u8"))
    found = open_results(path)
    assert (found.n, found.classes, found.run, found.has_sums) == (4, None, None, False)
    parts = list(found.rows(3))
    assert [part.predicted.tolist() for part in parts] == [[3, 1, 2**63 - 1], [0]]
    assert (parts[0].names, parts[0].logits.shape) == ([], (3, 0))
    assert open_results(path, 2).n == 2
    with pytest.raises(ConfigError, match=rf"labels '{path}': expected at least 5 integers along one axis, found >u8"):
        open_results(path, 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (big("(1000000000000,)"), "expected 1000000000000 integers, as its header says, found fewer"),
        (big(f"(0x{'f' * 5000},)"), "found fewer"),
        (big("(-1,)"), "found int64 of shape (-1,)"),
        (big("(1,)", "<f8") + bytes(8), "expected integers along one axis, found float64"),
        (big("(1,)", "|O"), "expected integers along one axis, found object"),
        (big("(1, 1)") + bytes(8), "of shape (1, 1)"),
        (b"no array", "expected a .npy file of integers"),
        (b"", "expected a .npy file of integers"),
    ],
)
def test_labels_that_are_none_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "labels.npy").write_bytes(content)
    with pytest.raises(ConfigError) as error:
        list(open_results(str(tmp_path / "labels.npy")).rows())
    assert message in str(error.value)
    assert str(error.value).startswith(f"labels '{tmp_path / 'labels.npy'}': ")


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_of_some_images(ending: str, tmp_path: Path) -> None:
    """Picked from a file of the whole set; all of a file that holds these alone; else refused."""
    path = put(tmp_path / f"r.{ending}", some())
    file, n, wanted = open_results(str(path)), len(NAMES), [0, 4, 5, 11]
    names = [name for part in file.rows_at(wanted, n, 5) for name in part.names]
    assert names == [NAMES[number] for number in wanted]
    assert sum(map(len, file.rows_at(range(n), n, 5))) == n
    assert sum(map(len, file.rows_at(range(0, 2 * n, 2), 2 * n))) == n
    with pytest.raises(ConfigError, match=f"expected 99 images, as the data set has, or the 4 .* found {n}"):
        file.rows_at(wanted, 99)


def test_labels_of_some_images(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.arange(10))
    parts = open_results(str(tmp_path / "labels.npy"), 9).rows_at([1, 3, 8], 9, 2)
    assert [part.predicted.tolist() for part in parts] == [[1], [3], [8]]


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">i2", "<u4", "<i4", "<u8", ">u8", "<i8"])
def test_labels_of_any_integer_type(dtype: str, tmp_path: Path) -> None:
    last = int(np.iinfo(dtype).max)
    np.save(tmp_path / "labels.npy", np.array([0, 3, last], dtype))
    (rows,) = open_results(str(tmp_path / "labels.npy")).rows()
    assert rows.predicted.tolist() == [0, 3, min(last, 2**63 - 1)]


def test_a_file_that_changes_after_it_was_opened_is_refused(tmp_path: Path) -> None:
    for ending in ENDINGS:
        path = tmp_path / f"r.{ending}"
        file = open_results(str(put(path, some())))
        write(str(path), chunked(some(fixed=True), 5), CLASSES, RUN)
        with pytest.raises(ConfigError, match="leave the file as it is"):
            list(file.rows())


def test_chunks_that_change_between_two_looks_are_refused(tmp_path: Path) -> None:
    looks = iter(range(9))
    with pytest.raises(ConfigError, match="expected 18 images as before, found 17"):
        write(str(tmp_path / "r.npz"), lambda: iter([some()[next(looks) :]]), CLASSES, RUN)
    with pytest.raises(ConfigError, match="expected images, found none"):
        write(str(tmp_path / "r.npz"), lambda: iter([]), CLASSES, RUN)
    for other in (some(fixed=True), some(dtype=np.float64)):
        with pytest.raises(ConfigError, match="expected rows of one run"):
            write(str(tmp_path / "r.csv"), lambda other=other: iter([some(), other]), CLASSES, RUN)  # type: ignore[misc]
    assert not list(tmp_path.iterdir())


def generated(n: int) -> Callable[[], Iterator[Rows]]:
    """Rows that are made when they are asked for."""

    def made() -> Iterator[Rows]:
        for first in range(0, n, 1000):
            labels = np.arange(first, first + 1000) % 10
            logits = (labels[:, None] == np.arange(10)).astype(np.float32)
            yield Rows([f"class/{i:07}.png" for i in range(first, first + 1000)], labels, labels, logits)

    return made


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "few", "many"), [("npz", 20_000, 200_000), ("csv", 4_000, 20_000)])
def test_memory_does_not_grow_with_the_number_of_images(ending: str, few: int, many: int, tmp_path: Path) -> None:
    peaks, path = [], str(tmp_path / f"r.{ending}")
    for n in (2_000, few, many):
        tracemalloc.start()
        write(path, generated(n), [str(k) for k in range(10)], RUN)
        assert open_results(path).n == n
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] * 1.1 < 12 << 20


def test_wide_rows_come_in_smaller_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "BLOCK", 400)
    monkeypatch.setattr(table, "BLOCK", 7 * 7 * table.CELL)
    for ending in ENDINGS:
        file = open_results(str(put(tmp_path / f"r.{ending}", some())))
        sizes = [len(part) for part in file.rows(100)]
        assert sum(sizes) == len(NAMES)
        assert 2 < max(sizes) < 8
        file = open_results(str(put(tmp_path / f"r.{ending}", some(names=["x" * 3200] * 9))))
        assert max(len(part) for part in file.rows(100)) <= 2
    assert rows.BLOCK > 1 << 20
