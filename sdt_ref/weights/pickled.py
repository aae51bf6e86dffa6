"""A pickle read as data: what it would import, call and build is written down, and none of it is done.

A pickle is a program for a stack machine. This machine has the stack and the memo, but no way to import a name or to
call anything: where the program says "call", it notes a `Made`, the name with its arguments. So no code of a
checkpoint can run, whatever stands in it. Source of the opcodes: pickletools of Python, protocols 0 to 5.

Time and memory grow with the length of the pickle alone, at most MOST_STEPS: a step is an opcode, or an item that one
copies. What a pickle names twice is shared and not copied, so whoever walks through its lists must bound the walk.
"""

import pickletools
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Iterator
from typing import IO, Any, Protocol, cast

from .made import LONGEST_NAME, CallRefused, Key, Made, Name, may_make_a_value

MOST_STEPS = 1_000_000  # a checkpoint of the largest published model has about 100,000
LARGEST_KEY = 2**60  # numbers from there on can be chosen so that their hashes are the same, and a dictionary slow
MOST_MEMO = 2**32  # as the widest opcode counts

MAPPINGS = ("collections.OrderedDict", "collections.defaultdict", "collections.Counter")


class File(Protocol):
    """What a pickle is read from."""

    def read(self, count: int, /) -> bytes: ...
    def readline(self) -> bytes: ...


def read_pickle(file: File, persistent: Callable[[Any], Any], most: int = MOST_STEPS) -> Any:
    """Read one pickle, and stop behind it.

    Parameters
    ----------
    persistent : what stands for an object that lies outside of the pickle, from its id
    most : steps

    Raises CallRefused; ValueError, IndexError, KeyError, TypeError or AttributeError for a damaged pickle.
    """
    machine = _Machine(persistent, most)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of backslashes in a text of protocol 0
        for opcode, argument, _ in pickletools.genops(cast(IO[bytes], file)):
            machine.count(1)
            machine.step(opcode.name, argument)
    return machine.stack.pop()


def _key(value: Any) -> Any:
    """A key whose hash is cheap, runs no code, and is not that of many others."""
    if isinstance(value, int):
        return value if abs(value) < LARGEST_KEY else Key(value)
    return value if isinstance(value, (str, bytes, float, Name, Made, type(None))) else Key(value)


def _pairs(items: list[Any]) -> Iterator[tuple[Any, Any]]:
    return ((_key(items[i]), items[i + 1]) for i in range(0, len(items), 2))


SET, FROZENSET = Name("builtins", "set"), Name("builtins", "frozenset")

# opcodes whose argument is the value
VALUES = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING"}
    | {"SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"}
    | {"BINUNICODE8", "BYTEARRAY8"}
)
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: Made(SET, ()),
}
MARKER = object()


