"""A path that is no file is refused in one line, before it is opened: a pipe would be waited for without end."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sdt_ref.errors import LONGEST, SdtError, one_line, shown
from sdt_ref.files import require_file
from sdt_ref.golden.trace_file import open_trace
from sdt_ref.inputs.datasets import Samples, open_pictures
from sdt_ref.inputs.recordings import open_recordings
from sdt_ref.weights.checkpoint import convert
from sdt_ref.weights.file import load


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize(
    "opened",
    [
        convert,
        load,
        lambda path: open_trace(path).__enter__(),
        lambda path: open_pictures(path, ("a",)),
        lambda path: open_recordings(path, ("a",)),
        lambda path: Samples([str(path)]),
    ],
)
def test_a_pipe_is_refused_before_it_is_opened(opened: Callable[[Path], object], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.h5"
    os.mkfifo(pipe)
    with pytest.raises(SdtError, match="expected a file, found a pipe or a device; save it as a file first"):
        opened(pipe)


def test_a_file_passes(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    require_file(tmp_path / "file", "file", SdtError)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("fast", "'fast'"),
        ("\x1b[31mred\x07", r"'\x1b[31mred\x07'"),
        ("n" * 10**6, f"'{'n' * 76}..."),
        (7, "7"),
        (True, "True"),
        (float("nan"), "nan"),
        (10**5000, "a whole number of 16610 bits"),
        (np.float32(0.5), "0.5"),
        (np.float64(0.5), "0.5"),
        ([np.float64("nan"), np.complex128(1j)], "[nan, 1j]"),
        (np.str_("n") * 100, f"'{'n' * 76}..."),
        (np.longdouble(0.5), "0.5"),
        (np.dtype(np.float32), "float32"),
        (np.zeros((2, 3)), "an array of float64 of shape (2, 3)"),
        ((1,), "(1,)"),
        ([1, "a", None], "[1, 'a', None]"),
        ([], "[]"),
        ({"a": [1, [2, [3]]]}, "{'a': [1, [...]]}"),
        (list(range(10**6)), "[0, 1, 2, 3, 4, 5, 6, 7, ...]"),
        (object(), "a value of type object"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 99 else "value",
)
def test_a_foreign_value_is_shown_in_one_short_line(value: object, text: str) -> None:
    assert shown(value) == text


def test_lists_that_share_lists_are_shown_at_once() -> None:
    laughs: list[object] = ["ha"]
    for _ in range(100):
        laughs = [laughs] * 9
    assert shown(laughs) == "[[[...], [...], [...], [...], [...], [...], [...], [...], ...], [[...], [...]..."


def test_a_message_is_one_line_of_printable_characters_and_bounded() -> None:
    assert str(SdtError("file 'a\n\x1b]0;b\x07\u202e' is none")) == r"file 'a \x1b]0;b\x07\u202e' is none"
    assert len(str(SdtError("x" * 10**7))) == LONGEST
    once = one_line("\x9b" * 10**5)
    assert one_line(once) == once
