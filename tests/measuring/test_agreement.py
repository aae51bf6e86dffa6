"""Two programs' predictions of the same images, counted by hand."""

import os
import sys
from collections.abc import Iterator
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pytest

from sdt_ref.errors import ConfigError
from sdt_ref.measuring.agreement import Agreement, Differing, compare
from sdt_ref.measuring.results import Rows
from tests import processes

#          agree, right  ours right  theirs right  both wrong, other labels  both wrong, agree  unreadable: ours, theirs, both
LABELS = [0, 1, 2, 3, 4, 5, 6, 7]  # fmt: skip
OURS = [0, 1, 9, 8, 9, -1, 6, -1]
THEIRS = [0, 9, 2, 9, 9, 5, -1, -1]


def of(predicted: list[int], labels: list[int] = LABELS, names: str = "abcdefgh") -> Rows:
    return Rows(list(names), np.array(labels), np.array(predicted), np.zeros((len(predicted), 0)))


def alone(predicted: list[int]) -> Rows:
    """Of a file that has predicted labels alone."""
    return Rows([], np.zeros(0, np.int64), np.array(predicted), np.zeros((len(predicted), 0)))


def chunked(whole: Rows, size: int) -> Iterator[Rows]:
    return (whole[first : first + size] for first in range(0, len(whole), size))


@pytest.mark.parametrize("sizes", [(1, 1), (3, 5), (8, 2), (100, 100)])
@pytest.mark.parametrize("theirs", [of(THEIRS), alone(THEIRS)])
def test_every_kind_of_image_is_counted_where_it_belongs(theirs: Rows, sizes: tuple[int, int]) -> None:
    found = compare(chunked(of(OURS), sizes[0]), chunked(theirs, sizes[1]), "theirs.npz")
    assert (found.images, found.agreeing) == (5, 2)
    assert (found.both_right, found.ours_right, found.theirs_right, found.both_wrong) == (1, 1, 1, 2)
    assert (found.ours_unreadable, found.theirs_unreadable) == (2, 2)
    assert found.differing == [Differing("b", 1, 1, 9), Differing("c", 2, 9, 2), Differing("d", 3, 8, 9)]
    told = found.to_json()
    assert told["differing"][0] == {"name": "b", "label": 1, "ours": 1, "theirs": 9}  # type: ignore[index]
    assert (told["agreeing"], told["mcnemar_p"]) == (2, 1.0)


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (5, 5), (0, 1), (0, 6), (9, 2), (2, 9), (40, 17), (300, 370)])
def test_the_test_of_mcnemar_is_exact(ours: int, theirs: int) -> None:
    """Both tails of a fair coin, in exact fractions."""
    n = ours + theirs
    tail = Fraction(sum(comb(n, k) for k in range(min(ours, theirs) + 1)), 2**n)
    found = Agreement(ours_right=ours, theirs_right=theirs).p_value
    assert found == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-12)


def test_what_agrees_does_not_matter_to_the_test() -> None:
    assert Agreement(ours_right=0, theirs_right=6).p_value == 2 / 64
    assert Agreement(both_right=9000, both_wrong=70, ours_right=0, theirs_right=6).p_value == 2 / 64


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (of(THEIRS, names="abcXefgh"), "image 3: expected 'd', as this run has, found 'X'"),
        (of(THEIRS, labels=[0, 1, 2, 3, 4, 9, 6, 7]), "image 5, 'f': expected label 5, as this run has, found 9"),
        (of(THEIRS)[:7], "expected the images of this run, found fewer of them"),
        (of([*THEIRS, 1], [*LABELS, 1], "abcdefghi"), "expected the images of this run, found more of them"),
        (of(THEIRS)[:0], "expected the images of this run, found fewer of them"),
    ],
)
def test_other_images_are_refused(theirs: Rows, message: str) -> None:
    for size in (1, 3, 100):
        with pytest.raises(ConfigError) as error:
            compare(chunked(of(OURS), 2), chunked(theirs, size), "theirs.npz")
        assert str(error.value).startswith(f"results 'theirs.npz': {message}")


def test_scipy_s_statistics_are_imported_where_two_programs_are_compared_alone(tmp_path: Path) -> None:
    """They take longer to import than a small network to run."""
    code = "import sys, sdt_ref.evaluate, sdt_ref.measuring.agreement\nprint('scipy.stats' in sys.modules)"
    (tmp_path / "looks.py").write_text(code)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    assert processes.module("looks", env={**os.environ, "PYTHONPATH": path}).stdout == "False\n"
