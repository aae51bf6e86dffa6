"""A path that is no file is refused in one line, before it is opened: a pipe would be waited for without end."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sdt_ref.errors import SdtError, require_seekable
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
    require_seekable(tmp_path / "file", "file", SdtError)