class _Machine:
    """The stack and the memo of a pickle; each method is the opcode of its name."""

    def __init__(self, persistent: Callable[[Any], Any], most: int) -> None:
        self.persistent = persistent
        self.left = self.most = most
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def count(self, steps: int) -> None:
        """Count steps; ValueError where they are too many."""
        self.left -= steps
        if self.left < 0:
            raise ValueError(f"a pickle of more than {self.most:,} steps")

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in VALUES:
            self.stack.append(argument)
        elif opcode in CONSTANTS:
            self.stack.append(CONSTANTS[opcode]())
        elif opcode in ("PROTO", "FRAME", "STOP"):
            pass
        elif opcode in ("PUT", "BINPUT", "LONG_BINPUT"):
            if not 0 <= argument < MOST_MEMO:
                raise ValueError(f"a place in the memo below 0, or from {MOST_MEMO:,} on")
            self.memo[argument] = self.stack[-1]
        elif opcode in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        else:  # AttributeError for what no checkpoint has: extension registries, buffers outside
            method = getattr(self, f"_{opcode.lower()}")
            method(argument) if argument is not None else method()

    def _above_the_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not MARKER:  # IndexError without one
            at -= 1
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def _memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _mark(self) -> None:
        self.stack.append(MARKER)

    def _pop(self) -> None:
        self.stack.pop()

    def _pop_mark(self) -> None:
        self._above_the_mark()

    def _dup(self) -> None:
        self.stack.append(self.stack[-1])

    # --- tuples, lists, dictionaries, sets

    def _tuple(self) -> None:
        self.stack.append(tuple(self._above_the_mark()))

    def _tuple1(self) -> None:
        self.stack[-1:] = [(self.stack[-1],)]

    def _tuple2(self) -> None:
        self.stack[-2:] = [(self.stack[-2], self.stack[-1])]

    def _tuple3(self) -> None:
        self.stack[-3:] = [(self.stack[-3], self.stack[-2], self.stack[-1])]

    def _list(self) -> None:
        self.stack.append(self._above_the_mark())

    def _dict(self) -> None:
        self.stack.append(dict(_pairs(self._above_the_mark())))

    def _frozenset(self) -> None:
        self.stack.append(Made(FROZENSET, (self._above_the_mark(),)))

    def _append(self) -> None:
        self._extend([self.stack.pop()])

    def _appends(self) -> None:
        self._extend(self._above_the_mark())

    _additems = _appends

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        (target.elements if isinstance(target, Made) else target).extend(items)

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def _setitems(self) -> None:
        self._update(self._above_the_mark())

    def _update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        (target.items if isinstance(target, Made) else target).update(_pairs(items))

    # --- names and calls, noted and not done

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        if len(module) + len(name) > LONGEST_NAME:
            raise ValueError(f"a name of {len(module) + len(name):,} characters")
        # protocol 2, which PyTorch writes, has the names of Python 2
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        self.stack.append(Name(module, name))

    def _stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise TypeError("a name that is no text")
        self._name(module, name)

    def _reduce(self) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        self._call(called, arguments)

    def _inst(self, argument: str) -> None:
        arguments = tuple(self._above_the_mark())
        self._global(argument)
        self._call(self.stack.pop(), arguments)

    def _obj(self) -> None:
        called, *arguments = self._above_the_mark()
        self._call(called, tuple(arguments))

    def _newobj(self) -> None:
        arguments, made = self.stack.pop(), self.stack.pop()
        self._make(made, arguments)

    def _newobj_ex(self) -> None:
        keywords, arguments, made = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.count(len(arguments) + len(keywords))
        self._make(made, (*arguments, *keywords.items()))

    def _call(self, called: Any, arguments: tuple[Any, ...]) -> None:
        if not isinstance(called, Name):
            raise CallRefused(f"what {called.of} returns" if isinstance(called, Made) else type(called).__name__)
        if not may_make_a_value(called):
            raise CallRefused(str(called))
        if str(called) == "builtins.getattr" and [type(v) for v in arguments] == [Name, str]:
            inside = arguments[1][: LONGEST_NAME + 1]
            self._name(arguments[0].module, f"{arguments[0].name}.{inside}")  # what stands in a class
        else:
            self._make(called, arguments)

    def _make(self, of: Any, arguments: tuple[Any, ...]) -> None:
        """Without a call of a function: NEWOBJ makes an object of a class."""
        if not (isinstance(of, Name) and isinstance(arguments, tuple)):
            raise TypeError(f"an object of a {type(of).__name__}")
        self.stack.append(self._mapping(arguments) if str(of) in MAPPINGS else Made(of, arguments))

    def _mapping(self, arguments: tuple[Any, ...]) -> dict[Any, Any]:
        """An OrderedDict, defaultdict or Counter as a dictionary; its order stays."""
        content = arguments[-1] if arguments else None
        if not isinstance(content, (dict, list)):
            return {}
        self.count(len(content))
        return dict(content) if isinstance(content, dict) else {_key(key): value for key, value in content}

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Made):
            target.state = state

    def _persid(self, argument: str) -> None:
        self.stack.append(self.persistent(argument))

    def _binpersid(self) -> None:
        self.stack.append(self.persistent(self.stack.pop()))
