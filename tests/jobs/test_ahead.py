"""Items that a thread makes ahead: in order, bounded, and whatever goes wrong is told."""

import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import pytest

from sdt_ref.jobs.ahead import ahead

PATIENCE = 60  # seconds


@pytest.mark.parametrize("most", [1, 3, 100])
@pytest.mark.parametrize("n", [0, 1, 2, 40])
def test_all_items_come_in_their_order(n: int, most: int) -> None:
    assert list(ahead(iter(range(n)), most)) == list(range(n))


def test_another_thread_makes_them() -> None:
    made_by = set(ahead((threading.get_ident() for _ in range(5)), 2))
    assert len(made_by) == 1
    assert made_by != {threading.get_ident()}


def test_items_are_made_while_the_caller_works_but_no_more_than_asked_for() -> None:
    """The fourth after the one that was taken is made meanwhile, the fifth is not."""
    made: list[int] = []
    fourth, fifth = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        for k in range(100):
            made.append(k)
            if k >= 4:
                (fourth if k == 4 else fifth).set()
            yield k

    with closing(ahead(items(), 4)) as coming:
        assert made == []
        assert next(coming) == 0
        assert fourth.wait(PATIENCE)
        assert not fifth.wait(0.2)
        for k in range(1, 20):
            assert next(coming) == k
            assert len(made) <= k + 1 + 4
    assert len(made) <= 20 + 4


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OSError("the disk is gone")

    found = []
    with pytest.raises(OSError, match="the disk is gone"):  # noqa: PT012  what came before it counts
        for item in ahead(items(), 10):
            found.append(item)
    assert found == [0, 1, 2]


def test_the_thread_ends_when_the_items_are_no_longer_wanted() -> None:
    before = set(threading.enumerate())
    with closing(ahead(iter(range(100)), 4)) as coming:
        assert list(islice(coming, 3)) == [0, 1, 2]
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) == before


def test_what_a_thread_does_with_warnings_is_undone() -> None:
    """Filters are of the whole process: blocks that silence warnings in two threads put back each other's."""
    entered = threading.Event()

    def items() -> Iterator[int]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield 0
            assert entered.wait(PATIENCE)
        yield 1

    before = list(warnings.filters)
    with closing(ahead(items(), 1)) as coming:
        assert next(coming) == 0
        with warnings.catch_warnings():  # opened in the other's, and closed behind it
            entered.set()
            assert next(coming) == 1
        assert list(warnings.filters) != before
    assert list(warnings.filters) == before


@pytest.mark.parametrize("ending", ["next(items)", "next(items); raise SystemExit('stopped')"])
def test_a_program_ends_with_items_that_were_not_taken(ending: str) -> None:
    code = f"import itertools; from sdt_ref.jobs.ahead import ahead; items = ahead(itertools.count(), 4); {ending}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == ((1, "stopped\n") if "stopped" in ending else (0, ""))


def test_items_are_made_where_no_thread_can_be_started_any_more() -> None:
    code = "import atexit; from sdt_ref.jobs.ahead import ahead; atexit.register(lambda: print(*ahead(range(5), 2)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("0 1 2 3 4\n", "")
