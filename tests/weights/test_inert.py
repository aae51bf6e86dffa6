"""Objects in a checkpoint's settings become the number or text that they say, by reading alone."""

import collections
import datetime
import enum
import functools
import io
import pathlib
import pickle
from typing import Any

import numpy as np
import pytest

from sdt_ref.weights.inert import WIDTH, plain, words
from sdt_ref.weights.made import Made, Name
from sdt_ref.weights.pickled import read_pickle


class Colour(enum.Enum):
    RED = "red"
    FOUR = 4


class Level(enum.IntEnum):
    HIGH = 3


class Options:
    def __init__(self) -> None:
        self.depth = 2


def read(value: object, protocol: int = 2) -> Any:
    return read_pickle(io.BytesIO(pickle.dumps(value, protocol)), lambda saved: saved)


@pytest.mark.parametrize("protocol", range(2, 5))  # NumPy spells arrays otherwise in 5; PyTorch writes 2
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(81.25), 81.25), (np.float32(0.5), 0.5), (np.int64(-4), -4), (np.uint8(200), 200), (np.bool_(True), True),
        (np.float16(1.5), 1.5), (np.dtype(">i4").type(7), 7), (np.array([0.25, 0.5, 0.75]), [0.25, 0.5, 0.75]),
        (np.array([1, 2, 3], ">i2"), [1, 2, 3]), (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]), (np.array(4), 4),
        (pathlib.PurePosixPath("/data/cifar10"), "/data/cifar10"), (pathlib.PureWindowsPath("C:\\data\\x"), "C:\\data\\x"),
        (Colour.RED, "red"), (Colour.FOUR, 4), (Level.HIGH, 3), ([np.float64(0.5), 1], [0.5, 1]), ((Colour.RED,), ("red",)),
        (np.str_("torch/cifar10"), "torch/cifar10"), (np.array(["a", "bc"]), ["a", "bc"]), (np.bytes_(b"ab"), b"ab"),
        (b"\x00\xff", b"\x00\xff"), ("text", "text"), (None, None), (2.5, 2.5), (True, True),
    ],
)  # fmt: skip
def test_what_says_a_number_or_a_text_is_that(value: object, expected: object, protocol: int) -> None:
    found = plain(read(value, protocol))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (collections.deque([1, 2]), "collections.deque([], 1, 2)"), (functools.partial(int, "3"), "functools.partial(builtins.int)"),
        (datetime.timedelta(1, 2), "datetime.timedelta(1, 2, 0)"), (slice(1, 2), "builtins.slice(1, 2, None)"), (dict, "builtins.dict"),
        (Options(), f"{__name__}.Options()"), (np.array([{}], object), "numpy._core.multiarray._reconstruct(numpy.ndarray, [0], b'b')"),
        (range(3), "builtins.range(0, 3, 1)"), ({"a": [1, {"b": 2}]}, "{'a': [1, {'b': 2}]}"),
    ],
)  # fmt: skip
def test_everything_else_is_shown_as_text(value: object, text: str, protocol: int) -> None:
    found = words(read(value, protocol))
    assert found.replace("numpy.core", "numpy._core").replace("deque(1, 2)", "deque([], 1, 2)") == text


def test_text_is_short_whatever_is_shown() -> None:
    laughs: list[Any] = ["ha"]
    for _ in range(60):
        laughs = [laughs] * 10
    round_and_round: list[Any] = []
    round_and_round.append(round_and_round)
    nested = Made(Name("a", "B"), ())
    for _ in range(10_000):
        nested = Made(Name("a", "B"), (nested,))
    for value in (
        laughs,
        round_and_round,
        nested,
        "x" * 10_000,
        10**10_000,
        {i: i for i in range(1000)},
        plain(laughs),
        Made(Name("m" * 999, "X"), ()),
    ):
        assert len(words(value)) <= WIDTH
        assert "\n" not in words(value)
    assert plain(laughs) is laughs


def test_a_number_of_numpy_that_is_damaged_stays_an_object() -> None:
    good = read(np.float64(1.0))
    kind, content = good.arguments
    for arguments in ((kind, b"short"), (kind, 3), (Made(Name("numpy", "dtype"), ("O", False, True), kind.state), content),
                      (Made(kind.of, ("f8", False, True), (3, "^", None)), content), (3, content)):  # fmt: skip
        made = Made(good.of, arguments)
        assert plain(made) is made
