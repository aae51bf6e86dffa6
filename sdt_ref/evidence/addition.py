"""Numbers that can be added and compared, and nothing else: what a kernel may do with spikes, weights and currents.

A kernel's Python body that runs on them has added; a multiplication raises Refused. Numba compiles the same body,
except for the operations of `kernels.vector`, `kernels.fixed` and `bitset.append`, which stand there twice: as Python,
which runs here, and as LLVM instructions, which `llvm_ir` reads.
"""

import operator
from types import FunctionType
from typing import Any, NoReturn, Self

import numpy as np


class Refused(ArithmeticError):
    """A number that can only be added was multiplied, divided, scaled or recoded; the message is the operator."""


def _refused(symbol: str) -> Any:
    def refuse(*_: object) -> NoReturn:
        raise Refused(symbol)

    return refuse


class Addend:
    """A number with addition, subtraction and comparison; whole ones also with masks.

    It is no index and no Python number, so no way leads around it.
    """

    def __init__(self, value: Any) -> None:
        if isinstance(value, Address):
            raise Refused(">>")
        self.value = plain(value)

    def __add__(self, other: Any) -> Self:
        return type(self)(self.value + plain(other))

    def __sub__(self, other: Any) -> Self:
        return type(self)(self.value - plain(other))

    def __rsub__(self, other: Any) -> Self:
        return type(self)(plain(other) - self.value)

    def __and__(self, other: Any) -> Self:
        return type(self)(self.value & plain(other))

    def __eq__(self, other: object) -> bool:
        return bool(self.value == plain(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < plain(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= plain(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > plain(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= plain(other))

    __radd__, __rand__ = __add__, __and__
    __hash__ = None  # type: ignore[assignment]  # compared by value
    __mul__ = __rmul__ = _refused("*")
    __matmul__ = __rmatmul__ = _refused("@")
    __truediv__ = __rtruediv__ = _refused("/")
    __floordiv__ = __rfloordiv__ = __divmod__ = __rdivmod__ = _refused("//")
    __mod__ = __rmod__ = _refused("%")
    __pow__ = __rpow__ = _refused("**")
    __lshift__ = __rlshift__ = _refused("<<")
    __rshift__: Any = _refused(">>")
    __rrshift__ = _refused(">>")
    __or__ = __ror__ = _refused("|")
    __xor__ = __rxor__ = _refused("^")
    __invert__ = _refused("~")


class Place(Addend):
    """The number of a channel: it can be an index, too, and what is computed from an index is an address."""

    def __index__(self) -> int:
        return operator.index(self.value)

    def __rshift__(self, other: Any) -> "Address":
        return Address(self.value >> plain(other))


class Address:
    """A channel's number shifted to the right, such as that of its word in a set: an index, and nothing else."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return operator.index(self._value)


class Addends(np.ndarray):
    """An array in which everything that is stored becomes an Addend."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, _as_addends(value))


def addends(array: np.ndarray) -> Addends:
    """Numbers as an array of addends."""
    made = np.empty(array.shape, object).view(Addends)
    made[...] = array.astype(object)
    return made


def places(array: np.ndarray) -> np.ndarray:
    """Channel numbers as an array of places."""
    return np.frompyfunc(Place, 1, 1)(array.astype(object))


def plain(value: Any) -> Any:
    """The number in an addend, or in each element of an array of them; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.frompyfunc(plain, 1, 1)(np.asarray(value))
    return value.value if isinstance(value, Addend) else value


def interpreted(kernel: Any) -> FunctionType:
    """The Python body of a kernel; those that it calls are interpreted, too."""
    function = getattr(kernel, "py_func", kernel)  # where Numba is switched off it is its body
    called = {
        name: interpreted(value)
        for name, value in function.__globals__.items()
        if name in function.__code__.co_names and hasattr(value, "py_func")
    }
    return FunctionType(function.__code__, {**function.__globals__, **called}, function.__name__)


_as_addends = np.frompyfunc(Addend, 1, 1)
