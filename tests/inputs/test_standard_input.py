"""The standard input is read once, bounded, as often as wanted; what cannot be one is refused before it can hang."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdt_ref import ImageError
from sdt_ref.camera.opening import is_recording, open_recording
from sdt_ref.inputs import standard_input
from sdt_ref.inputs.datasets import Samples
from sdt_ref.inputs.image import open_picture
from sdt_ref.inputs.reading import given_or_sample, source_of
from sdt_ref.inputs.standard_input import StandardInput
from tests.equality import assert_same
from tests.shipped import CAT, DIGIT


class Stream(io.TextIOWrapper):
    """As sys.stdin is."""

    def __init__(self, content: bytes, terminal: bool = False) -> None:
        super().__init__(io.BufferedReader(io.BytesIO(content)))
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def test_it_is_read_as_a_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Stream(CAT.read_bytes()))
    source = source_of("-")
    assert isinstance(source, StandardInput)
    for _ in range(2):
        assert not is_recording(source)
        assert_same(np.asarray(open_picture(source)), np.asarray(Image.open(CAT)), "cat")
    with given_or_sample(source) as (found, name):
        assert found is source
        assert (name, str(found)) == ("standard input", "standard input")


def test_a_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Stream(DIGIT.read_bytes()))
    source = source_of("-")
    assert is_recording(source)
    recording = open_recording(source)
    assert (recording.name, recording.format) == ("standard input", "N-MNIST")
    assert sum(len(events.t) for events in recording.read()) == 4715


def test_only_a_lone_dash_is_the_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", None)
    Path("-").write_bytes(CAT.read_bytes())
    for name in (None, "./-", "--", ""):
        assert source_of(name) == name
    assert open_picture(source_of("./-")).size == (451, 300)


def test_it_is_one_of_many_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Stream(CAT.read_bytes()))
    samples = Samples([source_of("-"), str(CAT)])
    assert [name for name, _ in samples] == ["standard input", str(CAT)]
    assert samples.files == [CAT]


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (None, "'-' reads the standard input: expected a file or a pipe, found none; give a path"),
        (
            Stream(b"x", terminal=True),
            "expected a file or a pipe, found a terminal; give a path, or pipe a file into it",
        ),
        (Stream(b""), "standard input: expected a picture or a recording, found nothing; check the command"),
        (io.StringIO("text"), "found none"),
        (Stream(b"x" * 1001), "standard input: expected at most 1,000 bytes, found more; save it as a file"),
    ],
)
def test_what_is_none_is_refused(stream: object, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_input, "MOST", 1000)
    monkeypatch.setattr("sys.stdin", stream)
    with pytest.raises(ImageError, match=message):
        source_of("-")


def test_the_bound_is_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_input, "MOST", 1000)
    monkeypatch.setattr("sys.stdin", Stream(b"x" * 1000))
    source = source_of("-")
    assert isinstance(source, StandardInput)
    assert source.getvalue() == b"x" * 1000


def test_an_endless_pipe_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            asked.append(len(buffer))
            return len(buffer)

    monkeypatch.setattr(standard_input, "MOST", 1 << 22)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    with pytest.raises(ImageError, match="expected at most 4,194,304 bytes, found more"):
        source_of("-")
    assert sum(asked) <= 2 << 22


def test_a_closed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(b"x")
    stream.close()
    monkeypatch.setattr("sys.stdin", stream)
    with pytest.raises(ImageError, match="found none"):
        source_of("-")
