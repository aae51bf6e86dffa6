"""Reading ahead: a thread makes the next items while the caller works on those before."""

import warnings
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from ..engine.tiles import start

Made = TypeVar("Made")


def ahead(items: Iterable[Made], most: int) -> Generator[Made, None, None]:
    """Yield items in their order, which a thread makes: at most so many of those that come next.

    What the iterable raises is raised here, in its place. Where not all may be taken, close this generator
    (`contextlib.closing`): that ends the thread behind the item that it is at.
    """
    source: Iterator[Any] = iter(items)
    end: Any = object()
    reader = ThreadPoolExecutor(1, thread_name_prefix="sdt_ref reading")
    coming: deque[Future[Any] | None] = deque()
    with warnings.catch_warnings():  # which warnings are shown is not of a thread: here, as before in the end
        try:
            coming += [start(reader, next, source, end) for _ in range(most)]
            while True:
                made = coming.popleft()
                item = made.result() if made else next(source, end)  # none: no thread starts as the interpreter ends
                if item is end:
                    return
                coming.append(start(reader, next, source, end))
                yield item
        finally:
            for made in coming:
                if made:
                    made.cancel()
            reader.shutdown()
