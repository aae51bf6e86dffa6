"""Arrays that count what is read of them, under the Python bodies of the kernels."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import kernels
from .addition import interpreted


@dataclass
class Reads:
    """How many numbers were read."""

    count: int = 0


def noticing(array: np.ndarray, reads: Reads) -> np.ndarray:
    """A view of an array that counts what is read of it: one by one, in slices, or as a whole in one operation."""

    class Noticing(np.ndarray):
        def __getitem__(self, key: Any) -> Any:
            read = self.view(np.ndarray)[key]
            reads.count += np.size(read)
            return read

        def __setitem__(self, key: Any, value: Any) -> None:
            self.view(np.ndarray)[key] = value  # which would look at what it replaces

        def __iter__(self) -> Iterator[Any]:
            reads.count += self.size
            return iter(self.view(np.ndarray))

        def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
            reads.count += sum(each.size for each in inputs if isinstance(each, Noticing))
            plain = [each.view(np.ndarray) if isinstance(each, Noticing) else each for each in inputs]
            return getattr(ufunc, method)(*plain, **options)

    return array.view(Noticing)


@contextlib.contextmanager
def kernels_replaced(replaced: dict[str, Callable[..., Any]]) -> Iterator[None]:
    """Let the whole engine call other functions instead of kernels, by their names, for a while."""
    before = {name: getattr(kernels, name) for name in replaced}
    vars(kernels).update(replaced)
    try:
        yield
    finally:
        vars(kernels).update(before)


def reading(
    name: str, places: tuple[int, ...], reads_of: Callable[[tuple[Any, ...], int], Reads]
) -> Callable[..., Any]:
    """The Python body of a kernel, whose arguments at these places notice what is read of them.

    Parameters
    ----------
    reads_of : of all arguments, and the place of one: where to count what is read of that one
    """
    body = interpreted(getattr(kernels, name))

    def call(*arguments: Any) -> Any:
        noticed = list(arguments)
        for place in places:
            noticed[place] = noticing(arguments[place], reads_of(arguments, place))
        return body(*noticed)

    return call
