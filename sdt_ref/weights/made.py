"""What a pickle names and would make: notes, from which nothing is imported or called."""

from dataclasses import dataclass, field
from typing import Any

from ..errors import Foreign, one_line, shown

LONGEST_NAME = 1000  # characters of a name that is read; those of PyTorch have fewer than 100

# a class begins with a capital; these are the other names that Python, NumPy and PyTorch pickle values with
CONSTRUCTORS = {
    "builtins": "bytearray bytes complex dict float frozenset getattr int list object range set slice str tuple type",
    "datetime": "date datetime time timedelta timezone",
    "collections": "defaultdict deque",
    "functools": "partial reduce",
    "_functools": "reduce",  # of types such as int | str
    "operator": "attrgetter itemgetter methodcaller",
    "_operator": "getitem",  # of types such as Literal["a"]
    "copyreg": "_reconstructor __newobj__ __newobj_ex__",
    "array": "array _array_reconstructor",
    "_codecs": "encode",
    "logging": "getLogger",
    "re": "_compile",
    "zoneinfo": "ZoneInfo._unpickle",
    "numpy": "dtype",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy.core.numeric": "_frombuffer",
    "numpy._core.numeric": "_frombuffer",
    "numpy.random._pickle": "__randomstate_ctor __generator_ctor __bit_generator_ctor",
    "torch": "device",
    "torch.serialization": "_get_layout",
    "torch.storage": "_load_from_bytes",
    "torch._tensor": "_rebuild_from_type_v2",
}
NEVER = ("nt", "os", "posix", "subprocess", "sys")  # modules of which no call is a value


@dataclass(frozen=True, slots=True, repr=False)
class Name(Foreign):
    """A class, function or constant that a pickle names; it is never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        """In one line, and none of a terminal's control characters."""
        return one_line(f"{self.module}.{self.name}", 200)

    __repr__ = __str__


@dataclass(eq=False, slots=True)
class Made(Foreign):
    """What unpickling would have made.

    Attributes
    ----------
    of : the class or function
    arguments : of the call
    state : what BUILD would have given it, None without
    items, elements : what would have been put into a dictionary or a list of that class
    """

    of: Name
    arguments: tuple[Any, ...]
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)
    elements: list[Any] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"an object of {self.of}"


@dataclass(eq=False, slots=True)
class Key(Foreign):
    """A key of a dictionary that is no text and no small number."""

    value: Any

    def __repr__(self) -> str:
        return "an object"


class CallRefused(ValueError):
    """A pickle calls something that makes no value; `name` says what."""

    def __init__(self, name: str) -> None:
        super().__init__(f"a call of {name}")
        self.name = name


def name_of(key: Any) -> str:
    """A key of a dictionary as a text of bounded length; one that is no text is told in words."""
    return key[:LONGEST_NAME] if isinstance(key, str) else shown(key)


def may_make_a_value(of: Name) -> bool:
    """Whether a call of this name spells a value; any other call in a checkpoint is an attack, or a program."""
    if of.module in NEVER:
        return False
    rebuilds = of.module == "torch._utils" and of.name.startswith("_rebuild_")
    compiled = of.name.startswith("__pyx_unpickle_")  # a class that Cython compiled
    last = of.name.rpartition(".")[2].lstrip("_")
    return rebuilds or compiled or last[:1].isupper() or of.name in CONSTRUCTORS.get(of.module, "").split()
