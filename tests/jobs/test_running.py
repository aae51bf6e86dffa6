"""Chunks of a job: in the order of the data, kept as they finish, and never computed twice."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref.errors import ConfigError
from sdt_ref.jobs.folder import PartsFolder
from sdt_ref.jobs.job import Part, chunks_of
from sdt_ref.jobs.running import parts
from tests.jobs.test_identity import ONE

TOTAL = 100
SETTINGS = {"task": "count", "size": 3}


class Shuffled:
    """Computes squares, three chunks at a time, the last of three first."""

    def __init__(self) -> None:
        self.computed: list[range] = []

    def compute(self, chunks: Iterable[range]) -> Iterator[tuple[range, Part]]:
        chunks = iter(chunks)
        while some := [*islice(chunks, 3)]:
            for chunk in reversed(some):
                self.computed.append(chunk)
                yield chunk, Part({"square": np.array(chunk) ** 2}, {"first": chunk.start})


def folder(path: Path, **other: str) -> PartsFolder:
    return PartsFolder(path / "out.npz", replace(ONE, **other), SETTINGS, TOTAL)


def squares(found: Iterable[tuple[range, Part]]) -> list[int]:
    return [int(value) for _, part in found for value in part.arrays["square"]]


@given(st.lists(st.integers(0, TOTAL), unique=True), st.integers(1, 120), st.data())
def test_what_is_left_and_what_is_there_are_the_whole(ends: list[int], size: int, data: st.DataObject) -> None:
    ranges = [range(a, b) for a, b in pairwise(sorted(ends))]
    finished = [each for each in ranges if data.draw(st.booleans())]
    left = list(chunks_of(TOTAL, finished, size))
    assert sorted(n for each in [*left, *finished] for n in each) == list(range(TOTAL))
    assert all(1 <= len(chunk) <= size for chunk in left)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_parts_come_in_the_order_of_the_data(size: int, tmp_path: Path) -> None:
    expected = [n**2 for n in range(TOTAL)]
    told: list[int] = []
    assert squares(parts(Shuffled(), TOTAL, None, size, told.append)) == expected
    assert told == sorted(told)
    assert told[-1] == TOTAL
    assert squares(parts(Shuffled(), TOTAL, folder(tmp_path), size)) == expected


def test_an_interrupted_run_goes_on_with_chunks_of_another_size(tmp_path: Path) -> None:
    first, second = Shuffled(), Shuffled()
    assert squares(islice(parts(first, TOTAL, folder(tmp_path), 8), 4)) == [n**2 for n in range(32)]
    kept = folder(tmp_path).finished()
    assert (
        sum(map(len, kept)) == sum(map(len, first.computed)) == 48
    )  # two threes are there when the fourth is asked for
    assert squares(parts(second, TOTAL, folder(tmp_path), 5)) == [n**2 for n in range(TOTAL)]
    assert not {n for each in second.computed for n in each} & {n for each in kept for n in each}


def test_damaged_and_unfinished_chunks_are_computed_again(tmp_path: Path) -> None:
    assert len(squares(parts(Shuffled(), TOTAL, folder(tmp_path), 10))) == TOTAL
    there = sorted((tmp_path / "out.npz.parts").glob("*-*.part"))
    content = bytearray(there[2].read_bytes())
    content[-30] ^= 1
    there[2].write_bytes(content)
    there[4].write_bytes(there[4].read_bytes()[:-1])
    there[5].write_bytes(b"")
    (there[0].parent / "000000099-000000070.part").write_bytes(there[7].read_bytes())
    (there[0].parent / f"{there[8].name}.0123456789ab.part").write_bytes(b"half")
    again = Shuffled()
    assert squares(parts(again, TOTAL, folder(tmp_path), 10)) == [n**2 for n in range(TOTAL)]
    assert sorted(chunk.start for chunk in again.computed) == [20, 40, 50]


@pytest.mark.parametrize("name", ["weights", "data", "settings", "code"])
def test_another_run_is_refused_by_name(name: str, tmp_path: Path) -> None:
    folder(tmp_path)
    with pytest.raises(ConfigError, match=f"expected this run, found one of other {name}; remove it"):
        folder(tmp_path, **{name: "0" * 64})


def test_the_settings_that_differ_are_named(tmp_path: Path) -> None:
    folder(tmp_path)
    with pytest.raises(ConfigError, match=r"of other settings \(size 3, not 5\)"):
        PartsFolder(tmp_path / "out.npz", replace(ONE, settings="0" * 64), {"task": "count", "size": 5}, TOTAL)


@pytest.mark.parametrize("run", ["", "{", "[]", '{"identity": 3}', '{"identity": {}, "settings": {}}', "[" * 50_000])
def test_a_folder_of_anything_else_is_left_alone(run: str, tmp_path: Path) -> None:
    path = tmp_path / "out.npz.parts"
    path.mkdir()
    (path / "diary.txt").write_text("dear")
    with pytest.raises(ConfigError, match=r"expected what an interrupted run left, found 'diary.txt'"):
        folder(tmp_path)
    (path / "run.json").write_text(run)
    with pytest.raises(ConfigError, match="expected what an interrupted run left, found something else"):
        folder(tmp_path)
    assert (path / "diary.txt").read_text() == "dear"


def test_where_no_folder_can_be_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "out.npz.parts").write_text("a file")
    with pytest.raises(ConfigError, match="expected to make it"):
        folder(tmp_path)


def test_workers_that_stop_early_are_an_error() -> None:
    class Lazy:
        def compute(self, chunks: Iterable[range]) -> Iterator[tuple[range, Part]]:
            yield from islice(Shuffled().compute(chunks), 2)

    with pytest.raises(ConfigError, match="expected the sample 0 of 100"):
        squares(parts(Lazy(), TOTAL, None, 10))


def test_a_part_is_kept_whole() -> None:
    part = Part(
        {"a": np.arange(6.0).reshape(2, 3), "b": np.zeros(0, np.int64)}, {"names": ["\udc80ä,\n"], "n": [1, None]}
    )
    found = Part.from_bytes(part.to_bytes())
    assert found.notes == part.notes
    assert {name: (array.dtype, array.tolist()) for name, array in found.arrays.items()} == {
        name: (array.dtype, array.tolist()) for name, array in part.arrays.items()
    }
    assert part.to_bytes() == Part.from_bytes(part.to_bytes()).to_bytes()
