"""A pickle is read as data: nothing that it names is imported or called, and what is plain comes out as it went in."""

import array
import builtins
import collections
import copyreg
import datetime
import decimal
import fractions
import functools
import io
import logging
import operator
import pickle
import pickletools
import random
import re
import struct
import subprocess
import sys
import types
import typing
import uuid
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref.weights.made import CallRefused, Made, Name
from sdt_ref.weights.pickled import LARGEST_KEY, read_pickle


def nothing_outside(saved: object) -> object:
    raise AssertionError(saved)


def read(content: bytes) -> Any:
    return read_pickle(io.BytesIO(content), nothing_outside)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
SMALL = st.integers(1 - LARGEST_KEY, LARGEST_KEY - 1)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.tuples(inner, inner, inner, inner) | st.dictionaries(st.text() | SMALL, inner),
    max_leaves=20,
)


@given(PLAIN, st.sampled_from([3, 4, 5]))
def test_plain_values_come_out_as_they_went_in(value: Any, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol(protocol: int) -> None:
    value = {
        "a": [1, 2.5, True, None, "é", 10**30, -1],
        "b": (),
        "c": (1,),
        "d": (1, 2),
        "e": {1: {2: []}},
        "f": "x" * 300,
    }
    value["again"] = value["a"]
    made = read(pickle.dumps(value, protocol))
    assert made == value
    assert made["again"] is made["a"]


@pytest.mark.parametrize("protocol", range(6))
def test_dictionaries_of_the_library_keep_their_order(protocol: int) -> None:
    ordered = collections.OrderedDict([("b", 1), ("a", 2)])
    default = collections.defaultdict(list, {"x": [1]})
    made = read(pickle.dumps([ordered, default, collections.Counter("aab")], protocol))
    assert made == [{"b": 1, "a": 2}, {"x": [1]}, {"a": 2, "b": 1}]
    assert list(made[0]) == ["b", "a"]


@pytest.mark.parametrize("protocol", range(2, 6))
def test_objects_are_noted_and_not_made(protocol: int) -> None:
    path, deque, text_set = read(pickle.dumps([Path("a/b"), collections.deque([1, 2]), {"x"}], protocol))
    assert isinstance(path, Made)
    assert (path.of.name, "/".join(path.arguments)) == (type(Path()).__name__, "a/b")
    assert (str(deque.of), deque.elements) == ("collections.deque", [1, 2])
    assert text_set.elements == ["x"] or text_set.arguments == (["x"],)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_values_that_are_spelt_as_calls_of_functions(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As packages of settings hold them: types, patterns, loggers, states of random numbers, arrays of objects."""
    for kind in [kind for kind in copyreg.dispatch_table if issubclass(kind, BaseException)]:
        monkeypatch.delitem(copyreg.dispatch_table, kind)  # Dask has exceptions spelt another way, once it is imported
    values = [type(None), dict[str, int], int | str, typing.Literal["a"], re.compile("a"), logging.getLogger("a"),
              datetime.UTC, datetime.datetime(2023, 7, 4), decimal.Decimal("0.5"), fractions.Fraction(1, 2), complex(1, 2),
              types.SimpleNamespace(a=1), slice(1), uuid.UUID(int=1), random.Random(1),
              operator.itemgetter(1), functools.partial(int, 2), numpy.random.default_rng(1), numpy.random.RandomState(1),
              numpy.array([{}]), numpy.dtype("f4"), numpy.float32(1), array.array("i", [1]), ValueError("x"), "x".upper]  # fmt: skip
    for value in values:
        content = pickle.dumps(value, protocol)
        pickle.loads(content)
        assert isinstance(read(content), (Made, Name)), value


class Call:
    """Pickled as the call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


ATTACKS = {
    "a shell": (lambda mark: Call(__import__("os").system, f"touch {mark}"), "posix.system"),
    "eval": (lambda mark: Call(eval, f"open({str(mark)!r}, 'w')"), "builtins.eval"),
    "exec": (lambda mark: Call(exec, f"open({str(mark)!r}, 'w')"), "builtins.exec"),
    "open": (lambda mark: Call(open, str(mark), "w"), "open"),
    "a class that starts a program": (lambda mark: Call(subprocess.Popen, ["touch", str(mark)]), "subprocess.Popen"),
    "a method": (lambda mark: Call(Path.touch, mark), "pathlib.*Path.touch"),
    "an import": (lambda mark: Call(builtins.__import__, "antigravity"), "builtins.__import__"),
    "within a list": (lambda mark: [1, {"x": Call(Path.touch, mark)}], "pathlib.*Path.touch"),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("protocol", range(6))
def test_an_attack_runs_nothing(tmp_path: Path, name: str, protocol: int) -> None:
    make, called = ATTACKS[name]
    mark = tmp_path / "mark"
    content = pickle.dumps(make(mark), protocol)
    with pytest.raises(CallRefused, match=called):
        read(content)
    assert not mark.exists()
    if name == "a method":  # the same bytes do run where they are trusted
        pickle.loads(content)
        assert mark.exists()


HAND_MADE = {
    "a name that is called by INST": b"(S'touch x'\niposix\nsystem\n.",
    "a name that is called by OBJ": b"(cposix\nsystem\nS'touch x'\no.",
    "what a call returns is called": b"cpathlib\nPath\n)R)R.",
    "a text is called": b"S'eval'\n)R.",
    "a name in a name": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.",
    "getattr, to get at a function": b"cbuiltins\ngetattr\n(cbuiltins\n__import__\nS'__call__'\ntRS'os'\n\x85R.",
}


@pytest.mark.parametrize("name", HAND_MADE)
def test_calls_in_every_spelling(name: str) -> None:
    with pytest.raises(CallRefused):
        read(HAND_MADE[name])


def test_a_name_is_shown_in_one_line() -> None:
    made = read(b"\x80\x04\x8c\x05a\n\x1b[1\x8c\x01X\x93)R.")
    assert repr(made) == "an object of a \\x1b[1.X"


def test_nothing_is_imported_and_no_class_is_changed() -> None:
    """NEWOBJ, BUILD and names are noted; a name that no module has is as good as any other."""
    content = b"\x80\x02cno_such_module\nThing\n)\x81}(X\x01\x00\x00\x00aK\x01ub."
    made = read(content)
    assert (made.of, made.state) == (Name("no_such_module", "Thing"), {"a": 1})
    assert "no_such_module" not in sys.modules
    read(b"\x80\x02cantigravity\nfly\n.")
    assert "antigravity" not in sys.modules
    before = dict(vars(collections.OrderedDict))
    read(b"\x80\x02ccollections\nOrderedDict\nN}X\x06\x00\x00\x00updateK\x01s\x86b.")
    assert dict(vars(collections.OrderedDict)) == before


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02.", b"\x80\x02K\x01", b"\x80\x02h\x07.", b"\x80\x02t.", b"\x80\x02K\x01u.", b"\x80\x02]e.", b"\x80\x02}K\x01s.",
        b"\x80\x02\x82\x01.", b"\x80\x05\x97.", b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.", b"\x80\x02\x8b\xff\xff\xff\x7f1.",
        b"\x80\x02X\xff\xff\xff\x7fabc.", b"\x80\x02K\x01)\x81.", b"\x80\x04K\x01K\x02\x93.", b"\x80\x02}]K\x01s]e.",
    ],
)  # fmt: skip
def test_a_damaged_pickle_is_an_error_and_claims_no_memory(content: bytes) -> None:
    with pytest.raises((ValueError, LookupError, TypeError, AttributeError)):
        read(content)


def test_marks_within_marks_cost_no_more_than_their_number() -> None:
    """Each mark is looked for from the top, so that most of the stack below is never touched."""
    assert read(b"\x80\x02" + b"(" * 200_000 + b"K\x01t" + b"0(t" * 100_000 + b".") == ()


def test_a_key_that_cannot_be_one_is_kept_apart() -> None:
    (key,) = read(b"\x80\x02}]K\x01s.")
    assert key.value == []


def test_every_opcode_is_read_or_refused() -> None:
    """Of all that Python knows, only what reaches outside is not understood: extension codes and buffers."""
    from sdt_ref.weights import pickled

    known = pickled.VALUES | set(pickled.CONSTANTS) | {"PROTO", "FRAME", "STOP", "PUT", "BINPUT", "LONG_BINPUT"}
    known |= {"GET", "BINGET", "LONG_BINGET"} | {name[1:].upper() for name in vars(pickled._Machine)}
    assert {opcode.name for opcode in pickletools.opcodes} - known == {
        "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}  # fmt: skip
